import { expect, test } from "vitest";
import { allContenders, chooseContenders } from "../../../src/bench/tunnel/catalogue.ts";
import { expectedMs } from "../../../src/bench/tunnel/estimate.ts";
import { PRESETS } from "../../../src/bench/tunnel/presets.ts";

const all = allContenders({ ikebanaCommand: ["ikebana"] });
const MINUTE_MS = 60_000;

test("the quick run takes about three minutes for its four contenders", () => {
  const { contenders, rounds, substitutes } = PRESETS.quick;
  const absent: readonly string[] = Object.values(substitutes);
  const running = chooseContenders(all, contenders).filter(({ name }) => !absent.includes(name));
  expect(running).toHaveLength(4);
  const ms = rounds * running.reduce((sum, each) => sum + expectedMs(each, PRESETS.quick), 0);
  expect(ms / MINUTE_MS).toBeGreaterThan(2);
  expect(ms / MINUTE_MS).toBeLessThan(3.5);
});

test("the default run has seven contenders without a kernel's help, and time for several rounds of them in half an hour", () => {
  const running = chooseContenders(all).filter(({ name }) => !/kernel|dco/.test(name));
  expect(running).toHaveLength(7);
  const round = running.reduce((sum, each) => sum + expectedMs(each, PRESETS.default), 0);
  expect(PRESETS.default.limitMs).toBe(30 * MINUTE_MS);
  expect(PRESETS.default.limitMs / round).toBeGreaterThan(4);
});

test("names of contenders are theirs alone, and everything a preset names exists", () => {
  expect(new Set(all.map(({ name }) => name)).size).toBe(all.length);
  expect(() => chooseContenders(all, PRESETS.quick.contenders)).not.toThrow();
});

test("who takes long to come up is expected to", () => {
  const idle = all.find(({ name }) => name.endsWith("10000idle"))!;
  expect(expectedMs(idle, PRESETS.quick)).toBeGreaterThan(expectedMs({}, PRESETS.quick) + MINUTE_MS);
});
