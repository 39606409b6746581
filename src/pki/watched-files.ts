import { stat } from "node:fs/promises";

/** What files say, read again when they change. What is in use stays in use until something better has been read whole. */
export class WatchedFiles<Value> {
  readonly #files: readonly string[];
  readonly #load: () => Promise<Value>;
  readonly #onChange: (value: Value) => void;
  readonly #onFault: (reason: string) => void;
  #current: Value;
  /** State of the files that `#current` was read from, or that was found to be no good. */
  #seen: string;
  /** A fault that is told only when it is still there at the next look: files are replaced one after the other. */
  #doubt: { readonly state: string; readonly reason: string } | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isLooking = false;

  private constructor(input: WatchedFilesInput<Value>, current: Value, seen: string) {
    this.#files = input.files;
    this.#load = input.load;
    this.#onChange = input.onChange;
    this.#onFault = input.onFault;
    this.#current = current;
    this.#seen = seen;
  }

  /** Reads for the first time. Rejects with what `load` rejects with. */
  static async open<Value>(input: WatchedFilesInput<Value>): Promise<WatchedFiles<Value>> {
    const seen = await stateOf(input.files);
    return new WatchedFiles(input, await input.load(), seen);
  }

  get current(): Value {
    return this.#current;
  }

  /** Looks every `intervalMs`. Certbot changes links, which no directory watch shows. */
  start(intervalMs: number): void {
    this.stop();
    this.#timer = setInterval(() => void this.look(), intervalMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Looks once. Never rejects. */
  async look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    await this.#lookNow();
    this.#isLooking = false;
  }

  async #lookNow(): Promise<void> {
    const state = await stateOf(this.#files);
    if (state === this.#seen) return;
    try {
      const value = await this.#load();
      // Files that changed while they were read are read again at the next look.
      if ((await stateOf(this.#files)) !== state) return;
      this.#current = value;
      this.#seen = state;
      this.#doubt = undefined;
      this.#onChange(value);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (this.#doubt?.state !== state) {
        this.#doubt = { state, reason };
        return;
      }
      this.#seen = state;
      this.#doubt = undefined;
      this.#onFault(reason);
    }
  }
}

export interface WatchedFilesInput<Value> {
  readonly files: readonly string[];
  readonly load: () => Promise<Value>;
  readonly onChange: (value: Value) => void;
  /** `reason` says what is wrong with the new files; the old value stays. Told once for each state of the files. */
  readonly onFault: (reason: string) => void;
}

/** Of what the names lead to, links followed. */
async function stateOf(files: readonly string[]): Promise<string> {
  const states = await Promise.all(
    files.map(async (file) => {
      try {
        const { ino, size, mtimeMs, ctimeMs } = await stat(file);
        return [ino, size, mtimeMs, ctimeMs].join(":");
      } catch {
        return "-";
      }
    }),
  );
  return states.join(" ");
}
