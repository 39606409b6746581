import { expect, test } from "vitest";
import { createMonotonicClock } from "../../src/platform/clock.ts";
import { systemRandom } from "../../src/platform/random.ts";

test("two clocks of one machine agree, never go back, and count milliseconds", () => {
  const first = createMonotonicClock();
  const second = createMonotonicClock();
  let last = first.now();
  for (let i = 0; i < 10_000; i++) {
    const now = (i % 2 === 0 ? second : first).now();
    expect(now).toBeGreaterThan(last - 1);
    last = now;
  }
  const hrtimeMs = () => Number(process.hrtime.bigint()) / 1e6;
  const before = hrtimeMs();
  const now = first.now();
  expect(now).toBeGreaterThan(before - 1);
  expect(now).toBeLessThan(hrtimeMs() + 1);
});

test("random octets have the length asked for and differ", () => {
  expect(systemRandom.bytes(0)).toHaveLength(0);
  expect(systemRandom.bytes(32)).toHaveLength(32);
  expect(systemRandom.bytes(32)).not.toEqual(systemRandom.bytes(32));
  // More than any stock holds.
  const few = Array.from({ length: 1000 }, (_, i) => systemRandom.bytes(5 + (i % 4)));
  few.forEach((octets, i) => {
    expect(octets).toHaveLength(5 + (i % 4));
  });
  expect(new Set(few.map((octets) => octets.join())).size).toBe(1000);
});
