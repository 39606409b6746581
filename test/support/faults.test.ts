import { describe, expect, test } from "vitest";
import { FaultPlan, type Faults, HELD_BACK_MS } from "./faults.ts";

const COUNT = 100_000;

function fates(faults: Faults, { seed = 1, direction = 0 } = {}): readonly (readonly number[])[] {
  const plan = new FaultPlan(seed, direction, faults);
  return Array.from({ length: COUNT }, (_, index) => plan.fateOf(index));
}

/** Four standard deviations of a count of independent chances. */
function tolerance(chance: number): number {
  return 4 * Math.sqrt(COUNT * chance * (1 - chance));
}

describe.each([0.01, 0.05, 0.1, 0.5])("at a chance of %d", (chance) => {
  for (const { name, faults, happened } of [
    { name: "loss", faults: { loss: chance }, happened: (fate: readonly number[]) => fate.length === 0 },
    {
      name: "duplication",
      faults: { duplication: chance },
      happened: (fate: readonly number[]) => fate.length === 2,
    },
    {
      name: "reordering",
      faults: { reordering: chance, delayMs: [20, 20] as const },
      happened: (fate: readonly number[]) => fate[0] === 20 + HELD_BACK_MS,
    },
  ]) {
    test(`${name} happens that often, and in runs as chance would have it`, () => {
      const hits = fates(faults).map(happened);
      const count = hits.filter(Boolean).length;
      expect(Math.abs(count - COUNT * chance)).toBeLessThan(tolerance(chance));
      const pairs = hits.filter((hit, i) => hit && hits[i + 1]).length;
      expect(Math.abs(pairs - COUNT * chance ** 2)).toBeLessThan(2 * tolerance(chance ** 2));
    });
  }

  test("rebinding happens that often", () => {
    const plan = new FaultPlan(3, 0, { rebinding: chance });
    const count = Array.from({ length: COUNT }, (_, i) => plan.rebindsBefore(i)).filter(Boolean).length;
    expect(Math.abs(count - COUNT * chance)).toBeLessThan(tolerance(chance));
  });
});

test("delays lie between least and most, evenly", () => {
  const delays = fates({ delayMs: [20, 120] }).map(([delay]) => delay!);
  expect(Math.min(...delays)).toBeGreaterThanOrEqual(20);
  expect(Math.max(...delays)).toBeLessThan(120);
  for (let tenth = 0; tenth < 10; tenth++) {
    const count = delays.filter((delay) => Math.floor((delay - 20) / 10) === tenth).length;
    expect(Math.abs(count - COUNT / 10)).toBeLessThan(tolerance(0.1));
  }
});

test("one seed decides the same, whatever was asked before; another seed or direction differently", () => {
  const faults = { loss: 0.1, duplication: 0.1, reordering: 0.1, delayMs: [5, 50] as const };
  const once = fates(faults, { seed: 7 });
  expect(fates(faults, { seed: 7 })).toEqual(once);
  expect(new FaultPlan(7, 0, faults).fateOf(99_999)).toEqual(once[99_999]);
  expect(fates(faults, { seed: 8 })).not.toEqual(once);
  const other = fates(faults, { seed: 7, direction: 1 });
  const bothLost = once.filter((fate, i) => fate.length === 0 && other[i]!.length === 0).length;
  expect(Math.abs(bothLost - COUNT * 0.01)).toBeLessThan(tolerance(0.01));
});

test("without faults everything passes at once", () => {
  expect(new FaultPlan(1, 0, {}).isQuiet).toBe(true);
  expect(new Set(fates({}).map((fate) => fate.join()))).toEqual(new Set(["0"]));
  for (const faults of [{ loss: 0.1 }, { rebinding: 0.1 }, { delayMs: [1, 1] as const }]) {
    expect(new FaultPlan(1, 0, faults).isQuiet).toBe(false);
  }
});
