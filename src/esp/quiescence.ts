import { WORKER_BASE, WORKER_EPOCH_OFFSET, WORKER_SIZE } from "../../assembly/layout.ts";

/** Knows when the data workers have let go of what the host took away. */
export interface Quiescence {
  /** Settles when no worker can still be using anything that was unpublished before the call. Never rejects. */
  settle(): Promise<void>;
}

/** For a pump that the host itself runs: between rounds nothing is in use. `wipe` zeroes what the last round left behind. */
export function immediateQuiescence(wipe: () => void): Quiescence {
  return {
    settle: () => {
      wipe();
      return Promise.resolve();
    },
  };
}

const FIRST_LOOK_MS = 1;
const SLOWEST_LOOK_MS = 50;
/** One round may have begun before the news; it wiped its scratch before it could know of it. The one after has done both. */
const ROUNDS = 2;

/** Watches the epochs of worker threads, which each raises once a round, and wakes them so that rounds happen. */
export class WorkerQuiescence implements Quiescence {
  readonly #words: Int32Array;
  readonly #epochs: readonly number[];
  readonly #wake: () => void;
  #hasStopped = false;
  /** Those who asked while others were waited for: what they unpublished may be in use still. */
  #next: (() => void)[] = [];
  #isWatching = false;

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

  settle(): Promise<void> {
    return new Promise((resolve) => {
      this.#next.push(resolve);
      if (!this.#isWatching) this.#watch();
    });
  }

  /** Waits for all who have asked so far at once, however many they are. */
  #watch(): void {
    const waiting = this.#next;
    this.#next = [];
    this.#isWatching = waiting.length > 0;
    if (!this.#isWatching) return;
    const seen = this.#epochs.map((epoch) => Atomics.load(this.#words, epoch));
    const havePassed = (): boolean =>
      this.#epochs.every((epoch, i) => (Atomics.load(this.#words, epoch) - seen[i]!) >>> 0 >= ROUNDS);
    const look = (delayMs: number): void => {
      if (this.#hasStopped || havePassed()) {
        for (const resolve of waiting) resolve();
        this.#watch();
        return;
      }
      this.#wake();
      setTimeout(look, delayMs, Math.min(2 * delayMs, SLOWEST_LOOK_MS));
    };
    // Workers that are busy go round by themselves.
    setTimeout(look, FIRST_LOOK_MS, FIRST_LOOK_MS);
  }

  /** The workers are gone: nothing is in use any more. */
  stop(): void {
    this.#hasStopped = true;
  }
}

/**
 * Writes a record that exists twice: the idle copy is filled, then becomes the one that holds. Until the workers have let go
 * of the copy that held before, newer content waits; only the newest is kept.
 */
export class DoubleBuffer<T> {
  readonly #quiescence: Quiescence;
  readonly #publish: (content: T) => void;
  #waiting: { readonly content: T } | undefined;
  #isSettling = false;
  #isClosed = false;

  /** `publish` fills the idle copy and flips; it is called only while nobody reads the idle copy. */
  constructor(quiescence: Quiescence, publish: (content: T) => void) {
    this.#quiescence = quiescence;
    this.#publish = publish;
  }

  write(content: T): void {
    if (this.#isClosed) return;
    if (this.#isSettling) {
      this.#waiting = { content };
      return;
    }
    this.#publish(content);
    this.#isSettling = true;
    void this.#quiescence.settle().then(() => {
      this.#isSettling = false;
      const next = this.#waiting;
      this.#waiting = undefined;
      if (next !== undefined) this.write(next.content);
    });
  }

  /** The record goes to somebody else: what waited is not written any more. */
  close(): void {
    this.#isClosed = true;
    this.#waiting = undefined;
  }
}
