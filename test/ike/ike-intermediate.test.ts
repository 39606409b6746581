import { createHmac } from "node:crypto";
import { describe, expect, test } from "vitest";
import { pskAuth } from "../../src/auth/psk.ts";
import { concat } from "../../src/bytes/concat.ts";
import { SeededCryptoProvider } from "../../src/crypto/key-exchange/seeded-crypto-provider.ts";
import { deriveRekeyedIkeKeys } from "../../src/crypto/keymat.ts";
import { keyLengths } from "../../src/crypto/suites.ts";
import { ExchangeType, NotifyType, nameOf, PrfTransform } from "../../src/iana/ikev2-parameters.ts";
import { MessageProtection } from "../../src/ike/message-protection.ts";
import { find, findNotify, notify } from "../../src/ike/payloads.ts";
import { suiteOf } from "../../src/ike/proposals.ts";
import { additionalMethods } from "../../src/policy/transforms.ts";
import { decodeHeader, decodeMessage, decodePayloads } from "../../src/wire/message.ts";
import type { Payload } from "../../src/wire/payloads/payload.ts";
import { expectClean, expectEstablished, expectMirrored } from "../support/simulator/expectations.ts";
import {
  establishedPair,
  initiatorPolicy,
  type Pair,
  pair,
  responderPolicy,
  ScriptedPeer,
} from "../support/simulator/index.ts";

const { IKE_SA_INIT, IKE_INTERMEDIATE, IKE_AUTH } = ExchangeType;
const HYBRID = "aes256gcm16-prfsha384-x25519-ke1_mlkem768";

const proposals = ({ initiator, responder }: Pair) =>
  [initiator, responder].map((side) => side.ikeSas.find(({ state }) => state === "established")?.proposal);

function expectHybrid(all: Pair, proposal: string): void {
  expectEstablished(all.initiator, all.responder);
  expectMirrored(all.initiator, all.responder);
  expect(proposals(all)).toEqual([proposal, proposal]);
}

describe("further key exchanges", () => {
  test("take place between IKE_SA_INIT and IKE_AUTH, one exchange each", () => {
    const ike = "aes256gcm16-prfsha384-x25519-ke1_mlkem512";
    const all = establishedPair({ seed: 1, common: { ike: [ike] } });
    const exchanges = all.link.transmitted.map(({ octets }) =>
      nameOf(ExchangeType, decodeHeader(octets).exchangeType),
    );
    expect(exchanges).toEqual([
      ...["IKE_SA_INIT", "IKE_SA_INIT", "IKE_INTERMEDIATE", "IKE_INTERMEDIATE", "IKE_AUTH", "IKE_AUTH"],
    ]);
    expectHybrid(all, ike);
  });

  test.each([
    "aes256gcm16-prfsha384-x25519-ke1_mlkem512-ke2_ecp384-ke3_mlkem1024",
    "aes256-sha256-modp2048-ke1_x25519-ke2_mlkem768",
    "chacha20poly1305-prfsha512-ecp256-ke1_mlkem1024",
    `${HYBRID}-ke2_ecp256-ke3_ecp384-ke4_ecp521-ke5_x448-ke6_mlkem512-ke7_mlkem1024`,
  ])("of any number and kind: %s", (ike) => {
    expectHybrid(establishedPair({ seed: 2, common: { ike: [ike] } }), ike);
  });

  test("that do not fit into a datagram go in fragments", () => {
    const ike = "aes256gcm16-prfsha384-x25519-ke1_mlkem1024";
    const all = establishedPair({ seed: 3, common: { ike: [ike] }, limits: { fragmentLength: 576 } });
    const count = all.link.transmitted.filter(
      ({ octets }) => decodeHeader(octets).exchangeType === IKE_INTERMEDIATE,
    ).length;
    expect(count).toBeGreaterThan(4);
    expectHybrid(all, ike);
  });

  test("are left out with who has none, where the proposal says that this will do", () => {
    const flexible = `${HYBRID}-ke1_none`;
    const plain = "aes256gcm16-prfsha384-x25519";
    for (const sides of [
      { initiator: { ike: [HYBRID, plain] }, responder: { ike: [plain] } },
      { initiator: { ike: [plain] }, responder: { ike: [HYBRID, plain] } },
      { initiator: { ike: [plain] }, responder: { ike: [flexible] } },
    ]) {
      expectHybrid(establishedPair({ seed: 4, ...sides }), plain);
    }
    expectHybrid(
      establishedPair({ seed: 5, initiator: { ike: [flexible] }, responder: { ike: [HYBRID] } }),
      HYBRID,
    );
  });

  test("are insisted on by who has no other proposal", () => {
    const plain = "aes256gcm16-prfsha384-x25519";
    for (const [one, other] of [
      [HYBRID, plain],
      [plain, HYBRID],
      [HYBRID, "aes256gcm16-prfsha384-x25519-ke1_mlkem1024"],
    ] as const) {
      const all = establishedPair({ seed: 6, initiator: { ike: [one] }, responder: { ike: [other] } });
      all.link.advanceBy(600_000);
      expect(all.initiator.event("ike-sa-failed")!.facts.reason).toBe("NO_PROPOSAL_CHOSEN");
      expectClean(all.initiator, all.responder);
    }
  });

  test("are in the keys of child SAs, which are rekeyed without new ones where their proposals name none", () => {
    const all = establishedPair({ seed: 7, common: { ike: [HYBRID] } });
    for (const side of [all.initiator, all.responder]) {
      side.rekey("ike");
      all.link.deliverAll();
      side.rekey("children");
      all.link.deliverAll();
    }
    all.link.advanceBy(60_000);
    expectHybrid(all, HYBRID);
    expect(all.initiator.childSas.map(({ proposal }) => proposal)).toEqual(["aes256gcm16"]);
  });

  test("go with a PPK", () => {
    const ppk = { id: "x", key: new Uint8Array(32).fill(7), isRequired: true };
    expectHybrid(establishedPair({ seed: 8, common: { ike: [HYBRID], ppk } }), HYBRID);
  });
});

describe("on a bad network", () => {
  const ike = "aes256gcm16-prfsha384-x25519-ke1_mlkem768-ke2_mlkem1024";

  test.each([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])("a datagram that is lost is made up for (%d)", (lost) => {
    const all = pair({ seed: 10 + lost, common: { ike: [ike] } });
    let count = 0;
    all.link.fate = () => (count++ === lost ? [] : [0]);
    all.initiator.connect();
    all.link.run({ until: 60_000 });
    expectHybrid(all, ike);
  });

  test.each(Array.from({ length: 30 }, (_, seed) => seed))("whatever happens (seed %d)", (seed) => {
    const all = pair({ seed, common: { ike: [ike] }, limits: { fragmentLength: 700 } });
    all.link.impair(seed, { loss: 0.15, duplication: 0.1, reordering: 0.1, delayMs: [1, 40] });
    all.initiator.connect();
    all.link.run({ until: 60_000 });
    expectHybrid(all, ike);
    expect(all.responder.endpoint.counters.internalErrors).toBe(0);
  });

  test("a repeated request whose answer was lost gets the same octets, although the keys are new", () => {
    const all = pair({ seed: 9, common: { ike: [HYBRID] } });
    const { initiator, link } = all;
    initiator.connect();
    for (let i = 0; i < 3; i++) link.deliver();
    link.drop(); // <-- IKE_INTERMEDIATE { KEr(1) }
    link.advanceToDeadline();
    link.deliverAll();
    const [, , request, answer, again, answerAgain] = link.transmitted.map(({ octets }) => octets);
    expect(again).toEqual(request);
    expect(answerAgain).toEqual(answer);
    expectHybrid(all, HYBRID);
  });
});

describe("a peer that goes its own way", () => {
  /** The scripted peer has keys of IKE_SA_INIT, and one further key exchange is due. */
  function begun(seed: number, extra: readonly Payload[]) {
    const { responder: machine, link } = pair({ seed, common: { ike: [HYBRID] } });
    const peer = new ScriptedPeer({
      role: "initiator",
      policy: initiatorPolicy({ ike: [HYBRID] }),
      seed: seed + 7000,
    });
    peer.send(machine, peer.init({ extra }));
    return { peer, machine, link };
  }
  const supported = notify(NotifyType.INTERMEDIATE_EXCHANGE_SUPPORTED);

  test("cannot leave out what was agreed on", () => {
    const { peer, machine, link } = begun(20, [supported]);
    peer.agree(link.take().octets);
    expect(additionalMethods(peer.proposal)).toEqual([36]);
    peer.send(machine, peer.seal({ exchangeType: IKE_AUTH, messageId: 1, payloads: peer.authPayloads() }));
    const { payloads } = peer.open(link.take().octets);
    expect(findNotify(payloads, NotifyType.AUTHENTICATION_FAILED)).toBeDefined();
    expect(machine.event("ike-sa-failed")!.message).toContain("leaves out a key exchange");
    expect(machine.installed.size).toBe(0);
  });

  test("is not offered any where it does not say that it has IKE_INTERMEDIATE", () => {
    const { link } = begun(21, []);
    const { header, payloads } = decodeMessage(link.take().octets);
    expect(header.exchangeType).toBe(IKE_SA_INIT);
    expect(findNotify(payloads, NotifyType.NO_PROPOSAL_CHOSEN)).toBeDefined();
  });

  test.each([
    ["another method", { kind: "key-exchange", critical: false, group: 35, data: new Uint8Array(800) }],
    [
      "a value of another length",
      { kind: "key-exchange", critical: false, group: 36, data: new Uint8Array(9) },
    ],
    ["no KE payload", undefined],
  ] as const)("ends the SA with %s", (_, payload) => {
    const { peer, machine, link } = begun(22, [supported]);
    peer.agree(link.take().octets);
    const payloads = payload === undefined ? [] : [payload];
    peer.send(machine, peer.seal({ exchangeType: IKE_INTERMEDIATE, messageId: 1, payloads }));
    const answer = peer.open(link.take().octets);
    expect(findNotify(answer.payloads, NotifyType.INVALID_SYNTAX)).toBeDefined();
    link.advanceBy(600_000);
    expectClean(machine);
  });

  test("cannot have more of them than were agreed on", () => {
    const { responder: machine, link } = pair({ seed: 23 });
    const peer = new ScriptedPeer({ role: "initiator", policy: initiatorPolicy(), seed: 7023 });
    peer.send(machine, peer.init({ extra: [supported] }));
    peer.agree(link.take().octets);
    peer.send(machine, peer.seal({ exchangeType: IKE_INTERMEDIATE, messageId: 1, payloads: [] }));
    expect(link.inFlight).toEqual([]);
    expect(machine.endpoint.counters.unexpected).toBe(1);
  });

  /** By the words of RFC 9242 section 3.3 and RFC 9370 section 2.2.2. */
  test.each([
    ["is let in when it does as the RFCs say", false],
    ["is not when its AUTH leaves out the further exchange", true],
  ] as const)("%s", (_, leavesOut) => {
    const { peer, machine, link } = begun(24, [supported]);
    peer.agree(link.take().octets);
    const provider = new SeededCryptoProvider(99);
    const pairOfKeys = provider.compute({ kind: "generate-key-pair", group: 36 });
    if (pairOfKeys.kind !== "key-pair") throw new Error("no key pair");
    const { prfId, encryption, integrity } = suiteOf(peer.proposal);
    expect(prfId).toBe(PrfTransform.PRF_HMAC_SHA2_384);
    const prf = (key: Uint8Array, ...parts: Uint8Array[]) =>
      new Uint8Array(
        createHmac("sha384", key)
          .update(concat(...parts))
          .digest(),
      );

    const ke: Payload = { kind: "key-exchange", critical: false, group: 36, data: pairOfKeys.publicValue };
    const request = peer.seal({ exchangeType: IKE_INTERMEDIATE, messageId: 1, payloads: [ke] });
    peer.send(machine, request);
    const response = link.take().octets;
    const inside = (octets: Uint8Array, protection: MessageProtection) => {
      const sealed = find(decodeMessage(octets).payloads, "encrypted")!;
      return { firstType: sealed.nextPayload, octets: protection.open(sealed)! };
    };
    /** AES-GCM: the body is an IV of 8 octets, the payloads, no padding, Pad Length, and an ICV of 16. */
    const text = (octets: Uint8Array, plaintext: Uint8Array) => {
      const shorter = 8 + 1 + 16;
      const head = Buffer.from(octets.subarray(0, 32));
      head.writeUInt32BE(octets.length - shorter, 24);
      head.writeUInt16BE(octets.length - 28 - shorter, 30);
      return concat(head, plaintext);
    };
    const own = new MessageProtection({
      proposal: peer.proposal,
      keys: peer.keys!,
      role: "responder",
      random: peer.random,
      fragmentLength: undefined,
    });
    const answered = inside(response, peer.protection!);
    const intAuthI = prf(peer.keys!.skPi, text(request, inside(request, own).octets));
    const intAuthR = prf(peer.keys!.skPr, text(response, answered.octets));
    const answerKe = find(decodePayloads(answered), "key-exchange")!;
    expect(answerKe.data).toHaveLength(1088);
    const shared = provider.compute({
      kind: "agree",
      group: 36,
      privateKey: pairOfKeys.privateKey,
      peerPublicValue: answerKe.data,
    });
    if (shared.kind !== "shared-secret") throw new Error("no shared secret");
    peer.keys = deriveRekeyedIkeKeys({
      oldPrfId: prfId,
      oldSkD: peer.keys!.skD,
      prfId,
      sharedSecret: shared.sharedSecret,
      ni: peer.nonce,
      nr: peer.peerNonce,
      initiatorSpi: peer.initiatorSpi,
      responderSpi: peer.responderSpi,
      lengths: keyLengths({ encryption, integrity }),
    });
    const { proposal, keys, role, random } = peer;
    peer.protection = new MessageProtection({ proposal, keys, role, random, fragmentLength: undefined });

    const intAuth = leavesOut ? new Uint8Array(0) : concat(intAuthI, intAuthR, Uint8Array.of(0, 0, 0, 2));
    const [identification, auth, ...rest] = peer.authPayloads();
    const psk = new TextEncoder().encode("a shared secret of some length");
    const data = pskAuth({ prfId, psk, signedOctets: concat(peer.signedOctets(), intAuth) });
    const payloads = [identification!, { ...auth!, data } as Payload, ...rest];
    peer.send(machine, peer.seal({ exchangeType: IKE_AUTH, messageId: 2, payloads }));
    const last = peer.open(link.take().octets);
    expect(findNotify(last.payloads, NotifyType.AUTHENTICATION_FAILED) !== undefined).toBe(leavesOut);
    expect(find(last.payloads, "authentication") !== undefined).toBe(!leavesOut);
    expect(machine.installed.size).toBe(leavesOut ? 0 : 1);
  });

  test("as a responder cannot choose further exchanges without IKE_INTERMEDIATE", () => {
    const { initiator: machine, link } = pair({ seed: 25, common: { ike: [HYBRID] } });
    const peer = new ScriptedPeer({
      role: "responder",
      policy: responderPolicy({ ike: [HYBRID] }),
      seed: 7025,
    });
    machine.connect();
    peer.agree(link.take().octets);
    peer.send(machine, peer.init());
    expect(link.inFlight).toEqual([]);
    expect(machine.endpoint.counters.unexpected).toBe(1);
    peer.send(machine, peer.init({ extra: [supported] }));
    expect(decodeHeader(link.take().octets).exchangeType).toBe(IKE_INTERMEDIATE);
  });
});
