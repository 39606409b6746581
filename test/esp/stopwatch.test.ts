import { expect, test } from "vitest";
import { TALLY_TUN_READ } from "../../assembly/layout.ts";
import { createSharedMemory, type Kernel, loadKernel } from "../../src/esp/kernel.ts";
import { readTimes, Stopwatch } from "../../src/esp/stopwatch.ts";
import { Tally } from "../../src/esp/tally.ts";
import type { SystemCalls } from "../../src/platform/system-calls/system-calls.ts";

class Bed {
  now = 50;
  readonly memory = createSharedMemory();
  readonly #tally = new Tally(this.memory, 1, TALLY_TUN_READ);
  readonly stopwatch = new Stopwatch(this.memory, 1, { now: () => this.now });
  /** A read takes 3 ms, a call of the kernel 5 ms. */
  readonly systemCalls = this.stopwatch.timeSystemCalls({
    read: (_descriptor: number, _address: number, length: number) => this.#take(3, length),
  } as unknown as SystemCalls);
  readonly kernel = this.stopwatch.timeKernel({
    ...loadKernel(this.memory, 1),
    espCoalesceBatch: (first: number) => this.#take(5, first),
  } as Kernel);

  /** A round with one read, one call of the kernel and 2 ms of JavaScript. */
  round(packets: number): void {
    this.stopwatch.beginRound();
    expect(this.systemCalls.read(0, 0, 77)).toBe(77);
    expect(this.kernel.espCoalesceBatch(9, 0, 0)).toBe(9);
    this.now += 2;
    if (packets > 0) this.#tally.add(packets, 100);
    this.stopwatch.endRound();
  }

  get times() {
    return readTimes(this.memory, [1]);
  }

  #take(milliseconds: number, result: number): number {
    this.now += milliseconds;
    return result;
  }
}

test("one round in 61 is timed, and tells where the time of a packet goes", () => {
  const bed = new Bed();
  for (let i = 0; i < 60; i++) bed.round(4);
  expect(bed.times).toEqual({ rounds: 0, packets: 0, systemCallsNs: 0, webAssemblyNs: 0, javaScriptNs: 0 });
  for (let i = 0; i < 62; i++) bed.round(4);
  expect(bed.times).toEqual({
    rounds: 2,
    packets: 8,
    systemCallsNs: 750_000,
    webAssemblyNs: 1_250_000,
    javaScriptNs: 500_000,
  });
});

test("a round without packets is not counted, and the next one is timed in its place", () => {
  const bed = new Bed();
  for (let i = 0; i < 61; i++) bed.round(0);
  expect(bed.times.rounds).toBe(0);
  bed.round(2);
  expect(bed.times).toMatchObject({ rounds: 1, packets: 2, systemCallsNs: 1_500_000 });
});
