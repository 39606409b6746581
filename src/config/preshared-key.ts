import { readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { PolicyError } from "../errors/index.ts";

/** RFC 7296 section 2.15: a key that can be guessed can be found out by whoever answers us once. */
const SHORTEST_GOOD_KEY = 16;
const LARGEST_FILE = 65_536;
const READABLE_BY_OTHERS = 0o004;
/** By the group or by everybody: whoever puts a key of his own there is let in. */
const WRITABLE_BY_OTHERS = 0o022;

/** As it stands in the file: the key itself, or exactly one of the others. */
export type PresharedKeyEntry =
  | string
  | {
      readonly file?: string | undefined;
      readonly hex?: string | undefined;
      readonly base64?: string | undefined;
    };

export interface PresharedKey {
  readonly key: Uint8Array;
  /** Sentences about how it is kept. */
  readonly warnings: readonly string[];
}

/** The octets that the file means. A path is relative to `folder`. Throws PolicyError, whose message never shows the key. */
export function readPresharedKey(entry: PresharedKeyEntry, folder: string): PresharedKey {
  const { key, warnings } = typeof entry === "string" ? inline(entry) : fromSource(entry, folder);
  if (key.length === 0) throw new PolicyError("the key is empty");
  const short = `a key of ${key.length} octets can be guessed; 32 random ones come from: openssl rand -base64 32`;
  return { key, warnings: key.length < SHORTEST_GOOD_KEY ? [...warnings, short] : warnings };
}

/** The password that the file means: text, or a text file whose last line break does not count. Throws PolicyError. */
export function readPassword(
  entry: string | { readonly file: string },
  folder: string,
): { readonly password: string; readonly warnings: readonly string[] } {
  if (typeof entry === "string") return { password: entry, warnings: [] };
  const { key, warnings } = fromFile(resolve(folder, entry.file));
  return { password: new TextDecoder().decode(key), warnings };
}

function inline(text: string): PresharedKey {
  return { key: new TextEncoder().encode(text), warnings: [] };
}

function fromSource({ file, hex, base64 }: Exclude<PresharedKeyEntry, string>, folder: string): PresharedKey {
  if (file !== undefined) return fromFile(resolve(folder, file));
  if (hex !== undefined) return { key: fromHex(hex), warnings: [] };
  return { key: fromBase64(base64 ?? ""), warnings: [] };
}

/** The whole file, less one line break at its end. */
function fromFile(path: string): PresharedKey {
  const octets = readKeyFile(path);
  const { mode } = statSync(path);
  const faults = [
    ...((mode & READABLE_BY_OTHERS) === 0 ? [] : ["read by everybody"]),
    ...((mode & WRITABLE_BY_OTHERS) === 0 ? [] : ["changed by others than its owner"]),
  ];
  const warnings = faults.map((fault) => `${path} can be ${fault}; try: chmod 600 ${path}`);
  let end = octets.length;
  if (octets[end - 1] === 0x0a) end -= 1;
  if (octets[end - 1] === 0x0d) end -= 1;
  return { key: new Uint8Array(octets.subarray(0, end)), warnings };
}

function readKeyFile(path: string): Uint8Array {
  try {
    const status = statSync(path);
    if (!status.isFile()) throw new PolicyError(`${path} is not a file`);
    if (status.size > LARGEST_FILE) throw new PolicyError(`${path} is larger than ${LARGEST_FILE} octets`);
    return readFileSync(path);
  } catch (cause) {
    if (cause instanceof PolicyError) throw cause;
    throw new PolicyError(`cannot read ${path}: ${(cause as NodeJS.ErrnoException).code}`, { cause });
  }
}

function fromHex(text: string): Uint8Array {
  const digits = text.replace(/^0x/, "").replace(/[\s:]/g, "");
  if (!/^([0-9a-fA-F]{2})*$/.test(digits))
    throw new PolicyError("hex is pairs of the digits 0 to 9 and a to f");
  return new Uint8Array(Buffer.from(digits, "hex"));
}

function fromBase64(text: string): Uint8Array {
  const compact = text.replace(/^0s/, "").replace(/\s/g, "");
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(compact) || compact.length % 4 === 1)
    throw new PolicyError("this is not base64");
  return new Uint8Array(Buffer.from(compact, "base64"));
}
