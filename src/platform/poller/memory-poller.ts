import type { Poller, WakeUp } from "./poller.ts";

/** Anything in memory that a worker reads from. */
interface Readable {
  readonly isReadable: boolean;
  onReadable: (() => void) | undefined;
}

/**
 * Poller and wake-up in one, for devices in memory. The thread is the host's own and cannot sleep, so whoever drives the
 * worker is told by `onReady` that another round is worth running.
 */
export class MemoryPoller implements Poller, WakeUp {
  readonly descriptor = undefined;
  onReady: (() => void) | undefined;
  readonly #sources: readonly Readable[];
  #isWoken = false;

  constructor(sources: readonly Readable[]) {
    this.#sources = sources;
    for (const source of sources) source.onReadable = () => this.onReady?.();
  }

  wait(_timeoutMs: number): boolean {
    const wasWoken = this.#isWoken;
    this.#isWoken = false;
    return wasWoken || this.#sources.some((source) => source.isReadable);
  }

  wake(): void {
    this.#isWoken = true;
    this.onReady?.();
  }

  close(): void {
    for (const source of this.#sources) source.onReadable = undefined;
  }
}
