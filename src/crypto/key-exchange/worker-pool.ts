import { Worker } from "node:worker_threads";
import type { GroupAnswer, GroupJob } from "./group-job.ts";

interface Waiting {
  readonly job: GroupJob;
  readonly resolve: (answer: GroupAnswer) => void;
}

/**
 * A few threads and a bounded queue before them. Threads start with the first job, take one job at a time, and do not keep
 * the process alive while they have nothing to do. `run` never rejects: a full queue, a thread that dies and a closed pool
 * are answers.
 */
export class WorkerPool {
  readonly #size: number;
  readonly #queueLimit: number;
  readonly #queue: Waiting[] = [];
  readonly #idle: Worker[] = [];
  readonly #busy = new Map<Worker, Waiting>();
  readonly #onThreadStart: () => void;
  #closed = false;

  constructor(options: {
    readonly size: number;
    readonly queueLimit: number;
    readonly onThreadStart: () => void;
  }) {
    this.#onThreadStart = options.onThreadStart;
    this.#size = options.size;
    this.#queueLimit = options.queueLimit;
  }

  run(job: GroupJob): Promise<GroupAnswer> {
    if (this.#closed) return Promise.resolve(failed("the key exchange threads are closed"));
    if (this.#queue.length >= this.#queueLimit) {
      return Promise.resolve(failed(`${this.#queueLimit} key exchanges are waiting already`));
    }
    return new Promise((resolve) => {
      this.#queue.push({ job, resolve });
      this.#dispatch();
    });
  }

  /** Ends the threads; what waits fails. */
  async close(): Promise<void> {
    this.#closed = true;
    const workers = [...this.#idle, ...this.#busy.keys()];
    const abandoned = [...this.#busy.values(), ...this.#queue];
    this.#idle.length = 0;
    this.#queue.length = 0;
    this.#busy.clear();
    for (const { resolve } of abandoned) resolve(failed("the key exchange threads are closed"));
    await Promise.all(workers.map((worker) => worker.terminate()));
  }

  #dispatch(): void {
    while (this.#queue.length > 0) {
      const worker = this.#takeWorker();
      if (worker === undefined) return;
      const waiting = this.#queue.shift()!;
      if (typeof worker === "string") {
        waiting.resolve(failed(worker));
        continue;
      }
      this.#busy.set(worker, waiting);
      worker.ref();
      post(worker, waiting.job);
    }
  }

  /** A thread, undefined when all are busy, or why none could be started. */
  #takeWorker(): Worker | string | undefined {
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle;
    if (this.#busy.size >= this.#size) return undefined;
    try {
      return this.#start();
    } catch (error) {
      return `no key exchange thread could be started: ${error instanceof Error ? error.message : error}`;
    }
  }

  #start(): Worker {
    const worker = new Worker(workerUrl(), { execArgv: [] });
    worker.once("online", this.#onThreadStart);
    worker.on("message", (answer: GroupAnswer) => {
      const waiting = this.#busy.get(worker);
      if (waiting === undefined) return; // closed meanwhile
      this.#busy.delete(worker);
      this.#idle.push(worker);
      worker.unref();
      waiting.resolve(answer);
      this.#dispatch();
    });
    worker.on("error", (error: Error) => this.#lose(worker, error.message));
    worker.on("exit", () => this.#lose(worker, "it ended"));
    return worker;
  }

  /** A thread that dies takes its job along; the next job starts another. */
  #lose(worker: Worker, reason: string): void {
    const at = this.#idle.indexOf(worker);
    if (at >= 0) this.#idle.splice(at, 1);
    const waiting = this.#busy.get(worker);
    this.#busy.delete(worker);
    waiting?.resolve(failed(`the key exchange thread failed: ${reason}`));
    if (waiting !== undefined && !this.#closed) this.#dispatch();
  }
}

/** Private octets move: the pool sends a copy and keeps none. */
function post(worker: Worker, job: GroupJob): void {
  if (job.kind === "agree" && job.secret instanceof Uint8Array) {
    const secret = new Uint8Array(job.secret);
    worker.postMessage({ ...job, secret }, [secret.buffer]);
  } else {
    worker.postMessage(job);
  }
}

function failed(reason: string): GroupAnswer {
  return { kind: "failed", reason };
}

/** Threads run JavaScript: from dist/, also where this file runs as TypeScript (tests). */
function workerUrl(): URL {
  const here = import.meta.url;
  const path = here.includes("/dist/src/")
    ? "./worker.js"
    : "../../../dist/src/crypto/key-exchange/worker.js";
  return new URL(path, here);
}
