import { chmodSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { PlatformError } from "../errors/index.ts";

/** Writes a file under another name first, so that nobody sees a part of it or a wider mode, and puts it in its place. */
export function writeWhole(path: string, content: string, mode: number): void {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    writeFileSync(`${path}.new`, content, { mode, flush: true });
    // What the umask has taken away.
    chmodSync(`${path}.new`, mode);
    renameSync(`${path}.new`, path);
  } catch (cause) {
    const { code = "EIO", message } = cause as NodeJS.ErrnoException;
    throw new PlatformError(`cannot write ${path}: ${message}`, { code, cause });
  }
}
