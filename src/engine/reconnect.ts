/** How long to wait before a connection is tried again: doubling from one second to one minute, with jitter so that many do not come at once. */
const FIRST_DELAY_MS = 1_000;
const LONGEST_DELAY_MS = 60_000;
const JITTER = 0.25;

/** One connection's attempts. A success forgets the failures. */
export class Backoff {
  #failureCount = 0;

  /** `fraction` is a random number in [0, 1). */
  nextDelayMs(fraction: number): number {
    const delay = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** this.#failureCount);
    this.#failureCount = Math.min(this.#failureCount + 1, 16);
    return Math.round(delay * (1 - JITTER + 2 * JITTER * fraction));
  }

  succeed(): void {
    this.#failureCount = 0;
  }
}
