import type { SystemCalls } from "./system-calls.ts";

/** Writes pointers into structures in the memory, as two words and without a BigInt. */
export class PointerWriter {
  readonly #words: Uint32Array;
  readonly #baseLow: number;
  readonly #baseHigh: number;

  constructor({ memory, base }: Pick<SystemCalls, "memory" | "base">) {
    this.#words = new Uint32Array(memory.buffer);
    this.#baseLow = base % 0x1_0000_0000;
    this.#baseHigh = Math.floor(base / 0x1_0000_0000);
  }

  /** Writes the pointer to `address` into two words, of which `word` is the first. */
  write(word: number, address: number): void {
    const low = this.#baseLow + address;
    this.#words[word] = low; // modulo 2^32
    this.#words[word + 1] = this.#baseHigh + (low > 0xffff_ffff ? 1 : 0);
  }
}
