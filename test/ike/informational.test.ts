import { describe, expect, test } from "vitest";
import { toHex } from "../../src/bytes/hex.ts";
import { ExchangeType, NotifyType, ProtocolId } from "../../src/iana/ikev2-parameters.ts";
import { deleteChildSas, deleteIkeSa, findNotify, notify } from "../../src/ike/payloads.ts";
import { decodeHeader, encodeMessage } from "../../src/wire/message.ts";
import type { Payload } from "../../src/wire/payloads/payload.ts";
import { expectClean, expectEstablished } from "../support/simulator/expectations.ts";
import {
  establishedPair,
  pair,
  type SimulatedMachine,
  scriptedEstablished,
} from "../support/simulator/index.ts";

const { INFORMATIONAL, CREATE_CHILD_SA } = ExchangeType;

describe("deleting", () => {
  test("an IKE SA from either side cleans up both", () => {
    for (const side of ["initiator", "responder"] as const) {
      const all = establishedPair({ seed: 1 });
      all[side].disconnect();
      expect(all[side].installed.size).toBe(0);
      all.link.deliver(); // --> INFORMATIONAL { D(IKE) }
      all.link.deliver(); // <-- INFORMATIONAL { }
      expect(all.link.inFlight).toHaveLength(0);
      const other = side === "initiator" ? all.responder : all.initiator;
      expect(all[side].event("ike-sa-deleted")!.facts.reason).toBe("terminated");
      expect(other.event("ike-sa-deleted")!.facts.reason).toBe("peer-deleted");
      all.link.advanceBy(60_000);
      expectClean(all.initiator, all.responder);
    }
  });

  test("again and again leaves no SA behind: after a while nobody knows their SPIs", () => {
    const cycles = 40;
    // Strangers are not told that we do not know them, so that nothing but the counters moves.
    const { initiator, responder, link } = pair({ seed: 10, limits: { strayAnswersPerSecond: 0 } });
    for (let cycle = 0; cycle < cycles; cycle++) {
      initiator.connect();
      link.deliverAll();
      expectEstablished(initiator, responder);
      (cycle % 2 === 0 ? initiator : responder).disconnect();
      link.deliverAll();
      link.advanceBy(60_000);
    }
    expectClean(initiator, responder);

    const old = link.transmitted.filter(({ octets }) => decodeHeader(octets).responderSpi !== 0n);
    const isFor = (machine: SimulatedMachine) => old.filter(({ from }) => from !== machine).length;
    expect(isFor(responder)).toBeGreaterThanOrEqual(2 * cycles);
    const before = [initiator, responder].map(({ endpoint }) => ({ ...endpoint.counters }));
    for (const datagram of old) link.arrive({ ...datagram, at: link.now });
    [initiator, responder].forEach((machine, i) => {
      expect(machine.endpoint.counters).toEqual({
        ...before[i]!,
        received: before[i]!.received + isFor(machine),
        unknownSpi: before[i]!.unknownSpi + isFor(machine),
      });
    });
    // An IKE_SA_INIT of then is a new one now.
    link.arrive({ ...link.transmitted[0]!, at: link.now });
    expect(responder.ikeSas).toHaveLength(1);
  });

  test("a lost answer to a Delete is given again, though the SA is gone", () => {
    const { initiator, responder, link } = establishedPair({ seed: 2 });
    initiator.disconnect();
    link.deliver();
    link.drop();
    link.advanceToDeadline();
    link.deliverAll();
    expect(responder.endpoint.counters.answeredAgain).toBe(1);
    link.advanceBy(60_000);
    expectClean(initiator, responder);
  });

  test("a Delete that is never answered ends the SA all the same", () => {
    const { initiator, link } = establishedPair({ seed: 3 });
    initiator.disconnect();
    link.fate = () => [];
    link.inFlight.length = 0;
    link.advanceBy(120_000);
    expectClean(initiator);
    expect(initiator.eventNames().filter((name) => name === "ike-sa-deleted")).toHaveLength(1);
  });

  test("crossing deletes of the IKE SA end on both sides without waiting", () => {
    const { initiator, responder, link } = establishedPair({ seed: 4 });
    initiator.disconnect();
    responder.disconnect();
    link.deliverAll();
    expect([initiator.state, responder.state]).toEqual(["none", "none"]);
    link.advanceBy(60_000);
    expectClean(initiator, responder);
  });

  test("a child SA keeps the IKE SA, and the answer names the other half", () => {
    const { initiator, responder, link } = establishedPair({ seed: 5 });
    initiator.handle({ kind: "terminate", connection: "tunnel", child: "lan" });
    expect(initiator.installed.size).toBe(0);
    link.deliver(); // --> INFORMATIONAL { D(ESP, SPI) }
    expect(responder.installed.size).toBe(0);
    link.deliver(); // <-- INFORMATIONAL { D(ESP, SPI) }
    expect([initiator.state, responder.state]).toEqual(["established", "established"]);
    expect(responder.event("child-sa-deleted")).toBeDefined();
    expect([initiator.reserved.size, responder.reserved.size]).toEqual([0, 0]);
  });

  test("crossing deletes of a child SA are answered without naming it again", () => {
    const { peer, machine, link } = scriptedEstablished({ seed: 6 });
    const [childSa] = [...machine.installed.values()];
    machine.handle({ kind: "terminate", connection: "tunnel", child: "lan" });
    link.take();
    const payloads = [deleteChildSas([childSa!.outboundSpi])];
    peer.send(machine, peer.seal({ exchangeType: INFORMATIONAL, messageId: 2, payloads }));
    expect(peer.open(link.take().octets).payloads).toEqual([]);
  });

  test("SPIs that nobody has are passed over, and so are other protocols", () => {
    const { peer, machine, link } = scriptedEstablished({ seed: 7 });
    const [childSa] = [...machine.installed.values()];
    const payloads: Payload[] = [
      deleteChildSas([0xdead_beef, childSa!.inboundSpi]),
      { kind: "delete", critical: false, protocolId: ProtocolId.AH, spis: [Uint8Array.of(0, 0, 2, 1)] },
    ];
    peer.send(machine, peer.seal({ exchangeType: INFORMATIONAL, messageId: 2, payloads }));
    expect(peer.open(link.take().octets).payloads).toEqual([]);
    expect(machine.installed.size).toBe(1);
  });

  test("a connection that is taken down while IKE_AUTH is under way comes up and is deleted", () => {
    const { initiator, responder, link } = establishedPair({ seed: 8 });
    initiator.disconnect();
    link.deliverAll();
    initiator.connect();
    link.deliver();
    link.deliver();
    initiator.disconnect();
    link.deliverAll();
    link.advanceBy(60_000);
    expectClean(initiator, responder);
  });

  test("a connection that is taken down and wanted again while IKE_AUTH is under way stays", () => {
    const { initiator, responder, link } = pair({ seed: 8 });
    initiator.connect();
    link.deliver();
    link.deliver();
    initiator.disconnect();
    initiator.connect();
    link.deliverAll();
    expectEstablished(initiator, responder);
  });

  test("a connection that is taken down before it is answered leaves nothing", () => {
    const { initiator, responder, link } = establishedPair({ seed: 9 });
    initiator.disconnect();
    link.deliverAll();
    initiator.connect();
    initiator.disconnect();
    link.deliverAll();
    link.advanceBy(60_000);
    expectClean(initiator, responder);
    expect(initiator.event("ike-sa-failed")!.facts.reason).toBe("terminated");
  });
});

describe("liveness", () => {
  test("an empty request is answered, and the round trip is told", () => {
    const { initiator, link } = establishedPair({ seed: 1 });
    initiator.handle({ kind: "liveness", connection: "tunnel" });
    link.now += 12;
    link.deliver();
    link.now += 13;
    link.deliver();
    expect(initiator.event("peer-alive")!.facts.rttMs).toBe(25);
  });

  test("both sides may ask at once", () => {
    const { initiator, responder, link } = establishedPair({ seed: 2 });
    initiator.handle({ kind: "liveness", connection: "tunnel" });
    responder.handle({ kind: "liveness", connection: "tunnel" });
    link.deliverAll();
    expect(initiator.event("peer-alive")).toBeDefined();
    expect(responder.event("peer-alive")).toBeDefined();
    expectEstablished(initiator, responder);
  });

  test("silence is broken by a question, and a dead peer is noticed", () => {
    const { initiator, responder, link } = establishedPair({ seed: 3 });
    link.run({ until: 600_000 });
    expectEstablished(initiator, responder);
    expect(link.transmitted.length).toBeGreaterThan(10);
    link.fate = () => [];
    link.run({ until: 900_000 });
    expect(initiator.event("ike-sa-deleted")!.facts.reason).toBe("timeout");
    expectClean(initiator, responder);
  });

  test("a dead peer is noticed also while somebody sends its last request again and again", () => {
    const { initiator, responder, link } = establishedPair({ seed: 3 });
    const { length } = link.transmitted;
    initiator.handle({ kind: "liveness", connection: "tunnel" });
    link.deliverAll();
    const { octets, path } = link.transmitted[length]!;
    link.fate = () => [];
    for (let i = 0; i < 20; i++) {
      link.advanceBy(20_000);
      responder.handle({ kind: "datagram", octets, path });
    }
    expect(responder.event("ike-sa-deleted")!.facts.reason).toBe("timeout");
  });

  test("questions beyond the queue are not kept", () => {
    const { initiator, link } = establishedPair({ seed: 4 });
    for (let i = 0; i < 1000; i++) initiator.handle({ kind: "liveness", connection: "tunnel" });
    link.deliverAll();
    expect(link.transmitted.length).toBeLessThan(50);
  });

  test("a connection without an IKE SA is not asked, and one that does not exist is a mistake", () => {
    const { initiator } = establishedPair({ seed: 5 });
    expect(() => initiator.connect("nowhere")).toThrow(RangeError);
    initiator.handle({ kind: "liveness", connection: "nowhere" });
  });
});

describe("on an established SA", () => {
  test("CREATE_CHILD_SA without a nonce is nonsense, and ends the SA", () => {
    const { peer, machine, link } = scriptedEstablished({ seed: 1 });
    const payloads = peer.authPayloads().slice(2);
    peer.send(machine, peer.seal({ exchangeType: CREATE_CHILD_SA, messageId: 2, payloads }));
    expect(findNotify(peer.open(link.take().octets).payloads, NotifyType.INVALID_SYNTAX)).toBeDefined();
    expect(machine.state).toBe("none");
  });

  test("an unknown critical payload is named, and the SA stays", () => {
    const { peer, machine, link } = scriptedEstablished({ seed: 2 });
    const payloads: Payload[] = [
      { kind: "unknown", critical: true, payloadType: 77, body: new Uint8Array(2) },
    ];
    peer.send(machine, peer.seal({ exchangeType: INFORMATIONAL, messageId: 2, payloads }));
    const answer = peer.open(link.take().octets);
    expect(findNotify(answer.payloads, NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD)!.data).toEqual(
      Uint8Array.of(77),
    );
    expect(machine.state).toBe("established");
  });

  test("a payload in clear beside a protected message changes nothing", () => {
    const { peer, machine, link } = scriptedEstablished({ seed: 3 });
    peer.send(machine, unprotected(peer.initiatorSpi, peer.responderSpi, [deleteIkeSa()]));
    expect(machine.state).toBe("established");
    expect(link.inFlight).toHaveLength(0);
    expect(machine.endpoint.counters.unexpected).toBe(1);
  });

  test("AUTHENTICATION_FAILED from the peer ends the SA", () => {
    const { peer, machine, link } = scriptedEstablished({ seed: 4 });
    const payloads = [notify(NotifyType.AUTHENTICATION_FAILED)];
    peer.send(machine, peer.seal({ exchangeType: INFORMATIONAL, messageId: 2, payloads }));
    expect(peer.open(link.take().octets).payloads).toEqual([]);
    expect(machine.event("ike-sa-deleted")!.facts.reason).toBe("AUTHENTICATION_FAILED");
    expect(machine.installed.size).toBe(0);
  });

  test("message IDs outside of the window are dropped, and the window does not move", () => {
    const { peer, machine, link } = scriptedEstablished({ seed: 5 });
    for (const messageId of [0, 6, 7, 1000, 0xffff_ffff]) {
      peer.send(machine, peer.seal({ exchangeType: INFORMATIONAL, messageId, payloads: [] }));
    }
    expect(link.inFlight).toHaveLength(0);
    expect(machine.endpoint.counters.outsideWindow).toBe(5);
    peer.send(machine, peer.seal({ exchangeType: INFORMATIONAL, messageId: 2, payloads: [] }));
    expect(peer.open(link.take().octets).header).toMatchObject({ messageId: 2, isResponse: true });
  });

  test("answers that nobody asked for are dropped", () => {
    const { peer, machine } = scriptedEstablished({ seed: 6 });
    const payloads = [deleteIkeSa()];
    peer.send(machine, peer.seal({ exchangeType: INFORMATIONAL, messageId: 0, payloads, isResponse: true }));
    expect(machine.state).toBe("established");
    machine.handle({ kind: "liveness", connection: "tunnel" });
    peer.send(
      machine,
      peer.seal({ exchangeType: CREATE_CHILD_SA, messageId: 0, payloads, isResponse: true }),
    );
    expect(machine.state).toBe("established");
    expect(machine.endpoint.counters.outsideWindow).toBe(2);
  });

  test("an error in an answer under protection ends the SA; without protection it is nothing", () => {
    const { peer, machine } = scriptedEstablished({ seed: 7 });
    machine.handle({ kind: "liveness", connection: "tunnel" });
    const payloads = [notify(NotifyType.INVALID_SYNTAX)];
    peer.send(machine, unprotected(peer.initiatorSpi, peer.responderSpi, payloads, true));
    expect(machine.state).toBe("established");
    peer.send(machine, peer.seal({ exchangeType: INFORMATIONAL, messageId: 0, payloads, isResponse: true }));
    expect(machine.event("ike-sa-deleted")!.facts.reason).toBe("INVALID_SYNTAX");
  });

  test("the peer is followed to where its newest authentic request came from, and ESP with it", () => {
    const { peer, machine, link } = scriptedEstablished({ seed: 8 });
    const elsewhere = { ...peer.path(machine), remote: { address: "198.51.100.9", port: 40_500 } };
    const old = peer.seal({ exchangeType: INFORMATIONAL, messageId: 2, payloads: [] });
    peer.send(machine, old);
    expect(link.take().path.local).toEqual({ address: "192.0.2.1", port: 4500 });

    machine.handle({ kind: "datagram", octets: old, path: elsewhere }); // a repetition moves nothing
    expect([...machine.installed.values()][0]!.path.remote.address).toBe("192.0.2.1");
    const forged = peer.seal({ exchangeType: INFORMATIONAL, messageId: 3, payloads: [] });
    const broken = forged.slice();
    broken[broken.length - 1]! ^= 1;
    machine.handle({ kind: "datagram", octets: broken, path: elsewhere });
    expect([...machine.installed.values()][0]!.path.remote.address).toBe("192.0.2.1");

    machine.handle({ kind: "datagram", octets: forged, path: elsewhere });
    expect([...machine.installed.values()][0]!.path.remote).toEqual(elsewhere.remote);
    expect(machine.event("path-changed")!.facts).toMatchObject({
      before: "192.0.2.1:4500",
      remote: "198.51.100.9:40500",
    });
  });
});

test("an SA that has ended opens nothing any more", () => {
  const { peer, machine } = scriptedEstablished({ seed: 9 });
  const request = peer.seal({ exchangeType: INFORMATIONAL, messageId: 2, payloads: [deleteIkeSa()] });
  peer.send(machine, request);
  expect(machine.state).toBe("none");
  peer.send(machine, peer.seal({ exchangeType: INFORMATIONAL, messageId: 3, payloads: [] }));
  expect(machine.endpoint.counters.forged).toBe(0);
  expect(machine.endpoint.counters.unexpected).toBe(1);
});

test("no event holds a secret", () => {
  const { initiator, responder, link } = establishedPair({
    seed: 10,
    common: { psk: "SECRET-SECRET-SECRET" },
  });
  const keys = [...initiator.installed.values()];
  expect(keys).toHaveLength(1);
  initiator.disconnect();
  link.deliverAll();
  const text = JSON.stringify([...initiator.events, ...responder.events]);
  expect(text).not.toContain("SECRET");
  for (const { inboundKey, outboundKey } of keys) {
    expect(text).not.toContain(toHex(inboundKey));
    expect(text).not.toContain(toHex(outboundKey));
  }
});

function unprotected(
  initiatorSpi: bigint,
  responderSpi: bigint,
  payloads: readonly Payload[],
  isResponse = false,
): Uint8Array {
  const messageId = isResponse ? 0 : 2;
  const exchangeType = INFORMATIONAL;
  return encodeMessage({
    initiatorSpi,
    responderSpi,
    exchangeType,
    isInitiator: true,
    isResponse,
    messageId,
    payloads,
  });
}
