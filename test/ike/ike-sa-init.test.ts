import { describe, expect, test } from "vitest";
import { ExchangeType, KeyExchangeMethod, NotifyType } from "../../src/iana/ikev2-parameters.ts";
import { find, findNotify, notify } from "../../src/ike/payloads.ts";
import { decodeMessage, encodeMessage } from "../../src/wire/message.ts";
import { expectEstablished } from "../support/simulator/expectations.ts";
import {
  establishedPair,
  initiatorPolicy,
  pair,
  responderPolicy,
  ScriptedPeer,
} from "../support/simulator/index.ts";

describe("cookies", () => {
  const limits = { cookieThresholdCount: 0 };

  test("a responder under load demands a cookie, keeps nothing, and goes on when it is shown", () => {
    const { initiator, responder, link } = pair({ seed: 1, limits });
    initiator.connect();
    link.deliver(); // --> IKE_SA_INIT { SAi1, KEi, Ni }
    expect(responder.ikeSas).toHaveLength(0);
    const first = link.deliver(); // <-- IKE_SA_INIT { N(COOKIE) }
    expect(first.responderSpi).toBe(0n);
    const again = decodeMessage(link.inFlight[0]!.octets);
    expect(again.payloads[0]).toMatchObject({ kind: "notify", notifyType: NotifyType.COOKIE });
    link.deliverAll();
    expectEstablished(initiator, responder);
    expect(responder.endpoint.counters.cookiesDemanded).toBe(1);
  });

  test("the answer that demands a cookie is smaller than the request", () => {
    const { initiator, link } = pair({ seed: 2, limits });
    initiator.connect();
    link.deliver();
    const [request, answer] = link.transmitted;
    expect(answer!.octets.length).toBeLessThan(request!.octets.length);
  });

  test("a cookie of another address, nonce or age is not taken", () => {
    const { responder, link } = pair({ seed: 3, limits, responder: { remoteAddress: undefined } });
    const peer = new ScriptedPeer({ role: "initiator", policy: initiatorPolicy(), seed: 3 });
    peer.send(responder, peer.init());
    const cookie = findNotify(decodeMessage(link.take().octets).payloads, NotifyType.COOKIE)!;
    const withCookie = peer.init({
      payloads: [notify(NotifyType.COOKIE, cookie.data), ...peer.initPayloads()],
    });
    const path = peer.path(responder);

    const elsewhere = { ...path, remote: { ...path.remote, address: "198.51.100.7" } };
    responder.handle({ kind: "datagram", octets: withCookie, path: elsewhere });
    const other = new ScriptedPeer({ role: "initiator", policy: initiatorPolicy(), seed: 4 });
    other.send(
      responder,
      other.init({ payloads: [notify(NotifyType.COOKIE, cookie.data), ...other.initPayloads()] }),
    );
    link.advanceBy(121_000);
    peer.send(responder, withCookie);
    expect(responder.endpoint.counters.cookiesWrong).toBe(3);
    expect(responder.ikeSas).toHaveLength(0);
  });

  test("a cookie is good for at least as long as its secret lives", () => {
    const { initiator, responder, link } = pair({ seed: 5, limits });
    initiator.connect();
    link.deliver();
    link.deliver();
    const withCookie = link.take();
    link.advanceBy(59_000);
    link.arrive({ ...withCookie, at: link.now });
    expect(responder.state).toBe("authenticating");
  });

  test("cookies that keep changing do not make the initiator restart for ever", () => {
    const { initiator, link } = pair({ seed: 6 });
    const peer = new ScriptedPeer({ role: "responder", policy: responderPolicy(), seed: 6 });
    initiator.connect();
    for (let i = 0; i < 100; i++) {
      peer.agree(link.transmitted.at(-1)!.octets);
      const payloads = [notify(NotifyType.COOKIE, Uint8Array.of(i, 1, 2, 3))];
      peer.send(initiator, peer.init({ payloads, responderSpi: 0n }));
    }
    expect(link.transmitted).toHaveLength(5);
  });
});

describe("INVALID_KE_PAYLOAD", () => {
  const ike = {
    initiator: ["aes256gcm16-prfsha256-x25519-ecp256"],
    responder: ["aes256gcm16-prfsha256-ecp256"],
  };
  const options = { initiator: { ike: ike.initiator }, responder: { ike: ike.responder } };

  test("the initiator begins again with the group that the responder names", () => {
    const { initiator, responder, link } = pair({ seed: 1, ...options });
    initiator.connect();
    link.deliver(); // --> IKE_SA_INIT { SAi1, KEi(x25519), Ni }
    link.deliver(); // <-- IKE_SA_INIT { N(INVALID_KE_PAYLOAD, ecp256) }
    const again = decodeMessage(link.inFlight[0]!.octets);
    expect(find(again.payloads, "key-exchange")!.group).toBe(KeyExchangeMethod.ECP_256);
    expect(again.header.initiatorSpi).toBe(decodeMessage(link.transmitted[0]!.octets).header.initiatorSpi);
    link.deliverAll();
    expectEstablished(initiator, responder);
    expect(initiator.ikeSas[0]!.proposal).toBe("aes256gcm16-prfsha256-ecp256");
  });

  test("a cookie and another group may both be asked for", () => {
    const { initiator, responder, link } = pair({ seed: 2, ...options, limits: { cookieThresholdCount: 0 } });
    initiator.connect();
    link.deliverAll();
    expectEstablished(initiator, responder);
    expect(link.transmitted).toHaveLength(8);
  });

  test("a group that was not offered ends the attempt after a moment, and one that was tried is not tried again", () => {
    const { initiator, link } = pair({ seed: 3 });
    const peer = new ScriptedPeer({ role: "responder", policy: responderPolicy(), seed: 3 });
    initiator.connect();
    peer.agree(link.take().octets);
    const naming = (group: number): Uint8Array =>
      peer.init({
        payloads: [notify(NotifyType.INVALID_KE_PAYLOAD, Uint8Array.of(0, group))],
        responderSpi: 0n,
      });
    for (let i = 0; i < 10; i++) peer.send(initiator, naming(KeyExchangeMethod.CURVE25519));
    expect(link.transmitted).toHaveLength(1);
    peer.send(initiator, naming(KeyExchangeMethod.MODP_1024));
    link.advanceBy(1_100);
    expect(initiator.event("ike-sa-failed")!.facts.reason).toBe("INVALID_KE_PAYLOAD");
  });

  test("a group that the responder likes less but allows is taken, to spare a round trip", () => {
    const { initiator, responder, link } = pair({
      seed: 4,
      initiator: { ike: ["aes256gcm16-prfsha256-x25519-ecp256"] },
      responder: { ike: ["aes256gcm16-prfsha256-ecp256-x25519"] },
    });
    initiator.connect();
    link.deliverAll();
    expectEstablished(initiator, responder);
    expect(link.transmitted).toHaveLength(4);
  });
});

describe("no common proposal", () => {
  const options = {
    initiator: { ike: ["aes128gcm16-prfsha256-x25519"] },
    responder: { ike: ["chacha20poly1305-prfsha512-x448"] },
  };

  test("both sides say what was offered, the responder also what is allowed", () => {
    const { initiator, responder, link } = pair({ seed: 1, ...options });
    initiator.connect();
    link.deliver();
    const refusal = responder.event("refused")!;
    expect(refusal.message).toContain("aes128gcm16-prfsha256-x25519");
    expect(refusal.message).toContain("chacha20poly1305-prfsha512-x448");
    expect(refusal.facts).toMatchObject({
      reason: "NO_PROPOSAL_CHOSEN",
      offered: ["aes128gcm16-prfsha256-x25519"],
      allowed: ["chacha20poly1305-prfsha512-x448"],
    });
    link.deliver();
    link.advanceBy(1_100);
    const failure = initiator.event("ike-sa-failed")!;
    expect(failure.facts).toMatchObject({
      reason: "NO_PROPOSAL_CHOSEN",
      offered: ["aes128gcm16-prfsha256-x25519"],
    });
    expect(initiator.ikeSas).toHaveLength(0);
    expect(responder.ikeSas).toHaveLength(0);
  });

  test("a forged refusal does not end the attempt when the real answer follows", () => {
    const { initiator, responder, link } = pair({ seed: 2 });
    initiator.connect();
    const { header } = decodeMessage(link.inFlight[0]!.octets);
    const forged = encodeMessage({
      initiatorSpi: header.initiatorSpi,
      responderSpi: 0n,
      exchangeType: ExchangeType.IKE_SA_INIT,
      isInitiator: false,
      isResponse: true,
      messageId: 0,
      payloads: [notify(NotifyType.NO_PROPOSAL_CHOSEN)],
    });
    const path = {
      local: { address: initiator.address, port: 500 },
      remote: { address: responder.address, port: 500 },
    };
    initiator.handle({ kind: "datagram", octets: forged, path });
    link.advanceBy(500);
    link.deliverAll();
    expectEstablished(initiator, responder);
    link.advanceBy(5_000);
    link.deliverAll();
    expectEstablished(initiator, responder);
  });

  test("the proposal is chosen by the responder's order", () => {
    const { initiator, responder } = establishedPair({
      seed: 3,
      initiator: {
        ike: ["aes128gcm16-prfsha256-x25519", "aes256gcm16-prfsha384-x25519"],
        esp: ["aes128gcm16", "aes256gcm16"],
      },
      responder: {
        ike: ["aes256gcm16-prfsha384-x25519", "aes128gcm16-prfsha256-x25519"],
        esp: ["aes256gcm16", "aes128gcm16"],
      },
    });
    expectEstablished(initiator, responder);
    expect(initiator.ikeSas[0]!.proposal).toBe("aes256gcm16-prfsha384-x25519");
    expect(initiator.childSas[0]!.proposal).toBe("aes256gcm16");
  });
});

test.each([
  "aes128gcm16-prfsha256-x25519",
  "aes256gcm16-prfsha512-x448",
  "chacha20poly1305-prfsha384-ecp384",
  "aes128-sha256-modp2048",
  "aes256-sha512-ecp521",
  "aes256-sha384-modp4096",
  "aes128-sha1-ecp256",
])("%s establishes an SA", (suite) => {
  const { initiator, responder } = establishedPair({ seed: 9, common: { ike: [suite] } });
  expectEstablished(initiator, responder);
});

describe("retransmission", () => {
  test("a repeated IKE_SA_INIT gets the same octets and makes no second SA", () => {
    const { initiator, responder, link } = pair({ seed: 1 });
    initiator.connect();
    link.deliver(); // --> IKE_SA_INIT
    const first = link.take(); // <-- lost
    link.advanceToDeadline();
    expect(link.inFlight[0]!.octets).toEqual(link.transmitted[0]!.octets);
    link.deliver(); // --> the same octets once more
    expect(link.inFlight[0]!.octets).toEqual(first.octets);
    expect(responder.ikeSas).toHaveLength(1);
    link.deliverAll();
    expectEstablished(initiator, responder);
  });

  test("a repeated IKE_SA_INIT while its key exchange is computed creates nothing new", () => {
    const { initiator, responder, link } = pair({ seed: 2 });
    responder.holdsJobs = true;
    initiator.connect();
    link.deliver();
    for (let i = 0; i < 3; i++) {
      link.advanceToDeadline();
      link.deliverAll();
    }
    expect(responder.heldJobs).toBe(1);
    expect(responder.ikeSas).toHaveLength(1);
    while (responder.heldJobs > 0) responder.finishJobs();
    responder.holdsJobs = false;
    link.deliverAll();
    expectEstablished(initiator, responder);
  });

  test("an IKE_SA_INIT that arrives late, behind IKE_AUTH, is dropped", () => {
    const { initiator, responder, link } = establishedPair({ seed: 3 });
    link.arrive({ ...link.transmitted[0]!, at: link.now });
    expect(responder.ikeSas).toHaveLength(1);
    expect(link.inFlight).toHaveLength(0);
    expect(responder.endpoint.counters.unexpected).toBe(1);
    expectEstablished(initiator, responder);
  });

  test("waits grow, and a silent peer is given up with an event", () => {
    const { initiator, link } = pair({ seed: 4 });
    initiator.connect();
    link.fate = () => [];
    const times: number[] = [];
    while (initiator.endpoint.deadline !== undefined) {
      link.advanceToDeadline();
      times.push(link.now);
    }
    const waits = times.map((time, i) => time - (times[i - 1] ?? 0));
    expect(waits).toHaveLength(9);
    for (let i = 1; i < 6; i++) expect(waits[i]!).toBeGreaterThan(1.5 * waits[i - 1]!);
    expect(times.at(-1)).toBeGreaterThan(60_000);
    expect(times.at(-1)).toBeLessThan(100_000);
    expect(initiator.eventNames()).toContain("peer-silent");
    expect(initiator.event("ike-sa-failed")!.facts.reason).toBe("timeout");
    expect(initiator.ikeSas).toHaveLength(0);
  });

  test("a responder forgets a peer that does not go on", () => {
    const { initiator, responder, link } = pair({ seed: 5 });
    initiator.connect();
    link.deliver();
    expect(responder.ikeSas).toHaveLength(1);
    link.fate = () => [];
    link.inFlight.length = 0;
    link.advanceBy(120_000);
    expect(responder.ikeSas).toHaveLength(0);
    expect(responder.endpoint.deadline).toBeUndefined();
  });
});

describe("NAT traversal", () => {
  test("IKE_AUTH and ESP go to port 4500, whether or not there is a NAT", () => {
    const { initiator, responder, link } = establishedPair({ seed: 1 });
    expect(link.transmitted.map(({ path }) => path.local.port)).toEqual([500, 500, 4500, 4500]);
    expect([...initiator.installed.values()][0]!.path.remote).toEqual({ address: "192.0.2.2", port: 4500 });
    expect([...responder.installed.values()][0]!.path.remote).toEqual({ address: "192.0.2.1", port: 4500 });
    // Each believes the other to be behind a NAT, since each says so.
    expect(initiator.ikeSas[0]).toMatchObject({ isBehindNat: false, isPeerBehindNat: true });
    expect(responder.ikeSas[0]).toMatchObject({ isBehindNat: false, isPeerBehindNat: true });
  });

  test("an initiator behind a NAT notices, and the responder answers to the address that it sees", () => {
    const { initiator, responder, link } = pair({ seed: 2, responder: { remoteAddress: undefined } });
    link.translate({ address: "192.0.2.1", port: 500 }, { address: "198.51.100.1", port: 1111 });
    link.translate({ address: "192.0.2.1", port: 4500 }, { address: "198.51.100.1", port: 2222 });
    initiator.connect();
    link.deliverAll();
    expectEstablished(initiator, responder);
    expect(initiator.ikeSas[0]!.isBehindNat).toBe(true);
    expect(responder.ikeSas[0]!.path.remote).toEqual({ address: "198.51.100.1", port: 2222 });
  });

  test("a connection without a local address learns it from the first answer", () => {
    const { initiator, responder } = establishedPair({ seed: 3, initiator: { localAddress: undefined } });
    expectEstablished(initiator, responder);
    expect(initiator.ikeSas[0]!.path.local).toEqual({ address: "192.0.2.1", port: 4500 });
    expect(initiator.eventNames()).not.toContain("path-changed");
  });

  test.each([
    ["raw", "auto"],
    ["auto", "raw"],
    ["raw", "raw"],
  ] as const)("where a side does none, IKE stays on port 500 and ESP has no port: %s, %s", (ours, theirs) => {
    const { initiator, responder, link } = establishedPair({
      seed: 5,
      initiator: { encapsulation: ours },
      responder: { encapsulation: theirs },
    });
    expectEstablished(initiator, responder);
    expect(link.transmitted.map(({ path }) => [path.local.port, path.remote.port])).toEqual(
      Array(4).fill([500, 500]),
    );
    for (const machine of [initiator, responder]) {
      const { path } = [...machine.installed.values()][0]!;
      expect([path.local.port, path.remote.port]).toEqual([500, 500]);
    }
    const answer = decodeMessage(link.transmitted[1]!.octets).payloads;
    expect(findNotify(answer, NotifyType.NAT_DETECTION_SOURCE_IP)).toBeUndefined();
  });

  test("an initiator that is for ESP in UDP only takes no answer without NAT traversal", () => {
    const { initiator, responder, link } = pair({
      seed: 6,
      initiator: { encapsulation: "udp" },
      responder: { encapsulation: "raw" },
    });
    initiator.connect();
    link.deliverAll();
    expect(initiator.installed.size + responder.installed.size).toBe(0);
    link.advanceBy(600_000);
    expect(initiator.event("ike-sa-failed")!.message).toContain("NAT traversal");
  });

  test("a peer without NAT traversal is refused with the reason, where ESP in UDP is all that is allowed", () => {
    const { responder, link } = pair({ seed: 4, common: { encapsulation: "udp" } });
    const peer = new ScriptedPeer({ role: "initiator", policy: initiatorPolicy(), seed: 4 });
    peer.port = 500;
    peer.send(responder, peer.init({ payloads: peer.initPayloads().slice(0, 3) }));
    const { payloads } = decodeMessage(link.take().octets);
    expect(findNotify(payloads, NotifyType.NO_PROPOSAL_CHOSEN)).toBeDefined();
    expect(responder.event("refused")!.message).toContain("NAT traversal");
  });
});

describe("a responder", () => {
  test("answers a higher major version with INVALID_MAJOR_VERSION", () => {
    const { responder, link } = pair({ seed: 1 });
    const peer = new ScriptedPeer({ role: "initiator", policy: initiatorPolicy(), seed: 1 });
    const request = peer.init();
    request[17] = 0x30;
    peer.send(responder, request);
    const answer = decodeMessage(link.take().octets);
    expect(answer.payloads[0]).toMatchObject({ notifyType: NotifyType.INVALID_MAJOR_VERSION });
    expect(responder.endpoint.counters.wrongVersion).toBe(1);
  });

  test("names the critical payload that it does not know", () => {
    const { responder, link } = pair({ seed: 2 });
    const peer = new ScriptedPeer({ role: "initiator", policy: initiatorPolicy(), seed: 2 });
    peer.send(
      responder,
      peer.init({ extra: [{ kind: "unknown", critical: true, payloadType: 200, body: Uint8Array.of(1) }] }),
    );
    const { payloads } = decodeMessage(link.take().octets);
    expect(findNotify(payloads, NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD)!.data).toEqual(Uint8Array.of(200));
    expect(responder.ikeSas).toHaveLength(0);
  });

  test("passes over unknown payloads and notifications", () => {
    const { responder, link } = pair({ seed: 3 });
    const peer = new ScriptedPeer({ role: "initiator", policy: initiatorPolicy(), seed: 3 });
    const unknown = { kind: "unknown", critical: false, payloadType: 200, body: Uint8Array.of(1) } as const;
    const vendor = { kind: "vendor-id", critical: false, data: Uint8Array.of(1, 2, 3) } as const;
    peer.send(responder, peer.init({ extra: [unknown, vendor, notify(40_000), notify(8_191)] }));
    expect(find(decodeMessage(link.take().octets).payloads, "security-association")).toBeDefined();
  });

  test("does not answer an all-zero public value", () => {
    const { responder, link } = pair({ seed: 4 });
    const peer = new ScriptedPeer({ role: "initiator", policy: initiatorPolicy(), seed: 4 });
    peer.publicValue.fill(0);
    peer.send(responder, peer.init());
    expect(link.inFlight).toHaveLength(0);
    expect(responder.ikeSas).toHaveLength(0);
    expect(responder.event("ike-sa-failed")!.message).toContain("key exchange");
  });

  test("does not answer a nonce shorter than half a key of the PRF", () => {
    const ike = ["aes256gcm16-prfsha512-x25519"];
    const { responder, link } = pair({ seed: 4, responder: { ike } });
    const peer = new ScriptedPeer({ role: "initiator", policy: initiatorPolicy({ ike }), seed: 4 });
    const payloads = peer
      .initPayloads()
      .map((payload) =>
        payload.kind === "nonce" ? { ...payload, nonce: payload.nonce.subarray(0, 31) } : payload,
      );
    peer.send(responder, peer.init({ payloads }));
    expect(link.inFlight).toHaveLength(0);
    expect(responder.ikeSas).toHaveLength(0);
  });

  test("answers from the address that was asked", () => {
    const { responder, link } = pair({ seed: 5, responder: { localAddress: undefined } });
    const peer = new ScriptedPeer({ role: "initiator", policy: initiatorPolicy(), seed: 5 });
    const path = { ...peer.path(responder), local: { address: "192.0.2.200", port: 4500 } };
    responder.handle({ kind: "datagram", octets: peer.init(), path });
    expect(link.take().path.remote.address).toBe("192.0.2.200");
  });

  test("refuses addresses that no connection has", () => {
    const { responder, link } = pair({ seed: 6 });
    const policy = initiatorPolicy({ localAddress: "198.51.100.77" });
    const peer = new ScriptedPeer({ role: "initiator", policy, seed: 6 });
    peer.send(responder, peer.init());
    expect(
      findNotify(decodeMessage(link.take().octets).payloads, NotifyType.NO_PROPOSAL_CHOSEN),
    ).toBeDefined();
    expect(responder.event("refused")!.message).toContain("no connection");
  });
});

test("a responder's own nonce or key sent back to the initiator is not taken", () => {
  const { initiator, link } = pair({ seed: 1 });
  initiator.connect();
  const { header, payloads } = decodeMessage(link.take().octets);
  const reflected = encodeMessage({
    ...header,
    responderSpi: 99n,
    isInitiator: false,
    isResponse: true,
    payloads,
  });
  const path = {
    local: { address: initiator.address, port: 500 },
    remote: { address: "192.0.2.2", port: 500 },
  };
  initiator.handle({ kind: "datagram", octets: reflected, path });
  expect(initiator.state).toBe("initiating");
});
