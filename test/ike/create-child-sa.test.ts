import { describe, expect, test } from "vitest";
import { ExchangeType, NotifyType, ProtocolId } from "../../src/iana/ikev2-parameters.ts";
import { deleteChildSas, encodeIkeSpi, encodeSpi, find, findNotify, notify } from "../../src/ike/payloads.ts";
import { parseEspProposal } from "../../src/policy/keywords.ts";
import { numberProposals } from "../../src/policy/transforms.ts";
import type { Payload } from "../../src/wire/payloads/payload.ts";
import { expectClean, expectEstablished, expectMirrored } from "../support/simulator/expectations.ts";
import {
  childPolicy,
  establishedPair,
  type Pair,
  type PolicyOptions,
  type ScriptedPeer,
  scriptedEstablished,
  scriptedInitiator,
  scriptedResponder,
} from "../support/simulator/index.ts";

const { CREATE_CHILD_SA, INFORMATIONAL } = ExchangeType;
const HOUR = 3_600_000;

function esp(...proposals: readonly string[]): PolicyOptions {
  return { esp: proposals };
}

/** One of each on both sides, and other SPIs than before. */
function expectReplaced(pair: Pair, before: { readonly child: number; readonly ike: string }): void {
  expectEstablished(pair.initiator, pair.responder);
  expect([...pair.initiator.installed.keys()][0]).not.toBe(before.child);
}

function spis({ initiator }: Pair) {
  return { child: [...initiator.installed.keys()][0]!, ike: initiator.ikeSas[0]!.initiatorSpi };
}

describe("a child SA is rekeyed", () => {
  test.each([
    ["without a key exchange", {}],
    ["with PFS", esp("aes256gcm16-x25519")],
    ["with a group that the peer does not want first", esp("aes256gcm16-x25519-ecp256")],
    ["with ESN", esp("aes256gcm16-esn")],
    ["with ChaCha20-Poly1305", esp("chacha20poly1305-x25519")],
  ])("%s, by either side", (_, common) => {
    for (const side of ["initiator", "responder"] as const) {
      const pair = establishedPair({ seed: 1, common });
      const before = spis(pair);
      pair[side].rekey("children");
      pair.link.deliverAll();
      expectReplaced(pair, before);
    }
  });

  test("after INVALID_KE_PAYLOAD with the group that the peer wants", () => {
    const pair = establishedPair({
      seed: 2,
      initiator: esp("aes256gcm16-x25519-ecp256"),
      responder: esp("aes256gcm16-ecp256"),
    });
    const before = spis(pair);
    pair.initiator.rekey("children");
    const count = pair.link.transmitted.length;
    pair.link.deliverAll();
    expectReplaced(pair, before);
    // Twice CREATE_CHILD_SA, once a delete.
    expect(pair.link.transmitted.length - count).toBe(5);
  });

  test("not when the peer wants a group that we do not offer; the old one stays until another IKE SA brings a new one", () => {
    const pair = establishedPair({
      seed: 3,
      limits: { livenessMs: 2 * HOUR },
      initiator: esp("aes256gcm16-x25519"),
      responder: esp("aes256gcm16-ecp384"),
    });
    const before = spis(pair);
    pair.initiator.rekey("children");
    pair.link.deliverAll();
    expectEstablished(pair.initiator, pair.responder);
    expect(spis(pair)).toEqual(before);
    expect(pair.initiator.event("rekey-failed")).toMatchObject({ facts: { reason: "NO_PROPOSAL_CHOSEN" } });
    pair.link.run({ until: 1.2 * HOUR });
    expectReplaced(pair, before);
    expect(spis(pair).ike).not.toBe(before.ike);
  });

  test("when its soft lifetime is over, less some chance, and not twice", () => {
    const pair = establishedPair({ seed: 4, limits: { livenessMs: 10 * HOUR } });
    const before = spis(pair);
    pair.link.run({ until: 0.89 * HOUR });
    expect(spis(pair)).toEqual(before);
    pair.link.run({ until: 1.01 * HOUR });
    expectReplaced(pair, before);
    const names = [...pair.initiator.eventNames(), ...pair.responder.eventNames()];
    expect(names.filter((name) => name === "child-sa-rekeyed")).toHaveLength(2);
  });

  test("when it has carried enough; the IKE SA stays", () => {
    const pair = establishedPair({ seed: 5 });
    const before = spis(pair);
    pair.responder.handle({
      kind: "used-up",
      connection: "tunnel",
      inboundSpi: [...pair.responder.installed.keys()][0]!,
      limit: "soft",
    });
    pair.link.deliverAll();
    expectReplaced(pair, before);
    expect(spis(pair).ike).toBe(before.ike);
  });

  test("no more when it may carry nothing more: it goes on both sides", () => {
    const pair = establishedPair({ seed: 6 });
    const inboundSpi = spis(pair).child;
    pair.initiator.handle({ kind: "used-up", connection: "tunnel", inboundSpi, limit: "hard" });
    pair.link.deliverAll();
    expect(pair.initiator.installed.size).toBe(0);
    expect(pair.responder.installed.size).toBe(0);
    expect(pair.initiator.ikeSas).toHaveLength(1);
  });

  test("anew when the peer has lost it", () => {
    const pair = establishedPair({ seed: 7 });
    const before = spis(pair);
    // The peer's delete and its answer never arrive here: it takes ours for one that it does not know.
    pair.responder.handle({ kind: "terminate", connection: "tunnel", child: "lan" });
    pair.link.inFlight.length = 0;
    pair.initiator.rekey("children");
    pair.link.deliver();
    pair.link.deliverAll();
    pair.link.run({ until: pair.link.now + 60_000 });
    expectMirrored(pair.initiator, pair.responder);
    expect([...pair.initiator.installed.keys()]).not.toContain(before.child);
  });

  test("while a user asks for it again and again: one exchange at a time", () => {
    const pair = establishedPair({ seed: 8 });
    for (let i = 0; i < 20; i++) pair.initiator.rekey("children");
    expect(pair.link.inFlight).toHaveLength(1);
    pair.link.deliverAll();
    expectEstablished(pair.initiator, pair.responder);
  });

  test("and a disconnect meanwhile leaves nothing", () => {
    for (const steps of [0, 1, 2, 3, 4]) {
      const pair = establishedPair({ seed: 9, common: esp("aes256gcm16-x25519") });
      pair.initiator.rekey("children");
      for (let i = 0; i < steps && pair.link.inFlight.length > 0; i++) pair.link.deliver();
      pair.initiator.disconnect();
      pair.link.deliverAll();
      pair.link.run({ until: pair.link.now + 120_000 });
      expectClean(pair.initiator, pair.responder);
    }
  });
});

describe("an IKE SA is rekeyed", () => {
  test("by either side, again and again: message IDs begin at 0, the children stay", () => {
    const pair = establishedPair({ seed: 1 });
    for (let i = 0; i < 6; i++) {
      const { ike, child } = spis(pair);
      pair[i % 2 === 0 ? "initiator" : "responder"].rekey("ike");
      pair.link.deliverAll();
      expectEstablished(pair.initiator, pair.responder);
      expect(spis(pair).ike).not.toBe(ike);
      expect(spis(pair).child).toBe(child);
      expect(pair.initiator.ikeSas[0]!.role).toBe(i % 2 === 0 ? "initiator" : "responder");
      pair.responder.rekey("children");
      pair.link.deliverAll();
      pair.initiator.handle({ kind: "liveness", connection: "tunnel" });
      pair.link.deliverAll();
      expectEstablished(pair.initiator, pair.responder);
    }
  });

  test("after INVALID_KE_PAYLOAD with the group that the peer wants", () => {
    const pair = establishedPair({
      seed: 2,
      initiator: { ike: ["aes256gcm16-prfsha256-x25519-ecp256"] },
      responder: { ike: ["aes256gcm16-prfsha256-x25519", "aes256gcm16-prfsha256-ecp256"] },
    });
    const before = spis(pair);
    pair.initiator.rekey("ike");
    pair.link.deliverAll();
    expectEstablished(pair.initiator, pair.responder);
    expect(spis(pair).ike).not.toBe(before.ike);
  });

  test("when its soft lifetime is over", () => {
    const pair = establishedPair({
      seed: 3,
      limits: { livenessMs: 10 * HOUR, childRekeyMs: Number.POSITIVE_INFINITY },
    });
    const before = spis(pair);
    pair.link.run({ until: 4.01 * HOUR });
    expectEstablished(pair.initiator, pair.responder);
    expect(spis(pair).ike).not.toBe(before.ike);
    expect(spis(pair).child).toBe(before.child);
  });

  test("and a disconnect meanwhile leaves nothing", () => {
    for (const steps of [0, 1, 2, 3, 4]) {
      for (const side of ["initiator", "responder"] as const) {
        const pair = establishedPair({ seed: 4 });
        pair.initiator.rekey("ike");
        for (let i = 0; i < steps && pair.link.inFlight.length > 0; i++) pair.link.deliver();
        pair[side].disconnect();
        pair.link.deliverAll();
        pair.link.run({ until: pair.link.now + 200_000 });
        expectClean(pair.initiator, pair.responder);
      }
    }
  });
});

describe("an IKE SA without a child SA in IKE_AUTH (RFC 6023)", () => {
  test("is made when we want it, and its children come behind it", () => {
    const pair = establishedPair({ seed: 1, initiator: { isChildless: true } });
    expectEstablished(pair.initiator, pair.responder);
    const exchanges = pair.link.transmitted.map(({ octets }) => octets[18]);
    expect(exchanges.filter((exchange) => exchange === CREATE_CHILD_SA)).toHaveLength(2);
    pair.initiator.disconnect();
    pair.link.deliverAll();
    pair.link.run({ until: pair.link.now + 60_000 });
    expectClean(pair.initiator, pair.responder);
  });

  test("is not asked for when the peer does not say that it can", () => {
    const { peer, machine, link } = scriptedResponder({ seed: 2, initiator: { isChildless: true } });
    expect(find(peer.open(link.take().octets).payloads, "security-association")).toBeDefined();
    expect(machine.state).toBe("authenticating");
  });

  test("that has half of what a child SA needs is nonsense", () => {
    const { peer, machine, link } = scriptedInitiator({ seed: 3 });
    const payloads = peer.authPayloads().filter(({ kind }) => kind !== "traffic-selectors-responder");
    peer.send(machine, peer.seal({ exchangeType: ExchangeType.IKE_AUTH, messageId: 1, payloads }));
    expect(findNotify(peer.open(link.take().octets).payloads, NotifyType.INVALID_SYNTAX)).toBeDefined();
    expect(machine.state).toBe("none");
  });
});

describe("further children", () => {
  test("that were taken down come up again in the same IKE SA", () => {
    const pair = establishedPair({ seed: 1 });
    const { ike } = spis(pair);
    pair.initiator.handle({ kind: "terminate", connection: "tunnel", child: "lan" });
    pair.link.deliverAll();
    expect(pair.initiator.installed.size).toBe(0);
    pair.initiator.connect();
    pair.link.deliverAll();
    expectEstablished(pair.initiator, pair.responder);
    expect(spis(pair).ike).toBe(ike);
  });

  test("beyond the limit are refused with NO_ADDITIONAL_SAS, and the others stay", () => {
    const children = (flip: boolean) =>
      [0, 1, 2].map((i) => {
        const ends = [[`10.${i}.0.0/24`], [`10.10${i}.0.0/24`]];
        const [local, remote] = flip ? ends.reverse() : ends;
        return childPolicy({ name: `c${i}`, local: local!, remote: remote! });
      });
    const pair = establishedPair({
      seed: 2,
      initiator: { children: children(false) },
      responder: { children: children(true) },
      limits: { childSaCount: 2 },
    });
    expect(pair.initiator.childSas.map(({ name }) => name)).toEqual(["c0", "c1"]);
    expectMirrored(pair.initiator, pair.responder);
    expect(pair.initiator.event("child-sa-failed")).toMatchObject({ facts: { reason: "NO_ADDITIONAL_SAS" } });
  });
});

describe("a request of the peer", () => {
  const old = { spi: Uint8Array.of(0, 0, 2, 1) };
  const childPayloads = (peer: ScriptedPeer): Payload[] => [
    ...peer.authPayloads().slice(2),
    { kind: "nonce", critical: false, nonce: peer.random.bytes(32) },
  ];
  const rekeySa = (spi: Uint8Array, protocolId: number = ProtocolId.ESP): Payload => ({
    ...notify(NotifyType.REKEY_SA),
    protocolId,
    spi,
  });

  test.each<[string, (peer: ScriptedPeer) => Payload[], number]>([
    [
      "to rekey a child SA that is not there is answered CHILD_SA_NOT_FOUND",
      (peer) => [rekeySa(encodeSpi(0x999)), ...childPayloads(peer)],
      NotifyType.CHILD_SA_NOT_FOUND,
    ],
    [
      "to rekey a child SA of another protocol is answered CHILD_SA_NOT_FOUND",
      (peer) => [rekeySa(old.spi, 77), ...childPayloads(peer)],
      NotifyType.CHILD_SA_NOT_FOUND,
    ],
    [
      "with foreign selectors is answered TS_UNACCEPTABLE",
      (peer) =>
        childPayloads(peer).map((payload) =>
          payload.kind === "traffic-selectors-responder"
            ? { ...payload, selectors: childPolicy({ local: ["172.16.0.0/12"] }).local }
            : payload,
        ),
      NotifyType.TS_UNACCEPTABLE,
    ],
    [
      "without a cipher that we have is answered NO_PROPOSAL_CHOSEN",
      (peer) =>
        childPayloads(peer).map((payload) =>
          payload.kind === "security-association"
            ? { ...payload, proposals: numberProposals([parseEspProposal("chacha20poly1305")], old.spi) }
            : payload,
        ),
      NotifyType.NO_PROPOSAL_CHOSEN,
    ],
    [
      "without TSr is nonsense",
      (peer) => childPayloads(peer).filter(({ kind }) => kind !== "traffic-selectors-responder"),
      NotifyType.INVALID_SYNTAX,
    ],
    [
      "to rekey the IKE SA without a KE payload is answered INVALID_KE_PAYLOAD",
      (peer) => [
        {
          kind: "security-association",
          critical: false,
          proposals: numberProposals(peer.policy.ikeProposals, encodeIkeSpi(77n)),
        },
        { kind: "nonce", critical: false, nonce: peer.random.bytes(32) },
      ],
      NotifyType.INVALID_KE_PAYLOAD,
    ],
    [
      "to rekey the IKE SA with an SPI of zero is answered NO_PROPOSAL_CHOSEN",
      (peer) => [
        {
          kind: "security-association",
          critical: false,
          proposals: numberProposals(peer.policy.ikeProposals, encodeIkeSpi(0n)),
        },
        { kind: "nonce", critical: false, nonce: peer.random.bytes(32) },
        { kind: "key-exchange", critical: false, group: peer.group, data: peer.publicValue },
      ],
      NotifyType.NO_PROPOSAL_CHOSEN,
    ],
  ])("%s", (_, build, notifyType) => {
    const { peer, machine, link } = scriptedEstablished({ seed: 3 });
    const before = [...machine.installed.keys()];
    peer.send(machine, peer.seal({ exchangeType: CREATE_CHILD_SA, messageId: 2, payloads: build(peer) }));
    expect(findNotify(peer.open(link.take().octets).payloads, notifyType)).toBeDefined();
    const isFatal = notifyType === NotifyType.INVALID_SYNTAX;
    expect(machine.state).toBe(isFatal ? "none" : "established");
    if (!isFatal) expect([...machine.installed.keys()]).toEqual(before);
    if (!isFatal) expect([...machine.reserved]).toEqual(before);
  });

  test("to rekey twice what is replaced already is answered TEMPORARY_FAILURE", () => {
    const { peer, machine, link } = scriptedEstablished({ seed: 4 });
    const ask = (messageId: number): readonly Payload[] => {
      const payloads = [rekeySa(old.spi), ...childPayloads(peer)];
      peer.send(machine, peer.seal({ exchangeType: CREATE_CHILD_SA, messageId, payloads }));
      return peer.open(link.take().octets).payloads;
    };
    expect(find(ask(2), "security-association")).toBeDefined();
    expect(findNotify(ask(3), NotifyType.TEMPORARY_FAILURE)).toBeDefined();
    expect(machine.installed.size).toBe(2);
  });

  test("that deletes the new one instead of the old one leaves the old one in its place", () => {
    const { peer, machine, link } = scriptedEstablished({ seed: 5 });
    const [before] = machine.installed.keys();
    const payloads = childPayloads(peer).map((payload) =>
      payload.kind === "security-association"
        ? { ...payload, proposals: payload.proposals.map((each) => ({ ...each, spi: encodeSpi(0x301) })) }
        : payload,
    );
    peer.send(
      machine,
      peer.seal({ exchangeType: CREATE_CHILD_SA, messageId: 2, payloads: [rekeySa(old.spi), ...payloads] }),
    );
    link.take();
    const wrong = { exchangeType: INFORMATIONAL, messageId: 3, payloads: [deleteChildSas([0x301])] };
    peer.send(machine, peer.seal(wrong));
    link.take();
    expect([...machine.installed.keys()]).toEqual([before]);
    expect(machine.outboundSpi()).toBe(0x201);
    machine.rekey("children");
    expect(peer.open(link.take().octets).header.exchangeType).toBe(CREATE_CHILD_SA);
  });

  test("that never deletes the old one has us do it", () => {
    const { peer, machine, link } = scriptedEstablished({ seed: 6, limits: { livenessMs: HOUR } });
    const payloads = [rekeySa(old.spi), ...childPayloads(peer)];
    peer.send(machine, peer.seal({ exchangeType: CREATE_CHILD_SA, messageId: 2, payloads }));
    link.take();
    link.advanceBy(91_000);
    const { header, payloads: asked } = peer.open(link.take().octets);
    expect(header.exchangeType).toBe(INFORMATIONAL);
    expect(find(asked, "delete")).toMatchObject({ protocolId: ProtocolId.ESP });
  });

  test("is answered when the key exchange is done, once, however often it is repeated meanwhile", () => {
    const pair = establishedPair({ seed: 7, common: esp("aes256gcm16-x25519") });
    const { initiator, responder, link } = pair;
    initiator.rekey("children");
    const request = link.take();
    responder.holdsJobs = true;
    for (let i = 0; i < 3; i++) link.arrive(request);
    expect(responder.heldJobs).toBe(1);
    expect(link.inFlight).toHaveLength(0);
    responder.holdsJobs = false;
    responder.finishJobs();
    expect(link.inFlight).toHaveLength(1);
    link.deliverAll();
    expectEstablished(initiator, responder);
  });
});
