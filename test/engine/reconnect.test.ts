import { expect, test } from "vitest";
import { Backoff } from "../../src/engine/reconnect.ts";

test("attempts wait one second, then twice as long each time, and never more than a minute", () => {
  const backoff = new Backoff();
  const delays = Array.from({ length: 9 }, () => backoff.nextDelayMs(0.5));
  expect(delays).toEqual([1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000, 60000]);
});

test("a peer that refuses is asked every five minutes in the end", () => {
  const backoff = new Backoff();
  const delays = Array.from({ length: 11 }, () => backoff.nextDelayMs(0.5, true));
  expect(delays.slice(6)).toEqual([64_000, 128_000, 256_000, 300_000, 300_000]);
});

test("a success makes the next wait short again", () => {
  const backoff = new Backoff();
  backoff.nextDelayMs(0.5);
  backoff.nextDelayMs(0.5);
  backoff.succeed();
  expect(backoff.nextDelayMs(0.5)).toBe(1000);
});

test("jitter spreads a wait by a quarter to both sides", () => {
  expect(new Backoff().nextDelayMs(0)).toBe(750);
  expect(new Backoff().nextDelayMs(0.999999)).toBe(1250);
});
