import { describe, expect, test } from "vitest";
import { expectClean, expectEstablished, expectMirrored } from "../support/simulator/expectations.ts";
import { type Fate, type Pair, pair, SeededRandom } from "../support/simulator/index.ts";
import { forEachSeed, seedCount } from "../support/simulator/seeds.ts";

// The machine against the network: every message lost, repeated or late, alone and in pairs, and chance on top.

/** What a test does to the two machines, at its times. */
interface Scenario {
  readonly name: string;
  readonly begin: (all: Pair) => void;
  readonly options?: Omit<Parameters<typeof pair>[0], "seed">;
  /** How many messages there are, the most anybody may lose; 9 if not said. */
  readonly messageCount?: number;
}

const SCENARIOS: readonly Scenario[] = [
  { name: "one side connects", begin: ({ initiator }) => initiator.connect() },
  {
    name: "both sides connect at once",
    begin: ({ initiator, responder }) => {
      initiator.connect();
      responder.connect();
    },
  },
  {
    name: "another group is asked for",
    begin: ({ initiator }) => initiator.connect(),
    options: {
      initiator: { ike: ["aes256gcm16-prfsha256-x25519-ecp256"] },
      responder: { ike: ["aes256gcm16-prfsha256-ecp256"] },
    },
  },
  {
    name: "a cookie is asked for",
    begin: ({ initiator }) => initiator.connect(),
    options: { limits: { cookieThresholdCount: 0 } },
  },
  {
    name: "a cookie and another group are asked for",
    begin: ({ initiator }) => initiator.connect(),
    options: {
      initiator: { ike: ["aes256gcm16-prfsha256-x25519-ecp256"] },
      responder: { ike: ["aes256gcm16-prfsha256-ecp256"] },
      limits: { cookieThresholdCount: 0 },
    },
    messageCount: 11,
  },
  {
    name: "the IKE SA comes first, and its child SA behind it",
    begin: ({ initiator }) => initiator.connect(),
    options: { initiator: { isChildless: true } },
  },
];

const FATES: readonly { readonly name: string; readonly fate: Fate }[] = [
  { name: "lost", fate: [] },
  { name: "twice", fate: [ONE_WAY(), ONE_WAY() + 5] },
  { name: "late", fate: [800] },
  { name: "twice, once very late", fate: [ONE_WAY(), 45_000] },
];

function ONE_WAY(): number {
  return 10;
}

describe.each(SCENARIOS)("when $name", (scenario) => {
  const messages = Array.from({ length: scenario.messageCount ?? 9 }, (_, i) => i);

  test("any one message may be lost, repeated or late", () => {
    for (const i of messages) {
      for (const { fate } of FATES) {
        liveAndDie({ scenario, seed: 1, fate: (index) => (index === i ? fate : [ONE_WAY()]) });
      }
    }
  });

  test("any two messages may be lost, repeated or late", () => {
    for (const i of messages) {
      for (const j of messages) {
        if (j <= i) continue;
        for (const first of FATES) {
          for (const second of FATES) {
            const fates = new Map([
              [i, first.fate],
              [j, second.fate],
            ]);
            liveAndDie({ scenario, seed: 2, fate: (index) => fates.get(index) ?? [ONE_WAY()] });
          }
        }
      }
    }
  });

  test("with a fifth of all messages lost, some repeated and all out of order", () => {
    forEachSeed(Math.ceil(seedCount(6_000) / SCENARIOS.length), (seed) => {
      const random = new SeededRandom(seed);
      const delay = (): number => 5 + random.fraction() * 300;
      const chance = (): Fate => {
        if (random.fraction() < 0.2) return [];
        return random.fraction() < 0.05 ? [delay(), delay()] : [delay()];
      };
      liveAndDie({ scenario, seed, fate: chance });
    });
  });
});

test("of a thousand pairs that connect at once, each keeps one SA and the same one on both sides", () => {
  for (let seed = 0; seed < 1000; seed++) {
    const all = pair({ seed });
    const random = new SeededRandom(seed);
    all.link.fate = () => [1 + random.fraction() * 100];
    all.initiator.connect();
    all.link.run({ until: random.fraction() * 300 });
    all.responder.connect();
    // An attempt that was given up stays half-open at the other side for 30 s.
    all.link.run({ until: 40_000 });
    expectEstablished(all.initiator, all.responder);
    expect(all.initiator.reserved.size).toBe(1);
  }
});

test("crossing deletes under loss leave nothing on either side", () => {
  for (let seed = 0; seed < 300; seed++) {
    const all = pair({ seed });
    all.link.fate = () => [10];
    all.initiator.connect();
    all.link.run({ until: 1_000 });
    expectEstablished(all.initiator, all.responder);
    all.link.impair(seed, { loss: 0.3, duplication: 0.1, delayMs: [5, 200] });
    all.initiator.disconnect();
    all.link.run({ until: all.link.now + (seed % 50) * 10 });
    all.responder.disconnect();
    all.link.run({ until: all.link.now + 300_000 });
    expectClean(all.initiator, all.responder);
  }
});

test("a NAT that gives us another port again and again ends no SA: the peer follows, and both go on rekeying", () => {
  let moves = 0;
  for (let seed = 0; seed < 50; seed++) {
    const { initiator, responder, link } = pair({ seed });
    link.impair(seed, { loss: 0.05, delayMs: [5, 50], rebinding: 0.3 });
    initiator.connect();
    for (let i = 0; i < 10; i++) {
      link.run({ until: link.now + 10_000 });
      initiator.rekey(i % 3 === 0 ? "ike" : "children");
      responder.rekey("children");
    }
    moves += responder.eventNames().filter((name) => name === "path-changed").length;
    link.fate = () => [10];
    link.run({ until: link.now + 300_000 });
    expectEstablished(initiator, responder);
    expectMirrored(initiator, responder);
  }
  expect(moves).toBeGreaterThan(200);
});

/** Connects, checks, disconnects, checks: whatever happens to the messages, it ends established or cleanly closed on both sides, and then clean. */
function liveAndDie(facts: {
  readonly scenario: Scenario;
  readonly seed: number;
  readonly fate: (index: number) => Fate;
}): void {
  const { scenario, seed, fate } = facts;
  const all = pair({ seed, ...scenario.options });
  const { initiator, responder, link } = all;
  link.fate = ({ index }) => fate(index);
  scenario.begin(all);
  link.run({ until: 100_000 });
  const isUp = initiator.state === "established" || responder.state === "established";
  if (isUp) {
    // A side that alone believes in the SA notices by asking.
    const isSettled = (): boolean =>
      initiator.ikeSas.length === responder.ikeSas.length &&
      [...initiator.ikeSas, ...responder.ikeSas].every(({ state }) => state === "established");
    if (!isSettled()) link.run({ until: 500_000, isDone: isSettled });
    expect(initiator.ikeSas.map(({ responderSpi }) => responderSpi)).toEqual(
      responder.ikeSas.map(({ responderSpi }) => responderSpi),
    );
    expect(initiator.ikeSas.length).toBeLessThanOrEqual(1);
    expectMirrored(initiator, responder);
  }
  initiator.disconnect();
  link.run({ until: link.now + 300_000 });
  expectClean(initiator, responder);
}
