/** How a data worker sleeps when there is nothing to do. */
export interface Poller {
  /**
   * Waits until a device can be read or the host wakes us, at most `timeoutMs` and never longer than a second.
   * True when something happened. A poller in memory cannot wait: it answers at once.
   */
  wait(timeoutMs: number): boolean;
}

/** How the host interrupts a worker that sleeps. */
export interface WakeUp {
  /** The descriptor that the worker polls, or undefined in memory. */
  readonly descriptor: number | undefined;
  wake(): void;
  close(): void;
}
