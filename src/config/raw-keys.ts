import { resolve } from "node:path";
import { readPrivateKey } from "../pki/credential.ts";
import { readPublicKeys } from "../pki/raw-public-key.ts";
import type { LocalAuthentication, RemoteAuthentication } from "../policy/connection.ts";
import { textOf } from "./text-file.ts";

// Keys without certificates (RFC 7670): each side has the other's public key in a file.

/** Ours. Throws PolicyError that says which file is wrong and why. */
export function ownRawKey(
  entry: { readonly privateKey: string; readonly passphrase: string | undefined },
  folder: string,
): LocalAuthentication {
  const key = resolve(folder, entry.privateKey);
  const passphrase = entry.passphrase === undefined ? undefined : resolve(folder, entry.passphrase);
  const files = { key, ...(passphrase !== undefined && { passphrase }) };
  const words = passphrase === undefined ? undefined : textOf(passphrase).split(/\r?\n/, 1)[0];
  return { kind: "raw-key", ...readPrivateKey(textOf(key), words, files) };
}

/** The peer's, which has one of them. Throws PolicyError that says which file is wrong and why. */
export function trustedRawKeys(paths: readonly string[], folder: string): RemoteAuthentication {
  const files = paths.map((path) => resolve(folder, path));
  return { kind: "raw-key", keys: files.flatMap((file) => readPublicKeys(textOf(file), file)) };
}
