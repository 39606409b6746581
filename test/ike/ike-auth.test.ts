import { describe, expect, test } from "vitest";
import { ExchangeType, NotifyType } from "../../src/iana/ikev2-parameters.ts";
import { DEFAULT_LIMITS } from "../../src/ike/limits.ts";
import { find, findNotify, notify } from "../../src/ike/payloads.ts";
import type { Payload } from "../../src/wire/payloads/payload.ts";
import { expectClean, expectEstablished, expectMirrored } from "../support/simulator/expectations.ts";
import {
  childPolicy,
  establishedPair,
  initiatorPolicy,
  pair,
  responderPolicy,
  ScriptedPeer,
  scriptedEstablished,
  scriptedInitiator,
  scriptedResponder,
} from "../support/simulator/index.ts";

const { IKE_AUTH, INFORMATIONAL } = ExchangeType;

test("a lost IKE_AUTH response is answered again from the window, not processed twice", () => {
  const { initiator, responder, link } = pair({ seed: 7 });
  initiator.connect();
  link.deliver(); // --> IKE_SA_INIT { SAi1, KEi, Ni }
  link.deliver(); // <-- IKE_SA_INIT { SAr1, KEr, Nr }
  link.deliver(); // --> IKE_AUTH { IDi, AUTH, SAi2, TSi, TSr }
  link.drop(); //    <-- IKE_AUTH { IDr, AUTH, SAr2, TSi, TSr }
  link.advanceToDeadline();
  link.deliver(); // --> the same octets once more
  link.deliver(); // <-- the same octets once more
  const [, , request, answer, requestAgain, answerAgain] = link.transmitted.map(({ octets }) => octets);
  expect(requestAgain).toEqual(request);
  expect(answerAgain).toEqual(answer);
  expectEstablished(initiator, responder);
  expect(responder.eventNames().filter((name) => name === "ike-sa-established")).toHaveLength(1);
});

describe("authentication", () => {
  test("a wrong key ends in AUTHENTICATION_FAILED on both sides, and nothing is left", () => {
    const { initiator, responder, link } = pair({ seed: 1, responder: { psk: "another secret" } });
    initiator.connect();
    link.deliverAll();
    expect(responder.event("ike-sa-failed")).toMatchObject({
      level: "error",
      facts: { reason: "AUTHENTICATION_FAILED" },
    });
    expect(responder.event("ike-sa-failed")!.message).toContain("pre-shared key of a.example.org");
    expect(initiator.event("ike-sa-failed")).toMatchObject({
      level: "error",
      connection: "tunnel",
      facts: { reason: "AUTHENTICATION_FAILED" },
    });
    expect(initiator.eventNames()).not.toContain("ike-sa-established");
    link.advanceBy(60_000);
    expectClean(initiator, responder);
  });

  test("an identity that nobody knows gets the same answer as a wrong key", () => {
    const answers = [{ psk: "another secret" }, { remoteId: "somebody.else.example" }].map(
      (responderSide) => {
        const { initiator, link } = pair({ seed: 2, responder: responderSide });
        initiator.connect();
        link.deliverAll();
        return link.transmitted.at(-1)!.octets.length;
      },
    );
    expect(answers[0]).toBe(answers[1]);
  });

  test("a refused IKE_AUTH is answered again when it comes again", () => {
    const { initiator, responder, link } = pair({ seed: 3, responder: { psk: "another secret" } });
    initiator.connect();
    for (let i = 0; i < 3; i++) link.deliver();
    link.drop();
    link.advanceToDeadline();
    link.deliverAll();
    expect(initiator.event("ike-sa-failed")!.facts.reason).toBe("AUTHENTICATION_FAILED");
    expect(responder.endpoint.counters.answeredAgain).toBe(1);
  });

  test("the initiator tells a responder that is somebody else, and both give up", () => {
    const { peer, machine, link } = scriptedResponder({ seed: 4, peer: { localId: "c.example.org" } });
    peer.open(link.take().octets);
    peer.send(
      machine,
      peer.seal({ exchangeType: IKE_AUTH, messageId: 1, payloads: peer.authPayloads(), isResponse: true }),
    );
    const { header, payloads } = peer.open(link.take().octets);
    expect(header).toMatchObject({ exchangeType: INFORMATIONAL, messageId: 2, isResponse: false });
    expect(findNotify(payloads, NotifyType.AUTHENTICATION_FAILED)).toBeDefined();
    expect(machine.event("ike-sa-failed")!.message).toContain("c.example.org");
    expect(machine.installed.size).toBe(0);
    peer.send(
      machine,
      peer.seal({ exchangeType: INFORMATIONAL, messageId: 2, payloads: [], isResponse: true }),
    );
    link.advanceBy(60_000);
    expectClean(machine);
  });

  test("a responder that does not know the key is not believed", () => {
    const { peer, machine, link } = scriptedResponder({ seed: 5, peer: { psk: "guessed" } });
    link.take();
    peer.send(
      machine,
      peer.seal({ exchangeType: IKE_AUTH, messageId: 1, payloads: peer.authPayloads(), isResponse: true }),
    );
    expect(machine.eventNames()).not.toContain("ike-sa-established");
    expect(machine.event("ike-sa-failed")!.facts.reason).toBe("AUTHENTICATION_FAILED");
    expect(machine.installed.size).toBe(0);
  });

  test("the initiator's own AUTH sent back to it is not believed", () => {
    const { peer, machine, link } = scriptedResponder({ seed: 6 });
    const { payloads } = peer.open(link.take().octets);
    const mirrored = peer
      .authPayloads()
      .map((payload) => (payload.kind === "authentication" ? find(payloads, "authentication")! : payload));
    peer.send(
      machine,
      peer.seal({ exchangeType: IKE_AUTH, messageId: 1, payloads: mirrored, isResponse: true }),
    );
    expect(machine.event("ike-sa-failed")!.facts.reason).toBe("AUTHENTICATION_FAILED");
  });

  test("the connection is found by identity among those that share addresses", () => {
    const { initiator, responder, link } = pair({ seed: 7, responder: { remoteAddress: undefined } });
    responder.endpoint.replaceConnections([
      ...[1, 2, 3].map((i) =>
        initiatorPolicy({
          name: `other${i}`,
          localAddress: undefined,
          remoteAddress: undefined,
          remoteId: `x${i}.example.org`,
        }),
      ),
      responderPolicy({ name: "wanted", localAddress: undefined, remoteAddress: undefined }),
    ]);
    initiator.connect();
    link.deliverAll();
    expectEstablished(initiator, responder);
    expect(responder.ikeSas[0]!.connection).toBe("wanted");
  });

  test("a peer that wants EAP is refused in words", () => {
    const { peer, machine, link } = scriptedInitiator({ seed: 8 });
    const payloads = peer.authPayloads().filter(({ kind }) => kind !== "authentication");
    peer.send(machine, peer.seal({ exchangeType: IKE_AUTH, messageId: 1, payloads }));
    const answer = peer.open(link.take().octets);
    expect(findNotify(answer.payloads, NotifyType.AUTHENTICATION_FAILED)).toBeDefined();
    expect(machine.event("ike-sa-failed")!.message).toContain("EAP");
  });

  test("a proposal that only another connection allows is refused to this identity", () => {
    const weak = ["aes128gcm16-prfsha256-x25519"];
    const { responder, link } = pair({ seed: 9 });
    responder.endpoint.replaceConnections([
      responderPolicy({ ike: ["aes256gcm16-prfsha256-x25519"] }),
      responderPolicy({ name: "other", ike: weak, remoteId: "z.example.org" }),
    ]);
    const peer = new ScriptedPeer({ role: "initiator", policy: initiatorPolicy({ ike: weak }), seed: 9 });
    peer.send(responder, peer.init());
    peer.agree(link.take().octets);
    peer.send(responder, peer.seal({ exchangeType: IKE_AUTH, messageId: 1, payloads: peer.authPayloads() }));
    const { payloads } = peer.open(link.take().octets);
    expect(findNotify(payloads, NotifyType.AUTHENTICATION_FAILED)).toBeDefined();
  });

  test("configuration requests, certificate requests and foreign notifications are passed over", () => {
    const { peer, machine, link } = scriptedInitiator({ seed: 10 });
    const extra: Payload[] = [
      { kind: "configuration", critical: false, configurationType: 1, attributes: [] },
      { kind: "certificate-request", critical: false, encoding: 4, data: new Uint8Array(20) },
      notify(NotifyType.ESP_TFC_PADDING_NOT_SUPPORTED),
      notify(NotifyType.NON_FIRST_FRAGMENTS_ALSO),
      notify(NotifyType.USE_TRANSPORT_MODE),
      notify(NotifyType.MOBIKE_SUPPORTED),
      { kind: "unknown", critical: false, payloadType: 99, body: new Uint8Array(3) },
    ];
    peer.send(
      machine,
      peer.seal({ exchangeType: IKE_AUTH, messageId: 1, payloads: [...extra, ...peer.authPayloads()] }),
    );
    const { payloads } = peer.open(link.take().octets);
    expect(payloads.map(({ kind }) => kind)).toEqual([
      "identification-responder",
      "authentication",
      "security-association",
      "traffic-selectors-initiator",
      "traffic-selectors-responder",
      "notify", // SET_WINDOW_SIZE
    ]);
    expect(machine.installed.size).toBe(1);
    expect([...machine.installed.values()][0]!.takesTfcPadding).toBe(false);
  });

  test("an unknown critical payload in IKE_AUTH is named and ends the SA", () => {
    const { peer, machine, link } = scriptedInitiator({ seed: 11 });
    const critical: Payload = { kind: "unknown", critical: true, payloadType: 99, body: new Uint8Array(3) };
    peer.send(
      machine,
      peer.seal({ exchangeType: IKE_AUTH, messageId: 1, payloads: [...peer.authPayloads(), critical] }),
    );
    const { payloads } = peer.open(link.take().octets);
    expect(findNotify(payloads, NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD)!.data).toEqual(Uint8Array.of(99));
    expect(machine.state).toBe("none");
    expect(machine.installed.size).toBe(0);
  });

  test("IKE_AUTH that makes no sense is answered INVALID_SYNTAX and ends the SA", () => {
    const { peer, machine, link } = scriptedInitiator({ seed: 12 });
    const payloads = peer.authPayloads().filter(({ kind }) => kind !== "traffic-selectors-responder");
    peer.send(machine, peer.seal({ exchangeType: IKE_AUTH, messageId: 1, payloads }));
    expect(findNotify(peer.open(link.take().octets).payloads, NotifyType.INVALID_SYNTAX)).toBeDefined();
    expect(machine.state).toBe("none");
  });

  test.each([
    ["INFORMATIONAL", INFORMATIONAL],
    ["CREATE_CHILD_SA", ExchangeType.CREATE_CHILD_SA],
    ["IKE_INTERMEDIATE", ExchangeType.IKE_INTERMEDIATE],
  ])("%s before authentication is not heard", (_, exchangeType) => {
    const { peer, machine, link } = scriptedInitiator({ seed: 13 });
    peer.send(machine, peer.seal({ exchangeType, messageId: 1, payloads: [] }));
    expect(link.inFlight).toHaveLength(0);
    expect(machine.state).toBe("authenticating");
    expect(machine.endpoint.counters.unexpected).toBe(1);
  });

  test("an IKE_AUTH answer with an unknown critical payload ends the SA, and the responder is told", () => {
    const { peer, machine, link } = scriptedResponder({ seed: 15 });
    link.take();
    const critical: Payload = { kind: "unknown", critical: true, payloadType: 88, body: new Uint8Array(3) };
    const payloads = [...peer.authPayloads(), critical];
    peer.send(machine, peer.seal({ exchangeType: IKE_AUTH, messageId: 1, payloads, isResponse: true }));
    const told = peer.open(link.take().octets);
    expect(told.header).toMatchObject({ exchangeType: INFORMATIONAL, isResponse: false });
    expect(findNotify(told.payloads, NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD)!.data).toEqual(
      Uint8Array.of(88),
    );
    expect(machine.event("ike-sa-failed")!.facts.reason).toBe("UNSUPPORTED_CRITICAL_PAYLOAD");
    expect(machine.installed.size + machine.reserved.size).toBe(0);
  });

  test("a second IKE_AUTH on an established SA ends it", () => {
    const { peer, machine, link } = scriptedEstablished({ seed: 14 });
    peer.send(machine, peer.seal({ exchangeType: IKE_AUTH, messageId: 2, payloads: peer.authPayloads() }));
    expect(findNotify(peer.open(link.take().octets).payloads, NotifyType.INVALID_SYNTAX)).toBeDefined();
    expect(machine.state).toBe("none");
    expect(machine.installed.size).toBe(0);
  });
});

describe("child SA in IKE_AUTH", () => {
  test("no common ESP proposal keeps the IKE SA, and both sides say what was offered", () => {
    const { initiator, responder, link } = pair({
      seed: 1,
      initiator: { esp: ["aes128gcm16"] },
      responder: { esp: ["chacha20poly1305"] },
    });
    initiator.connect();
    link.deliverAll();
    expect([initiator.state, responder.state]).toEqual(["established", "established"]);
    expect(initiator.event("child-sa-failed")!.facts).toMatchObject({
      reason: "NO_PROPOSAL_CHOSEN",
      offered: ["aes128gcm16"],
    });
    expect(responder.event("child-sa-failed")!.facts).toMatchObject({
      reason: "NO_PROPOSAL_CHOSEN",
      offered: ["aes128gcm16"],
      allowed: ["chacha20poly1305"],
    });
    expect([initiator.installed.size, responder.installed.size]).toEqual([0, 0]);
    expect([initiator.reserved.size, responder.reserved.size]).toEqual([0, 0]);
  });

  test("selectors without anything in common keep the IKE SA, and both sides say what was offered and allowed", () => {
    const { initiator, responder, link } = pair({ seed: 2, initiator: { remote: ["172.16.0.0/12"] } });
    initiator.connect();
    link.deliverAll();
    expect([initiator.state, responder.state]).toEqual(["established", "established"]);
    expect(initiator.event("child-sa-failed")!.facts).toMatchObject({
      reason: "TS_UNACCEPTABLE",
      offered: ["10.1.0.0/16 === 172.16.0.0/12"],
    });
    expect(responder.event("child-sa-failed")!.facts).toMatchObject({
      reason: "TS_UNACCEPTABLE",
      offered: ["172.16.0.0/12 === 10.1.0.0/16"],
      allowed: ["10.2.0.0/16 === 10.1.0.0/16"],
    });
    expect(initiator.reserved.size).toBe(0);
  });

  test("selectors are narrowed to what both sides allow", () => {
    const { initiator, responder } = establishedPair({
      seed: 3,
      initiator: { local: ["10.0.0.0/8"], remote: ["0.0.0.0/0"] },
      responder: { local: ["10.2.0.0/16", "fd00:2::/64"], remote: ["10.1.0.0/16"] },
    });
    expectMirrored(initiator, responder);
    expect(initiator.childSas[0]).toMatchObject({ local: ["10.1.0.0/16"], remote: ["10.2.0.0/16"] });
  });

  test("several selectors of both families are one child SA", () => {
    const sides = {
      a: ["10.1.0.0/16", "10.5.0.0/24", "fd00:1::/64"],
      b: ["10.2.0.0/16", "192.168.7.0/24", "fd00:2::/64"],
    };
    const { initiator, responder } = establishedPair({
      seed: 4,
      initiator: { local: sides.a, remote: sides.b },
      responder: { local: sides.b, remote: sides.a },
    });
    expectEstablished(initiator, responder);
    expect(initiator.childSas[0]).toMatchObject({ local: sides.a, remote: sides.b });
  });

  test("the responder takes the child that covers what is offered, not one that merely overlaps", () => {
    const { initiator, responder } = establishedPair({
      seed: 5,
      responder: {
        children: [
          childPolicy({ name: "narrow", local: ["10.2.7.0/24"], remote: ["10.1.0.0/16"] }),
          childPolicy({ name: "whole", local: ["10.2.0.0/15"], remote: ["10.0.0.0/8"] }),
        ],
      },
    });
    expectMirrored(initiator, responder);
    expect(responder.childSas[0]).toMatchObject({ name: "whole", local: ["10.2.0.0/16"] });
  });

  test("ESN is agreed on, and a group in an ESP proposal does no harm", () => {
    const { initiator, responder } = establishedPair({
      seed: 6,
      common: { esp: ["aes256gcm16-x25519-esn"] },
    });
    expectEstablished(initiator, responder);
    expect([...initiator.installed.values()][0]!.esn).toBe(true);
  });

  test("further children of a connection come up in the same IKE SA", () => {
    const prefixes = [
      ["10.1.0.0/16", "10.2.0.0/16"],
      ["10.3.0.0/16", "10.4.0.0/16"],
    ] as const;
    const ours = prefixes.map(([a, b], i) => childPolicy({ name: `c${i}`, local: [a], remote: [b] }));
    const theirs = prefixes.map(([a, b], i) => childPolicy({ name: `c${i}`, local: [b], remote: [a] }));
    const { initiator, responder } = establishedPair({
      seed: 7,
      initiator: { children: ours },
      responder: { children: theirs },
    });
    expect(initiator.ikeSas).toHaveLength(1);
    expect(initiator.childSas.map(({ name }) => name)).toEqual(["c0", "c1"]);
    expect(responder.childSas.map(({ name }) => name)).toEqual(["c0", "c1"]);
    expectMirrored(initiator, responder);
  });

  test.each([
    ["wider selectors", { local: ["10.0.0.0/8"] }, "TS_UNACCEPTABLE"],
    ["other selectors", { local: ["172.16.0.0/12"] }, "TS_UNACCEPTABLE"],
    ["a cipher that was not offered", { esp: ["aes128gcm16"] }, "NO_PROPOSAL_CHOSEN"],
  ])("the initiator refuses %s and has the responder delete them", (_, peerSide, reason) => {
    const { peer, machine, link } = scriptedResponder({ seed: 8, peer: peerSide });
    link.take();
    peer.send(
      machine,
      peer.seal({ exchangeType: IKE_AUTH, messageId: 1, payloads: peer.authPayloads(), isResponse: true }),
    );
    expect(machine.state).toBe("established");
    expect(machine.installed.size).toBe(0);
    expect(machine.reserved.size).toBe(0);
    expect(machine.event("child-sa-failed")!.facts.reason).toBe(reason);
    const { header, payloads } = peer.open(link.take().octets);
    expect(header).toMatchObject({ exchangeType: INFORMATIONAL, isResponse: false });
    expect(find(payloads, "delete")!.spis).toHaveLength(1);
  });

  test("a reserved SPI is not taken from either side", () => {
    const { peer, machine, link } = scriptedResponder({ seed: 9 });
    link.take();
    const payloads = peer.authPayloads().map((payload) =>
      payload.kind === "security-association"
        ? {
            ...payload,
            proposals: payload.proposals.map((proposal) => ({
              ...proposal,
              spi: Uint8Array.of(0, 0, 0, 255),
            })),
          }
        : payload,
    );
    peer.send(machine, peer.seal({ exchangeType: IKE_AUTH, messageId: 1, payloads, isResponse: true }));
    expect(machine.installed.size).toBe(0);

    const other = scriptedInitiator({ seed: 9 });
    const request = other.peer.authPayloads().map((payload) =>
      payload.kind === "security-association"
        ? {
            ...payload,
            proposals: payload.proposals.map((proposal) => ({ ...proposal, spi: new Uint8Array(4) })),
          }
        : payload,
    );
    other.peer.send(
      other.machine,
      other.peer.seal({ exchangeType: IKE_AUTH, messageId: 1, payloads: request }),
    );
    const answer = other.peer.open(other.link.take().octets);
    expect(findNotify(answer.payloads, NotifyType.NO_PROPOSAL_CHOSEN)).toBeDefined();
  });
});

describe("INITIAL_CONTACT", () => {
  test("is sent by whoever knows of no other SA", () => {
    const { peer, link } = scriptedResponder({ seed: 1 });
    const { payloads } = peer.open(link.take().octets);
    expect(findNotify(payloads, NotifyType.INITIAL_CONTACT)).toBeDefined();
  });

  test("is not sent beside another SA between the same identities, of whatever connection", () => {
    const { initiator, responder, link } = establishedPair({ seed: 5 });
    const second = initiatorPolicy({ name: "second", local: ["10.1.0.0/16"], remote: ["10.2.0.0/16"] });
    const stranger = initiatorPolicy({ name: "stranger", localId: "z.example.org" });
    initiator.endpoint.replaceConnections([initiatorPolicy(), second, stranger]);
    for (const [connection, isFirst] of [
      ["second", false],
      ["stranger", true],
    ] as const) {
      const peer = new ScriptedPeer({ role: "responder", policy: responderPolicy(), seed: 97 });
      initiator.connect(connection);
      peer.agree(link.take().octets);
      peer.send(initiator, peer.init());
      const { payloads } = peer.open(link.take().octets);
      expect(findNotify(payloads, NotifyType.INITIAL_CONTACT) !== undefined).toBe(isFirst);
    }
    expect(responder.ikeSas).toHaveLength(1);
  });

  test("replaces the SAs of the same identities under another connection too", () => {
    const { responder, link } = establishedPair({ seed: 6 });
    responder.endpoint.replaceConnections([responderPolicy({ name: "second" })]);
    const peer = new ScriptedPeer({ role: "initiator", policy: initiatorPolicy(), seed: 99 });
    peer.send(responder, peer.init());
    peer.agree(link.take().octets);
    const payloads = [notify(NotifyType.INITIAL_CONTACT), ...peer.authPayloads()];
    peer.send(responder, peer.seal({ exchangeType: IKE_AUTH, messageId: 1, payloads }));
    const established = responder.ikeSas.filter(({ state }) => state === "established");
    expect(established.map(({ connection }) => connection)).toEqual(["second"]);
  });

  test("replaces the SA of a peer that has started anew", () => {
    const { initiator, responder, link } = establishedPair({ seed: 2 });
    const [before] = responder.ikeSas;
    const peer = new ScriptedPeer({ role: "initiator", policy: initiatorPolicy(), seed: 99 });
    peer.send(responder, peer.init());
    peer.agree(link.take().octets);
    const payloads = [notify(NotifyType.INITIAL_CONTACT), ...peer.authPayloads()];
    link.advanceBy(1);
    peer.send(responder, peer.seal({ exchangeType: IKE_AUTH, messageId: 1, payloads }));
    const established = responder.ikeSas.filter(({ state }) => state === "established");
    expect(established).toHaveLength(1);
    expect(established[0]!.initiatorSpi).not.toBe(before!.initiatorSpi);
    expect(responder.installed.size).toBe(1);
    link.deliverAll(); // the old SA is deleted in order
    expect(initiator.ikeSas).toHaveLength(0);
  });

  test("counts for nothing before authentication", () => {
    const { responder, link } = establishedPair({ seed: 3 });
    const peer = new ScriptedPeer({
      role: "initiator",
      policy: initiatorPolicy({ psk: "guessed" }),
      seed: 99,
    });
    peer.send(responder, peer.init());
    peer.agree(link.take().octets);
    const payloads = [notify(NotifyType.INITIAL_CONTACT), ...peer.authPayloads()];
    peer.send(responder, peer.seal({ exchangeType: IKE_AUTH, messageId: 1, payloads }));
    expect(responder.ikeSas.map(({ state }) => state)).toEqual(["established"]);
    expect(responder.installed.size).toBe(1);
  });

  test("of one identity leaves the SAs of others alone", () => {
    const { responder, link } = establishedPair({ seed: 4 });
    const other = initiatorPolicy({ localId: "z.example.org", localAddress: "192.0.2.9" });
    responder.endpoint.replaceConnections([
      responderPolicy({ name: "other", remoteId: "z.example.org", remoteAddress: "192.0.2.9" }),
    ]);
    const peer = new ScriptedPeer({ role: "initiator", policy: other, seed: 98 });
    peer.send(responder, peer.init());
    peer.agree(link.take().octets);
    const payloads = [notify(NotifyType.INITIAL_CONTACT), ...peer.authPayloads()];
    peer.send(responder, peer.seal({ exchangeType: IKE_AUTH, messageId: 1, payloads }));
    expect(responder.ikeSas.map(({ connection }) => connection)).toEqual(["tunnel", "other"]);
  });
});

describe("fragmentation", () => {
  const many = (network: number): string[] =>
    Array.from({ length: 120 }, (_, i) => `10.${network}.${2 * i}.0/24`);
  const sides = {
    initiator: { local: many(1), remote: many(2) },
    responder: { local: many(2), remote: many(1) },
  };

  test("a long IKE_AUTH goes in fragments, in any order and with some lost", () => {
    const { initiator, responder, link } = pair({ seed: 1, ...sides });
    initiator.connect();
    link.deliver();
    link.deliver();
    expect(link.inFlight.length).toBeGreaterThan(2);
    for (const { octets } of link.inFlight) expect(octets.length).toBeLessThanOrEqual(1228);
    link.inFlight.reverse();
    link.drop();
    while (link.inFlight.length > 0) link.deliver();
    expect(responder.state).toBe("authenticating");
    link.advanceToDeadline();
    link.deliverAll();
    expectEstablished(initiator, responder);
    expect(initiator.childSas[0]!.local).toHaveLength(120);
  });

  test("of two transmissions that lack something each, also of the last two, one message is put together", () => {
    const { initiator, responder, link } = establishedPair({
      seed: 3,
      limits: { livenessMs: 10_000_000 },
      ...sides,
    });
    const first = link.transmitted.length;
    const isDone = (): boolean => responder.event("child-sa-rekeyed") !== undefined;
    link.fate = () => [];
    initiator.rekey("children");
    const fragmentCount = link.transmitted.length - first;
    expect(fragmentCount).toBeGreaterThan(2);
    const last = DEFAULT_LIMITS.transmissionCount - 1;
    link.fate = ({ index }) => {
      if (isDone()) return [10];
      const transmission = Math.floor((index - first) / fragmentCount);
      const isFirstFragment = (index - first) % fragmentCount === 0;
      return transmission >= last - 1 && isFirstFragment === (transmission === last) ? [10] : [];
    };
    link.run({ until: 100_000 });
    expect(isDone()).toBe(true);
    expectEstablished(initiator, responder);
  });

  test("a repeated request of many fragments brings the answer out once", () => {
    const { initiator, responder, link } = pair({ seed: 2, ...sides });
    initiator.connect();
    link.deliver();
    link.deliver();
    const request = link.inFlight.splice(0);
    for (const datagram of request) link.arrive(datagram);
    const answer = link.inFlight.splice(0).map(({ octets }) => octets);
    for (const datagram of request) link.arrive(datagram);
    expect(link.inFlight.map(({ octets }) => octets)).toEqual(answer);
    link.deliverAll();
    expectEstablished(initiator, responder);
  });

  test("a forged fragment neither enters nor spoils the message", () => {
    const { initiator, responder, link } = pair({ seed: 3, ...sides });
    initiator.connect();
    link.deliver();
    link.deliver();
    const [first] = link.inFlight;
    const forged = first!.octets.slice();
    forged[forged.length - 1]! ^= 1;
    link.arrive({ ...first!, octets: forged });
    expect(responder.endpoint.counters.forged).toBe(1);
    link.deliverAll();
    expectEstablished(initiator, responder);
  });

  test("fragments that nobody agreed on are dropped", () => {
    const { responder, link } = pair({ seed: 4 });
    const peer = new ScriptedPeer({ role: "initiator", policy: initiatorPolicy(), seed: 4 });
    const payloads = peer.initPayloads().slice(0, 5);
    peer.send(responder, peer.init({ payloads }));
    peer.agree(link.take().octets);
    const request = {
      exchangeType: IKE_AUTH,
      messageId: 1,
      payloads: peer.authPayloads(),
      fragmentLength: 200,
    };
    for (const octets of peer.sealAll(request)) peer.send(responder, octets);
    expect(responder.endpoint.counters.fragmentRefused).toBeGreaterThan(1);
    expect(responder.state).toBe("authenticating");
  });
});

test("identities of every kind are carried", () => {
  for (const id of ["192.0.2.77", "2001:db8::7", "anna@example.org", "@#0102ff", "vpn.example.org"]) {
    const { initiator, responder } = establishedPair({
      seed: 20,
      initiator: { localId: id },
      responder: { remoteId: id },
    });
    expectEstablished(initiator, responder);
    expect(responder.ikeSas[0]!.remoteIdentity).toBe(id);
  }
});
