import { describe, expect, test } from "vitest";
import { LOOK_MS, Wakefulness } from "../../src/engine/wakefulness.ts";

/** A machine whose clocks a test turns by hand. */
class Machine {
  monotonic = 5_000;
  uptime = 9_000;
  readonly wakefulness = new Wakefulness({ now: () => this.monotonic }, () => this.uptime);

  run(ms: number): void {
    this.monotonic += ms;
    this.uptime += ms;
  }
}

describe("the time in which we were awake", () => {
  test("is the system's while somebody looks often enough, a busy moment included", () => {
    const machine = new Machine();
    for (const ms of [LOOK_MS, 10, LOOK_MS + 25_000, 1, LOOK_MS]) {
      machine.run(ms);
      expect(machine.wakefulness.look()).toBe(false);
      expect(machine.wakefulness.now()).toBe(machine.monotonic);
    }
  });

  test("stands still while nobody runs us, and so do moments of before", () => {
    const machine = new Machine();
    machine.run(LOOK_MS + 3_600_000);
    expect(machine.wakefulness.look()).toBe(true);
    expect(machine.wakefulness.now()).toBe(5_000 + LOOK_MS);
    expect(machine.wakefulness.at(machine.monotonic)).toBe(machine.wakefulness.now());
    machine.run(LOOK_MS);
    expect(machine.wakefulness.look()).toBe(false);
    expect(machine.wakefulness.now()).toBe(5_000 + 2 * LOOK_MS);
  });

  test("notices a sleep in which the monotonic clock stands still, once", () => {
    const machine = new Machine();
    machine.uptime += 3_600_000;
    machine.run(2_000);
    expect(machine.wakefulness.look()).toBe(true);
    expect(machine.wakefulness.now()).toBe(7_000);
    machine.run(2_000);
    expect(machine.wakefulness.look()).toBe(false);
  });
});
