import type { Quiescence } from "./quiescence.ts";

/** Holds back what was unpublished until no worker can be using it any more; one wait serves all that comes meanwhile. */
export class Retirement {
  readonly #quiescence: Quiescence;
  #waiting: (() => void)[] = [];
  #isSettling = false;

  constructor(quiescence: Quiescence) {
    this.#quiescence = quiescence;
  }

  /** Calls `release` once, later. What it releases is out of reach already for whoever begins to look now. */
  add(release: () => void): void {
    this.#waiting.push(release);
    this.#settle();
  }

  #settle(): void {
    if (this.#isSettling || this.#waiting.length === 0) return;
    this.#isSettling = true;
    // What is added in the same breath is unpublished in it too.
    queueMicrotask(() => {
      const releases = this.#waiting;
      this.#waiting = [];
      void this.#quiescence.settle().then(() => {
        this.#isSettling = false;
        for (const release of releases) release();
        this.#settle();
      });
    });
  }
}
