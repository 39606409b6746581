/** Calls once, at the end of a turn of the event loop, however often it was asked to in that turn. */
export class GatheredCall {
  readonly #call: () => void;
  #isDue = false;

  constructor(call: () => void) {
    this.#call = call;
  }

  ask(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    setImmediate(this.#run);
  }

  readonly #run = (): void => {
    this.#isDue = false;
    this.#call();
  };
}
