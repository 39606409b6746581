import type { Clock, Uptime } from "../platform/clock.ts";

/** Nobody sleeps for less, and a look costs some microseconds. */
const SHORTEST_LOOK_MS = 1_000;
/** What a busy machine may lose without having slept. */
const GAP_MS = 30_000;

/**
 * The time in which we were awake. While the machine sleeps, or nobody runs us (a stopped process, a virtual machine on hold),
 * the peers see nothing of us, and nothing can be concluded from their silence: such gaps are left out of the time that timers
 * count, so that what waited does not expire all at once.
 */
export class Wakefulness {
  readonly #clock: Clock;
  readonly #uptime: Uptime;
  #lost = 0;
  /** When the uptime and the clock were compared last. */
  #seenAt: number;
  #ahead: number;

  constructor(clock: Clock, uptime: Uptime) {
    this.#clock = clock;
    this.#uptime = uptime;
    this.#seenAt = clock.now();
    this.#ahead = uptime() - this.#seenAt;
  }

  /** Milliseconds; never goes back. */
  now(): number {
    return this.#clock.now() - this.#lost;
  }

  /** A moment of the system's clock in our time. */
  at(time: number): number {
    return time - this.#lost;
  }

  /** Looks around; to be called at least each `LOOK_MS`. True when there was a gap since the last time. */
  look(): boolean {
    const now = this.#clock.now();
    if (now - this.#seenAt < SHORTEST_LOOK_MS) return false;
    const ahead = this.#uptime() - now;
    const slept = ahead - this.#ahead > GAP_MS;
    const late = now - this.#seenAt - LOOK_MS;
    this.#seenAt = now;
    this.#ahead = ahead;
    if (late > GAP_MS) this.#lost += late;
    return slept || late > GAP_MS;
  }
}

/** How often somebody looks. */
export const LOOK_MS = 10_000;
