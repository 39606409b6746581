import { resolve } from "node:path";
import { readCertificates } from "../pki/certificate-files.ts";
import type { CredentialFiles } from "../pki/credential.ts";
import type { Purpose, TrustPolicy } from "../pki/trust.ts";
import { TrustAnchors } from "../pki/trust-anchors.ts";
import { type RevocationEntry, revocationOf } from "./revocation.ts";
import { textOf } from "./text-file.ts";

/** The CAs in these files. Throws PolicyError that says which file is wrong and why. */
export function trustAnchorsIn(files: readonly string[]): TrustAnchors {
  return new TrustAnchors(files.flatMap((file) => readCertificates(textOf(file), file)));
}

/** Whose certificates count, and who is asked about them. Throws PolicyError that says which file is wrong and why. */
export function trustPolicy(input: {
  readonly anchors: TrustAnchors;
  readonly purpose: Purpose;
  /** From `revocationIn`. */
  readonly revocation: RevocationEntry | undefined;
}): TrustPolicy {
  const { anchors, purpose } = input;
  const revocation = revocationOf(input.revocation);
  return { anchors, purpose, ...(revocation && { revocation }) };
}

/** Paths as the configuration has them, seen from its folder. */
export function filesOf(
  entry: {
    readonly certificate: string;
    readonly key: string;
    readonly passphrase?: string | undefined;
  },
  folder: string,
): CredentialFiles {
  const { certificate, key, passphrase } = entry;
  return {
    certificate: resolve(folder, certificate),
    key: resolve(folder, key),
    ...(passphrase !== undefined && { passphrase: resolve(folder, passphrase) }),
  };
}
