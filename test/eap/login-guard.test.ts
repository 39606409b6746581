import { describe, expect, test } from "vitest";
import { LoginGuard } from "../../src/eap/login-guard.ts";

/** The clock of a test: `wait` moves it. */
function guarded() {
  let now = 1_000;
  const guard = new LoginGuard({ now: () => now });
  return {
    guard,
    wait: (ms: number) => {
      now += ms;
    },
    /** A login that shows the right password, if it is looked at. */
    logsIn: (user: string, address: string) => {
      const isAdmitted = guard.admits({ user, address });
      if (isAdmitted) guard.succeeded({ user, address });
      return isAdmitted;
    },
    guess: (user: string, address: string) => guard.admits({ user, address }),
  };
}

const HOME = "203.0.113.5";
const attacker = (i: number) => `198.51.${(i >>> 8) & 0xff}.${i & 0xff}`;

describe("10,000 wrong passwords in a minute", () => {
  test.each([1, 10, 100, 1000])("from %d addresses: the user logs in where he did before", (addresses) => {
    const { logsIn, guess, wait } = guarded();
    expect(logsIn("anna", HOME)).toBe(true);
    let admitted = 0;
    for (let i = 0; i < 10_000; i++) {
      if (guess("anna", attacker(i % addresses))) admitted++;
      if (i % 500 === 499) expect(logsIn("anna", HOME)).toBe(true);
      wait(6);
    }
    // A burst of each kind, and what the minute brings.
    expect(admitted).toBeLessThanOrEqual(20 + 60 + 20 + 30 + 1);
  });

  test.each([1, 10, 50])("from %d addresses: the user logs in at once from somewhere new", (addresses) => {
    const { logsIn, guess, wait } = guarded();
    for (let i = 0; i < 10_000; i++) {
      guess("anna", attacker(i % addresses));
      wait(6);
    }
    expect(logsIn("anna", HOME)).toBe(true);
  });

  test("from 1000 addresses: the user who comes from somewhere new gets in within seconds", () => {
    const { logsIn, guess, wait } = guarded();
    let waited = 0;
    for (let i = 0; i < 10_000; i++) {
      guess("anna", attacker(i % 1000));
      wait(6);
    }
    for (; !logsIn("anna", HOME) && waited < 10; waited++) wait(1000);
    expect(waited).toBeLessThan(10);
  });

  test("other users are not held up, and neither is anybody afterwards", () => {
    const { logsIn, guess, wait } = guarded();
    for (let i = 0; i < 10_000; i++) guess("anna", attacker(i % 500));
    expect(logsIn("bert", HOME)).toBe(true);
    wait(60_000);
    expect(logsIn("anna", attacker(3))).toBe(true);
  });
});

test("somebody who mistypes has five tries, and another after ten seconds", () => {
  const { guess, wait } = guarded();
  const tries = (count: number) => Array.from({ length: count }, () => guess("anna", HOME));
  expect(tries(7)).toEqual([true, true, true, true, true, false, false]);
  wait(9_900);
  expect(tries(1)).toEqual([false]);
  wait(200);
  expect(tries(2)).toEqual([true, false]);
});

test("one network may try so many names only", () => {
  const { guess, wait } = guarded();
  const names = (count: number) =>
    Array.from({ length: count }, (_, i) => guess(`user${i}`, HOME)).filter(Boolean).length;
  expect(names(100)).toBe(20);
  wait(60_000);
  expect(names(100)).toBe(10);
});

test("an IPv6 network is a /56, however many addresses it has", () => {
  const { guess } = guarded();
  const admitted = Array.from({ length: 50 }, (_, i) => guess("anna", `2001:db8:0:${i.toString(16)}::1`));
  expect(admitted.filter(Boolean)).toHaveLength(5);
  expect(guess("anna", "2001:db8:0:100::1")).toBe(true);
});

test("logins cost nothing", () => {
  const { logsIn } = guarded();
  const all = Array.from({ length: 1000 }, () => logsIn("anna", HOME));
  expect(all.every(Boolean)).toBe(true);
});

test("memory is bounded, whatever names and addresses are tried", () => {
  const { guard, guess, logsIn } = guarded();
  for (let i = 0; i < 50_000; i++) guess(`user${i}`, attacker(i));
  for (let i = 0; i < 50_000; i++) logsIn(`user${i}`, `10.${i >>> 16}.${(i >>> 8) & 0xff}.${i & 0xff}`);
  expect(guard.entryCount).toBeLessThanOrEqual(5 * 8192);
});
