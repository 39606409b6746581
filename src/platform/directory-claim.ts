import { closeSync, mkdirSync, openSync } from "node:fs";
import { PlatformError } from "../errors/index.ts";
import { LOCK_EX, LOCK_NB } from "./system-calls/constants.ts";
import { Errno } from "./system-calls/errno.ts";
import type { SystemCalls } from "./system-calls/system-calls.ts";

/**
 * Takes a directory for this process, and makes it where there is none. The kernel gives it back when the process ends, however it ends. Throws
 * PlatformError when another process has it. Where there can be no directory, or no such claims, there is nothing to take.
 */
export function claimDirectory(systemCalls: SystemCalls, path: string): void {
  const descriptor = openDirectory(path);
  if (descriptor === undefined) return;
  const result = systemCalls.flock(descriptor, LOCK_EX | LOCK_NB);
  if (result >= 0) return;
  closeSync(descriptor);
  if (result === -Errno.EAGAIN) {
    throw new PlatformError(`another ikebana keeps its state in ${path}: each needs a folder of its own`, {
      code: "EADDRINUSE",
    });
  }
}

function openDirectory(path: string): number | undefined {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    return openSync(path, "r");
  } catch {
    return undefined;
  }
}
