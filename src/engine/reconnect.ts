/** The pause between attempts doubles, with jitter so that many do not come at once. */
const FIRST_DELAY_MS = 1_000;
/** A peer that is away may be back at any moment. An attempt that nobody answers takes more than a minute itself. */
const LONGEST_DELAY_MS = 60_000;
/** A peer that refuses us goes on doing so until a person changes something, and may count how often we ask. */
const LONGEST_REFUSED_DELAY_MS = 300_000;
const JITTER = 0.25;

/** One connection's attempts. A success forgets the failures. */
export class Backoff {
  #failureCount = 0;

  /** `fraction` is a random number in [0, 1). `isRefused`: the peer was there, and would not have us. */
  nextDelayMs(fraction: number, isRefused = false): number {
    const longest = isRefused ? LONGEST_REFUSED_DELAY_MS : LONGEST_DELAY_MS;
    const delay = Math.min(longest, FIRST_DELAY_MS * 2 ** this.#failureCount);
    this.#failureCount = Math.min(this.#failureCount + 1, 16);
    return Math.round(delay * (1 - JITTER + 2 * JITTER * fraction));
  }

  succeed(): void {
    this.#failureCount = 0;
  }
}
