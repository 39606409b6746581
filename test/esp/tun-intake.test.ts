import { expect, test } from "vitest";
import { TRAILER_ROOM } from "../../assembly/layout.ts";
import { createSharedMemory } from "../../src/esp/kernel.ts";
import { INTAKE_CAPACITY, TunIntake } from "../../src/esp/tun-intake.ts";
import { MemoryTun } from "../../src/platform/tun/memory-tun.ts";
import { innerPacket } from "../support/inner-packets.ts";
import { SeededRandom } from "../support/kernel.ts";

class Bed {
  readonly memory = createSharedMemory();
  readonly octets = new Uint8Array(this.memory.buffer);
  readonly tun = new MemoryTun(this.memory, { name: "tun0", mtu: 65_535, capacity: 5000 });
  readonly intake = new TunIntake({ worker: 1, tun: this.tun });

  inject(length: number, fill: number): Uint8Array {
    const packet = innerPacket({
      source: "10.1.0.1",
      destination: "10.2.0.1",
      payload: new Uint8Array(length - 20).fill(fill),
    });
    expect(this.tun.inject(packet)).toBe(true);
    return packet;
  }

  contents(packet: number): Uint8Array {
    const at = this.intake.addressOf(packet);
    return this.octets.slice(at, at + this.intake.lengthOf(packet));
  }
}

test("packets stay as they are until they are released, in whatever order that happens", () => {
  const bed = new Bed();
  const random = new SeededRandom(5);
  const held = new Map<number, Uint8Array>();
  const sent: Uint8Array[] = [];
  let handled = 0;
  for (let i = 0; handled < 5000; i++) {
    sent.push(bed.inject(20 + Math.floor((random.octets(1)[0]! / 256) ** 4 * 60_000) + 1, i));
    const packet = bed.intake.read();
    if (packet !== -1) {
      expect(held.has(packet)).toBe(false);
      held.set(packet, sent.shift()!);
    }
    // Without room somebody has to go first: the packet waits in the device.
    while (held.size > 0 && (packet === -1 || held.size > 200)) {
      const numbers = [...held.keys()];
      const chosen = numbers[random.octets(1)[0]! % numbers.length]!;
      // What the kernel writes behind a packet harms no other.
      const end = bed.intake.addressOf(chosen) + bed.intake.lengthOf(chosen);
      bed.octets.fill(0xee, end, end + TRAILER_ROOM);
      expect(Buffer.compare(bed.contents(chosen), held.get(chosen)!)).toBe(0);
      bed.intake.release(chosen);
      held.delete(chosen);
      handled++;
      if (bed.intake.hasRoom) break;
    }
  }
});

test("reads nothing while there is no room for a packet of any length, and says so", () => {
  const bed = new Bed();
  const numbers: number[] = [];
  for (let i = 0; bed.intake.hasRoom; i++) {
    bed.inject(60_000, i);
    numbers.push(bed.intake.read());
  }
  expect(numbers.length).toBeGreaterThan(15);
  bed.inject(100, 1);
  expect(bed.intake.read()).toBe(-1);
  // The room of the second is not of use before the first is gone.
  bed.intake.release(numbers[1]!);
  expect(bed.intake.hasRoom).toBe(false);
  bed.intake.release(numbers[0]!);
  expect(bed.intake.hasRoom).toBe(true);
  expect(bed.intake.read()).not.toBe(-1);
});

test("many small packets are bounded in number", () => {
  const bed = new Bed();
  let count = 0;
  while (bed.intake.hasRoom) {
    bed.inject(40, count);
    bed.intake.read();
    count++;
  }
  expect(count).toBeLessThanOrEqual(INTAKE_CAPACITY);
  expect(count).toBeGreaterThan(INTAKE_CAPACITY - 100);
});
