import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import { PlatformError } from "../errors/index.ts";

/**
 * A value that outlives us: what has to be put back when we are killed in between. It is on the disk when `write` returns, and is
 * replaced as a whole.
 */
export class StateFile<T> {
  readonly #path: string;
  readonly #isValid: (value: unknown) => value is T;

  constructor(path: string, isValid: (value: unknown) => value is T) {
    this.#path = path;
    this.#isValid = isValid;
  }

  /** Undefined where there is no file, or one that makes no sense. */
  read(): T | undefined {
    try {
      const value: unknown = JSON.parse(readFileSync(this.#path, "utf8"));
      return this.#isValid(value) ? value : undefined;
    } catch {
      return undefined;
    }
  }

  /** Throws PlatformError that names the file. */
  write(value: T): void {
    try {
      replaceFile(this.#path, JSON.stringify(value));
    } catch (cause) {
      const { code = "PLATFORM" } = cause as NodeJS.ErrnoException;
      throw new PlatformError(`write ${this.#path}: ${code}`, { code, cause });
    }
  }

  remove(): void {
    rmSync(this.#path, { force: true });
  }
}

/** The text is on the disk, as the whole of a file that we alone can read, when this returns. Throws what the system says. */
export function replaceFile(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const draft = `${path}.new`;
  const file = openSync(draft, "w", 0o600);
  try {
    writeFileSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(draft, path);
}
