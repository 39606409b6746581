/** What has been opened so far, each with what closes it. */
export class OpenThings {
  readonly #closings: (() => void | Promise<void>)[] = [];

  /** `closing` is called once, when all that was opened later is closed. */
  add(closing: () => void | Promise<void>): void {
    this.#closings.push(closing);
  }

  /** Closes all of it, the last first. What fails keeps nothing else from being closed; the first failure is thrown in the end. */
  async close(): Promise<void> {
    const failures: unknown[] = [];
    for (let closing = this.#closings.pop(); closing !== undefined; closing = this.#closings.pop()) {
      try {
        await closing();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }
}
