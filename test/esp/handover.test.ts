import { expect, test } from "vitest";
import { WORKER_BASE, WORKER_SEND_SLAB_OFFSET, WORKER_SIZE } from "../../assembly/layout.ts";
import { HandoverReader, HandoverWriter } from "../../src/esp/handover.ts";
import { createSharedMemory, loadKernel } from "../../src/esp/kernel.ts";
import { SeededRandom } from "../support/kernel.ts";

const [FROM, TO] = [1, 3];
const slabOf = (worker: number): number => WORKER_BASE + worker * WORKER_SIZE + WORKER_SEND_SLAB_OFFSET;

class Pair {
  readonly memory = createSharedMemory();
  readonly octets = new Uint8Array(this.memory.buffer);
  readonly writer = new HandoverWriter(this.memory, loadKernel(this.memory, FROM), FROM);
  readonly reader = new HandoverReader(this.memory, loadKernel(this.memory, TO), FROM);

  put(octets: Uint8Array, note: number): boolean {
    this.octets.set(octets, slabOf(FROM));
    return this.writer.put(slabOf(FROM), octets.length, note);
  }

  take(): { readonly octets: Uint8Array; readonly note: number } | undefined {
    const length = this.reader.take(slabOf(TO));
    if (length === 0) return undefined;
    return { octets: this.octets.slice(slabOf(TO), slabOf(TO) + length), note: this.reader.note };
  }
}

test("what is handed over arrives as it was, in order, however the ring turns; what finds no room is refused", () => {
  const pair = new Pair();
  const random = new SeededRandom(4);
  const waiting: { readonly octets: Uint8Array; readonly note: number }[] = [];
  let [put, refused] = [0, 0];
  for (let turn = 0; turn < 3000; turn++) {
    if (random.below(100) < (turn % 1000 < 500 ? 75 : 25)) {
      const octets = random.octets(1 + random.below(random.below(5) === 0 ? 65_545 : 1500));
      const note = random.below(65_536);
      if (pair.put(octets, note)) {
        waiting.push({ octets, note });
        put++;
      } else {
        refused++;
      }
    } else {
      const taken = pair.take();
      const expected = waiting.shift();
      expect(taken?.note).toBe(expected?.note);
      expect(Buffer.compare(taken?.octets ?? NOTHING, expected?.octets ?? NOTHING)).toBe(0);
    }
  }
  expect(refused).toBeGreaterThan(10);
  expect(put).toBeGreaterThan(1000);
});

test("the companion is called once until it has looked, and not for nothing", () => {
  const pair = new Pair();
  expect(pair.writer.shouldCall()).toBe(false);
  pair.put(Uint8Array.of(1), 0);
  pair.put(Uint8Array.of(2), 0);
  expect(pair.writer.shouldCall()).toBe(true);
  expect(pair.writer.shouldCall()).toBe(false);
  pair.put(Uint8Array.of(3), 0);
  expect(pair.writer.shouldCall()).toBe(false);
  pair.reader.answer();
  for (const octet of [1, 2, 3]) expect(pair.take()!.octets).toEqual(Uint8Array.of(octet));
  expect(pair.take()).toBeUndefined();
  pair.put(Uint8Array.of(4), 0);
  expect(pair.writer.shouldCall()).toBe(true);
});

const NOTHING = new Uint8Array(0);
