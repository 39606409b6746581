import {
  RING_BELL_OFFSET,
  RING_HEAD_OFFSET,
  RING_RECORDS_OFFSET,
  RING_RECORDS_SIZE,
  RING_TAIL_OFFSET,
} from "../../assembly/layout.ts";

// A ring of records with one writer and one reader. A record begins with its size and is never split: where the end of the area is too
// near, a size of zero sends the reader back to the start. The writer moves the tail only, the reader the head only; head == tail is
// empty, so the writer never lets the tail catch up.

/** The writer's end of the ring at an address of the memory. */
export class RingWriter {
  readonly #words: Uint32Array;
  readonly #base: number;
  /** Where in the area the record goes that was claimed last. */
  #at = 0;

  constructor(memory: WebAssembly.Memory, base: number) {
    this.#words = new Uint32Array(memory.buffer);
    this.#base = base;
  }

  /**
   * Where a record of `size` octets may be written, from its second word on; a multiple of 4. 0 when there is no room, or more than
   * `most` octets would be in use.
   */
  claim(size: number, most: number = RING_RECORDS_SIZE): number {
    const tail = Atomics.load(this.#words, (this.#base + RING_TAIL_OFFSET) >>> 2);
    const head = Atomics.load(this.#words, (this.#base + RING_HEAD_OFFSET) >>> 2);
    const used = tail >= head ? tail - head : RING_RECORDS_SIZE - head + tail;
    if (used + size > most) return 0;
    if (tail < head) return tail + size < head ? this.#claimAt(tail) : 0;
    const end = tail + size;
    if (end < RING_RECORDS_SIZE || (end === RING_RECORDS_SIZE && head > 0)) return this.#claimAt(tail);
    if (size >= head) return 0;
    this.#words[this.#wordAt(tail)] = 0;
    this.#moveTail(0);
    return this.#claimAt(0);
  }

  /** Shows the reader the record that was claimed last, of `size` octets. */
  publish(size: number): void {
    this.#words[this.#wordAt(this.#at)] = size;
    this.#moveTail((this.#at + size) % RING_RECORDS_SIZE);
  }

  /** True when the reader has not been called since it last began to read: whoever asks calls it now. */
  shouldRing(): boolean {
    return Atomics.exchange(this.#words, (this.#base + RING_BELL_OFFSET) >>> 2, 1) === 0;
  }

  #claimAt(at: number): number {
    this.#at = at;
    return this.#base + RING_RECORDS_OFFSET + at;
  }

  #wordAt(at: number): number {
    return (this.#base + RING_RECORDS_OFFSET + at) >>> 2;
  }

  #moveTail(tail: number): void {
    Atomics.store(this.#words, (this.#base + RING_TAIL_OFFSET) >>> 2, tail);
  }
}

/** The reader's end. */
export class RingReader {
  readonly #words: Uint32Array;
  readonly #base: number;

  constructor(memory: WebAssembly.Memory, base: number) {
    this.#words = new Uint32Array(memory.buffer);
    this.#base = base;
  }

  /** Answers the bell. Whatever is put in from now on rings again. */
  answer(): void {
    const bell = (this.#base + RING_BELL_OFFSET) >>> 2;
    if (Atomics.load(this.#words, bell) !== 0) Atomics.store(this.#words, bell, 0);
  }

  /** Where the oldest record begins, or 0. */
  peek(): number {
    const tail = Atomics.load(this.#words, (this.#base + RING_TAIL_OFFSET) >>> 2);
    const head = Atomics.load(this.#words, (this.#base + RING_HEAD_OFFSET) >>> 2);
    if (head === tail) return 0;
    const record = this.#base + RING_RECORDS_OFFSET + head;
    if (this.#words[record >>> 2] !== 0) return record;
    this.#moveHead(0);
    return tail === 0 ? 0 : this.#base + RING_RECORDS_OFFSET;
  }

  /** Gives the room of the record at `record`, the oldest, back. */
  release(record: number): void {
    const at = record - this.#base - RING_RECORDS_OFFSET;
    this.#moveHead((at + this.#words[record >>> 2]!) % RING_RECORDS_SIZE);
  }

  #moveHead(head: number): void {
    Atomics.store(this.#words, (this.#base + RING_HEAD_OFFSET) >>> 2, head);
  }
}
