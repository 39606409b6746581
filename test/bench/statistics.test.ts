import { expect, test } from "vitest";
import { quantile, summarize } from "../../src/bench/statistics.ts";

test("a summary has the middle and the ends, in whatever order the samples came", () => {
  expect(summarize([5, 1, 9])).toMatchObject({ n: 3, median: 5, min: 1, max: 9 });
  expect(summarize([4, 2, 3, 1])).toMatchObject({ n: 4, median: 2.5, min: 1, max: 4 });
  expect(summarize([7])).toEqual({ n: 1, median: 7, min: 7, max: 7, interval: undefined });
});

test("quantiles lie between neighbours", () => {
  const samples = Array.from({ length: 101 }, (_, index) => 100 - index);
  expect(quantile(samples, 0.99)).toBe(99);
  expect(quantile(samples, 0.5)).toBe(50);
  expect(quantile([10, 20], 0.25)).toBe(12.5);
  expect(quantile([10, 20], 1)).toBe(20);
});

test("nothing has no median", () => {
  expect(() => summarize([])).toThrow(RangeError);
});
