import type { Random } from "../../../src/platform/random.ts";

/** Random octets that a seed repeats: xorshift, good enough to be different each time and never secret. */
export class SeededRandom implements Random {
  #state: number;

  constructor(seed: number) {
    this.#state = (Math.imul(seed + 1, 0x9e37_79b1) ^ 0x5bd1_e995) >>> 0 || 1;
    for (let i = 0; i < 8; i++) this.u32();
  }

  u32(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x >>> 0;
    return Math.imul(this.#state, 0x9e37_79b1) >>> 0;
  }

  /** From 0 up to, not including, 1. */
  fraction(): number {
    return this.u32() / 0x1_0000_0000;
  }

  /** A whole number from 0 up to, not including, `limit`. */
  below(limit: number): number {
    return Math.floor(this.fraction() * limit);
  }

  bytes(length: number): Uint8Array {
    const octets = new Uint8Array(length);
    for (let i = 0; i < length; i++) octets[i] = this.u32() >>> 24;
    return octets;
  }
}
