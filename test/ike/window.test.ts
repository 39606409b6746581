import { describe, expect, test } from "vitest";
import { toHex } from "../../src/bytes/hex.ts";
import { ExchangeType, NotifyType } from "../../src/iana/ikev2-parameters.ts";
import { DEFAULT_LIMITS } from "../../src/ike/limits.ts";
import { deleteIkeSa, encodeWindowSize, findNotify, notify } from "../../src/ike/payloads.ts";
import { ResponseWindow } from "../../src/ike/window.ts";
import { decodeHeader } from "../../src/wire/message.ts";
import type { Payload } from "../../src/wire/payloads/payload.ts";
import { expectClean, expectEstablished, expectMirrored } from "../support/simulator/expectations.ts";
import {
  childPolicy,
  establishedPair,
  type Pair,
  pair,
  SeededRandom,
  type SimulatedMachine,
  scriptedEstablished,
  scriptedInitiator,
  scriptedResponder,
} from "../support/simulator/index.ts";

const { INFORMATIONAL, CREATE_CHILD_SA, IKE_AUTH } = ExchangeType;

/** Children c0 to c(n-1) between 10.1.i.0/24 and 10.2.i.0/24, seen from either side. */
function children(count: number, side: "initiator" | "responder") {
  return Array.from({ length: count }, (_, i) => {
    const ends = [[`10.1.${i}.0/24`], [`10.2.${i}.0/24`]] as const;
    const [local, remote] = side === "initiator" ? ends : [ends[1], ends[0]];
    return childPolicy({ name: `c${i}`, local, remote });
  });
}

function pairWithChildren(count: number, facts: { readonly seed: number }) {
  return {
    ...facts,
    initiator: { children: children(count, "initiator") },
    responder: { children: children(count, "responder") },
  };
}

/** Requests of `machine` that are on the link, by message ID. */
function requestsInFlight({ link }: Pair, machine: SimulatedMachine): readonly number[] {
  return link.inFlight
    .filter(({ from, octets }) => from === machine && !decodeHeader(octets).isResponse)
    .map(({ octets }) => decodeHeader(octets).messageId);
}

describe("the peer's requests (RFC 7296 section 2.3)", () => {
  test("are answered in the order in which they come, each once, and repeated from what is kept", () => {
    const { peer, machine, link } = scriptedEstablished({ seed: 2 });
    const ask = (messageId: number): Uint8Array | undefined => {
      peer.send(machine, peer.seal({ exchangeType: INFORMATIONAL, messageId, payloads: [] }));
      return link.inFlight.length === 0 ? undefined : link.take().octets;
    };
    const fifth = ask(5)!;
    const third = ask(3)!;
    expect(peer.open(fifth).header).toMatchObject({ messageId: 5, isResponse: true });
    expect(ask(5)).toEqual(fifth);
    expect(ask(6)).toBeUndefined(); // 2 has no answer yet
    const second = ask(2)!;
    expect([ask(2), ask(3), ask(5)]).toEqual([second, third, fifth]);
    ask(4);
    ask(6);
    // 6 says that its sender has the answer to 2.
    expect(ask(2)).toBeUndefined();
    expect(ask(3)).toEqual(third);
    expect(machine.endpoint.counters.answeredAgain).toBe(5);
  });

  test("never have more than a window of answers kept, whatever their order", () => {
    for (let seed = 0; seed < 200; seed++) {
      const random = new SeededRandom(seed);
      const window = new ResponseWindow();
      window.widen(4);
      for (let i = 0; i < 300; i++) {
        const messageId = Math.max(0, window.nextMessageId - 3 + random.below(9));
        if (window.place(messageId) !== "next") continue;
        if (random.below(2) === 0) window.defer(messageId);
        window.answered(messageId, []);
        expect(window.answerCount).toBeLessThanOrEqual(4);
      }
      expect(window.nextMessageId).toBeGreaterThan(20);
    }
  });

  test("beside one that waits for its key exchange go on", () => {
    const all = establishedPair({ seed: 3, common: { esp: ["aes256gcm16-x25519"] } });
    const { initiator, responder, link } = all;
    initiator.rekey("children");
    responder.holdsJobs = true;
    link.deliver();
    expect(responder.heldJobs).toBe(1);
    initiator.handle({ kind: "liveness", connection: "tunnel" });
    link.deliverAll();
    expect(initiator.event("peer-alive")).toBeDefined();
    responder.holdsJobs = false;
    responder.finishJobs();
    link.deliverAll();
    expectEstablished(initiator, responder);
  });

  test("in fragments that come mixed are put together each for itself", () => {
    const { peer, machine, link } = scriptedEstablished({ seed: 4 });
    const junk = notify(40_000, new Uint8Array(600));
    const fragments = [2, 3, 4].map((messageId) =>
      peer.sealAll({ exchangeType: INFORMATIONAL, messageId, payloads: [junk, junk], fragmentLength: 400 }),
    );
    expect(fragments[0]!.length).toBeGreaterThan(2);
    for (let part = 0; part < fragments[0]!.length; part++) {
      for (const message of fragments) peer.send(machine, message[part]!);
    }
    expect(link.inFlight.map(({ octets }) => decodeHeader(octets).messageId)).toEqual([2, 3, 4]);
  });

  test("that are older than another never move the peer", () => {
    const { peer, machine, link } = scriptedEstablished({ seed: 5 });
    const send = (messageId: number, port: number): void => {
      peer.port = port;
      const octets = peer.seal({ exchangeType: INFORMATIONAL, messageId, payloads: [] });
      const { remote, local } = peer.path(machine);
      machine.handle({ kind: "datagram", octets, path: { local: { ...local, port: 4500 }, remote } });
      link.inFlight.length = 0;
    };
    send(3, 6000);
    expect(machine.ikeSas[0]!.path.remote.port).toBe(6000);
    send(2, 5000);
    expect(machine.ikeSas[0]!.path.remote.port).toBe(6000);
    send(4, 7000);
    expect(machine.ikeSas[0]!.path.remote.port).toBe(7000);
  });

  test("that end the IKE SA end it while others wait, and are answered again", () => {
    const { peer, machine, link } = scriptedEstablished({
      seed: 6,
      responder: { esp: ["aes256gcm16-x25519"] },
      peer: { esp: ["aes256gcm16-x25519"] },
    });
    machine.holdsJobs = true;
    const payloads: readonly Payload[] = [
      ...peer.authPayloads().slice(2),
      { kind: "nonce", critical: false, nonce: peer.random.bytes(32) },
      { kind: "key-exchange", critical: false, group: peer.group, data: peer.publicValue },
    ];
    peer.send(machine, peer.seal({ exchangeType: CREATE_CHILD_SA, messageId: 2, payloads }));
    const farewell = peer.seal({ exchangeType: INFORMATIONAL, messageId: 3, payloads: [deleteIkeSa()] });
    peer.send(machine, farewell);
    const answer = link.take().octets;
    machine.holdsJobs = false;
    machine.finishJobs();
    expect(machine.ikeSas).toHaveLength(0);
    peer.send(machine, farewell);
    expect(link.take().octets).toEqual(answer);
    expect(link.inFlight).toHaveLength(0);
    link.advanceBy(60_000);
    expectClean(machine);
  });
});

describe("our requests", () => {
  const say = (size: number) => notify(NotifyType.SET_WINDOW_SIZE, encodeWindowSize(size));
  /** A machine with ten children, of which the peer has made none yet, and the peer's window. */
  const asking = (window: readonly Payload[]) => {
    const all = scriptedEstablished({ seed: 7, responder: { children: children(10, "responder") } });
    const { peer, machine, link } = all;
    peer.send(machine, peer.seal({ exchangeType: INFORMATIONAL, messageId: 2, payloads: window }));
    link.inFlight.length = 0;
    machine.connect();
    return all;
  };

  test.each<[string, readonly Payload[], number]>([
    ["one, when the peer says nothing", [], 1],
    ["three, when it takes three", [say(3)], 3],
    ["no more than we want, whatever it takes", [say(0xffff_ffff)], DEFAULT_LIMITS.peerWindowSizeMax],
    ["one, when it says zero", [say(0)], 1],
    ["one, when it says it in the wrong length", [notify(NotifyType.SET_WINDOW_SIZE, Uint8Array.of(9))], 1],
  ])("go out %s", (_, window, count) => {
    const { link } = asking(window);
    expect(link.inFlight).toHaveLength(count);
  });

  test("go out as answers come, and never further than a window beyond the oldest without one", () => {
    const { peer, machine, link } = asking([say(3)]);
    const refuse = (messageId: number): void => {
      const payloads = [notify(NotifyType.TS_UNACCEPTABLE)];
      peer.send(machine, peer.seal({ exchangeType: CREATE_CHILD_SA, messageId, payloads, isResponse: true }));
    };
    const sent = () => link.inFlight.splice(0).map(({ octets }) => peer.open(octets).header.messageId);
    expect(sent()).toEqual([0, 1, 2]);
    refuse(2);
    refuse(1);
    expect(sent()).toEqual([]);
    refuse(0);
    expect(sent()).toEqual([3, 4, 5]);
    refuse(3);
    expect(sent()).toEqual([6]);
    // What was answered is not listened to again.
    refuse(1);
    expect(machine.endpoint.counters.outsideWindow).toBe(1);
  });

  test("are repeated each for itself, with the same octets", () => {
    const { peer, machine, link } = asking([say(3)]);
    const first = link.inFlight.splice(0).map(({ octets }) => octets);
    const payloads = [notify(NotifyType.TS_UNACCEPTABLE)];
    const answer = { exchangeType: CREATE_CHILD_SA, messageId: 1, payloads, isResponse: true };
    peer.send(machine, peer.seal(answer));
    link.inFlight.length = 0;
    link.advanceBy(600);
    const again = link.inFlight.map(({ octets }) => toHex(octets));
    expect(again.sort()).toEqual([toHex(first[0]!), toHex(first[2]!)].sort());
  });

  test("that rekey the IKE SA go alone: behind what is outstanding, before all others", () => {
    const all = establishedPair(pairWithChildren(3, { seed: 8 }));
    const { initiator, responder, link } = all;
    initiator.rekey("children");
    expect(requestsInFlight(all, initiator)).toHaveLength(3);
    initiator.rekey("ike");
    initiator.handle({ kind: "liveness", connection: "tunnel" });
    expect(requestsInFlight(all, initiator)).toHaveLength(3);
    const { initiatorSpi } = initiator.ikeSas[0]!;
    link.deliverAll();
    expect(initiator.ikeSas.map(({ state }) => state)).toEqual(["established"]);
    expect(initiator.ikeSas[0]!.initiatorSpi).not.toBe(initiatorSpi);
    expect(initiator.childSas).toHaveLength(3);
    expectMirrored(initiator, responder);
  });

  test("that delete the IKE SA do not wait for those before them", () => {
    const all = establishedPair(pairWithChildren(3, { seed: 9 }));
    const { initiator, responder, link } = all;
    initiator.rekey("children");
    initiator.disconnect();
    expect(requestsInFlight(all, initiator)).toHaveLength(4);
    // The last one arrives first.
    link.arrive(link.inFlight.pop()!);
    link.deliverAll();
    link.run({ until: link.now + 60_000 });
    expectClean(initiator, responder);
  });

  test("on a rekeyed IKE SA begin one at a time until the window is said again", () => {
    const all = establishedPair(pairWithChildren(3, { seed: 10 }));
    const { initiator, link } = all;
    initiator.rekey("ike");
    link.deliverAll();
    initiator.rekey("children");
    expect(requestsInFlight(all, initiator)).toEqual([0]);
    link.deliver();
    link.deliver();
    expect(requestsInFlight(all, initiator).length).toBeGreaterThan(1);
    link.deliverAll();
    expect(initiator.childSas).toHaveLength(3);
  });
});

test("SET_WINDOW_SIZE goes out in IKE_AUTH on both sides, and not when the window is one", () => {
  const said = (limits: { readonly windowSize?: number }) => {
    const initiator = scriptedResponder({ seed: 11, limits });
    const responder = scriptedInitiator({ seed: 11, limits });
    const payloads = responder.peer.authPayloads();
    responder.peer.send(
      responder.machine,
      responder.peer.seal({ exchangeType: IKE_AUTH, messageId: 1, payloads }),
    );
    return [initiator, responder].map(({ peer, link }) =>
      findNotify(peer.open(link.take().octets).payloads, NotifyType.SET_WINDOW_SIZE),
    );
  };
  const data = encodeWindowSize(DEFAULT_LIMITS.windowSize);
  expect(said({})).toMatchObject([{ data }, { data }]);
  expect(said({ windowSize: 1 })).toEqual([undefined, undefined]);
});

test("many children come up, are rekeyed and go, whatever the network does to the order of messages", () => {
  for (let seed = 0; seed < 200; seed++) {
    const all = pair(pairWithChildren(6, { seed }));
    const { initiator, responder, link } = all;
    link.impair(seed, { loss: 0.1, duplication: 0.1, delayMs: [1, 400] });
    initiator.connect();
    link.run({ until: 60_000 });
    const random = new SeededRandom(seed);
    for (let i = 0; i < 4; i++) {
      if (random.below(2) === 0) initiator.rekey(random.below(3) === 0 ? "ike" : "children");
      if (random.below(2) === 0) responder.rekey(random.below(3) === 0 ? "ike" : "children");
      link.run({ until: link.now + random.below(3_000) });
    }
    link.fate = () => [10];
    link.run({ until: link.now + 130_000 });
    const names = (machine: SimulatedMachine) => machine.childSas.map(({ name }) => name).sort();
    expect(names(initiator), `seed ${seed}`).toEqual(["c0", "c1", "c2", "c3", "c4", "c5"]);
    expect(names(responder), `seed ${seed}`).toEqual(names(initiator));
    expectMirrored(initiator, responder);
    initiator.disconnect();
    link.run({ until: link.now + 60_000 });
    expectClean(initiator, responder);
  }
});
