import { describe, expect, test } from "vitest";
import { ExchangeType, NotifyType, ProtocolId } from "../../src/iana/ikev2-parameters.ts";
import { deleteChildSas, findNotify, notify } from "../../src/ike/payloads.ts";
import type { Path } from "../../src/platform/address.ts";
import { numberProposals } from "../../src/policy/transforms.ts";
import { decodeMessage } from "../../src/wire/message.ts";
import type { Payload } from "../../src/wire/payloads/payload.ts";
import { expectClean, expectEstablished } from "../support/simulator/expectations.ts";
import {
  establishedPair,
  initiatorPolicy,
  type Pair,
  pair,
  type RawPayload,
  raw,
  responderPolicy,
  ScriptedPeer,
  SeededRandom,
  type SimulatedMachine,
  scriptedEstablished,
  scriptedInitiator,
  scriptedResponder,
} from "../support/simulator/index.ts";

// Datagrams from whoever can send one. They may cost a counter, and nothing else.

const RUNS = Number(process.env.IKEBANA_FUZZ_RUNS ?? 100_000);

const PATH: Path = {
  local: { address: "192.0.2.2", port: 4500 },
  remote: { address: "192.0.2.1", port: 4500 },
};

/** A datagram that was once right: bits turned, octets changed, cut off, grown, or spliced with another. */
function mutate(random: SeededRandom, octets: Uint8Array, other: Uint8Array): Uint8Array {
  const copy = octets.slice();
  switch (random.below(7)) {
    case 0:
      copy[random.below(copy.length)]! ^= 1 << random.below(8);
      return copy;
    case 1:
      for (let i = random.below(8); i >= 0; i--) copy[random.below(copy.length)] = random.below(256);
      return copy;
    case 2:
      return copy.subarray(0, random.below(copy.length));
    case 3: {
      const grown = new Uint8Array(copy.length + random.below(64));
      grown.set(copy);
      return grown;
    }
    case 4: {
      const cut = random.below(copy.length);
      copy.set(other.subarray(cut, copy.length), Math.min(cut, copy.length));
      return copy;
    }
    case 5: {
      // The header's fields, one by one: SPIs, next payload, version, exchange, flags, message ID, length.
      const field = [0, 8, 16, 17, 18, 19, 20, 24][random.below(8)]!;
      copy[field] = random.below(256);
      return copy;
    }
    default: {
      // A length within the chain of payloads.
      if (copy.length > 34) copy.set([random.below(4), random.below(256)], 30);
      return copy;
    }
  }
}

/** The handshake stopped at every point: what each machine does with garbage there. */
const STATES: readonly { readonly name: string; readonly reach: (all: Pair) => void }[] = [
  { name: "nothing", reach: () => {} },
  { name: "a request that is not answered", reach: ({ initiator }) => initiator.connect() },
  {
    name: "a key exchange under way",
    reach: ({ initiator, responder, link }) => {
      responder.holdsJobs = true;
      initiator.connect();
      link.deliver();
    },
  },
  {
    name: "a shared secret under way",
    reach: ({ initiator, link }) => {
      initiator.connect();
      link.deliver();
      initiator.holdsJobs = true;
      link.deliver();
    },
  },
  {
    name: "keys and no identities",
    reach: ({ initiator, link }) => {
      initiator.connect();
      link.deliver();
      link.deliver();
    },
  },
  {
    name: "an SA on one side",
    reach: ({ initiator, link }) => {
      initiator.connect();
      for (let i = 0; i < 3; i++) link.deliver();
    },
  },
  {
    name: "an SA that is being deleted",
    reach: ({ initiator, link }) => {
      initiator.connect();
      link.deliverAll();
      initiator.disconnect();
    },
  },
  {
    name: "an SA that is closed",
    reach: ({ initiator, link }) => {
      initiator.connect();
      link.deliverAll();
      initiator.disconnect();
      link.deliverAll();
    },
  },
];

/** Everything that a life of an SA puts on the wire. */
function corpus(seed: number): readonly Uint8Array[] {
  const { initiator, link } = establishedPair({ seed });
  initiator.handle({ kind: "liveness", connection: "tunnel" });
  link.deliverAll();
  initiator.disconnect();
  link.deliverAll();
  return link.transmitted.map(({ octets }) => octets);
}

function bombard(machine: SimulatedMachine, random: SeededRandom, samples: readonly Uint8Array[]): void {
  const sample = samples[random.below(samples.length)]!;
  const other = samples[random.below(samples.length)]!;
  const octets = random.below(20) === 0 ? random.bytes(random.below(600)) : mutate(random, sample, other);
  const path = machine.name === "responder" ? PATH : { local: PATH.remote, remote: PATH.local };
  machine.handle({ kind: "datagram", octets, path });
}

describe("garbage", () => {
  test("never disturbs an established SA, nor throws", () => {
    const { initiator, responder, link } = establishedPair({ seed: 1 });
    initiator.handle({ kind: "liveness", connection: "tunnel" });
    link.deliverAll();
    // One answer is outstanding at the initiator, so that forged ones come as far as the integrity check.
    initiator.handle({ kind: "liveness", connection: "tunnel" });
    link.deliver();
    link.drop();
    const samples = link.transmitted
      .map(({ octets }) => octets)
      .filter((octets) => octets[18] !== ExchangeType.IKE_SA_INIT);
    const before = JSON.stringify([initiator.childSas, responder.childSas]);
    const random = new SeededRandom(1);
    for (let i = 0; i < RUNS / 2; i++) {
      bombard(initiator, random, samples);
      bombard(responder, random, samples);
      link.inFlight.length = 0;
      initiator.events.length = 0;
      responder.events.length = 0;
    }
    expect(JSON.stringify([initiator.childSas, responder.childSas])).toBe(before);
    for (const machine of [initiator, responder]) {
      expect(machine.endpoint.counters.internalErrors).toBe(0);
      expect(machine.endpoint.counters.forged).toBeGreaterThan(0);
      expect(machine.endpoint.counters.malformed).toBeGreaterThan(0);
      machine.handle({ kind: "liveness", connection: "tunnel" });
      link.run({ until: link.now + 5_000 });
      expect(machine.event("peer-alive")).toBeDefined();
    }
    expectEstablished(initiator, responder);
  });

  test.each(STATES)("finds $name and throws nothing, keeps nothing", ({ reach }) => {
    const random = new SeededRandom(2);
    const rounds = 20;
    for (let round = 0; round < rounds; round++) {
      const all = pair({ seed: round });
      reach(all);
      // The same seed makes the same SPIs and keys: these are the very messages of this SA.
      const samples = corpus(round);
      for (let i = 0; i < RUNS / rounds / 8; i++) {
        bombard(all.initiator, random, samples);
        bombard(all.responder, random, samples);
        if (i % 50 === 0) {
          for (const machine of [all.initiator, all.responder]) machine.finishJobs();
        }
        all.link.inFlight.length = 0;
      }
      for (const machine of [all.initiator, all.responder]) {
        expect(machine.endpoint.counters.internalErrors).toBe(0);
        expect(machine.ikeSas.length).toBeLessThan(40);
      }
      // Whatever was left is gone when time has passed.
      all.link.fate = () => [];
      all.initiator.holdsJobs = all.responder.holdsJobs = false;
      for (const machine of [all.initiator, all.responder]) machine.finishJobs();
      all.link.advanceBy(400_000);
      for (const machine of [all.initiator, all.responder]) {
        expect(machine.ikeSas).toHaveLength(0);
        expect(machine.reserved.size).toBe(0);
        expect(machine.endpoint.deadline).toBeUndefined();
      }
    }
  });

  test("as 64 KB of zeros, as nothing, and cut at every octet is dropped", () => {
    const { initiator, responder, link } = establishedPair({ seed: 3 });
    for (const length of [0, 1, 4, 27, 28, 29, 65_507]) {
      responder.handle({ kind: "datagram", octets: new Uint8Array(length), path: PATH });
    }
    for (const { octets } of [...link.transmitted]) {
      for (let length = 0; length < octets.length; length++) {
        responder.handle({ kind: "datagram", octets: octets.subarray(0, length), path: PATH });
      }
    }
    expect(responder.endpoint.counters.internalErrors).toBe(0);
    expect(link.inFlight).toHaveLength(0);
    expectEstablished(initiator, responder);
  });

  test("becomes few events, and all of it is counted", () => {
    const { responder } = establishedPair({ seed: 4 });
    const { length } = responder.events;
    for (let i = 0; i < 5_000; i++)
      responder.handle({ kind: "datagram", octets: new Uint8Array(40), path: PATH });
    expect(responder.events.length - length).toBeLessThanOrEqual(10);
    expect(responder.events.slice(length).every(({ level }) => level === "debug")).toBe(true);
    expect(responder.endpoint.counters.wrongVersion + responder.endpoint.counters.malformed).toBe(5_000);
  });
});

describe("a peer with the right keys", () => {
  /** One body changed, shortened or lengthened; now and then a payload left out or sent twice. */
  const spoil = (random: SeededRandom, payloads: readonly RawPayload[]): RawPayload[] => {
    const at = random.below(payloads.length);
    const { type, body } = payloads[at]!;
    const changed = body.slice();
    switch (random.below(6)) {
      case 0:
        return payloads.toSpliced(at, 1);
      case 1:
        return payloads.toSpliced(at, 0, payloads[at]!);
      case 2:
        return payloads.toSpliced(at, 1, { type, body: body.subarray(0, random.below(body.length + 1)) });
      case 3:
        return payloads.toSpliced(at, 1, { type, body: new Uint8Array([...body, ...random.bytes(9)]) });
      case 4:
        return payloads.toSpliced(at, 1, { type: 33 + random.below(22), body });
      default:
        for (let i = random.below(4); i >= 0; i--) {
          if (body.length > 0) changed[random.below(body.length)] = random.below(256);
        }
        return payloads.toSpliced(at, 1, { type, body: changed });
    }
  };

  test("and a spoilt IKE_AUTH request breaks nothing, and leaves nothing", () => {
    const random = new SeededRandom(11);
    for (let i = 0; i < RUNS / 100; i++) {
      const { peer, machine, link } = scriptedInitiator({ seed: i % 20 });
      const payloads = spoil(random, raw(peer.authPayloads()));
      peer.send(machine, peer.sealRaw({ exchangeType: ExchangeType.IKE_AUTH, messageId: 1, payloads }));
      expect(machine.endpoint.counters.internalErrors).toBe(0);
      expect(link.inFlight.length).toBeGreaterThan(0);
      link.fate = () => [];
      link.advanceBy(300_000);
      expectClean(machine);
    }
  });

  test("and a spoilt IKE_AUTH answer breaks nothing, and leaves nothing", () => {
    const random = new SeededRandom(12);
    for (let i = 0; i < RUNS / 100; i++) {
      const { peer, machine, link } = scriptedResponder({ seed: i % 20 });
      const payloads = spoil(random, raw(peer.authPayloads()));
      peer.send(
        machine,
        peer.sealRaw({ exchangeType: ExchangeType.IKE_AUTH, messageId: 1, payloads, isResponse: true }),
      );
      expect(machine.endpoint.counters.internalErrors).toBe(0);
      link.fate = () => [];
      link.advanceBy(300_000);
      expectClean(machine);
    }
  });

  test("and a spoilt IKE_SA_INIT breaks nothing", () => {
    const random = new SeededRandom(13);
    for (let i = 0; i < RUNS / 50; i++) {
      const { responder, initiator, link } = pair({ seed: i % 20 });
      const asking = new ScriptedPeer({ role: "initiator", policy: initiatorPolicy(), seed: 5_000 + i });
      asking.send(responder, asking.initRaw(spoil(random, raw(asking.initPayloads()))));
      const answering = new ScriptedPeer({ role: "responder", policy: responderPolicy(), seed: 5_000 + i });
      initiator.connect();
      answering.agree(link.transmitted.at(-1)!.octets);
      answering.send(initiator, answering.initRaw(spoil(random, raw(answering.initPayloads()))));
      expect(responder.endpoint.counters.internalErrors).toBe(0);
      expect(initiator.endpoint.counters.internalErrors).toBe(0);
    }
  });

  test("and nonsense in later exchanges breaks nothing", () => {
    const random = new SeededRandom(14);
    for (let i = 0; i < RUNS / 100; i++) {
      const { peer, machine, link } = scriptedEstablished({ seed: i % 20 });
      const things: Payload[] = [
        deleteChildSas([1, 2, 3]),
        notify(NotifyType.INVALID_SPI, new Uint8Array(8)),
        ...peer.authPayloads(),
      ];
      for (let messageId = 2; messageId < 8 && machine.state === "established"; messageId++) {
        const exchangeType = [35, 36, 37, 37, 37, 43, 200][random.below(7)]!;
        peer.send(machine, peer.sealRaw({ exchangeType, messageId, payloads: spoil(random, raw(things)) }));
        expect(peer.open(link.take().octets).header).toMatchObject({ messageId, isResponse: true });
        link.inFlight.length = 0;
      }
      expect(machine.endpoint.counters.internalErrors).toBe(0);
    }
  });
});

test("a peer that rekeys for ever and deletes nothing holds a bounded number of child SAs", () => {
  const { peer, machine, link } = scriptedEstablished({ seed: 41 });
  const [, , , tsi, tsr] = peer.authPayloads();
  const { espProposals } = peer.policy.children[0]!;
  const spiOf = (i: number) => Uint8Array.of(0, 0, 2, 1 + i);
  for (let i = 0; i < 100; i++) {
    const rekey: Payload = {
      ...notify(NotifyType.REKEY_SA),
      protocolId: ProtocolId.ESP,
      spi: spiOf(i),
    };
    const proposals = numberProposals(espProposals, spiOf(i + 1));
    const sa: Payload = { kind: "security-association", critical: false, proposals };
    const nonce: Payload = { kind: "nonce", critical: false, nonce: peer.random.bytes(32) };
    const request = { exchangeType: ExchangeType.CREATE_CHILD_SA, messageId: 2 + i };
    peer.send(machine, peer.seal({ ...request, payloads: [rekey, sa, nonce, tsi!, tsr!] }));
    link.take();
  }
  expect(machine.installed.size).toBe(32);
});

describe("a flood of IKE_SA_INIT", () => {
  const flooder = (seed: number, address: string): ScriptedPeer =>
    new ScriptedPeer({
      role: "initiator",
      policy: initiatorPolicy({ localAddress: address }),
      seed: seed + 5_000,
    });

  test("from forged addresses makes no more half-open SAs than the threshold, and an honest peer still connects", () => {
    const { initiator, responder, link } = pair({ seed: 1, responder: { remoteAddress: undefined } });
    for (let i = 0; i < 2_000; i++) {
      const peer = flooder(i, `10.${i >> 8}.${i & 255}.1`);
      peer.send(responder, peer.init());
    }
    expect(responder.ikeSas.length).toBe(32);
    const octetsOut = link.transmitted.reduce((sum, { octets }) => sum + octets.length, 0);
    expect(responder.endpoint.counters.cookiesDemanded).toBe(2_000 - 32);
    expect(octetsOut).toBeLessThan(2_000 * 250);
    link.inFlight.length = 0;
    initiator.connect();
    link.deliverAll();
    expect(initiator.state).toBe("established");
    link.advanceBy(31_000);
    expect(responder.ikeSas).toHaveLength(1);
  });

  test("from one forged address does not lock its owner out", () => {
    const { initiator, responder, link } = pair({ seed: 2 });
    for (let i = 0; i < 500; i++) {
      const peer = flooder(i, "192.0.2.1");
      peer.send(responder, peer.init());
    }
    expect(responder.ikeSas.length).toBe(4);
    link.inFlight.length = 0;
    initiator.connect();
    link.deliverAll();
    expect(initiator.state).toBe("established");
  });

  test("with cookies is bounded for an address, for its network and in all", () => {
    const { responder, link } = pair({
      seed: 3,
      responder: { remoteAddress: undefined },
      limits: {
        cookieThresholdCount: 0,
        halfOpenPerAddressCount: 3,
        halfOpenPerPrefixCount: 5,
        halfOpenCount: 8,
      },
    });
    const connect = (seed: number, address: string): void => {
      const peer = flooder(seed, address);
      peer.send(responder, peer.init());
      const { payloads } = decodeMessage(link.take().octets);
      const cookie = findNotify(payloads, NotifyType.COOKIE)!;
      peer.send(
        responder,
        peer.init({ payloads: [notify(NotifyType.COOKIE, cookie.data), ...peer.initPayloads()] }),
      );
      link.inFlight.length = 0;
    };
    for (let i = 0; i < 10; i++) connect(i, "10.0.0.1");
    expect(responder.ikeSas).toHaveLength(3);
    for (let i = 10; i < 20; i++) connect(i, "10.0.0.2");
    expect(responder.ikeSas).toHaveLength(5);
    for (let i = 20; i < 40; i++) connect(i, `10.${i}.0.1`);
    expect(responder.ikeSas).toHaveLength(8);
    link.advanceBy(31_000);
    expect(responder.ikeSas).toHaveLength(0);
    connect(50, "10.0.0.1");
    expect(responder.ikeSas).toHaveLength(1);
  });

  test("without anything in common gets a bounded number of refusals", () => {
    const { responder, link } = pair({
      seed: 4,
      responder: { remoteAddress: undefined, ike: ["aes256-sha512-modp4096"] },
    });
    for (let i = 0; i < 1_000; i++) {
      const peer = flooder(i, `10.9.${i >> 8}.${i & 255}`);
      peer.send(responder, peer.init());
    }
    const refusals = link.transmitted.filter(({ octets }) =>
      findNotify(decodeMessage(octets).payloads, NotifyType.NO_PROPOSAL_CHOSEN),
    );
    expect(refusals.length).toBeLessThanOrEqual(50);
    expect(responder.ikeSas).toHaveLength(0);
    expect(responder.eventNames().filter((name) => name === "refused").length).toBeLessThanOrEqual(50);
  });

  test("is told why it is refused only as often as it is answered, since words are dear", () => {
    const { responder } = pair({ seed: 9 });
    const policy = responderPolicy({ remoteAddress: undefined, ike: ["aes256-sha512-modp4096"] });
    let looks = 0;
    const watched = {
      ...policy,
      get ikeProposals() {
        looks++;
        return policy.ikeProposals;
      },
    };
    responder.endpoint.replaceConnections([watched]);
    for (let i = 0; i < 90; i++) {
      const peer = flooder(i, `10.9.0.${i}`);
      peer.send(responder, peer.init());
    }
    expect(responder.endpoint.counters.errorSuppressed).toBe(40);
    expect(looks).toBe(90 + 50);
  });

  test("with public values that are no good has to show cookies, though nothing stays half open", () => {
    const { responder } = pair({ seed: 10, responder: { remoteAddress: undefined } });
    for (let i = 0; i < 500; i++) {
      const peer = flooder(i, `10.9.${i >> 8}.${i & 255}`);
      const payloads = peer.initPayloads();
      const ke: Payload = {
        kind: "key-exchange",
        critical: false,
        group: peer.group,
        data: new Uint8Array(32),
      };
      peer.send(responder, peer.init({ payloads: payloads.with(1, ke) }));
    }
    expect(responder.endpoint.counters.cookiesDemanded).toBe(400);
    expect(responder.ikeSas).toHaveLength(0);
  });

  test("gets no long answer for a short repetition", () => {
    const { responder, link } = pair({ seed: 8 });
    const peer = new ScriptedPeer({ role: "initiator", policy: initiatorPolicy(), seed: 8 });
    const request = peer.init();
    peer.send(responder, request);
    const answer = link.take();
    const [sa, , nonce] = peer.initPayloads();
    const ke: Payload = {
      kind: "key-exchange",
      critical: false,
      group: peer.group,
      data: Uint8Array.of(1),
    };
    peer.send(responder, peer.init({ payloads: [sa!, ke, nonce!] }));
    expect(link.inFlight).toHaveLength(0);
    peer.send(responder, request);
    expect(link.take().octets).toEqual(answer.octets);
  });

  test("replayed from elsewhere gets no established SA into trouble", () => {
    const { initiator, responder, link } = establishedPair({ seed: 5 });
    const [first] = link.transmitted;
    const elsewhere = { ...first!.path, remote: { address: "192.0.2.1", port: 999 } };
    responder.handle({ kind: "datagram", octets: first!.octets, path: elsewhere });
    link.deliverAll();
    link.advanceBy(31_000);
    expectEstablished(initiator, responder);
  });
});

test("a wrong key tried for ever holds a bounded number of places", () => {
  const { responder, link } = pair({ seed: 6 });
  for (let i = 0; i < 200; i++) {
    const peer = new ScriptedPeer({ role: "initiator", policy: initiatorPolicy({ psk: "guess" }), seed: i });
    peer.send(responder, peer.init());
    const answer = link.take().octets;
    if (findNotify(decodeMessage(answer).payloads, NotifyType.COOKIE) !== undefined) continue;
    peer.agree(answer);
    const request = { exchangeType: ExchangeType.IKE_AUTH, messageId: 1, payloads: peer.authPayloads() };
    peer.send(responder, peer.seal(request));
    link.inFlight.length = 0;
  }
  expect(responder.endpoint.counters.cookiesDemanded).toBeGreaterThan(150);
  expect(responder.eventNames().filter((name) => name === "ike-sa-failed").length).toBeLessThanOrEqual(20);
});

test("our own request sent back to us is not answered", () => {
  const { initiator, link } = pair({ seed: 7 });
  initiator.connect();
  const { octets } = link.take();
  initiator.handle({ kind: "datagram", octets, path: PATH });
  expect(link.inFlight).toHaveLength(0);
  expect(initiator.endpoint.counters.unexpected).toBe(1);
});
