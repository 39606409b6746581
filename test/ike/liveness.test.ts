import { describe, expect, test } from "vitest";
import { ExchangeType, NotifyType } from "../../src/iana/ikev2-parameters.ts";
import { encodeSpi, invalidSpiOf, notify } from "../../src/ike/payloads.ts";
import { decodeHeader, decodeMessage, encodeMessage } from "../../src/wire/message.ts";
import type { Payload } from "../../src/wire/payloads/payload.ts";
import { expectClean, expectEstablished } from "../support/simulator/expectations.ts";
import {
  establishedPair,
  type Link,
  type Pair,
  pair,
  type SimulatedMachine,
  scriptedEstablished,
} from "../support/simulator/index.ts";

const { INFORMATIONAL } = ExchangeType;

/** The data plane has carried something through the only child SA. */
function carry(machine: SimulatedMachine, { sent, received }: { sent?: number; received?: number }): void {
  const [inboundSpi] = machine.installed.keys();
  const before = machine.traffic.get(inboundSpi!);
  const never = Number.NEGATIVE_INFINITY;
  machine.traffic.set(inboundSpi!, {
    sentAt: sent ?? before?.sentAt ?? never,
    receivedAt: received ?? before?.receivedAt ?? never,
  });
}

/** Lets the time pass in steps, with traffic in each. Returns when `from` sent IKE datagrams meanwhile. */
function during(
  link: Link,
  { ms, from, traffic }: { ms: number; from: SimulatedMachine; traffic: (now: number) => void },
): number[] {
  const before = link.transmitted.length;
  for (const end = link.now + ms; link.now < end; ) {
    traffic(link.now);
    link.run({ until: link.now + 1_000 });
  }
  return link.transmitted.slice(before).flatMap((datagram) => (datagram.from === from ? [datagram.at] : []));
}

describe("traffic as a sign of life", () => {
  test("an SA on which authentic ESP arrives is not asked for more", () => {
    const { initiator, link } = establishedPair({
      seed: 1,
      responder: { liveness: { intervalMs: Infinity } },
    });
    const traffic = (now: number): void => carry(initiator, { sent: now, received: now });
    expect(during(link, { ms: 600_000, from: initiator, traffic })).toEqual([]);
    expect(during(link, { ms: 61_000, from: initiator, traffic: () => {} })).toHaveLength(1);
  });

  test("an SA that sends and gets nothing back asks within twice ten seconds, and goes on when it is answered", () => {
    const { initiator, responder, link } = establishedPair({
      seed: 2,
      responder: { liveness: { intervalMs: Infinity } },
    });
    carry(initiator, { sent: 0, received: 0 });
    link.run({ until: 20_000 });
    const start = link.now;
    const traffic = (now: number): void => carry(initiator, { sent: now });
    const [first, ...more] = during(link, { ms: 100_000, from: initiator, traffic });
    expect(first! - start).toBeLessThanOrEqual(20_000);
    expect(more.length).toBeGreaterThan(2);
    expect(more.length).toBeLessThan(10);
    expectEstablished(initiator, responder);
  });

  test("answers that come a little later are no reason to ask", () => {
    const { initiator, link } = establishedPair({
      seed: 3,
      responder: { liveness: { intervalMs: Infinity } },
    });
    const traffic = (now: number): void => carry(initiator, { sent: now, received: now - 900 });
    expect(during(link, { ms: 300_000, from: initiator, traffic })).toEqual([]);
  });

  test("a peer that is dead is noticed by what is sent to it, well before its silence would be", () => {
    const { initiator, link } = establishedPair({ seed: 4, common: { liveness: { timeoutMs: 20_000 } } });
    carry(initiator, { sent: 0, received: 0 });
    link.fate = () => [];
    const start = link.now;
    during(link, { ms: 41_000, from: initiator, traffic: (now) => carry(initiator, { sent: now }) });
    expect(initiator.event("ike-sa-deleted")!.facts.reason).toBe("timeout");
    expect(link.now - start).toBeLessThan(42_000);
  });
});

describe("patience", () => {
  test.each([
    [undefined, 75_000, 85_000],
    [2_000, 2_000, 2_000],
    [20_000, 20_000, 20_000],
    [300_000, 300_000, 300_000],
  ])(
    "with liveness.timeout %s a peer is given up after it has not answered for as long",
    (timeoutMs, least, most) => {
      const liveness = timeoutMs === undefined ? {} : { timeoutMs };
      const { initiator, link } = establishedPair({ seed: 5, common: { liveness } });
      link.fate = () => [];
      const start = link.now;
      initiator.handle({ kind: "liveness", connection: "tunnel" });
      link.run({ until: start + 600_000, isDone: () => initiator.state === "none" });
      expect(link.now - start).toBeGreaterThanOrEqual(least);
      expect(link.now - start).toBeLessThanOrEqual(most);
      link.run({ until: link.now + 600_000 });
      expectClean(initiator);
    },
  );

  test("the time to connect does not depend on it", () => {
    const { initiator, link } = pair({ seed: 6, common: { liveness: { timeoutMs: 2_000 } } });
    link.fate = () => [];
    initiator.connect();
    link.run({ until: 600_000, isDone: () => initiator.state === "none" });
    expect(link.now).toBeGreaterThan(70_000);
  });
});

describe("a peer that has lost its SAs", () => {
  /** The responder starts anew: it knows nothing of before. */
  function restarted({ responder, link }: Pair, seed: number): SimulatedMachine {
    const fresh = pair({ seed }).responder;
    const reborn = Object.create(fresh, {
      handle: {
        value: (input: Parameters<SimulatedMachine["handle"]>[0]) => {
          fresh.endpoint.handle(input, link.now);
          for (let output = fresh.endpoint.poll(); output !== undefined; output = fresh.endpoint.poll()) {
            if (output.kind === "transmit") link.transmit(responder, output.octets, output.path);
          }
        },
      },
    });
    link.add(reborn);
    return reborn;
  }

  test("says so, without protection, and is given up in seconds", () => {
    const all = establishedPair({ seed: 7 });
    const { initiator, link } = all;
    restarted(all, 107);
    const start = link.now;
    initiator.handle({ kind: "liveness", connection: "tunnel" });
    link.run({ until: start + 60_000, isDone: () => initiator.state === "none" });
    expect(initiator.event("ike-sa-deleted")!.facts.reason).toBe("timeout");
    expect(link.now - start).toBeGreaterThan(4_000);
    expect(link.now - start).toBeLessThan(8_000);
  });

  test("says so of stray ESP, which makes us ask", () => {
    const all = establishedPair({ seed: 8 });
    const { initiator, link } = all;
    const reborn = restarted(all, 108);
    const { outboundSpi, path } = [...initiator.installed.values()][0]!;
    const start = link.now;
    reborn.handle({ kind: "stray-esp", spi: outboundSpi, path: { local: path.remote, remote: path.local } });
    link.run({ until: start + 60_000, isDone: () => initiator.state === "none" });
    expect(initiator.event("ike-sa-deleted")!.facts.reason).toBe("timeout");
    expect(link.now - start).toBeLessThan(8_000);
  });

  test("is asked, and not given up, when somebody else said so", () => {
    const { initiator, responder, link } = establishedPair({ seed: 9 });
    initiator.handle({ kind: "liveness", connection: "tunnel" });
    const request = link.take();
    const { initiatorSpi, responderSpi } = decodeHeader(request.octets);
    const forged = encodeMessage({
      initiatorSpi,
      responderSpi,
      exchangeType: INFORMATIONAL,
      isInitiator: false,
      isResponse: true,
      messageId: 2,
      payloads: [notify(NotifyType.INVALID_IKE_SPI)],
    });
    for (let i = 0; i < 100; i++)
      link.arrive({
        ...request,
        octets: forged,
        path: { local: request.path.remote, remote: request.path.local },
      });
    expect(initiator.state).toBe("established");
    link.run({ until: link.now + 20_000 });
    expectEstablished(initiator, responder);
    expect(initiator.eventNames()).toContain("refused");
  });
});

describe("hints that anybody could send", () => {
  function invalidSpi(spi: number): Uint8Array {
    return encodeMessage({
      initiatorSpi: 0n,
      responderSpi: 0n,
      exchangeType: INFORMATIONAL,
      isInitiator: true,
      isResponse: false,
      messageId: 0,
      payloads: [notify(NotifyType.INVALID_SPI, encodeSpi(spi))],
    });
  }

  test("INVALID_SPI about a child SA, from its address, asks at most once in ten seconds, and changes nothing", () => {
    const { initiator, responder, link } = establishedPair({ seed: 10 });
    const { outboundSpi, path } = [...initiator.installed.values()][0]!;
    const before = link.transmitted.length;
    for (let i = 0; i < 1000; i++) {
      initiator.handle({ kind: "datagram", octets: invalidSpi(outboundSpi), path });
      link.run({ until: link.now + 20 });
    }
    expect(link.transmitted.length - before).toBe(2 * 2);
    expectEstablished(initiator, responder);
  });

  test("an SPI that is not ours, or another address, is nothing, and nothing of it is answered", () => {
    const { initiator, link } = establishedPair({ seed: 11 });
    const { outboundSpi, path } = [...initiator.installed.values()][0]!;
    const stranger = { ...path, remote: { address: "203.0.113.9", port: 4500 } };
    initiator.handle({ kind: "datagram", octets: invalidSpi(0xdead_beef), path });
    initiator.handle({ kind: "datagram", octets: invalidSpi(outboundSpi), path: stranger });
    expect(link.inFlight).toEqual([]);
    expect(initiator.endpoint.counters.unknownSpi).toBe(2);
  });

  test("a protected request of an unknown IKE SA is answered INVALID_IKE_SPI, not longer than itself, and up to a rate", () => {
    const { peer, link } = scriptedEstablished({ seed: 12 });
    const stranger = pair({ seed: 112 }).responder;
    const request = peer.seal({ exchangeType: INFORMATIONAL, messageId: 2, payloads: [] });
    const answers: Uint8Array[] = [];
    const ask = (octets: Uint8Array): void => {
      stranger.endpoint.handle({ kind: "datagram", octets, path: peer.path(stranger) }, link.now);
      for (let output = stranger.endpoint.poll(); output !== undefined; output = stranger.endpoint.poll()) {
        if (output.kind === "transmit") answers.push(output.octets);
      }
    };
    ask(request);
    const { header, payloads } = decodeMessage(answers[0]!);
    expect(header).toMatchObject({
      initiatorSpi: peer.initiatorSpi,
      responderSpi: peer.responderSpi,
      exchangeType: INFORMATIONAL,
      messageId: 2,
      isResponse: true,
      isInitiator: false,
    });
    expect(payloads).toMatchObject([
      { kind: "notify", notifyType: NotifyType.INVALID_IKE_SPI, protocolId: 0 },
    ]);
    expect(answers[0]!.length).toBeLessThanOrEqual(request.length);

    const response = peer.seal({ exchangeType: INFORMATIONAL, messageId: 2, payloads: [], isResponse: true });
    for (const octets of [answers[0]!, response, invalidSpi(5), request.subarray(0, 28)]) ask(octets);
    expect(answers).toHaveLength(1);
    for (let i = 0; i < 1000; i++) ask(request);
    expect(answers.length).toBeLessThanOrEqual(200);
    expect(stranger.ikeSas).toEqual([]);
  });

  test("stray ESP of a peer with an IKE SA is reported within it, now and then; it makes a new child SA", () => {
    const { initiator, responder, link } = establishedPair({ seed: 13 });
    const [childSa] = [...responder.installed.values()];
    const { path, inboundSpi } = childSa!;
    const before = link.transmitted.length;
    for (let i = 0; i < 10; i++) responder.handle({ kind: "stray-esp", spi: inboundSpi, path });
    expect(link.inFlight).toHaveLength(1);
    link.deliverAll();
    // --> INFORMATIONAL { N(INVALID_SPI) } <-- { }, then CREATE_CHILD_SA and the Delete of the old one.
    expect(link.transmitted.length - before).toBe(6);
    expectEstablished(initiator, responder);
    expect(initiator.event("child-sa-rekeyed")).toBeDefined();
  });

  test("stray ESP of a stranger is reported without protection, at zero SPIs", () => {
    const { responder, link } = pair({ seed: 14 });
    const path = {
      local: { address: "192.0.2.2", port: 4500 },
      remote: { address: "192.0.2.1", port: 1234 },
    };
    responder.handle({ kind: "stray-esp", spi: 0x1234_5678, path });
    const { octets, path: arriving } = link.take();
    const { header, payloads } = decodeMessage(octets);
    expect(header).toMatchObject({
      initiatorSpi: 0n,
      responderSpi: 0n,
      isInitiator: true,
      isResponse: false,
    });
    expect(invalidSpiOf(payloads as Payload[])).toBe(0x1234_5678);
    expect(arriving.local.port).toBe(1234);
  });
});

describe("after a long sleep", () => {
  test("every peer is asked at once, and what answers stays", () => {
    const { initiator, responder, link } = establishedPair({ seed: 15 });
    const before = link.transmitted.length;
    initiator.handle({ kind: "awakened" });
    expect(link.inFlight).toHaveLength(1);
    link.deliverAll();
    expect(link.transmitted.length - before).toBe(2);
    expectEstablished(initiator, responder);
  });
});

describe("a NAT", () => {
  const OUTSIDE = "198.51.100.1";

  /** The initiator sits behind one. */
  function translated(seed: number): Pair {
    const all = pair({ seed, responder: { remoteAddress: undefined } });
    all.link.translate({ address: "192.0.2.1", port: 500 }, { address: OUTSIDE, port: 1111 });
    all.link.translate({ address: "192.0.2.1", port: 4500 }, { address: OUTSIDE, port: 2222 });
    all.initiator.connect();
    all.link.deliverAll();
    expectEstablished(all.initiator, all.responder);
    return all;
  }

  test("is kept awake by who sits behind it, every 20 s, and by nobody else", () => {
    const { initiator, responder, link } = translated(16);
    const start = link.now;
    link.run({ until: start + 59_000 });
    expect(initiator.keepalives.map(({ at }) => at - start)).toEqual([20_000, 40_000]);
    expect(initiator.keepalives[0]!.path.remote).toEqual({ address: "192.0.2.2", port: 4500 });
    expect(responder.keepalives).toEqual([]);
  });

  test("needs none while something else goes out", () => {
    const { initiator, link } = translated(17);
    const start = link.now;
    const traffic = (now: number): void => carry(initiator, { sent: now, received: now });
    during(link, { ms: 100_000, from: initiator, traffic });
    expect(initiator.keepalives).toEqual([]);
    // From the last packet on, not from the last look.
    const last = start + 99_000;
    link.run({ until: last + 45_000 });
    expect(initiator.keepalives.map(({ at }) => at - last)).toEqual([20_000, 40_000]);
  });

  test("is not where there is none, though both sides put ESP into UDP as if there were", () => {
    const { initiator, responder, link } = establishedPair({ seed: 18 });
    link.run({ until: 200_000 });
    expect([initiator.keepalives, responder.keepalives]).toEqual([[], []]);
    expect([...initiator.installed.values()][0]!.path.remote.port).toBe(4500);
    expect(initiator.ikeSas[0]).toMatchObject({ isBehindNat: false });
  });

  test("that maps the peer anew is followed by its next authentic request", () => {
    const { initiator, responder, link } = translated(19);
    link.translate({ address: "192.0.2.1", port: 4500 }, { address: OUTSIDE, port: 3333 });
    initiator.handle({ kind: "liveness", connection: "tunnel" });
    link.deliverAll();
    expect([...responder.installed.values()][0]!.path.remote).toEqual({ address: OUTSIDE, port: 3333 });
  });

  test("between us and the peer is no reason for us, who called, to follow it elsewhere: only the answer goes there", () => {
    const { initiator, responder, link } = translated(20);
    responder.handle({ kind: "liveness", connection: "tunnel" });
    const request = link.take();
    const elsewhere = { address: "203.0.113.9", port: 4500 };
    link.arrive({ ...request, path: { ...request.path, remote: elsewhere } });
    expect([...initiator.installed.values()][0]!.path.remote.address).toBe("192.0.2.2");
    expect(link.take().path.local).toEqual(elsewhere);
    expect(initiator.eventNames()).not.toContain("path-changed");
  });
});
