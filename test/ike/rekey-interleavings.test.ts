import { describe, expect, test } from "vitest";
import type { IkeInput } from "../../src/ike/io.ts";
import { expectClean, expectMirrored } from "../support/simulator/expectations.ts";
import {
  childPolicy,
  establishedPair,
  type Pair,
  type PolicyOptions,
  SeededRandom,
  type SimulatedMachine,
} from "../support/simulator/index.ts";
import { inEveryInterleaving, type Weather, walkAtRandom } from "../support/simulator/interleavings.ts";
import { forEachSeed, seedCount } from "../support/simulator/seeds.ts";

// Rekeyings that cross, as daemons under load see them: messages come in batches and a key exchange is done with behind what came after its
// message; and whoever wants SAs rekeyed says so at any moment, also in the middle of a crossing.

const PFS: PolicyOptions = { esp: ["aes256gcm16-x25519"] };
/** With a further key exchange behind CREATE_CHILD_SA. */
const FURTHER: PolicyOptions = {
  ike: ["aes256gcm16-prfsha256-x25519-ke1_ecp384"],
  esp: ["aes256gcm16-x25519-ke1_ecp384"],
};
const children: IkeInput = { kind: "rekey", connection: "tunnel", what: "children" };
const ike: IkeInput = { kind: "rekey", connection: "tunnel", what: "ike" };
const liveness: IkeInput = { kind: "liveness", connection: "tunnel" };

interface Crossing {
  readonly name: string;
  readonly scripts: readonly [readonly IkeInput[], readonly IkeInput[]];
  readonly options?: PolicyOptions;
  readonly seeds: readonly number[];
  /** Ways to end at least. */
  readonly least: number;
}

const CROSSINGS: readonly Crossing[] = [
  { name: "both rekey a child SA", scripts: [[children], [children]], seeds: [1, 15], least: 5 },
  {
    name: "both rekey a child SA with PFS",
    scripts: [[children], [children]],
    options: PFS,
    seeds: [15],
    least: 50,
  },
  { name: "both rekey the IKE SA", scripts: [[ike], [ike]], seeds: [1, 2], least: 50 },
  { name: "one rekeys the IKE SA, the other a child SA", scripts: [[ike], [children]], seeds: [1], least: 5 },
  {
    name: "both rekey a child SA with further key exchanges",
    scripts: [[children], [children]],
    options: FURTHER,
    seeds: [1, 15],
    least: 20,
  },
  {
    name: "both rekey the IKE SA with further key exchanges",
    scripts: [[ike], [ike]],
    options: FURTHER,
    seeds: [1, 2],
    least: 20,
  },
  {
    name: "one rekeys a child SA twice, the other once",
    scripts: [[children, children], [children]],
    seeds: [1],
    least: 20,
  },
];

describe.each(CROSSINGS)("$name", ({ scripts, options, seeds, least }) => {
  test("and one of each is left, on both sides the same, whatever is done first", {
    timeout: 300_000,
  }, () => {
    for (const seed of seeds) {
      const count = inEveryInterleaving({
        begin: () => ({ pair: establishedPair({ seed, ...(options && { common: options }) }), scripts }),
        check: (pair) => expectRest(pair, ["lan"]),
        most: 100_000,
      });
      expect(count).toBeGreaterThanOrEqual(least);
      expect(count).toBeLessThan(100_000);
    }
  });
});

const WEATHERS: readonly Weather[] = [
  { isOrderly: true, loss: 0, duplication: 0, waiting: 0 },
  { isOrderly: false, loss: 0, duplication: 0, waiting: 0 },
  { isOrderly: false, loss: 0, duplication: 0.05, waiting: 0.02 },
  { isOrderly: false, loss: 0.05, duplication: 0.05, waiting: 0.05 },
];

test("commands at any time, messages in any order, and one of each is left", { timeout: 300_000 }, () => {
  forEachSeed(seedCount(200), (seed) => {
    const random = new SeededRandom(seed);
    const weather = WEATHERS[random.below(WEATHERS.length)]!;
    const kind = random.fraction();
    const options = kind < 0.3 ? FURTHER : kind < 0.6 ? PFS : {};
    const { ike: proposals, ...esp } = options;
    const names = random.fraction() < 0.3 ? ["lan", "second"] : ["lan"];
    const seenFrom = (ours: number, theirs: number) =>
      names.map((name, i) =>
        childPolicy({ name, ...esp, local: [`10.${ours}.${i}.0/24`], remote: [`10.${theirs}.${i}.0/24`] }),
      );
    const pair = establishedPair({
      seed,
      ...(proposals && { common: { ike: proposals } }),
      initiator: { children: seenFrom(1, 2) },
      responder: { children: seenFrom(2, 1) },
      ...(random.fraction() < 0.2 && { linkMtu: 1500 }),
    });
    walkAtRandom({
      world: { pair, scripts: [someCommands(random), someCommands(random)] },
      weather,
      random,
      look: () => expectPassage(pair, names),
      check: () => expectRest(pair, names),
    });
  });
});

/** Up to three, most of them about child SAs. */
function someCommands(random: SeededRandom): readonly IkeInput[] {
  return Array.from({ length: 1 + random.below(3) }, () => {
    const chance = random.fraction();
    return chance < 0.6 ? children : chance < 0.9 ? ike : liveness;
  });
}

/** A packet each way is opened, or held for keys that are on their way. */
function expectPassage({ initiator, responder }: Pair, names: readonly string[]): void {
  for (const name of names) {
    for (const [from, to] of [
      [initiator, responder],
      [responder, initiator],
    ] as const) {
      const spi = from.outboundSpi(name);
      const fate = spi === undefined ? "unsent" : to.receivePacket(spi);
      if (fate !== "opened" && fate !== "held") expect.fail(`a packet of ${from.name} in ${name} is ${fate}`);
    }
  }
}

/** What was put off and what was lost has its time, and it is less than a peer has to delete what is superfluous. */
const SETTLING_MS = 45_000;

function expectRest(pair: Pair, names: readonly string[]): void {
  const { initiator, responder, link } = pair;
  link.fate = () => [10];
  link.run({ until: link.now + SETTLING_MS });
  const machines = [initiator, responder];
  for (const { endpoint } of machines) expect(endpoint.counters.internalErrors).toBe(0);
  const [ours, theirs] = machines.map(inUse);
  expect(ours).toHaveLength(1);
  expect(theirs).toEqual(ours);
  for (const machine of machines) {
    expect(machine.childSas.map(({ name }) => name).toSorted(), machine.name).toEqual(names);
    expect([machine.installed.size, machine.reserved.size]).toEqual([names.length, names.length]);
  }
  expectMirrored(initiator, responder);
  expectPassage(pair, names);
  // A side that does not know of an IKE SA that goes never deletes it.
  link.run({ until: link.now + 100_000 });
  for (const { ikeSas } of machines) expect(ikeSas.map(({ state }) => state)).toEqual(["established"]);
  // Whoever has given a command takes that for its failure.
  for (const machine of machines) expect(machine.eventNames()).not.toContain("ike-sa-deleted");
  initiator.disconnect();
  link.run({ until: link.now + 150_000 });
  expectClean(initiator, responder);
}

/** Names of the IKE SAs that commands and `status` go by, and of their child SAs. */
function inUse(machine: SimulatedMachine) {
  return machine.ikeSas
    .filter(({ state }) => state === "established")
    .map(({ initiatorSpi, responderSpi, childSas }) => ({
      initiatorSpi,
      responderSpi,
      children: childSas.length,
    }));
}
