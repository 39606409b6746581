import type { Clock } from "../platform/clock.ts";

/** Between two looks a thread that has a core to itself takes a few microseconds. */
const LOST_CORE_MS = 0.1;
const REST_MS = 1000;

/**
 * Whether a worker that finds nothing looks again, or sleeps: what comes soon after something else is then taken without waking up for it.
 * A worker that lost its core while it looked, since others have work, does not look again for a second. Allocates nothing.
 */
export class Spin {
  readonly #clock: Clock;
  readonly #limitMs: number;
  #until = Number.NEGATIVE_INFINITY;
  #lookedAt = 0;
  #restsUntil = Number.NEGATIVE_INFINITY;

  /** `limitMicroseconds` behind the last packet; 0 is never. */
  constructor(clock: Clock, limitMicroseconds: number) {
    this.#clock = clock;
    this.#limitMs = limitMicroseconds / 1000;
  }

  /** A round had something to do. */
  noteWork(): void {
    if (this.#limitMs === 0) return;
    const now = this.#clock.now();
    this.#lookedAt = now;
    this.#until = now < this.#restsUntil ? Number.NEGATIVE_INFINITY : now + this.#limitMs;
  }

  /** A round had nothing to do. */
  looksAgain(): boolean {
    if (this.#limitMs === 0) return false;
    const now = this.#clock.now();
    if (now >= this.#until) return false;
    if (now - this.#lookedAt > LOST_CORE_MS) {
      this.#restsUntil = now + REST_MS;
      this.#until = Number.NEGATIVE_INFINITY;
      return false;
    }
    this.#lookedAt = now;
    return true;
  }
}
