import {
  DUMMIES_BASE,
  DUMMIES_COUNT_OFFSET,
  DUMMIES_LIMIT,
  DUMMIES_SLOTS_OFFSET,
  DUMMIES_VERSION_OFFSET,
} from "../../assembly/layout.ts";
import { PolicyError } from "../errors/index.ts";

/** The host's side of the list of SAs that send dummy packets. Workers look at the list, and never at all SAs. */
export class DummyList {
  readonly #words: Int32Array;

  constructor(memory: WebAssembly.Memory) {
    this.#words = new Int32Array(memory.buffer, DUMMIES_BASE, (DUMMIES_SLOTS_OFFSET + 4 * DUMMIES_LIMIT) / 4);
  }

  /** Throws PolicyError when there are more than DUMMIES_LIMIT, and the old list stays. */
  replace(slots: readonly number[]): void {
    if (slots.length > DUMMIES_LIMIT) {
      throw new PolicyError(`${slots.length} SAs with dummy packets, the data plane holds ${DUMMIES_LIMIT}`, {
        code: "DUMMIES_FULL",
      });
    }
    if (slots.length === 0 && this.#words[DUMMIES_COUNT_OFFSET / 4] === 0) return;
    this.#words.set(slots, DUMMIES_SLOTS_OFFSET / 4);
    Atomics.store(this.#words, DUMMIES_COUNT_OFFSET / 4, slots.length);
    Atomics.add(this.#words, DUMMIES_VERSION_OFFSET / 4, 1);
  }
}
