import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import * as v from "valibot";
import { PolicyError } from "../errors/index.ts";
import type { RevocationList } from "../pki/crl.ts";
import { RevocationChecker } from "../pki/revocation.ts";
import { readRevocationLists } from "../pki/revocation-files.ts";
import { isMapping, mapping, oneOf, oneOrMore, text } from "./fields.ts";
import { LiveFiles } from "./live-files.ts";
import { parsePath } from "./values.ts";

/** For all questions about one certificate; a peer sends its request again after two seconds, and gives up after many more. */
const TIMEOUT_MS = 4_000;

const MODES = ["off", "relaxed", "strict"] as const;

const revocationMapping = mapping({
  mode: oneOf(MODES),
  crl: v.optional(oneOrMore(text(parsePath))),
  online: v.optional(v.boolean("expected true or false")),
  private: v.optional(v.boolean("expected true or false")),
});

const revocationMode = v.pipe(
  oneOf(MODES),
  v.transform((mode): v.InferOutput<typeof revocationMapping> => ({ mode })),
);

/** `revocation:` as a user writes it: a mode, or a mapping with more. */
export const revocationSchema = v.lazy((input) => (isMapping(input) ? revocationMapping : revocationMode));

export type RevocationEntry = v.InferOutput<typeof revocationMapping>;

/** With paths that are seen from the configuration's folder. */
export function revocationIn(folder: string, entry: RevocationEntry): RevocationEntry {
  return { ...entry, ...(entry.crl && { crl: entry.crl.map((path) => resolve(folder, path)) }) };
}

/** Where the configuration says nothing: whoever a certificate names is asked, and nothing is lost where that is nobody. */
const DEFAULT_REVOCATION: RevocationEntry = { mode: "relaxed" };

/** Who is asked whether certificates were revoked; undefined when nobody is. Throws PolicyError that says which file is wrong and why. */
export function revocationOf(entry: RevocationEntry = DEFAULT_REVOCATION): RevocationChecker | undefined {
  if (entry.mode === "off") return undefined;
  const files = entry.crl ?? [];
  return new RevocationChecker({
    mode: entry.mode,
    lists: new LiveFiles(files, () => files.flatMap(listsIn)),
    isOnline: entry.online ?? true,
    allowsPrivateAddresses: entry.private ?? false,
    timeoutMs: TIMEOUT_MS,
  });
}

function listsIn(path: string): RevocationList[] {
  return readRevocationLists(octetsOf(path), path);
}

function octetsOf(path: string): Uint8Array {
  try {
    return new Uint8Array(readFileSync(path));
  } catch (cause) {
    throw new PolicyError(`cannot read ${path}: ${(cause as NodeJS.ErrnoException).code}`, { cause });
  }
}
