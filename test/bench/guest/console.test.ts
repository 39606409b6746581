import { spawn } from "node:child_process";
import { expect, test } from "vitest";
import { followConsole, outcomeOf } from "../../../src/bench/guest/console.ts";

const ground = { kernel: "a kernel", distorts: "nothing" };
const aborted = AbortSignal.abort();
const { signal: calm } = new AbortController();

test("a guest whose command has ended tells its code, also when it was broken off", () => {
  const seen = { code: 130, hasBegun: true, last: "ended 130" };
  for (const signal of [calm, aborted])
    expect(outcomeOf(seen, { ground, signal })).toEqual({ code: 130, ...ground });
});

test("a guest that ends too early says what it wrote last", () => {
  for (const [hasBegun, signal] of [
    [false, calm],
    [true, calm],
    [true, aborted],
  ] as const) {
    const seen = { code: undefined, hasBegun, last: "kernel panic" };
    expect(() => outcomeOf(seen, { ground, signal })).toThrow(
      "the guest ended before the run did: kernel panic",
    );
  }
});

test("a guest that is broken off while it boots is ended, and nobody blames it", async () => {
  const controller = new AbortController();
  const { signal } = controller;
  const child = spawn(process.execPath, ["-e", "console.log('booting'); setInterval(() => {}, 1000)"], {
    stdio: ["pipe", "pipe", "pipe"],
  });
  child.stdout.once("data", () => controller.abort());
  const seen = await followConsole(child, { onLine: () => {}, signal });
  expect(child.signalCode).toBe("SIGKILL");
  expect(() => outcomeOf(seen, { ground, signal })).toThrow("broken off before the guest was up");
});
