import type { SharedMemory } from "../../../src/platform/system-calls/system-calls.ts";

/** A datagram that waits for its time. */
export interface Delayed {
  /** In milliseconds of `performance.now()`. */
  readonly dueAt: number;
  /** Which way it goes on. */
  readonly lane: number;
  readonly address: number;
  readonly length: number;
}

/** What fits a link of 1500 octets; longer ones take several slots in a row. */
const SLOT_SIZE = 2048;
const SLOT_COUNT = 32_768;

/** Copies of datagrams in the shared memory, given back in the order of their time. */
export class DelayLine {
  static readonly SIZE = SLOT_SIZE * SLOT_COUNT;
  readonly #octets: Uint8Array;
  readonly #base: number;
  /** A heap: no item is due before the one at half its place. Those due at one time keep their order. */
  readonly #heap: (Delayed & { readonly order: number })[] = [];
  #order = 0;
  /** Slots are taken round and round; one that is not free yet is an overflow. */
  readonly #isTaken = new Uint8Array(SLOT_COUNT);
  #next = 0;
  readonly #taken: Delayed[] = [];

  constructor(memory: SharedMemory, base: number) {
    this.#octets = new Uint8Array(memory.buffer);
    this.#base = base;
  }

  get isEmpty(): boolean {
    return this.#heap.length === 0;
  }

  get dueAt(): number | undefined {
    return this.#heap[0]?.dueAt;
  }

  /** Keeps a copy. False when there is no room. */
  put({ dueAt, lane, address, length }: Delayed): boolean {
    const slot = this.#findRoom(Math.ceil(length / SLOT_SIZE));
    if (slot === undefined) return false;
    const copy = this.#base + slot * SLOT_SIZE;
    this.#octets.copyWithin(copy, address, address + length);
    this.#push({ dueAt, lane, address: copy, length, order: this.#order++ });
    return true;
  }

  /** The first that is due. Its octets stay where they are until `recycle`. */
  take(now: number): Delayed | undefined {
    const first = this.#heap[0];
    if (first === undefined || first.dueAt > now) return undefined;
    this.#pop();
    this.#taken.push(first);
    return first;
  }

  /** What was taken has been sent. */
  recycle(): void {
    for (const { address, length } of this.#taken) this.#mark(address, length, 0);
    this.#taken.length = 0;
  }

  #findRoom(count: number): number | undefined {
    if (this.#next + count > SLOT_COUNT) this.#next = 0;
    const slot = this.#next;
    for (let i = 0; i < count; i++) if (this.#isTaken[slot + i] !== 0) return undefined;
    this.#isTaken.fill(1, slot, slot + count);
    this.#next = slot + count;
    return slot;
  }

  #mark(address: number, length: number, value: number): void {
    const slot = (address - this.#base) / SLOT_SIZE;
    this.#isTaken.fill(value, slot, slot + Math.ceil(length / SLOT_SIZE));
  }

  #push(item: Delayed & { readonly order: number }): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(item);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(item, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = item;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(
  a: { readonly dueAt: number; readonly order: number },
  b: { readonly dueAt: number; readonly order: number },
): boolean {
  return a.dueAt < b.dueAt || (a.dueAt === b.dueAt && a.order < b.order);
}
