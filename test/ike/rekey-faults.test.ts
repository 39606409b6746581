import { describe, expect, test } from "vitest";
import { expectClean, expectSettled } from "../support/simulator/expectations.ts";
import {
  establishedPair,
  type Fate,
  type Pair,
  type PolicyOptions,
  SeededRandom,
} from "../support/simulator/index.ts";
import { forEachSeed, seedCount } from "../support/simulator/seeds.ts";
import { Traffic } from "../support/simulator/traffic.ts";

// Rekeying against the network: every message lost, repeated or late, alone and in pairs, and chance on top.

const ONE_WAY = 10;
const PFS: PolicyOptions = { esp: ["aes256gcm16-x25519"] };

interface Scenario {
  readonly name: string;
  readonly begin: (pair: Pair) => void;
  readonly options?: PolicyOptions;
  readonly initiator?: PolicyOptions;
  /** What is left in the end; one of each if not said. Packets are counted only where nothing is taken down. */
  readonly end?: "an IKE SA without children" | "nothing";
  /** Messages at least; 4 if not said. */
  readonly least?: number;
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
  {
    name: "a child SA is rekeyed with a group that the peer does not take",
    begin: ({ initiator }) => initiator.rekey("children"),
    options: { esp: ["aes256gcm16-ecp256"] },
    initiator: { esp: ["aes256gcm16-x25519-ecp256"] },
    least: 6,
  },
  {
    name: "the IKE SA is rekeyed with a group that the peer does not take",
    begin: ({ initiator }) => initiator.rekey("ike"),
    options: { ike: ["aes256gcm16-prfsha256-x25519", "aes256gcm16-prfsha256-ecp256"] },
    initiator: { ike: ["aes128gcm16-prfsha256-ecp384", "aes256gcm16-prfsha256-x25519"] },
  },
  {
    name: "both sides ask whether the other is alive",
    begin: ({ initiator, responder }) => {
      for (const side of [initiator, responder]) side.handle({ kind: "liveness", connection: "tunnel" });
    },
  },
  {
    name: "a child SA is deleted",
    begin: ({ initiator }) => initiator.handle({ kind: "terminate", connection: "tunnel", child: "lan" }),
    end: "an IKE SA without children",
    least: 2,
  },
  {
    name: "both sides delete a child SA",
    begin: ({ initiator, responder }) => {
      for (const side of [initiator, responder])
        side.handle({ kind: "terminate", connection: "tunnel", child: "lan" });
    },
    end: "an IKE SA without children",
  },
  {
    name: "one side deletes the IKE SA while the other rekeys a child SA",
    begin: ({ initiator, responder }) => {
      initiator.disconnect();
      responder.rekey("children");
    },
    end: "nothing",
  },
];

const PAIR_FATES: readonly Fate[] = [[], [ONE_WAY, ONE_WAY + 5], [800]];
const FATES: readonly Fate[] = [...PAIR_FATES, [ONE_WAY, 45_000]];

describe.each(SCENARIOS)("when $name", (scenario) => {
  test("any one message may be lost, repeated or late", () => {
    const count = countMessages(scenario);
    expect(count).toBeGreaterThanOrEqual(scenario.least ?? 4);
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
    forEachSeed(Math.ceil(seedCount(10_000) / SCENARIOS.length), (seed) => {
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
    });
  });
});

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
    ...optionsOf(scenario),
  });
  const { initiator, responder, link } = pair;
  const traffic = new Traffic(pair, () => ONE_WAY);
  const first = link.transmitted.length;
  link.fate = ({ index }) => fate(index - first);
  scenario.begin(pair);
  traffic.run({ until: link.now + 3_000, everyMs: 150 });
  link.fate = () => [ONE_WAY];
  traffic.finish();
  // What is late may be 45 s late; what the peer should have deleted goes after 90 s.
  link.run({ until: link.now + 100_000 });
  if (scenario.end === undefined) {
    expect(traffic.lost).toEqual([]);
    expectSettled(pair);
  } else if (scenario.end === "an IKE SA without children") {
    for (const machine of [initiator, responder]) {
      expect(machine.ikeSas.map(({ state }) => state)).toEqual(["established"]);
      expect([machine.installed.size, machine.reserved.size]).toEqual([0, 0]);
    }
  } else {
    expect([initiator.installed.size, responder.installed.size]).toEqual([0, 0]);
  }
  initiator.disconnect();
  link.run({ until: link.now + 150_000 });
  expectClean(initiator, responder);
}

function optionsOf({ options, initiator }: Scenario) {
  return { ...(options && { common: options }), ...(initiator && { initiator }) };
}

function countMessages(scenario: Scenario): number {
  const pair = establishedPair({ seed: 1, ...optionsOf(scenario) });
  const before = pair.link.transmitted.length;
  pair.link.fate = () => [ONE_WAY];
  scenario.begin(pair);
  pair.link.run({ until: pair.link.now + 2_000 });
  return pair.link.transmitted.length - before;
}
