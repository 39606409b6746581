/** Blocks of one size in the shared memory. Nothing is kept for those that were never taken. */
export class BlockPool {
  readonly #base: number;
  readonly #size: number;
  readonly #count: number;
  readonly #free: number[] = [];
  #unused = 0;

  constructor(facts: { readonly base: number; readonly size: number; readonly count: number }) {
    this.#base = facts.base;
    this.#size = facts.size;
    this.#count = facts.count;
  }

  get inUse(): number {
    return this.#unused - this.#free.length;
  }

  /** Address of a block with whatever its last user left, or undefined when all are in use. */
  take(): number | undefined {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    return this.#unused < this.#count ? this.#base + this.#unused++ * this.#size : undefined;
  }

  giveBack(address: number): void {
    this.#free.push(address);
  }
}
