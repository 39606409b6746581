import { Worker } from "node:worker_threads";
import { PlatformError } from "../errors/index.ts";
import type { WakeUp } from "../platform/poller/poller.ts";
import type { SeenElsewhere, StrayEsp } from "./inbound.ts";
import type { TrapCall } from "./trapped-packets.ts";
import type { WorkerFacts, WorkerMessage } from "./worker.ts";

/** A worker that was told to stop leaves poll() at once; one that does not answer is ended. */
const STOP_LIMIT_MS = 2000;

/** The thread keeps nothing of what it allocates, which is an address here and there. More is only what a flood would fill. */
const YOUNG_GENERATION_MB = 3;

/** What a thread tells beside its mail. */
export interface WorkerTold {
  readonly onRefusal: (what: string) => void;
  readonly onTrap: (call: TrapCall) => void;
  readonly onStray: (stray: StrayEsp) => void;
  readonly onElsewhere: (seen: SeenElsewhere) => void;
  readonly onTooLong: (slot: number) => void;
}

/** The host's side of a data worker's thread. */
export class WorkerThread {
  readonly #worker: Worker;
  readonly #wakeUp: WakeUp;
  readonly #exited: Promise<void>;
  #isStopping = false;
  #hasExited = false;

  /** Settles when the thread runs its first round; rejects with a PlatformError when it does not get there. */
  static start(
    start: WorkerTold & {
      readonly facts: WorkerFacts;
      /** Of the same eventfd. It stays the caller's. */
      readonly wakeUp: WakeUp;
      readonly onMail: () => void;
      /** Called once, when the thread ends without having been told to. */
      readonly onFailure: (error: Error) => void;
    },
  ): Promise<WorkerThread> {
    const worker = new Worker(workerUrl(), {
      workerData: start.facts,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
    });
    const thread = new WorkerThread(worker, start.wakeUp);
    return new Promise((resolve, reject) => {
      let isReady = false;
      let cause: unknown;
      worker.on("message", (message: WorkerMessage) => {
        if (message === "mail") {
          start.onMail();
        } else if (message === "ready") {
          isReady = true;
          resolve(thread);
        } else if ("refusal" in message) {
          start.onRefusal(message.refusal);
        } else if ("stray" in message) {
          start.onStray(message.stray);
        } else if ("elsewhere" in message) {
          start.onElsewhere(message.elsewhere);
        } else if ("trapCall" in message) {
          start.onTrap(message.trapCall);
        } else {
          start.onTooLong(message.tooLong);
        }
      });
      worker.on("error", (error) => {
        cause = error;
      });
      worker.on("exit", () => {
        if (thread.#isStopping) return;
        const why = cause instanceof Error ? cause.message : "it ended";
        const error = new PlatformError(`data worker: ${why}`, { code: "DATA_WORKER", cause });
        if (isReady) start.onFailure(error);
        else reject(error);
      });
    });
  }

  private constructor(worker: Worker, wakeUp: WakeUp) {
    this.#worker = worker;
    this.#wakeUp = wakeUp;
    this.#exited = new Promise((resolve) => {
      worker.once("exit", () => {
        this.#hasExited = true;
        resolve();
      });
    });
  }

  wake(): void {
    if (!this.#hasExited) this.#wakeUp.wake();
  }

  /** Waits for a thread whose memory says stop, and ends it if it does not come. */
  async stop(): Promise<void> {
    if (this.#hasExited || this.#isStopping) return this.#exited;
    this.#isStopping = true;
    this.#wakeUp.wake();
    const limit = setTimeout(() => void this.#worker.terminate(), STOP_LIMIT_MS);
    await this.#exited;
    clearTimeout(limit);
  }
}

/** Threads run JavaScript: from dist/ also where this file runs from src/. */
function workerUrl(): URL {
  const here = import.meta.url;
  return new URL(here.includes("/dist/src/") ? "./worker.js" : "../../dist/src/esp/worker.js", here);
}
