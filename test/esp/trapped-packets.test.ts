import { expect, test } from "vitest";
import {
  DESCRIPTOR_LENGTH_OFFSET,
  DESCRIPTOR_SEQUENCE_OFFSET,
  DESCRIPTOR_SOURCE_OFFSET,
  WORKER_BASE,
  WORKER_DESCRIPTORS_OFFSET,
  WORKER_SIZE,
  WORKER_TUN_SLAB_OFFSET,
} from "../../assembly/layout.ts";
import { createSharedMemory } from "../../src/esp/kernel.ts";
import { type TrapCall, TrappedPackets } from "../../src/esp/trapped-packets.ts";

const REGION = WORKER_BASE + WORKER_SIZE;
const SLAB = REGION + WORKER_TUN_SLAB_OFFSET;
const DESCRIPTOR = (REGION + WORKER_DESCRIPTORS_OFFSET) >>> 2;
const HEADER_LENGTH = 10;

/** Packets of one octet pattern each, met one at a time as the first of their batch. */
class Bed {
  readonly calls: TrapCall[] = [];
  readonly octets: Uint8Array;
  readonly trapped: TrappedPackets;
  readonly #words: Uint32Array;

  constructor() {
    const memory = createSharedMemory();
    this.octets = new Uint8Array(memory.buffer);
    this.#words = new Uint32Array(memory.buffer);
    this.trapped = new TrappedPackets({
      memory,
      headerLength: HEADER_LENGTH,
      onTrap: (call) => this.calls.push(call),
    });
  }

  meet(trap: number, now: number, { mark = 1, length = 100 } = {}): void {
    this.octets.fill(mark, SLAB, SLAB + HEADER_LENGTH + length);
    this.#words[DESCRIPTOR + DESCRIPTOR_SOURCE_OFFSET / 4] = SLAB + HEADER_LENGTH;
    this.#words[DESCRIPTOR + DESCRIPTOR_LENGTH_OFFSET / 4] = length;
    this.#words[DESCRIPTOR + DESCRIPTOR_SEQUENCE_OFFSET / 4] = trap;
    this.trapped.meet(DESCRIPTOR, 0, now);
    this.trapped.endBatch();
  }

  /** The marks of the packets that come out, in order. */
  takeOut(now: number): number[] {
    const marks: number[] = [];
    this.trapped.takeOut(SLAB, now, (at, length) => {
      marks.push(this.octets[at]!);
      expect(new Set(this.octets.subarray(at, at + length)).size).toBe(1);
      return at + length;
    });
    return marks;
  }
}

test("a trap calls once a second, however many packets meet it, and shows the packet", () => {
  const bed = new Bed();
  for (let now = 0; now < 3000; now++) bed.meet(7, now);
  expect(bed.calls.map(({ trap }) => trap)).toEqual([7, 7, 7]);
  expect(bed.calls[0]!.packet).toEqual(new Uint8Array(100).fill(1));
});

test("all traps together call at most 64 times a second", () => {
  const bed = new Bed();
  for (let trap = 0; trap < 1000; trap++) bed.meet(trap, 5);
  expect(bed.calls).toHaveLength(64);
  for (let trap = 500; trap < 1500; trap++) bed.meet(trap, 1005);
  expect(bed.calls).toHaveLength(128);
});

test("what waits comes out once, in order, header included; at most eight packets of a trap and 64 in all", () => {
  const bed = new Bed();
  for (let mark = 1; mark <= 20; mark++) bed.meet(1, mark, { mark });
  expect(bed.trapped.count).toBe(8);
  expect(bed.takeOut(100)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  expect(bed.takeOut(100)).toEqual([]);
  for (let mark = 1; mark <= 200; mark++) bed.meet(mark, 200, { mark });
  expect(bed.trapped.count).toBe(64);
  expect(bed.takeOut(201)).toEqual(Array.from({ length: 64 }, (_, i) => i + 1));
});

test("who waits longer than three seconds has waited in vain, and makes room", () => {
  const bed = new Bed();
  for (let mark = 1; mark <= 8; mark++) bed.meet(1, mark < 5 ? 0 : 2000, { mark });
  bed.meet(1, 2500, { mark: 99 });
  bed.meet(1, 3500, { mark: 9 });
  expect(bed.takeOut(4000)).toEqual([5, 6, 7, 8, 9]);
  bed.meet(1, 5000, { mark: 10 });
  expect(bed.takeOut(8001)).toEqual([]);
});

test("a packet that meets the trap again goes on waiting from when it came first", () => {
  const bed = new Bed();
  bed.meet(1, 0);
  bed.trapped.takeOut(SLAB, 2000, (at, length) => at + length);
  bed.trapped.meet(DESCRIPTOR, 0, 2000);
  bed.trapped.endBatch();
  expect(bed.trapped.count).toBe(1);
  expect(bed.takeOut(3500)).toEqual([]);
});

test("a super-packet is not kept, and calls all the same", () => {
  const bed = new Bed();
  bed.meet(1, 0, { length: 30_000 });
  expect(bed.trapped.count).toBe(0);
  expect(bed.calls[0]!.packet.length).toBe(30_000);
});
