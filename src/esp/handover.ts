import { WORKER_BASE, WORKER_HANDOVER_OFFSET, WORKER_SIZE } from "../../assembly/layout.ts";
import type { Kernel } from "./kernel.ts";
import { RingReader, RingWriter } from "./ring.ts";

// The kernel of the machine gives packets to workers by flow, and datagrams by their sender or their first SPI, which is mostly right and
// never a promise. What came to a worker and is for an SA of its companion, the other one of the same direction, goes through a ring:
// nobody but the SA's worker takes its numbers or touches its window. What finds the ring full is dropped.
//
//   record   size (4) | length (4) | note (4) | unused (4) | octets

const LENGTH_OFFSET = 4;
const NOTE_OFFSET = 8;
const OCTETS_OFFSET = 16;

export class HandoverWriter {
  readonly #ring: RingWriter;
  readonly #words: Uint32Array;
  readonly #kernel: Kernel;
  #hasNews = false;

  constructor(memory: WebAssembly.Memory, kernel: Kernel, worker: number) {
    this.#ring = new RingWriter(memory, ringOf(worker));
    this.#words = new Uint32Array(memory.buffer);
    this.#kernel = kernel;
  }

  /** Hands `length` octets at an address of the memory over, with a number that goes with them. False when there is no room. */
  put(address: number, length: number, note: number): boolean {
    const size = (OCTETS_OFFSET + length + 15) & ~15;
    const record = this.#ring.claim(size);
    if (record === 0) return false;
    this.#words[(record + LENGTH_OFFSET) >>> 2] = length;
    this.#words[(record + NOTE_OFFSET) >>> 2] = note;
    this.#kernel.copyOctets(record + OCTETS_OFFSET, address, length);
    this.#ring.publish(size);
    this.#hasNews = true;
    return true;
  }

  /** True when something was handed over since the last call, and the companion may be asleep. */
  shouldCall(): boolean {
    if (!this.#hasNews) return false;
    this.#hasNews = false;
    return this.#ring.shouldRing();
  }
}

/** The companion's end of the ring of `worker`. */
export class HandoverReader {
  readonly #ring: RingReader;
  readonly #words: Uint32Array;
  readonly #kernel: Kernel;
  #note = 0;

  constructor(memory: WebAssembly.Memory, kernel: Kernel, worker: number) {
    this.#ring = new RingReader(memory, ringOf(worker));
    this.#words = new Uint32Array(memory.buffer);
    this.#kernel = kernel;
  }

  /** Whatever is put in from now on calls again. */
  answer(): void {
    this.#ring.answer();
  }

  /** Copies what was handed over first to `address`. Returns its length, or 0 when there is nothing. */
  take(address: number): number {
    const record = this.#ring.peek();
    if (record === 0) return 0;
    const length = this.#words[(record + LENGTH_OFFSET) >>> 2]!;
    this.#note = this.#words[(record + NOTE_OFFSET) >>> 2]!;
    this.#kernel.copyOctets(address, record + OCTETS_OFFSET, length);
    this.#ring.release(record);
    return length;
  }

  /** The number that went with what was taken last. */
  get note(): number {
    return this.#note;
  }
}

function ringOf(worker: number): number {
  return WORKER_BASE + worker * WORKER_SIZE + WORKER_HANDOVER_OFFSET;
}
