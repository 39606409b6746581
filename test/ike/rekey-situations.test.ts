import { describe, expect, test } from "vitest";
import { NotifyType } from "../../src/iana/ikev2-parameters.ts";
import { notify } from "../../src/ike/payloads.ts";
import { decodeHeader, encodeMessage } from "../../src/wire/message.ts";
import { expectClean, expectMirrored } from "../support/simulator/expectations.ts";
import { childPolicy, establishedPair, type PolicyOptions } from "../support/simulator/index.ts";
import type { InFlight } from "../support/simulator/link.ts";
import { CROSSING_SEEDS } from "../support/simulator/seeds.ts";
import type { SimulatedMachine } from "../support/simulator/simulated-machine.ts";
import { Stage } from "../support/simulator/stage.ts";

// The situations of RFC 7296 sections 2.8.1, 2.8.2 and 2.25, one row each: what happens, message by message, and what there is
// in the end. `a` has connected, `b` has answered. After each step a packet goes each way and must arrive; a row in which
// somebody deletes says so by `isCut`. Each row is played with several seeds, so that in a collision each side has the
// lower nonce once.

interface Situation {
  readonly name: string;
  readonly play: (stage: Stage) => void;
  readonly a?: PolicyOptions;
  readonly b?: PolicyOptions;
  /** Child SAs on each side in the end; 1 if not said. "gone": no IKE SA either. */
  readonly end?: number | "gone";
  /** Packets may find no SA on the way: somebody takes the child SA or the IKE SA down. */
  readonly isCut?: boolean;
  /** Whether the child SA, or the IKE SA, is another one in the end; it is if not said. */
  readonly isReplaced?: boolean;
}

const PFS = { a: { esp: ["aes256gcm16-x25519"] }, b: { esp: ["aes256gcm16-x25519"] } };
/** `a` guesses a group that `b` does not take. */
const WRONG_GUESS_OF_A = { a: { esp: ["aes256gcm16-x25519-ecp256"] }, b: { esp: ["aes256gcm16-ecp256"] } };
const WRONG_GUESS_OF_B = { a: { esp: ["aes256gcm16-ecp256"] }, b: { esp: ["aes256gcm16-x25519-ecp256"] } };
const WRONG_GUESSES = {
  a: { esp: ["aes256gcm16-x25519", "aes128gcm16-ecp256"] },
  b: { esp: ["aes192gcm16-ecp384", "aes128gcm16-ecp256"] },
};
const IKE_GUESS = {
  a: { ike: ["aes256gcm16-prfsha256-x25519", "aes128gcm16-prfsha256-ecp256"] },
  b: { ike: ["aes192gcm16-prfsha256-ecp384", "aes128gcm16-prfsha256-ecp256"] },
};
const THREE = {
  a: { children: children("a") },
  b: { children: children("b") },
};

function children(side: "a" | "b") {
  return ["lan", "second", "third"].map((name, i) => {
    const ends = [[`10.1.${i}.0/24`], [`10.2.${i}.0/24`]] as const;
    const [local, remote] = side === "a" ? ends : [ends[1], ends[0]];
    return childPolicy({ name, local, remote });
  });
}

function takeDown(stage: Stage, side: "a" | "b"): void {
  stage[side].handle({ kind: "terminate", connection: "tunnel", child: "lan" });
}

function usedUp(stage: Stage, side: "a" | "b", limit: "soft" | "hard"): void {
  const inboundSpi = [...stage[side].installed.keys()][0]!;
  stage[side].handle({ kind: "used-up", connection: "tunnel", inboundSpi, limit });
}

const CHILD: readonly Situation[] = [
  { name: "who connected rekeys it", play: ({ a }) => a.rekey("children") },
  { name: "who answered rekeys it", play: ({ b }) => b.rekey("children") },
  { name: "it is rekeyed with a key exchange", ...PFS, play: ({ a }) => a.rekey("children") },
  {
    name: "the group is not the one that the peer takes, and another is tried (INVALID_KE_PAYLOAD)",
    ...WRONG_GUESS_OF_A,
    play: ({ a }) => a.rekey("children"),
  },
  {
    name: "who answered guesses the wrong group",
    ...WRONG_GUESS_OF_B,
    play: ({ b }) => b.rekey("children"),
  },
  {
    name: "its soft lifetime is over on both sides",
    play: (stage) => {
      stage.pair.link.fate = () => [10];
      stage.wait(3_700_000);
    },
  },
  { name: "it has carried enough in one direction", play: (stage) => usedUp(stage, "b", "soft") },
  {
    name: "it may carry nothing more",
    end: 0,
    isCut: true,
    play: (stage) => usedUp(stage, "a", "hard"),
  },
  {
    name: "the request is lost",
    play: (stage) => {
      stage.a.rekey("children");
      stage.hold(stage.a);
    },
  },
  {
    name: "the answer is lost",
    play: (stage) => {
      stage.a.rekey("children");
      stage.deliver(stage.a);
      stage.hold(stage.b);
    },
  },
  {
    name: "the delete is lost",
    play: (stage) => {
      stage.a.rekey("children");
      stage.deliver(stage.a);
      stage.deliver(stage.b);
      stage.hold(stage.a);
    },
  },
  {
    name: "the answer to the delete is lost",
    play: (stage) => {
      stage.a.rekey("children");
      stage.deliver(stage.a);
      stage.deliver(stage.b);
      stage.deliver(stage.a);
      stage.hold(stage.b);
    },
  },
  {
    name: "every message comes twice",
    play: (stage) => {
      stage.pair.link.fate = () => [0, 0];
      stage.a.rekey("children");
    },
  },
  {
    name: "the request comes once more when all is over",
    play: (stage) => {
      stage.a.rekey("children");
      const request = stage.hold(stage.a);
      stage.arrive(request);
      stage.deliverAll();
      stage.arrive(request);
    },
  },
  {
    name: "the peer rekeys the IKE SA at the same time, and refuses for the moment (TEMPORARY_FAILURE)",
    play: (stage) => {
      stage.b.rekey("ike");
      stage.a.rekey("children");
      stage.deliver(stage.a);
      expect(stage.lastOf(stage.b)).toMatchObject({ isResponse: true });
      stage.deliverAll();
      stage.wait(5_000);
    },
  },
  {
    name: "the peer wants to rekey the IKE SA meanwhile, and is put off",
    play: (stage) => {
      stage.a.rekey("children");
      stage.b.rekey("ike");
      stage.deliver(stage.b);
      stage.deliverAll();
    },
  },
  {
    name: "its IKE SA is to be rekeyed behind it by the same side",
    play: ({ a }) => {
      a.rekey("children");
      a.rekey("ike");
    },
  },
  {
    name: "its IKE SA is rekeyed first, and it in the new one",
    play: ({ a }) => {
      a.rekey("ike");
      a.rekey("children");
    },
  },
  {
    name: "the peer deletes it before the request comes",
    end: 0,
    isCut: true,
    play: (stage) => {
      stage.a.rekey("children");
      takeDown(stage, "b");
      stage.deliver(stage.a);
    },
  },
  {
    name: "the peer deletes it, which arrives while the request is on its way",
    end: 0,
    isCut: true,
    play: (stage) => {
      stage.a.rekey("children");
      takeDown(stage, "b");
      stage.deliver(stage.b);
    },
  },
  {
    name: "the peer has deleted it and heard the confirmation before the request comes (CHILD_SA_NOT_FOUND)",
    end: 0,
    isCut: true,
    play: (stage) => {
      stage.a.rekey("children");
      const request = stage.hold(stage.a);
      takeDown(stage, "b");
      stage.deliverAll();
      stage.arrive(request);
    },
  },
  {
    name: "the peer answers and deletes both; the delete overtakes the answer",
    end: 0,
    isCut: true,
    play: (stage) => {
      stage.a.rekey("children");
      stage.deliver(stage.a);
      takeDown(stage, "b");
      stage.deliverLast(stage.b);
    },
  },
  {
    name: "who rekeys takes it down before the answer comes",
    end: 0,
    isCut: true,
    play: (stage) => {
      stage.a.rekey("children");
      takeDown(stage, "a");
    },
  },
  {
    name: "who rekeys takes it down, which overtakes the request",
    end: 0,
    isCut: true,
    play: (stage) => {
      stage.a.rekey("children");
      takeDown(stage, "a");
      stage.deliverLast(stage.a);
    },
  },
  {
    name: "who rekeys takes it down after the request was answered",
    end: 0,
    isCut: true,
    play: (stage) => {
      stage.a.rekey("children");
      stage.deliver(stage.a);
      takeDown(stage, "a");
      stage.deliverAll();
    },
  },
  {
    name: "it is rekeyed again at once, while the delete of the old one is on its way",
    play: (stage) => {
      stage.a.rekey("children");
      stage.deliver(stage.a);
      stage.deliver(stage.b);
      stage.a.rekey("children");
      stage.deliverLast(stage.a);
    },
  },
  {
    name: "the peer rekeys the new one before who made it has heard of it",
    play: (stage) => {
      stage.a.rekey("children");
      stage.deliver(stage.a);
      const answer = stage.hold(stage.b);
      stage.b.rekey("children");
      stage.wait(100);
      stage.arrive(answer);
    },
  },
  {
    name: "the peer rekeys the new one as soon as the old one is gone",
    play: (stage) => {
      stage.a.rekey("children");
      stage.deliverAll();
      stage.b.rekey("children");
    },
  },
  {
    name: "the peer asks whether we are alive meanwhile",
    play: (stage) => {
      stage.a.rekey("children");
      stage.b.handle({ kind: "liveness", connection: "tunnel" });
      stage.deliver(stage.b);
    },
  },
  {
    name: "all of three are rekeyed side by side, and the last answer comes first",
    ...THREE,
    end: 3,
    play: (stage) => {
      stage.a.rekey("children");
      for (let i = 0; i < 3; i++) stage.deliver(stage.a);
      for (let i = 0; i < 3; i++) stage.deliverLast(stage.b);
    },
  },
  {
    name: "the peer takes another one down meanwhile",
    ...THREE,
    end: 2,
    play: (stage) => {
      stage.a.rekey("children");
      stage.b.handle({ kind: "terminate", connection: "tunnel", child: "second" });
      stage.deliver(stage.b);
    },
  },
  {
    name: "the connection is taken down by the peer meanwhile",
    end: "gone",
    isCut: true,
    play: (stage) => {
      stage.a.rekey("children");
      stage.b.disconnect();
      stage.deliver(stage.a);
    },
  },
  {
    name: "the connection is taken down by who rekeys, which overtakes the request",
    end: "gone",
    isCut: true,
    play: (stage) => {
      stage.a.rekey("children");
      stage.a.disconnect();
      stage.deliverLast(stage.a);
    },
  },
];

/** Both sides have asked, and neither has heard the other. */
function collide(stage: Stage, what: "children" | "ike"): void {
  stage.a.rekey(what);
  stage.b.rekey(what);
}

const CHILD_COLLISIONS: readonly Situation[] = [
  { name: "messages cross in order", play: (stage) => collide(stage, "children") },
  { name: "both with a key exchange", ...PFS, play: (stage) => collide(stage, "children") },
  {
    name: "one answer is late: the other exchange is over before it comes",
    play: (stage) => {
      collide(stage, "children");
      stage.deliver(stage.a);
      stage.deliver(stage.b);
      const answer = stage.hold(stage.b);
      stage.deliverAll();
      stage.arrive(answer);
    },
  },
  {
    name: "the other answer is late",
    play: (stage) => {
      collide(stage, "children");
      stage.deliver(stage.a);
      stage.deliver(stage.b);
      const answer = stage.hold(stage.a);
      stage.deliverAll();
      stage.arrive(answer);
    },
  },
  {
    name: "one request is late: it comes when the other side has its answer",
    play: (stage) => {
      collide(stage, "children");
      const request = stage.hold(stage.a);
      stage.deliver(stage.b);
      stage.deliver(stage.a);
      stage.arrive(request);
    },
  },
  {
    name: "one request is so late that the old one is gone",
    play: (stage) => {
      collide(stage, "children");
      const request = stage.hold(stage.a);
      stage.deliverAll();
      stage.arrive(request);
    },
  },
  {
    name: "the first delete is late",
    play: (stage) => {
      collide(stage, "children");
      for (const from of [stage.a, stage.b, stage.a, stage.b]) stage.deliver(from);
      const deletion = stage.hold(stage.a);
      stage.deliverAll();
      stage.arrive(deletion);
    },
  },
  {
    name: "the first delete is lost",
    play: (stage) => {
      collide(stage, "children");
      for (const from of [stage.a, stage.b, stage.a, stage.b]) stage.deliver(from);
      stage.hold(stage.a);
    },
  },
  {
    name: "both deletes are lost",
    play: (stage) => {
      collide(stage, "children");
      for (const from of [stage.a, stage.b, stage.a, stage.b]) stage.deliver(from);
      stage.hold(stage.a);
      stage.hold(stage.b);
    },
  },
  {
    name: "one guesses the wrong group",
    ...WRONG_GUESS_OF_A,
    play: (stage) => collide(stage, "children"),
  },
  {
    name: "one guesses the wrong group, and the other is done before it asks again",
    ...WRONG_GUESS_OF_A,
    play: (stage) => {
      collide(stage, "children");
      stage.deliver(stage.a);
      const refusal = stage.hold(stage.b);
      stage.deliverAll();
      // The refusal was behind the request of b, which is through by now.
      stage.arrive(refusal);
    },
  },
  { name: "both guess the wrong group", ...WRONG_GUESSES, play: (stage) => collide(stage, "children") },
  {
    name: "and one takes the child SA down",
    end: 0,
    isCut: true,
    play: (stage) => {
      collide(stage, "children");
      takeDown(stage, "b");
    },
  },
  {
    name: "and one takes it down when both are answered",
    end: 0,
    isCut: true,
    play: (stage) => {
      collide(stage, "children");
      stage.deliver(stage.a);
      stage.deliver(stage.b);
      takeDown(stage, "a");
      stage.deliverLast(stage.a);
    },
  },
  {
    name: "and the IKE SA is to be rekeyed behind it on both sides",
    play: (stage) => {
      collide(stage, "children");
      collide(stage, "ike");
    },
  },
];

const IKE: readonly Situation[] = [
  { name: "who connected rekeys it", play: ({ a }) => a.rekey("ike") },
  { name: "who answered rekeys it", play: ({ b }) => b.rekey("ike") },
  {
    name: "the group is not the one that the peer takes (INVALID_KE_PAYLOAD)",
    ...IKE_GUESS,
    play: ({ b }) => b.rekey("ike"),
  },
  {
    name: "the request is lost",
    play: (stage) => {
      stage.a.rekey("ike");
      stage.hold(stage.a);
    },
  },
  {
    name: "the answer is lost",
    play: (stage) => {
      stage.a.rekey("ike");
      stage.deliver(stage.a);
      stage.hold(stage.b);
    },
  },
  {
    name: "the delete is lost",
    play: (stage) => {
      stage.a.rekey("ike");
      stage.deliver(stage.a);
      stage.deliver(stage.b);
      stage.hold(stage.a);
    },
  },
  {
    name: "the answer to the delete is lost",
    play: (stage) => {
      stage.a.rekey("ike");
      for (const from of [stage.a, stage.b, stage.a]) stage.deliver(from);
      stage.hold(stage.b);
    },
  },
  {
    name: "every message comes twice",
    play: (stage) => {
      stage.pair.link.fate = () => [0, 0];
      stage.b.rekey("ike");
    },
  },
  {
    name: "the new one is used before the old one is deleted",
    play: (stage) => {
      stage.a.rekey("ike");
      stage.deliver(stage.a);
      stage.deliver(stage.b);
      const deletion = stage.hold(stage.a);
      stage.a.rekey("children");
      stage.deliver(stage.a);
      stage.deliver(stage.b);
      stage.arrive(deletion);
    },
  },
  {
    name: "the peer speaks in the new one before its answer arrives",
    play: (stage) => {
      stage.a.rekey("ike");
      stage.deliver(stage.a);
      const answer = stage.hold(stage.b);
      stage.b.rekey("children");
      // Nobody here knows the SPI yet.
      stage.deliver(stage.b);
      stage.arrive(answer);
      stage.wait(5_000);
    },
  },
  {
    name: "the peer speaks in the new one, and its answer is lost each time for most of a minute",
    play: (stage) => {
      const isOfOld = loseAnswerOfB(stage);
      stage.b.rekey("children");
      stage.wait(40_000);
      // What it says is early, and not of an IKE SA that is unknown.
      const spoken = stage.pair.link.transmitted.filter((datagram) => !isOfOld(datagram));
      expect(spoken.filter(({ from }) => from === stage.b).length).toBeGreaterThan(3);
      expect(spoken.filter(({ from }) => from === stage.a)).toEqual([]);
      expect([stage.a.ikeSas.length, stage.b.ikeSas.length]).toEqual([1, 2]);
    },
  },
  {
    name: "the peer speaks in the new one for the last time, and only then its answer arrives",
    play: (stage) => {
      const isOfOld = loseAnswerOfB(stage);
      const { link } = stage.pair;
      const answer = link.transmitted.at(-1)!;
      stage.b.rekey("children");
      const isSaid = () => link.transmitted.filter((datagram) => !isOfOld(datagram)).length === 9;
      link.run({ until: link.now + 100_000, isDone: isSaid });
      link.inFlight.length = 0;
      link.fate = () => [10];
      stage.arrive({ ...answer, at: link.now });
    },
  },
  {
    name: "the peer speaks in the new one, its answer is lost, and each time it hears INVALID_IKE_SPI",
    play: (stage) => {
      const isOfOld = loseAnswerOfB(stage);
      const { link } = stage.pair;
      const fate = link.fate;
      link.fate = (datagram) => {
        if (!isOfOld(datagram)) link.inject(refusalOf(datagram, stage.a));
        return fate(datagram);
      };
      stage.b.rekey("children");
      stage.wait(40_000);
      expect([stage.a.ikeSas.length, stage.b.ikeSas.length]).toEqual([1, 2]);
    },
  },
  {
    name: "three times in a row, from both sides",
    play: (stage) => {
      for (const side of ["a", "b", "a"] as const) {
        stage[side].rekey("ike");
        stage.deliverAll();
      }
    },
  },
  {
    name: "while three children are rekeyed side by side",
    ...THREE,
    end: 3,
    play: ({ a, b }) => {
      a.rekey("children");
      b.rekey("ike");
    },
  },
  {
    name: "while the peer makes a further child SA",
    ...THREE,
    end: 3,
    play: (stage) => {
      stage.b.handle({ kind: "terminate", connection: "tunnel", child: "third" });
      stage.deliverAll();
      stage.b.connect();
      stage.a.rekey("ike");
    },
  },
  {
    name: "while the peer rekeys a child SA, whose request comes first",
    play: (stage) => {
      stage.a.rekey("ike");
      stage.b.rekey("children");
      stage.deliver(stage.b);
    },
  },
  {
    name: "while the peer rekeys a child SA, whose request comes last",
    play: (stage) => {
      stage.a.rekey("ike");
      stage.b.rekey("children");
      const request = stage.hold(stage.b);
      stage.deliver(stage.a);
      stage.deliver(stage.b);
      stage.arrive(request);
    },
  },
  {
    name: "while the peer deletes a child SA",
    end: 0,
    isCut: true,
    play: (stage) => {
      stage.a.rekey("ike");
      takeDown(stage, "b");
      stage.deliver(stage.a);
    },
  },
  {
    name: "and a child SA is deleted by the same side behind it",
    end: 0,
    isCut: true,
    play: (stage) => {
      stage.a.rekey("ike");
      takeDown(stage, "a");
    },
  },
  {
    name: "while the peer deletes it, which arrives first",
    end: "gone",
    isCut: true,
    play: (stage) => {
      stage.a.rekey("ike");
      stage.b.disconnect();
      stage.deliver(stage.b);
    },
  },
  {
    name: "while the peer deletes it, and the request arrives first",
    end: "gone",
    isCut: true,
    play: (stage) => {
      stage.a.rekey("ike");
      stage.b.disconnect();
      stage.deliver(stage.a);
    },
  },
  {
    name: "and is deleted by the same side before the answer comes",
    end: "gone",
    isCut: true,
    play: (stage) => {
      stage.a.rekey("ike");
      stage.deliver(stage.a);
      stage.a.disconnect();
    },
  },
  {
    name: "and both sides ask whether the other is alive meanwhile",
    play: (stage) => {
      stage.a.handle({ kind: "liveness", connection: "tunnel" });
      stage.b.handle({ kind: "liveness", connection: "tunnel" });
      stage.a.rekey("ike");
      stage.deliverLast(stage.b);
    },
  },
];

const IKE_COLLISIONS: readonly Situation[] = [
  { name: "messages cross in order", play: (stage) => collide(stage, "ike") },
  {
    name: "one answer is late: the other IKE SA is in place before it comes",
    play: (stage) => {
      collide(stage, "ike");
      stage.deliver(stage.a);
      stage.deliver(stage.b);
      const answer = stage.hold(stage.b);
      stage.deliverAll();
      stage.arrive(answer);
    },
  },
  {
    name: "the other answer is late",
    play: (stage) => {
      collide(stage, "ike");
      stage.deliver(stage.a);
      stage.deliver(stage.b);
      const answer = stage.hold(stage.a);
      stage.deliverAll();
      stage.arrive(answer);
    },
  },
  {
    name: "one request is late: the other side has its answer",
    play: (stage) => {
      collide(stage, "ike");
      const request = stage.hold(stage.a);
      stage.deliver(stage.b);
      stage.deliver(stage.a);
      stage.arrive(request);
    },
  },
  {
    name: "one request is so late that the old one is gone",
    play: (stage) => {
      collide(stage, "ike");
      const request = stage.hold(stage.a);
      stage.deliverAll();
      stage.arrive(request);
    },
  },
  {
    name: "one request is lost",
    play: (stage) => {
      collide(stage, "ike");
      stage.hold(stage.b);
    },
  },
  {
    name: "one answer is lost",
    play: (stage) => {
      collide(stage, "ike");
      stage.deliver(stage.a);
      stage.deliver(stage.b);
      stage.hold(stage.b);
    },
  },
  {
    name: "both answers are lost",
    play: (stage) => {
      collide(stage, "ike");
      stage.deliver(stage.a);
      stage.deliver(stage.b);
      stage.hold(stage.a);
      stage.hold(stage.b);
    },
  },
  {
    name: "the deletes are lost",
    play: (stage) => {
      collide(stage, "ike");
      for (const from of [stage.a, stage.b, stage.a, stage.b]) stage.deliver(from);
      stage.pair.link.inFlight.length = 0;
    },
  },
  {
    name: "one answer is lost, and who asked hears the delete of the old one: it never knows of the one that goes",
    play: (stage) => {
      collide(stage, "ike");
      stage.deliver(stage.a);
      stage.deliver(stage.b);
      stage.hold(stage.b);
      stage.deliverAll();
      stage.pair.link.fate = () => [10];
      stage.wait(5_000);
      const inUse = [stage.a, stage.b].map(({ ikeSas }) =>
        ikeSas.filter(({ state }) => state === "established").map(({ initiatorSpi }) => initiatorSpi),
      );
      expect(inUse[0]).toHaveLength(1);
      expect(inUse[1]).toEqual(inUse[0]);
      stage.b.rekey("ike");
    },
  },
  {
    name: "the delete of the one that goes is never answered",
    play: (stage) => {
      collide(stage, "ike");
      for (const from of [stage.a, stage.b, stage.a, stage.b]) stage.deliver(from);
      stage.pair.link.fate = ({ octets }) => (decodeHeader(octets).isResponse ? [] : [10]);
      stage.wait(200_000);
    },
  },
  {
    name: "what deletes the one that goes is never heard",
    play: (stage) => {
      collide(stage, "ike");
      for (const from of [stage.a, stage.b, stage.a, stage.b]) stage.deliver(from);
      stage.pair.link.inFlight.length = 0;
      stage.pair.link.fate = () => [];
      stage.wait(200_000);
    },
  },
  { name: "both guess the wrong group", ...IKE_GUESS, play: (stage) => collide(stage, "ike") },
  {
    name: "and somebody wants the connection before it is decided which one stays",
    play: (stage) => {
      collide(stage, "ike");
      stage.deliver(stage.a);
      stage.deliver(stage.b);
      stage.a.connect();
      stage.b.connect();
      stage.deliverAll();
    },
  },
  {
    name: "and one deletes it",
    end: "gone",
    isCut: true,
    play: (stage) => {
      collide(stage, "ike");
      stage.deliver(stage.a);
      stage.b.disconnect();
    },
  },
  {
    name: "and both delete it",
    end: "gone",
    isCut: true,
    play: (stage) => {
      collide(stage, "ike");
      stage.deliver(stage.a);
      stage.deliver(stage.b);
      stage.a.disconnect();
      stage.b.disconnect();
    },
  },
  {
    name: "and both rekey a child SA behind it",
    play: (stage) => {
      collide(stage, "ike");
      collide(stage, "children");
    },
  },
];

const CHAPTERS = [
  ["a child SA, when", CHILD],
  ["a child SA that both sides rekey at once, when", CHILD_COLLISIONS],
  ["an IKE SA is rekeyed, and", IKE],
  ["an IKE SA that both sides rekey at once, when", IKE_COLLISIONS],
] as const;

describe.each(CHAPTERS)("%s", (chapter, situations) => {
  test.each(situations.map((each) => [each.name, each] as const))("%s", (_, situation) => {
    for (const seed of CROSSING_SEEDS) run(situation, { seed, isIke: chapter.startsWith("an IKE SA") });
  });
});

test("each situation is another one, and there are no fewer than thirty and eighteen", () => {
  const scripts = (chapters: readonly (readonly Situation[])[]): Set<string> =>
    new Set(chapters.flat().map(({ play, a, b, end }) => JSON.stringify([String(play), a, b, end])));
  expect(scripts([CHILD, CHILD_COLLISIONS]).size).toBe(CHILD.length + CHILD_COLLISIONS.length);
  expect(scripts([IKE, IKE_COLLISIONS]).size).toBe(IKE.length + IKE_COLLISIONS.length);
  expect(CHILD.length + CHILD_COLLISIONS.length).toBeGreaterThanOrEqual(30);
  expect(IKE.length + IKE_COLLISIONS.length).toBeGreaterThanOrEqual(18);
});

function run(
  situation: Situation,
  { seed, isIke }: { readonly seed: number; readonly isIke: boolean },
): void {
  const {
    play,
    a = {},
    b = {},
    end = 1,
    isCut = false,
    isReplaced = end !== 0 && end !== "gone",
  } = situation;
  const pair = establishedPair({ seed, initiator: a, responder: b, limits: { livenessMs: 10_000_000 } });
  const { initiator, responder, link } = pair;
  const before = namesOf(initiator);
  const stage = new Stage(pair);
  stage.isLossless = !isCut;
  stage.probe();
  play(stage);
  stage.deliverAll();
  link.fate = () => [10];
  // What was lost comes again, what was refused is tried again; what the peer should have deleted goes after 90 s.
  for (let i = 0; i < 100; i++) stage.wait(100);
  stage.wait(120_000);

  expect(initiator.endpoint.counters.internalErrors + responder.endpoint.counters.internalErrors).toBe(0);
  if (end !== "gone") {
    expect([initiator, responder].map(({ ikeSas }) => ikeSas.map(({ state }) => state))).toEqual([
      ["established"],
      ["established"],
    ]);
    expect(initiator.ikeSas[0]!.initiatorSpi).toBe(responder.ikeSas[0]!.initiatorSpi);
    expectMirrored(initiator, responder);
    for (const machine of [initiator, responder]) {
      expect(machine.installed.size, `child SAs of ${machine.name}, seed ${seed}`).toBe(end);
      expect(machine.reserved.size).toBe(end);
    }
    if (end > 0) {
      stage.isLossless = true;
      stage.probe();
    }
    const after = namesOf(initiator);
    if (isReplaced) expect(isIke ? after.ike : after.child).not.toBe(isIke ? before.ike : before.child);
    initiator.disconnect();
    link.run({ until: link.now + 100_000 });
  } else {
    link.run({ until: link.now + 300_000 });
  }
  expectClean(initiator, responder);
}

/** `a` rekeys, `b` has answered, and its answer does not get through. Returns what belongs to the IKE SA that is replaced. */
function loseAnswerOfB(stage: Stage): (datagram: InFlight) => boolean {
  const { link } = stage.pair;
  stage.a.rekey("ike");
  const old = decodeHeader(link.inFlight[0]!.octets).initiatorSpi;
  const isOld = ({ octets }: InFlight): boolean => decodeHeader(octets).initiatorSpi === old;
  link.fate = (datagram) => (datagram.from === stage.b && isOld(datagram) ? [] : [10]);
  stage.deliver(stage.a);
  return isOld;
}

/** INVALID_IKE_SPI without protection, in answer to a request to `from`. */
function refusalOf({ octets, path, ...datagram }: InFlight, from: SimulatedMachine): InFlight {
  const { initiatorSpi, responderSpi, exchangeType, isInitiator, messageId } = decodeHeader(octets);
  const answer = encodeMessage({
    initiatorSpi,
    responderSpi,
    exchangeType,
    isInitiator: !isInitiator,
    isResponse: true,
    messageId,
    payloads: [notify(NotifyType.INVALID_IKE_SPI)],
  });
  const back = { local: path.remote, remote: path.local };
  return { ...datagram, octets: answer, path: back, from, at: datagram.at + 20 };
}

function namesOf(machine: Stage["a"]) {
  return { ike: machine.ikeSas[0]?.initiatorSpi, child: machine.outboundSpi() };
}
