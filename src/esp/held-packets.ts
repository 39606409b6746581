import {
  DESCRIPTOR_LENGTH_OFFSET,
  DESCRIPTOR_SOURCE_OFFSET,
  DESCRIPTOR_TRAFFIC_CLASS_OFFSET,
  SA_ACTIVE,
  SA_BASE,
  SA_RESERVED,
  SA_SLOT_COUNT,
  SA_SLOT_SIZE,
  SA_SPI_OFFSET,
  SA_STATE_OFFSET,
} from "../../assembly/layout.ts";

/** For all SPIs together: a burst of the peer in the time that a key exchange takes. */
const HELD_COUNT = 256;
/** Longer datagrams are fragments on the way and rare; they are not held. */
const HELD_LENGTH = 2048;
const HOLD_MS = 200;

/**
 * ESP for SPIs that we have announced and that have no keys yet: who answers our request may send before we have read the
 * answer. It waits here, sealed as it came, until the SA is installed or its time is over.
 */
export class HeldPackets {
  readonly #octets: Uint8Array;
  readonly #words: Uint32Array;
  /** Packet i lies at HELD_LENGTH * i. */
  readonly #store = new Uint8Array(HELD_COUNT * HELD_LENGTH);
  readonly #lengths = new Uint32Array(HELD_COUNT);
  readonly #trafficClasses = new Uint8Array(HELD_COUNT);
  readonly #spis = new Uint32Array(HELD_COUNT);
  readonly #arrivals = new Float64Array(HELD_COUNT);
  #count = 0;

  constructor(memory: WebAssembly.Memory) {
    this.#octets = new Uint8Array(memory.buffer);
    this.#words = new Uint32Array(memory.buffer);
  }

  get count(): number {
    return this.#count;
  }

  /** Keeps the packet of a descriptor (index of its first word) that the kernel found no SA for. False when it is not worth keeping, or too many are. */
  keep(descriptor: number, now: number): boolean {
    const at = this.#words[descriptor + DESCRIPTOR_SOURCE_OFFSET / 4]!;
    const length = this.#words[descriptor + DESCRIPTOR_LENGTH_OFFSET / 4]!;
    const spi = this.#spiAt(at);
    if (length > HELD_LENGTH || this.#count === HELD_COUNT || this.#stateOf(spi) !== SA_RESERVED)
      return false;
    const index = this.#count++;
    this.#store.set(this.#octets.subarray(at, at + length), index * HELD_LENGTH);
    this.#lengths[index] = length;
    this.#trafficClasses[index] = this.#words[descriptor + DESCRIPTOR_TRAFFIC_CLASS_OFFSET / 4]!;
    this.#spis[index] = spi;
    this.#arrivals[index] = now;
    return true;
  }

  /**
   * Puts packets whose SA is installed now into the memory from `at` on, in the order they came, and hands each to `open`.
   * Returns how many are given up: their time is over, or their SPI is.
   */
  release(at: number, now: number, open: (at: number, length: number, trafficClass: number) => void): number {
    let kept = 0;
    let lost = 0;
    for (let index = 0; index < this.#count; index++) {
      const length = this.#lengths[index]!;
      const from = index * HELD_LENGTH;
      const state = this.#stateOf(this.#spis[index]!);
      if (now - this.#arrivals[index]! > HOLD_MS) {
        lost++;
      } else if (state === SA_ACTIVE) {
        this.#octets.set(this.#store.subarray(from, from + length), at);
        open(at, length, this.#trafficClasses[index]!);
        at += HELD_LENGTH;
      } else if (state !== SA_RESERVED) {
        lost++;
      } else {
        this.#store.copyWithin(kept * HELD_LENGTH, from, from + length);
        this.#lengths[kept] = length;
        this.#trafficClasses[kept] = this.#trafficClasses[index]!;
        this.#spis[kept] = this.#spis[index]!;
        this.#arrivals[kept] = this.#arrivals[index]!;
        kept++;
      }
    }
    this.#count = kept;
    return lost;
  }

  /** Whether the packet of a descriptor is for an SPI that we have announced. */
  isAwaited(descriptor: number): boolean {
    return (
      this.#stateOf(this.#spiAt(this.#words[descriptor + DESCRIPTOR_SOURCE_OFFSET / 4]!)) === SA_RESERVED
    );
  }

  #spiAt(at: number): number {
    const octets = this.#octets;
    return ((octets[at]! << 24) | (octets[at + 1]! << 16) | (octets[at + 2]! << 8) | octets[at + 3]!) >>> 0;
  }

  /** Of the slot that the SPI names, when the slot bears this SPI; undefined otherwise. */
  #stateOf(spi: number): number | undefined {
    const sa = SA_BASE + (spi & (SA_SLOT_COUNT - 1)) * SA_SLOT_SIZE;
    const state = Atomics.load(this.#words, (sa + SA_STATE_OFFSET) >>> 2);
    return this.#words[(sa + SA_SPI_OFFSET) >>> 2] === spi ? state : undefined;
  }
}
