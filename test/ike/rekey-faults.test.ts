import { describe, expect, test } from "vitest";
import { expectClean, expectEstablished, expectMirrored } from "../support/simulator/expectations.ts";
import {
  establishedPair,
  type Fate,
  type Pair,
  type PolicyOptions,
  SeededRandom,
} from "../support/simulator/index.ts";
import { Traffic } from "../support/simulator/traffic.ts";

// Rekeying against the network: every message lost, repeated or late, alone and in pairs, and chance on top.

/** 10^4 seeds by default, shared by the scenarios; IKEBANA_FUZZ_RUNS=1000000 for the long run. */
const RUNS = Number(process.env.IKEBANA_FUZZ_RUNS ?? 10_000);
const ONE_WAY = 10;
const PFS: PolicyOptions = { esp: ["aes256gcm16-x25519"] };

interface Scenario {
  readonly name: string;
  readonly begin: (pair: Pair) => void;
  readonly options?: PolicyOptions;
}

const SCENARIOS: readonly Scenario[] = [
  { name: "one side rekeys a child SA", begin: ({ initiator }) => initiator.rekey("children") },
  {
    name: "one side rekeys a child SA with PFS",
    begin: ({ responder }) => responder.rekey("children"),
    options: PFS,
  },
  { name: "one side rekeys the IKE SA", begin: ({ responder }) => responder.rekey("ike") },
  {
    name: "both sides rekey a child SA",
    begin: ({ initiator, responder }) => {
      initiator.rekey("children");
      responder.rekey("children");
    },
  },
  {
    name: "both sides rekey the IKE SA",
    begin: ({ initiator, responder }) => {
      initiator.rekey("ike");
      responder.rekey("ike");
    },
  },
  {
    name: "one side rekeys the IKE SA and the other a child SA",
    begin: ({ initiator, responder }) => {
      initiator.rekey("ike");
      responder.rekey("children");
    },
  },
  {
    name: "a child SA is rekeyed and the IKE SA after it",
    begin: ({ initiator }) => {
      initiator.rekey("children");
      initiator.rekey("ike");
    },
  },
];

const PAIR_FATES: readonly Fate[] = [[], [ONE_WAY, ONE_WAY + 5], [800]];
const FATES: readonly Fate[] = [...PAIR_FATES, [ONE_WAY, 45_000]];

describe.each(SCENARIOS)("when $name", (scenario) => {
  test("any one message may be lost, repeated or late", () => {
    const count = countMessages(scenario);
    expect(count).toBeGreaterThanOrEqual(4);
    for (let i = 0; i < count; i++) {
      for (const fate of FATES)
        live({ scenario, seed: 1, fate: (index) => (index === i ? fate : [ONE_WAY]) });
    }
  });

  test("any two messages may be lost, repeated or late", () => {
    const count = countMessages(scenario) + 2;
    for (let i = 0; i < count; i++) {
      for (let j = i + 1; j < count; j++) {
        for (const first of PAIR_FATES) {
          for (const second of PAIR_FATES) {
            const fates = new Map([
              [i, first],
              [j, second],
            ]);
            live({ scenario, seed: 2, fate: (index) => fates.get(index) ?? [ONE_WAY] });
          }
        }
      }
    }
  });

  test("with a fifth of all messages lost, some repeated and all out of order", () => {
    const runs = Math.ceil(RUNS / SCENARIOS.length);
    for (let seed = 0; seed < runs; seed++) {
      const random = new SeededRandom(seed);
      const delay = (): number => 5 + random.fraction() * 300;
      live({
        scenario,
        seed,
        fate: () => {
          if (random.fraction() < 0.2) return [];
          return random.fraction() < 0.05 ? [delay(), delay()] : [delay()];
        },
      });
    }
  });
});

describe.each([
  [0.01, "1 %"],
  [0.05, "5 %"],
  [0.1, "10 %"],
])("with %d of all messages lost and the rest out of order", (loss) => {
  test("of ten thousand rekeyings at least 99.9 % succeed, and no packet is lost over them", () => {
    const each = 3_334;
    let rekeyed = 0;
    let asked = 0;
    for (let seed = 1; asked < each; seed++) {
      const pair = establishedPair({ seed, limits: { livenessMs: 3_600_000 } });
      const { initiator, responder, link } = pair;
      const random = new SeededRandom(seed);
      link.impair(seed, { loss, duplication: 0.02, delayMs: [5, 150] });
      const traffic = new Traffic(pair, () => 5 + random.fraction() * 145);
      for (let i = 0; i < 50 && asked < each; i++) {
        asked++;
        const before = ends(pair);
        const what = random.fraction() < 0.3 ? "ike" : "children";
        const side = random.fraction();
        if (side < 0.6) initiator.rekey(what);
        if (side > 0.4) responder.rekey(what);
        // Long enough for four losses in a row, after 0.5, 1.5, 3.5 and 7.5 s.
        traffic.run({ until: link.now + 10_000 + random.fraction() * 10_000, everyMs: 100 });
        const after = ends(pair);
        const isReplaced = what === "ike" ? after.ike !== before.ike : after.child !== before.child;
        if (isReplaced && after.isUp) rekeyed++;
      }
      link.fate = () => [ONE_WAY];
      traffic.run({ until: link.now + 100_000, everyMs: 1_000 });
      traffic.finish();
      expect(traffic.lost).toEqual([]);
      expectSettled(pair);
    }
    expect(rekeyed / asked).toBeGreaterThanOrEqual(0.999);
  });
});

/** What both sides have: SPIs of the newest IKE SA and child SA, and whether each side can reach the other. */
function ends({ initiator, responder }: Pair) {
  const there = initiator.outboundSpi();
  const back = responder.outboundSpi();
  return {
    ike: initiator.ikeSas.filter(({ state }) => state === "established").at(-1)?.initiatorSpi,
    child: there,
    isUp:
      there !== undefined &&
      back !== undefined &&
      responder.installed.has(there) &&
      initiator.installed.has(back),
  };
}

/** Rekeys once under the given faults while packets flow; in the end there is one of each on both sides, and after a disconnect nothing. */
function live(facts: {
  readonly scenario: Scenario;
  readonly seed: number;
  readonly fate: (index: number) => Fate;
}): void {
  const { scenario, seed, fate } = facts;
  const pair = establishedPair({
    seed,
    limits: { livenessMs: 150_000 },
    ...(scenario.options && { common: scenario.options }),
  });
  const { initiator, link } = pair;
  const traffic = new Traffic(pair, () => ONE_WAY);
  const first = link.transmitted.length;
  link.fate = ({ index }) => fate(index - first);
  scenario.begin(pair);
  traffic.run({ until: link.now + 3_000, everyMs: 150 });
  link.fate = () => [ONE_WAY];
  traffic.finish();
  // What is late may be 45 s late; what the peer should have deleted goes after 90 s.
  link.run({ until: link.now + 100_000 });
  expect(traffic.lost).toEqual([]);
  expectSettled(pair);
  initiator.disconnect();
  link.run({ until: link.now + 150_000 });
  expectClean(initiator, pair.responder);
}

function expectSettled(pair: Pair): void {
  const { initiator, responder } = pair;
  expectEstablished(initiator, responder);
  expectMirrored(initiator, responder);
  expect([initiator.reserved.size, responder.reserved.size]).toEqual([1, 1]);
  expect(initiator.outboundSpi()).toBe([...responder.installed.keys()][0]);
  expect(responder.outboundSpi()).toBe([...initiator.installed.keys()][0]);
}

function countMessages(scenario: Scenario): number {
  const pair = establishedPair({ seed: 1, ...(scenario.options && { common: scenario.options }) });
  const before = pair.link.transmitted.length;
  pair.link.fate = () => [ONE_WAY];
  scenario.begin(pair);
  pair.link.run({ until: pair.link.now + 2_000 });
  return pair.link.transmitted.length - before;
}
