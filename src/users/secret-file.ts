import {
  chownSync,
  closeSync,
  fchmodSync,
  fsyncSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import { PlatformError, PolicyError } from "../errors/index.ts";

const LARGEST_FILE = 16 * 1_048_576;
const READABLE_BY_OTHERS = 0o004;
/** By the group or by everybody: whoever writes there lets himself in. */
const WRITABLE_BY_OTHERS = 0o022;
/** A change takes milliseconds; what is older was left by one that died. */
const STALE_AFTER_MS = 10_000;
const PATIENCE_MS = 3_000;
const PAUSE_MS = 20;

/**
 * The text of a file that holds secrets. Throws PolicyError (code USERS) when there is none or it is not text, PlatformError EACCES
 * when we may not read it.
 */
export function readSecretFile(path: string): string {
  try {
    const status = statSync(path);
    if (!status.isFile()) throw new PolicyError(`${path} is not a file`, { code: "USERS" });
    if (status.size > LARGEST_FILE) throw new PolicyError(`${path} is larger than 16 MiB`, { code: "USERS" });
    return new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(path));
  } catch (cause) {
    if (cause instanceof PolicyError) throw cause;
    throw unreadable(path, cause as NodeJS.ErrnoException);
  }
}

/** What others may do to the file that they should not, in sentences. */
export function exposureOf(path: string): readonly string[] {
  const { mode } = statSync(path);
  const faults = [
    ...((mode & READABLE_BY_OTHERS) === 0 ? [] : ["read by everybody"]),
    ...((mode & WRITABLE_BY_OTHERS) === 0 ? [] : ["changed by others than its owner"]),
  ];
  return faults.map((fault) => `${path} can be ${fault}; try: chmod 600 ${path}`);
}

/**
 * Replaces the file by what `change` makes of its text (undefined where there is none): at no moment is there half a file, mode and owner
 * stay, a new one is 0600. One change at a time: the file that is written beside it is the lock. Nothing changes when `change` throws.
 */
export function replaceSecretFile(path: string, change: (text: string | undefined) => string): void {
  const target = resolved(path);
  const beside = `${target}.new`;
  const descriptor = claim(beside);
  try {
    const status = statSync(target, { throwIfNoEntry: false });
    const text = change(status === undefined ? undefined : readSecretFile(target));
    writeFileSync(descriptor, text);
    if (status !== undefined) {
      fchmodSync(descriptor, status.mode & 0o7777);
      const own = statSync(beside);
      if (own.uid !== status.uid || own.gid !== status.gid) chownSync(beside, status.uid, status.gid);
    }
    fsyncSync(descriptor);
    renameSync(beside, target);
    syncFolder(dirname(target));
  } catch (cause) {
    rmSync(beside, { force: true });
    if (cause instanceof PolicyError || cause instanceof PlatformError) throw cause;
    throw unwritable(path, cause as NodeJS.ErrnoException);
  } finally {
    closeSync(descriptor);
  }
}

/** A link stays a link. */
function resolved(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

function claim(beside: string): number {
  for (let waited = 0; ; waited += PAUSE_MS) {
    try {
      return openSync(beside, "wx", 0o600);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== "EEXIST")
        throw unwritable(beside, cause as NodeJS.ErrnoException);
    }
    const left = statSync(beside, { throwIfNoEntry: false });
    if (left !== undefined && Date.now() - left.mtimeMs > STALE_AFTER_MS) rmSync(beside, { force: true });
    else if (waited >= PATIENCE_MS) {
      throw new PlatformError(`somebody else is changing the file: ${beside} exists`, { code: "EEXIST" });
    } else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS);
  }
}

/** So that the new name survives a power cut. */
function syncFolder(folder: string): void {
  const descriptor = openSync(folder, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function unreadable(path: string, cause: NodeJS.ErrnoException): Error {
  switch (cause.code) {
    case "ENOENT":
      return new PolicyError(`there is no users file at ${path}; ikebana users add NAME makes it`, {
        code: "USERS",
        cause,
      });
    case "EACCES":
    case "EPERM":
      return new PlatformError(`not allowed to read ${path}`, { code: "EACCES", cause });
    case "ERR_ENCODING_INVALID_ENCODED_DATA":
      return new PolicyError(`${path} is not UTF-8 text`, { code: "USERS" });
    default:
      return new PlatformError(`cannot read ${path}: ${cause.code ?? cause.message}`, {
        code: cause.code ?? "PLATFORM",
        cause,
      });
  }
}

function unwritable(path: string, cause: NodeJS.ErrnoException): Error {
  const code = cause.code ?? "PLATFORM";
  if (code === "EACCES" || code === "EPERM")
    return new PlatformError(`not allowed to write ${path}`, { code: "EACCES", cause });
  return new PlatformError(`cannot write ${path}: ${cause.code ?? cause.message}`, { code, cause });
}
