import { Worker } from "node:worker_threads";

// Threads that work for a slice of time when they are told to, several at the same moment.

const ORDER = 0;
const DONE = 1;
const MAILBOX_SIZE = 8;

/** What a thread needs to take part, as part of its workerData. */
export interface SliceTask {
  readonly mailbox: SharedArrayBuffer;
  /** One float: nanoseconds for a batch, in the last slice. */
  readonly result: SharedArrayBuffer;
}

/** The side that gives orders. */
export class SliceThread {
  readonly thread: Worker;
  readonly words: Int32Array;
  readonly ns: Float64Array;

  constructor(url: URL, task: object) {
    const mailbox = new SharedArrayBuffer(MAILBOX_SIZE);
    const result = new SharedArrayBuffer(8);
    const workerData: SliceTask = { ...task, mailbox, result };
    this.thread = new Worker(url, { workerData });
    this.words = new Int32Array(mailbox);
    this.ns = new Float64Array(result);
  }

  /** What the thread says next. */
  next<T>(): Promise<T> {
    return new Promise((resolve, reject) => {
      this.thread.once("message", resolve);
      this.thread.once("error", reject);
    });
  }
}

/** Lets the given threads run for one slice, at the same time. Returns nanoseconds for a batch of each. */
export function runSlice(running: readonly SliceThread[]): readonly number[] {
  for (const { words } of running) {
    Atomics.store(words, DONE, 0);
    Atomics.add(words, ORDER, 1);
    Atomics.notify(words, ORDER);
  }
  for (const { words } of running) {
    if (Atomics.wait(words, DONE, 0, 30_000) === "timed-out") throw new Error("a worker is silent");
  }
  return running.map(({ ns }) => ns[0]!);
}

/** The thread's side: carries orders out for ever. `run` works for one slice and says what a batch took. */
export function serveSlices({ mailbox, result }: SliceTask, run: () => number): never {
  const words = new Int32Array(mailbox);
  const ns = new Float64Array(result);
  for (let order = 0; ; order++) {
    Atomics.wait(words, ORDER, order);
    ns[0] = run();
    Atomics.store(words, DONE, 1);
    Atomics.notify(words, DONE);
  }
}

/** Runs batches for some milliseconds. Returns nanoseconds for one. */
export function timeBatches(ms: number, batch: () => void): number {
  const begin = performance.now();
  let now = begin;
  let batches = 0;
  for (; now - begin < ms; now = performance.now()) {
    batch();
    batches++;
  }
  return ((now - begin) * 1e6) / batches;
}
