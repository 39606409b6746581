import { statSync } from "node:fs";

/** Files are looked at no more often than this. */
const LOOK_EVERY_MS = 1_000;

/** Who wants to know what becomes of files that change. */
export interface FilesObserver {
  /** The old ones stay in use. Told once for each state that the files are in. */
  readonly onProblem: (message: string) => void;
  readonly onChange: () => void;
}

/**
 * What files say, read again when they have changed: who asks gets what they hold by then. What cannot be read whole changes nothing. Two for
 * the same files are the same to whoever compares configurations.
 */
export class LiveFiles<Value> {
  readonly files: readonly string[];
  readonly #load: () => Value;
  readonly #lookEveryMs: number;
  #current: Value;
  /** State of the files that `#current` was read from, or that were found to be no good. */
  #seen: string;
  /** A problem is told only when it is still there at the next look: files are replaced one after the other. */
  #doubtful: string | undefined;
  #lookedAt = performance.now();
  #observer: FilesObserver = { onProblem: () => {}, onChange: () => {} };

  /** Throws what `load` throws. */
  constructor(files: readonly string[], load: () => Value, lookEveryMs = LOOK_EVERY_MS) {
    this.files = files;
    this.#load = load;
    this.#lookEveryMs = lookEveryMs;
    this.#seen = stateOf(files);
    this.#current = load();
  }

  get current(): Value {
    const now = performance.now();
    if (now - this.#lookedAt >= this.#lookEveryMs) {
      this.#lookedAt = now;
      this.#look();
    }
    return this.#current;
  }

  observe(observer: FilesObserver): void {
    this.#observer = observer;
  }

  #look(): void {
    const state = stateOf(this.files);
    if (state === this.#seen) return;
    try {
      this.#current = this.#load();
      this.#seen = state;
      this.#observer.onChange();
    } catch (error) {
      if (this.#doubtful === state) {
        this.#seen = state;
        this.#observer.onProblem(error instanceof Error ? error.message : String(error));
      }
      this.#doubtful = state;
    }
  }
}

/** Of what the names lead to, links followed. */
function stateOf(files: readonly string[]): string {
  return files.map(stateOfFile).join(" ");
}

function stateOfFile(path: string): string {
  try {
    const { ino, size, mtimeMs, ctimeMs } = statSync(path);
    return [ino, size, mtimeMs, ctimeMs].join(":");
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code);
  }
}
