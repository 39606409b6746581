import { WORKER_BASE, WORKER_EPOCH_OFFSET, WORKER_SIZE } from "../../assembly/layout.ts";

/** Knows whether worker threads go round: each raises its epoch once a round, and a wake-up makes it go. */
export class WorkerPulse {
  readonly #words: Int32Array;
  readonly #epochs: readonly number[];
  readonly #wake: () => void;
  #seen: readonly number[] | undefined;

  constructor(facts: {
    readonly memory: WebAssembly.Memory;
    readonly workers: readonly number[];
    readonly wake: () => void;
  }) {
    this.#words = new Int32Array(facts.memory.buffer);
    this.#epochs = facts.workers.map(
      (worker) => (WORKER_BASE + worker * WORKER_SIZE + WORKER_EPOCH_OFFSET) >>> 2,
    );
    this.#wake = facts.wake;
  }

  /** Whether every worker has gone round since the last call, which woke them all. The first call can only say yes. */
  take(): boolean {
    const before = this.#seen;
    const now = this.#epochs.map((epoch) => Atomics.load(this.#words, epoch));
    this.#seen = now;
    this.#wake();
    return before === undefined || now.every((epoch, i) => epoch !== before[i]);
  }
}
