import { createHmac } from "node:crypto";
import { describe, expect, test, vi } from "vitest";
import { concat } from "../../src/bytes/concat.ts";
import type { PrivateKey } from "../../src/crypto/jobs.ts";
import { SeededCryptoProvider } from "../../src/crypto/key-exchange/seeded-crypto-provider.ts";
import type { IkeKeys } from "../../src/crypto/keymat.ts";
import { ExchangeType, NotifyType, ProtocolId } from "../../src/iana/ikev2-parameters.ts";
import { DEFAULT_LIMITS } from "../../src/ike/limits.ts";
import { MessageProtection } from "../../src/ike/message-protection.ts";
import {
  decodeIkeSpi,
  decodeSpi,
  encodeIkeSpi,
  encodeSpi,
  find,
  findNotify,
  notify,
} from "../../src/ike/payloads.ts";
import { parseEspProposal, parseIkeProposal } from "../../src/policy/keywords.ts";
import { findTransform, numberProposals } from "../../src/policy/transforms.ts";
import type { Payload } from "../../src/wire/payloads/payload.ts";
import type { Proposal } from "../../src/wire/payloads/proposal.ts";
import {
  establishedPair,
  type SimulatedMachine,
  scriptedEstablished,
  scriptedInitiator,
  scriptedResponder,
} from "../support/simulator/index.ts";

// One side goes by a script: what the RFC has it do, with keys worked out here by hand, or something else.

const { CREATE_CHILD_SA, IKE_FOLLOWUP_KE, INFORMATIONAL } = ExchangeType;
const X25519 = 31;
const ECP384 = 20;
const MLKEM512 = 35;
const PLAIN_IKE = "aes256gcm16-prfsha256-x25519";
const ESP = "aes256gcm16-x25519-ke1_ecp384-ke2_mlkem512";
/** Another PRF than that of the IKE SA before, so that it shows which of them is used for what. */
const IKE = "aes256gcm16-prfsha384-x25519-ke1_ecp384-ke2_mlkem512";

type All = ReturnType<typeof scriptedEstablished>;

const hmac = (hash: string, key: Uint8Array, ...parts: readonly Uint8Array[]) =>
  new Uint8Array(
    createHmac(hash, key)
      .update(concat(...parts))
      .digest(),
  );

/** RFC 7296 section 2.13. */
function prfPlus(hash: string, key: Uint8Array, seed: Uint8Array, length: number): Uint8Array {
  let block: Uint8Array = new Uint8Array(0);
  let all: Uint8Array = new Uint8Array(0);
  for (let i = 1; all.length < length; i++) {
    block = hmac(hash, key, block, seed, Uint8Array.of(i));
    all = concat(all, block);
  }
  return all.subarray(0, length);
}

/** The scripted side of key exchanges. */
class Exchanger {
  readonly #provider: SeededCryptoProvider;
  readonly nonce: Uint8Array;
  readonly secrets: Uint8Array[] = [];
  #privateKey: PrivateKey | undefined;

  constructor(seed: number) {
    this.#provider = new SeededCryptoProvider(seed);
    this.nonce = new Uint8Array(32).fill(seed);
  }

  begin(group: number): Payload {
    const pair = this.#provider.compute({ kind: "generate-key-pair", group });
    if (pair.kind !== "key-pair") throw new Error("no key pair");
    this.#privateKey = pair.privateKey;
    return { kind: "key-exchange", critical: false, group, data: pair.publicValue };
  }

  end(payloads: readonly Payload[]): void {
    const { group, data } = find(payloads, "key-exchange")!;
    const job = { kind: "agree", group, privateKey: this.#privateKey!, peerPublicValue: data } as const;
    const shared = this.#provider.compute(job);
    if (shared.kind !== "shared-secret") throw new Error("no shared secret");
    this.secrets.push(shared.sharedSecret);
  }

  respond(payloads: readonly Payload[]): Payload {
    const { group, data } = find(payloads, "key-exchange")!;
    const response = this.#provider.compute({ kind: "respond", group, peerPublicValue: data });
    if (response.kind !== "response") throw new Error("no response");
    this.secrets.push(response.sharedSecret);
    return { kind: "key-exchange", critical: false, group, data: response.publicValue };
  }
}

const linkOf = (payloads: readonly Payload[]) => findNotify(payloads, NotifyType.ADDITIONAL_KEY_EXCHANGE);
const link = (data: Uint8Array) => notify(NotifyType.ADDITIONAL_KEY_EXCHANGE, data);
const has = (payloads: readonly Payload[], type: number) => findNotify(payloads, type) !== undefined;

/** A machine that allows further key exchanges, and a peer that has connected without. */
function connected(seed: number, limits = {}): All {
  return scriptedEstablished({
    seed,
    limits: { livenessMs: Number.POSITIVE_INFINITY, ...limits },
    peer: { ike: [PLAIN_IKE] },
    responder: { ike: [IKE, PLAIN_IKE], esp: [ESP] },
  });
}

function ask(
  { peer, machine, link: wire }: All,
  exchangeType: number,
  messageId: number,
  payloads: readonly Payload[],
) {
  peer.send(machine, peer.seal({ exchangeType, messageId, payloads }));
  return peer.open(wire.take().octets).payloads;
}

function askForChild(all: All, messageId: number, exchanger: Exchanger, spi = 0x300): readonly Payload[] {
  const proposals = numberProposals([parseEspProposal(ESP)], encodeSpi(spi));
  const [child] = all.peer.policy.children;
  return ask(all, CREATE_CHILD_SA, messageId, [
    { kind: "security-association", critical: false, proposals },
    { kind: "nonce", critical: false, nonce: exchanger.nonce },
    exchanger.begin(X25519),
    { kind: "traffic-selectors-initiator", critical: false, selectors: child!.local },
    { kind: "traffic-selectors-responder", critical: false, selectors: child!.remote },
  ]);
}

function askForIke(all: All, messageId: number, exchanger: Exchanger, spi: bigint): readonly Payload[] {
  return ask(all, CREATE_CHILD_SA, messageId, [
    {
      kind: "security-association",
      critical: false,
      proposals: numberProposals([parseIkeProposal(IKE)], encodeIkeSpi(spi)),
    },
    { kind: "nonce", critical: false, nonce: exchanger.nonce },
    exchanger.begin(X25519),
  ]);
}

describe("by the words of RFC 9370 section 2.2.4, with keys worked out by hand", () => {
  test("a child SA has KEYMAT of SK(0) | Ni | Nr | SK(1) | SK(2)", () => {
    const all = connected(1);
    const exchanger = new Exchanger(9);
    const first = askForChild(all, 2, exchanger);
    exchanger.end(first);
    const nr = find(first, "nonce")!.nonce;
    const inboundSpi = decodeSpi(find(first, "security-association")!.proposals[0]!.spi);
    expect(all.machine.installed.has(inboundSpi)).toBe(false);
    const second = ask(all, IKE_FOLLOWUP_KE, 3, [exchanger.begin(ECP384), link(linkOf(first)!.data)]);
    exchanger.end(second);
    expect(all.machine.installed.has(inboundSpi)).toBe(false);
    const third = ask(all, IKE_FOLLOWUP_KE, 4, [exchanger.begin(MLKEM512), link(linkOf(second)!.data)]);
    exchanger.end(third);
    // RFC 9370 section 2.2.4: the last answer has no link.
    expect(third.map(({ kind }) => kind)).toEqual(["key-exchange"]);

    const [sk0, sk1, sk2] = exchanger.secrets;
    const seed = concat(sk0!, exchanger.nonce, nr, sk1!, sk2!);
    const keymat = prfPlus("sha256", all.peer.keys!.skD, seed, 2 * 36);
    const installed = all.machine.installed.get(inboundSpi)!;
    expect(installed.outboundSpi).toBe(0x300);
    expect(Buffer.from(installed.inboundKey)).toEqual(Buffer.from(keymat.subarray(0, 36)));
    expect(Buffer.from(installed.outboundKey)).toEqual(Buffer.from(keymat.subarray(36)));
  });

  test("an IKE SA has SKEYSEED of SK_d and SK(0) | Ni | Nr | SK(1) | SK(2)", () => {
    const all = connected(2);
    const { peer, machine, link: wire } = all;
    const exchanger = new Exchanger(9);
    const spi = 0x1122334455667788n;
    const first = askForIke(all, 2, exchanger, spi);
    exchanger.end(first);
    const nr = find(first, "nonce")!.nonce;
    const [chosen] = find(first, "security-association")!.proposals;
    const second = ask(all, IKE_FOLLOWUP_KE, 3, [exchanger.begin(ECP384), link(linkOf(first)!.data)]);
    exchanger.end(second);
    expect(machine.ikeSas).toHaveLength(1);
    const third = ask(all, IKE_FOLLOWUP_KE, 4, [exchanger.begin(MLKEM512), link(linkOf(second)!.data)]);
    exchanger.end(third);
    expect(machine.ikeSas).toHaveLength(2);

    const [sk0, sk1, sk2] = exchanger.secrets;
    const skeyseed = hmac("sha256", peer.keys!.skD, sk0!, exchanger.nonce, nr, sk1!, sk2!);
    const spis = concat(encodeIkeSpi(spi), chosen!.spi);
    const octets = prfPlus("sha384", skeyseed, concat(exchanger.nonce, nr, spis), 3 * 48 + 2 * 36);
    const keys = keysOf(octets);
    const protection = protectionOf(chosen!, keys, peer.random);
    const header = {
      initiatorSpi: spi,
      responderSpi: decodeIkeSpi(chosen!.spi),
      exchangeType: INFORMATIONAL,
      isInitiator: true,
      isResponse: false,
      messageId: 0,
    };
    peer.send(machine, protection.seal(header, [])[0]!);
    peer.protection = protection;
    expect(peer.open(wire.take().octets).header).toMatchObject({
      exchangeType: INFORMATIONAL,
      isResponse: true,
    });
  });

  test("as a responder it takes our values, and links them as it likes", () => {
    const { peer, machine, link: wire } = scriptedResponder({ seed: 3, initiator: { esp: [ESP] } });
    const answer = (exchangeType: number, messageId: number, payloads: readonly Payload[]) =>
      peer.send(machine, peer.seal({ exchangeType, messageId, payloads, isResponse: true }));
    wire.take();
    answer(ExchangeType.IKE_AUTH, 1, peer.authPayloads());
    machine.rekey("children");
    const request = peer.open(wire.take().octets).payloads;
    const exchanger = new Exchanger(8);
    const ni = find(request, "nonce")!.nonce;
    const [offered] = find(request, "security-association")!.proposals;
    const inboundSpi = decodeSpi(offered!.spi);
    answer(CREATE_CHILD_SA, 2, [
      {
        kind: "security-association",
        critical: false,
        proposals: [{ ...offered!, spi: encodeSpi(0x400) }],
      },
      { kind: "nonce", critical: false, nonce: exchanger.nonce },
      exchanger.respond(request),
      find(request, "traffic-selectors-initiator")!,
      find(request, "traffic-selectors-responder")!,
      link(Uint8Array.of(0x42)),
    ]);
    for (const [messageId, group, here, next] of [
      [3, ECP384, [0x42], [link(new Uint8Array(0))]],
      [4, MLKEM512, [], []],
    ] as const) {
      const followUp = peer.open(wire.take().octets);
      expect(followUp.header).toMatchObject({ exchangeType: IKE_FOLLOWUP_KE, messageId });
      expect(find(followUp.payloads, "key-exchange")!.group).toBe(group);
      expect([...linkOf(followUp.payloads)!.data]).toEqual(here);
      expect(machine.installed.has(inboundSpi)).toBe(false);
      answer(IKE_FOLLOWUP_KE, messageId, [exchanger.respond(followUp.payloads), ...next]);
    }
    const [sk0, sk1, sk2] = exchanger.secrets;
    const seed = concat(sk0!, ni, exchanger.nonce, sk1!, sk2!);
    const keymat = prfPlus("sha256", peer.keys!.skD, seed, 2 * 36);
    const installed = machine.installed.get(inboundSpi)!;
    expect(Buffer.from(installed.outboundKey)).toEqual(Buffer.from(keymat.subarray(0, 36)));
    expect(Buffer.from(installed.inboundKey)).toEqual(Buffer.from(keymat.subarray(36)));
  });
});

test("a policy that says nothing about groups leaves further key exchanges to the peer, as far as the IKE SA has them", () => {
  const all = scriptedEstablished({
    seed: 4,
    peer: { ike: [PLAIN_IKE] },
    responder: { ike: [IKE, PLAIN_IKE] },
  });
  expect(linkOf(askForChild(all, 2, new Exchanger(9)))).toBeDefined();
  const child = all.peer.policy.children[0]!;
  for (const [i, [esp, isTaken]] of (
    [
      ["aes256gcm16-x25519", true],
      ["aes256gcm16-x25519-ke1_ecp384-ke1_none", true],
      ["aes256gcm16-x25519-ke1_mlkem1024", false],
      ["aes256gcm16-x25519-ke1_mlkem1024-ke1_none", true],
    ] as const
  ).entries()) {
    const exchanger = new Exchanger(10 + i);
    const answer = ask(all, CREATE_CHILD_SA, 3 + i, [
      {
        kind: "security-association",
        critical: false,
        proposals: numberProposals([parseEspProposal(esp)], encodeSpi(0x310 + i)),
      },
      { kind: "nonce", critical: false, nonce: exchanger.nonce },
      exchanger.begin(X25519),
      { kind: "traffic-selectors-initiator", critical: false, selectors: child.local },
      { kind: "traffic-selectors-responder", critical: false, selectors: child.remote },
    ]);
    expect(has(answer, NotifyType.NO_PROPOSAL_CHOSEN), esp).toBe(!isTaken);
    expect(linkOf(answer) !== undefined, esp).toBe(esp.includes("ke1_ecp384"));
  }
});

describe("what is kept for a peer", () => {
  test("is not found by a link that nobody has given, or by none, and that harms nothing", () => {
    const all = connected(10);
    const exchanger = new Exchanger(9);
    const first = askForChild(all, 2, exchanger);
    const wrong = linkOf(first)!.data.map((octet) => octet ^ 1);
    const ke = exchanger.begin(ECP384);
    for (const [i, extra] of [
      [link(wrong)],
      [link(new Uint8Array(0))],
      [link(new Uint8Array(60_000))],
      [],
    ].entries()) {
      const answer = ask(all, IKE_FOLLOWUP_KE, 3 + i, [ke, ...extra]);
      expect(answer.map(({ kind }) => kind)).toEqual(["notify"]);
      expect(has(answer, NotifyType.STATE_NOT_FOUND)).toBe(true);
    }
    const second = ask(all, IKE_FOLLOWUP_KE, 7, [ke, link(linkOf(first)!.data)]);
    expect(linkOf(second)).toBeDefined();
  });

  test("is found by each link once: what comes again is another request, and knows nothing", () => {
    const all = connected(11);
    const exchanger = new Exchanger(9);
    const first = askForChild(all, 2, exchanger);
    const used = link(linkOf(first)!.data);
    const second = ask(all, IKE_FOLLOWUP_KE, 3, [exchanger.begin(ECP384), used]);
    const third = ask(all, IKE_FOLLOWUP_KE, 4, [exchanger.begin(MLKEM512), used]);
    expect(has(third, NotifyType.STATE_NOT_FOUND)).toBe(true);
    const last = ask(all, IKE_FOLLOWUP_KE, 5, [exchanger.begin(MLKEM512), link(linkOf(second)!.data)]);
    expect(find(last, "key-exchange")).toBeDefined();
    expect(all.machine.installed.size).toBe(2);
    const over = ask(all, IKE_FOLLOWUP_KE, 6, [exchanger.begin(MLKEM512), link(linkOf(second)!.data)]);
    expect(has(over, NotifyType.STATE_NOT_FOUND)).toBe(true);
  });

  test("of two requests in one window that show the same link one goes on", () => {
    const all = connected(12);
    const { peer, machine, link: wire } = all;
    const exchanger = new Exchanger(9);
    const first = askForChild(all, 2, exchanger);
    machine.holdsJobs = true;
    for (const messageId of [3, 4]) {
      const payloads = [exchanger.begin(ECP384), link(linkOf(first)!.data)];
      peer.send(machine, peer.seal({ exchangeType: IKE_FOLLOWUP_KE, messageId, payloads }));
    }
    machine.finishJobs();
    const answers = [wire.take(), wire.take()].map(({ octets }) => peer.open(octets));
    const byId = new Map(answers.map(({ header, payloads }) => [header.messageId, payloads]));
    expect(linkOf(byId.get(3)!)).toBeDefined();
    expect(has(byId.get(4)!, NotifyType.STATE_NOT_FOUND)).toBe(true);
  });

  test("goes after twenty seconds without the next request, and gives back what was taken", () => {
    const all = connected(13);
    const { machine, link: wire } = all;
    const exchanger = new Exchanger(9);
    const first = askForChild(all, 2, exchanger);
    expect(machine.reserved.size).toBe(2);
    wire.advanceBy(DEFAULT_LIMITS.pendingExchangeMs - 1);
    const second = ask(all, IKE_FOLLOWUP_KE, 3, [exchanger.begin(ECP384), link(linkOf(first)!.data)]);
    wire.advanceBy(DEFAULT_LIMITS.pendingExchangeMs - 1);
    expect(machine.reserved.size).toBe(2);
    wire.advanceBy(1);
    expect(machine.reserved.size).toBe(1);
    const answer = ask(all, IKE_FOLLOWUP_KE, 4, [exchanger.begin(MLKEM512), link(linkOf(second)!.data)]);
    expect(has(answer, NotifyType.STATE_NOT_FOUND)).toBe(true);
    expect(machine.state).toBe("established");
    expect(machine.installed.size).toBe(1);
  });

  test("is bounded in number: whoever begins more is put off, and the first of them go on", () => {
    const count = 5;
    const all = connected(14, { pendingExchangeCount: count });
    const exchangers = Array.from({ length: count }, (_, i) => new Exchanger(20 + i));
    const links = exchangers.map(
      (exchanger, i) => linkOf(askForChild(all, 2 + i, exchanger, 0x300 + i))!.data,
    );
    const more = askForChild(all, 2 + count, new Exchanger(40), 0x400);
    expect(has(more, NotifyType.TEMPORARY_FAILURE)).toBe(true);
    expect(has(askForIke(all, 3 + count, new Exchanger(41), 5n), NotifyType.TEMPORARY_FAILURE)).toBe(true);
    expect(all.machine.reserved.size).toBe(1 + count);
    const next = ask(all, IKE_FOLLOWUP_KE, 4 + count, [exchangers[2]!.begin(ECP384), link(links[2]!)]);
    expect(linkOf(next)).toBeDefined();
    all.link.advanceBy(DEFAULT_LIMITS.pendingExchangeMs);
    expect(all.machine.reserved.size).toBe(1);
  });

  test("of an IKE SA is the last that was begun: a peer that asks anew has given up the one before", () => {
    const all = connected(15);
    const [one, other] = [new Exchanger(9), new Exchanger(10)];
    const first = askForIke(all, 2, one, 5n);
    const again = askForIke(all, 3, other, 6n);
    const old = ask(all, IKE_FOLLOWUP_KE, 4, [one.begin(ECP384), link(linkOf(first)!.data)]);
    expect(has(old, NotifyType.STATE_NOT_FOUND)).toBe(true);
    expect(
      linkOf(ask(all, IKE_FOLLOWUP_KE, 5, [other.begin(ECP384), link(linkOf(again)!.data)])),
    ).toBeDefined();
  });

  test("keeps the peer from asking for child SAs while it replaces the IKE SA", () => {
    const all = connected(16);
    askForIke(all, 2, new Exchanger(9), 5n);
    expect(has(askForChild(all, 3, new Exchanger(10)), NotifyType.TEMPORARY_FAILURE)).toBe(true);
    all.link.advanceBy(DEFAULT_LIMITS.pendingExchangeMs);
    expect(linkOf(askForChild(all, 4, new Exchanger(11)))).toBeDefined();
  });

  test("goes with the IKE SA, at once", () => {
    const all = connected(17);
    askForChild(all, 2, new Exchanger(9));
    ask(all, INFORMATIONAL, 3, [{ kind: "delete", critical: false, protocolId: ProtocolId.IKE, spis: [] }]);
    expect([all.machine.installed.size, all.machine.reserved.size]).toEqual([0, 0]);
  });
});

test.each([
  ["another method", X25519, 32],
  ["a value of another length", ECP384, 9],
  ["no value", undefined, 0],
])("a request with %s ends the IKE SA", (_, group, length) => {
  const all = connected(20);
  const first = askForChild(all, 2, new Exchanger(9));
  const ke = { kind: "key-exchange", critical: false, data: new Uint8Array(length) } as const;
  const payloads = [link(linkOf(first)!.data), ...(group === undefined ? [] : [{ ...ke, group }])];
  expect(has(ask(all, IKE_FOLLOWUP_KE, 3, payloads), NotifyType.INVALID_SYNTAX)).toBe(true);
  expect([all.machine.state, all.machine.installed.size, all.machine.reserved.size]).toEqual(["none", 0, 0]);
});

test("a request before authentication is not heard", () => {
  const { peer, machine, link: wire } = scriptedInitiator({ seed: 21 });
  const payloads = [link(Uint8Array.of(1))];
  peer.send(machine, peer.seal({ exchangeType: IKE_FOLLOWUP_KE, messageId: 1, payloads }));
  expect(wire.inFlight).toEqual([]);
  expect(machine.endpoint.counters.unexpected).toBe(1);
});

describe("an answer to us", () => {
  /** The machine has asked for a new child SA, or IKE SA; the peer answers what it is told to. */
  function asked(seed: number, what: "children" | "ike", limits = {}) {
    const all = scriptedResponder({
      seed,
      initiator: { esp: [ESP], ike: [PLAIN_IKE, IKE] },
      peer: { ike: [PLAIN_IKE] },
      limits: { livenessMs: Number.POSITIVE_INFINITY, ...limits },
    });
    const { peer, machine, link: wire } = all;
    const answer = (exchangeType: number, messageId: number, payloads: readonly Payload[]) =>
      peer.send(machine, peer.seal({ exchangeType, messageId, payloads, isResponse: true }));
    wire.take();
    answer(ExchangeType.IKE_AUTH, 1, peer.authPayloads());
    const next = () => peer.open(wire.take().octets);
    const exchanger = new Exchanger(8);
    /** Agrees to what is asked. `extra`: a link, or none. */
    const agree = (extra: readonly Payload[]) => {
      const { header, payloads } = next();
      const offered = find(payloads, "security-association")!.proposals.at(-1)!;
      const spi = what === "ike" ? encodeIkeSpi(7n) : encodeSpi(0x400);
      const selectors = payloads.filter(({ kind }) => kind.startsWith("traffic-selectors"));
      answer(CREATE_CHILD_SA, header.messageId, [
        { kind: "security-association", critical: false, proposals: [{ ...offered, spi }] },
        { kind: "nonce", critical: false, nonce: exchanger.nonce },
        exchanger.respond(payloads),
        ...selectors,
        ...extra,
      ]);
    };
    machine.rekey(what);
    return { ...all, exchanger, answer, next, agree };
  }

  const failures = (machine: SimulatedMachine) =>
    machine.events.filter(({ name }) => name === "rekey-failed").map(({ message }) => message);

  test.each([
    ["without a link", []],
    ["with a link that is longer than anybody needs", [link(new Uint8Array(DEFAULT_LIMITS.linkLength + 1))]],
  ])("%s is no answer: all stays as it was", (_, extra) => {
    for (const what of ["children", "ike"] as const) {
      const { machine, agree, link: wire } = asked(30, what);
      agree(extra);
      expect(wire.inFlight).toEqual([]);
      expect(failures(machine)[0]).toContain("says nothing to link them by");
      expect([machine.state, machine.installed.size, machine.reserved.size]).toEqual(["established", 1, 1]);
    }
  });

  test("STATE_NOT_FOUND begins it anew after a while, and five times in a row end the IKE SA", () => {
    for (const what of ["children", "ike"] as const) {
      const { machine, agree, next, answer, link: wire } = asked(31, what);
      for (let round = 1; round <= DEFAULT_LIMITS.stateNotFoundCount; round++) {
        agree([link(Uint8Array.of(round))]);
        const { header, payloads } = next();
        expect([...linkOf(payloads)!.data]).toEqual([round]);
        answer(IKE_FOLLOWUP_KE, header.messageId, [notify(NotifyType.STATE_NOT_FOUND)]);
        if (round === DEFAULT_LIMITS.stateNotFoundCount) break;
        expect(wire.inFlight).toEqual([]);
        expect(failures(machine).at(-1)).toContain("STATE_NOT_FOUND");
        expect([machine.state, machine.installed.size, machine.reserved.size]).toEqual(["established", 1, 1]);
        while (wire.inFlight.length === 0) wire.advanceToDeadline();
      }
      expect(machine.event("ike-sa-deleted")!.facts.reason).toBe("STATE_NOT_FOUND");
      expect(find(next().payloads, "delete")).toMatchObject({ protocolId: ProtocolId.IKE });
    }
  });

  test.each([
    ["without a value", (ke: Payload) => [ke].slice(1)],
    ["without a link to the next", (ke: Payload) => [ke]],
    [
      "with a value of another method",
      (ke: Payload) => [{ ...ke, group: X25519 } as Payload, link(Uint8Array.of(2))],
    ],
    [
      "with a value that is none",
      (ke: Payload) => [{ ...ke, data: new Uint8Array(4) } as Payload, link(Uint8Array.of(2))],
    ],
  ] as const)("%s is no answer: all stays as it was", (_, spoilt) => {
    for (const what of ["children", "ike"] as const) {
      const { machine, agree, next, answer, exchanger, link: wire } = asked(32, what);
      agree([link(Uint8Array.of(1))]);
      const { header, payloads } = next();
      answer(IKE_FOLLOWUP_KE, header.messageId, spoilt(exchanger.respond(payloads)));
      expect(wire.inFlight).toEqual([]);
      expect(failures(machine)).toHaveLength(1);
      expect([machine.state, machine.installed.size, machine.reserved.size]).toEqual(["established", 1, 1]);
    }
  });

  test("an error is one, whatever stands beside it: the attempt is over", () => {
    const { machine, next, answer, exchanger, link: wire } = asked(60, "children");
    const request = next();
    const offered = find(request.payloads, "security-association")!.proposals.at(-1)!;
    const whole: Payload[] = [
      { kind: "security-association", critical: false, proposals: [{ ...offered, spi: encodeSpi(0x400) }] },
      ...request.payloads.filter(({ kind }) => kind.startsWith("traffic-selectors")),
    ];
    answer(CREATE_CHILD_SA, request.header.messageId, [
      ...whole,
      { kind: "nonce", critical: false, nonce: exchanger.nonce },
      exchanger.respond(request.payloads),
      link(Uint8Array.of(1)),
    ]);
    const { header } = next();
    answer(IKE_FOLLOWUP_KE, header.messageId, [notify(NotifyType.NO_ADDITIONAL_SAS), ...whole]);
    expect(wire.inFlight).toEqual([]);
    expect([machine.state, machine.reserved.size, failures(machine).length]).toEqual(["established", 1, 1]);
  });

  test("the last of which is spoilt stands for an SA that we cannot have: it is deleted", () => {
    for (const what of ["children", "ike"] as const) {
      const { machine, agree, next, answer, exchanger } = asked(33, what);
      agree([link(Uint8Array.of(1))]);
      const first = next();
      answer(IKE_FOLLOWUP_KE, first.header.messageId, [
        exchanger.respond(first.payloads),
        link(Uint8Array.of(2)),
      ]);
      const last = next();
      const ke = { ...exchanger.respond(last.payloads), data: new Uint8Array(4) } as Payload;
      answer(IKE_FOLLOWUP_KE, last.header.messageId, [ke]);
      const end = next();
      expect(end.header.exchangeType).toBe(INFORMATIONAL);
      expect(find(end.payloads, "delete")!.protocolId).toBe(what === "ike" ? ProtocolId.IKE : ProtocolId.ESP);
      expect(machine.installed.size).toBe(what === "ike" ? 0 : 1);
    }
  });
});

describe("secrets are overwritten", () => {
  /** Every shared secret that the machines are given. */
  function listening(all: ReturnType<typeof establishedPair>): Uint8Array[] {
    const secrets: Uint8Array[] = [];
    for (const { endpoint } of [all.initiator, all.responder]) {
      const handle = endpoint.handle.bind(endpoint);
      vi.spyOn(endpoint, "handle").mockImplementation((input, now) => {
        if (input.kind === "computed" && "sharedSecret" in input.result)
          secrets.push(input.result.sharedSecret);
        handle(input, now);
      });
    }
    return secrets;
  }
  const left = (secrets: readonly Uint8Array[]) =>
    secrets.filter((octets) => octets.some((octet) => octet !== 0));
  const common = { ike: ["aes256gcm16-prfsha384-x25519-ke1_ecp384-ke2_mlkem512"], esp: [ESP] };

  test.each(["ike", "children"] as const)("as soon as the new SA is there: %s", (what) => {
    const all = establishedPair({ seed: 40, common });
    const secrets = listening(all);
    all.initiator.rekey(what);
    all.link.deliverAll();
    expect(secrets).toHaveLength(6);
    expect(left(secrets)).toEqual([]);
  });

  test.each(["ike", "children"] as const)("when nothing comes of it: %s", (what) => {
    const all = establishedPair({ seed: 41, common });
    const secrets = listening(all);
    all.initiator.rekey(what);
    // --> CREATE_CHILD_SA  <-- CREATE_CHILD_SA  --> IKE_FOLLOWUP_KE  <-- IKE_FOLLOWUP_KE
    for (let i = 0; i < 4; i++) all.link.deliver();
    expect(left(secrets)).toHaveLength(3);
    all.link.fate = () => [];
    all.link.inFlight.length = 0;
    all.link.advanceBy(DEFAULT_LIMITS.pendingExchangeMs);
    expect(left(secrets)).toHaveLength(2);
    all.link.advanceBy(100_000);
    expect(all.initiator.ikeSas).toEqual([]);
    expect(left(secrets)).toEqual([]);
  });
});

function keysOf(octets: Uint8Array): IkeKeys {
  const at = (from: number, length: number): Uint8Array => octets.slice(from, from + length);
  const nothing = new Uint8Array(0);
  return {
    skD: at(0, 48),
    skAi: nothing,
    skAr: nothing,
    skEi: at(48, 36),
    skEr: at(84, 36),
    skPi: at(120, 48),
    skPr: at(168, 48),
  };
}

function protectionOf(
  proposal: Proposal,
  keys: IkeKeys,
  random: ConstructorParameters<typeof MessageProtection>[0]["random"],
): MessageProtection {
  expect(findTransform(proposal, 2)?.id).toBe(6);
  return new MessageProtection({ proposal, keys, role: "initiator", random, fragmentLength: undefined });
}

test("a child SA that is gone meanwhile is not replaced, though another has its SPI", () => {
  const all = connected(61);
  const child = all.peer.policy.children[0]!;
  const [old] = all.machine.ikeSas[0]!.childSas;
  const exchanger = new Exchanger(9);
  const proposals = numberProposals([parseEspProposal(ESP)], encodeSpi(0x300));
  const first = ask(all, CREATE_CHILD_SA, 2, [
    { ...notify(NotifyType.REKEY_SA), protocolId: ProtocolId.ESP, spi: encodeSpi(old!.outboundSpi) },
    { kind: "security-association", critical: false, proposals },
    { kind: "nonce", critical: false, nonce: exchanger.nonce },
    exchanger.begin(X25519),
    { kind: "traffic-selectors-initiator", critical: false, selectors: child.local },
    { kind: "traffic-selectors-responder", critical: false, selectors: child.remote },
  ]);
  expect(linkOf(first)).toBeDefined();
  ask(all, INFORMATIONAL, 3, [
    { kind: "delete", critical: false, protocolId: ProtocolId.ESP, spis: [encodeSpi(old!.outboundSpi)] },
  ]);
  const other = new Exchanger(10);
  const a = askForChild(all, 4, other, old!.outboundSpi);
  const b = ask(all, IKE_FOLLOWUP_KE, 5, [other.begin(ECP384), link(linkOf(a)!.data)]);
  ask(all, IKE_FOLLOWUP_KE, 6, [other.begin(MLKEM512), link(linkOf(b)!.data)]);
  const c = ask(all, IKE_FOLLOWUP_KE, 7, [exchanger.begin(ECP384), link(linkOf(first)!.data)]);
  const d = ask(all, IKE_FOLLOWUP_KE, 8, [exchanger.begin(MLKEM512), link(linkOf(c)!.data)]);
  expect(d.map((each) => (each.kind === "notify" ? each.notifyType : each.kind))).toEqual([
    NotifyType.CHILD_SA_NOT_FOUND,
  ]);
});
