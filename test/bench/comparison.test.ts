import { expect, test } from "vitest";
import { comparePairs, compareSamples } from "../../src/bench/comparison.ts";
import { summarize } from "../../src/bench/statistics.ts";
import { studentT } from "../../src/bench/student-t.ts";
import { SeededRandom } from "../support/kernel.ts";

// A figure as machines give it: the truth, times what all of a round suffer, times noise of its own.
const ROUND_NOISE = 0.3;
const OWN_NOISE = 0.08;

test.each([
  [0.95, 1, 12.706],
  [0.95, 2, 4.303],
  [0.95, 4, 2.776],
  [0.99, 4, 4.604],
  [0.99, 9, 3.25],
  [0.95, 30, 2.042],
  [0.9, 7, 1.895],
])("Student's t for %f and %i degrees of freedom is that of the tables", (confidence, degrees, expected) => {
  expect(studentT(confidence, degrees)).toBeCloseTo(expected, 3);
});

test("a known difference of 2x is found in every run of five rounds, and in pairs in spite of rounds that differ more", () => {
  for (let seed = 1; seed <= 200; seed++) {
    const rounds = roundsOf({ seed, count: 5, ours: 2000, theirs: 1000 });
    const paired = comparePairs(rounds);
    expect(paired.isDifferent, `seed ${seed}`).toBe(true);
    expect(paired.value).toBeGreaterThan(1.5);
    expect(paired.value).toBeLessThan(2.7);
  }
});

test("a made-up difference inside the noise is not called one", () => {
  const rounds = [
    [1000, 1010],
    [900, 840],
    [1100, 1150],
    [950, 930],
    [1020, 1060],
  ] as const;
  expect(comparePairs(rounds).isDifferent).toBe(false);
  expect(
    compareSamples(
      rounds.map(([ours]) => ours),
      rounds.map(([, theirs]) => theirs),
    ).isDifferent,
  ).toBe(false);
});

test("who are the same are called different as often as the confidence says, and no more", () => {
  const runs = 2000;
  let paired = 0;
  let unpaired = 0;
  for (let seed = 1; seed <= runs; seed++) {
    const rounds = roundsOf({ seed, count: 5, ours: 1000, theirs: 1000 });
    if (comparePairs(rounds).isDifferent) paired++;
    const other = roundsOf({ seed: seed + runs, count: 5, ours: 1000, theirs: 1000 });
    if (
      compareSamples(
        rounds.map(([ours]) => ours),
        other.map(([ours]) => ours),
      ).isDifferent
    )
      unpaired++;
  }
  for (const share of [paired / runs, unpaired / runs]) {
    expect(share).toBeGreaterThan(0.02);
    expect(share).toBeLessThan(0.07);
  }
});

test("the interval of a figure holds the truth as often as it says", () => {
  const random = gaussian(7);
  let held = 0;
  for (let run = 0; run < 2000; run++) {
    const { interval } = summarize(Array.from({ length: 5 }, () => 1000 * Math.exp(0.2 * random())));
    if (interval!.low <= 1000 && 1000 <= interval!.high) held++;
  }
  expect(held / 2000).toBeGreaterThan(0.93);
  expect(held / 2000).toBeLessThan(0.97);
});

test("one round shows no noise, and so no difference either", () => {
  expect(comparePairs([[2000, 1000]])).toEqual({
    scale: "ratio",
    value: 2,
    interval: undefined,
    isDifferent: false,
  });
  expect(compareSamples([2000], [1000, 1100]).isDifferent).toBe(false);
  expect(summarize([2000]).interval).toBeUndefined();
});

test("where somebody has 0, differences stand for ratios", () => {
  const loss = comparePairs([
    [0, 4],
    [0, 5],
    [0.1, 4.5],
  ]);
  expect(loss).toMatchObject({ scale: "difference", isDifferent: true });
  expect(loss.value).toBeCloseTo(-4.47, 2);
});

test("rounds that all say the same leave no doubt", () => {
  const same = [
    [3, 2],
    [3, 2],
    [3, 2],
  ] as const;
  expect(comparePairs(same)).toMatchObject({ isDifferent: true });
  expect(compareSamples([3, 3], [3, 3])).toMatchObject({ value: 1, isDifferent: false });
});

function roundsOf({
  seed,
  count,
  ours,
  theirs,
}: {
  readonly seed: number;
  readonly count: number;
  readonly ours: number;
  readonly theirs: number;
}): readonly (readonly [number, number])[] {
  const random = gaussian(seed);
  return Array.from({ length: count }, () => {
    const round = Math.exp(ROUND_NOISE * random());
    const own = (truth: number): number => truth * round * Math.exp(OWN_NOISE * random());
    return [own(ours), own(theirs)] as const;
  });
}

/** Box and Muller, of seeded octets. */
function gaussian(seed: number): () => number {
  const random = new SeededRandom(seed);
  const uniform = (): number => {
    const octets = random.octets(4);
    return (new DataView(octets.buffer, octets.byteOffset, 4).getUint32(0) + 1) / 2 ** 32;
  };
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}
