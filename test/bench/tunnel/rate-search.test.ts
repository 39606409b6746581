import { expect, test } from "vitest";
import { highestRate, type RateTrial } from "../../../src/bench/tunnel/measures/rate-search.ts";

/** A path that carries `capacity` packets in a second and drops what is too much. */
function path(capacity: number): (rate: number) => Promise<RateTrial> {
  return async (rate) => ({ received: Math.min(rate, capacity), loss: Math.max(0, 1 - capacity / rate) });
}

test.each([700, 9000, 20_000, 83_000, 1_300_000])(
  "a path for %i packets/s is found out",
  async (capacity) => {
    const { received, loss } = await highestRate(path(capacity));
    expect(loss).toBeLessThanOrEqual(0.01);
    expect(received / capacity).toBeGreaterThan(0.95);
    expect(received).toBeLessThanOrEqual(capacity);
  },
);

test.each([3000, 40_000, 50_000, 58_000, 900_000])(
  "an expectation shortens the search and does not decide: %i packets/s where 50,000 were expected",
  async (capacity) => {
    let trials = 0;
    const steady = path(capacity);
    const { received } = await highestRate((rate) => {
      trials++;
      return steady(rate);
    }, 50_000);
    expect(received / capacity).toBeGreaterThan(0.92);
    if (capacity === 50_000) expect(trials).toBeLessThanOrEqual(7);
  },
);

test("a sender that is slowed down instead of losing anything shows what the path carries", async () => {
  const { received } = await highestRate(async (rate) => ({ received: Math.min(rate, 50_000), loss: 0 }));
  expect(received).toBe(50_000);
});

test("one disturbed trial does not decide", async () => {
  let trials = 0;
  const steady = path(100_000);
  const { received } = await highestRate((rate) => {
    trials++;
    return trials % 3 === 1 ? Promise.resolve({ received: 0, loss: 1 }) : steady(rate);
  });
  expect(received).toBeGreaterThan(95_000);
});

test("a path that loses too much at any rate carries nothing", async () => {
  const trial = async (rate: number): Promise<RateTrial> => ({ received: rate * 0.9, loss: 0.1 });
  expect((await highestRate(trial)).received).toBe(0);
});
