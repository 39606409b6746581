import { expect, test } from "vitest";
import { Spin } from "../../src/esp/spin.ts";

function setUp(limitMicroseconds: number) {
  let now = 5000;
  const spin = new Spin({ now: () => now }, limitMicroseconds);
  return {
    spin,
    pass: (milliseconds: number) => {
      now += milliseconds;
    },
    /** How many looks, 10 us apart, follow a round with work. */
    looks: () => {
      spin.noteWork();
      let count = 0;
      for (now += 0.01; spin.looksAgain(); now += 0.01) count++;
      return count;
    },
  };
}

test("a worker looks on for as long as it was told, then sleeps", () => {
  const { spin, looks } = setUp(200);
  expect(spin.looksAgain()).toBe(false);
  expect(looks()).toBeGreaterThanOrEqual(18);
  expect(looks()).toBeLessThanOrEqual(20);
  expect(spin.looksAgain()).toBe(false);
});

test("a worker that was told nothing sleeps at once", () => {
  expect(setUp(0).looks()).toBe(0);
});

test("a worker that loses its core sleeps, and tries again a second later", () => {
  const { spin, pass, looks } = setUp(1000);
  spin.noteWork();
  pass(0.01);
  expect(spin.looksAgain()).toBe(true);
  pass(0.5);
  expect(spin.looksAgain()).toBe(false);
  expect(looks()).toBe(0);
  pass(900);
  expect(looks()).toBe(0);
  pass(100);
  expect(looks()).toBeGreaterThan(90);
});
