import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { fromHex, toHex } from "../bytes/hex.ts";
import { type Certificate, describeCertificate } from "./certificate.ts";
import { faultOfSigning } from "./certificate-checks.ts";
import { readBlocks, readCertificates, refusal } from "./certificate-files.ts";
import { authorityHash } from "./certificate-request.ts";
import { faultOfKey, type KeyType, keyTypeOf } from "./public-keys.ts";
import type { TrustAnchors } from "./trust-anchors.ts";

/** A certificate of ours, with what proves that it is. */
export interface Credential {
  /** DER, our own first, each signed by the next. A root is left out: who does not have it does not trust it. */
  readonly chain: readonly Uint8Array[];
  readonly certificate: Certificate;
  readonly key: KeyObject;
  readonly keyType: KeyType;
  /** What a CERTREQ payload names of the CAs above it (RFC 7296 section 3.7). */
  readonly issuerKeyHashes: readonly Uint8Array[];
}

export interface CredentialFiles {
  /** PEM: our certificate and the CAs above it, in any order. */
  readonly certificate: string;
  /** PEM: PKCS #8, PKCS #1 or SEC 1, encrypted or not. */
  readonly key: string;
  /** Its first line is the passphrase. */
  readonly passphrase?: string;
}

/** A credential from PEM texts. `files` is how messages name them. Throws PolicyError (code "CREDENTIAL"). */
export function readCredential(input: {
  readonly certificates: string;
  readonly key: string;
  readonly passphrase: string | undefined;
  readonly files: CredentialFiles;
  /** Where the root above the chain is looked for, so that it is known what it is called in a CERTREQ. */
  readonly roots: TrustAnchors;
}): Credential {
  const { files, roots } = input;
  const { key, keyType } = readPrivateKey(input.key, input.passphrase, files);
  const certificates = readCertificates(input.certificates, files.certificate);
  const publicKey = createPublicKey(key);
  const certificate = certificates.find((candidate) => candidate.publicKey.equals(publicKey));
  if (certificate === undefined)
    throw refusal(
      `${files.key} does not belong to ${certificates.length === 1 ? `the ${describeCertificate(certificates[0]!)}` : `any of the ${certificates.length} certificates`} in ${files.certificate}`,
    );
  const chain = chainFrom(certificate, certificates);
  const top = chain[chain.length - 1]!;
  const above = roots.issuersOf(top).filter((root) => faultOfSigning(top, root) === undefined);
  return {
    chain: chain.filter((one, i) => i === 0 || !isSelfIssued(one)).map(({ der }) => der),
    certificate,
    key,
    keyType,
    issuerKeyHashes: [...new Set([...chain.slice(1), ...above].map(hashText))].map(fromHex),
  };
}

/** Whatever the order of the file, each certificate is followed by the one that signed it. */
function chainFrom(certificate: Certificate, all: readonly Certificate[]): Certificate[] {
  const chain = [certificate];
  for (let last = certificate; !isSelfIssued(last); ) {
    const next = all.find((issuer) => !chain.includes(issuer) && isSignedBy(last, issuer));
    if (next === undefined) break;
    chain.push(next);
    last = next;
  }
  return chain;
}

function isSignedBy(certificate: Certificate, issuer: Certificate): boolean {
  return (
    certificate.issuer.canonical === issuer.subject.canonical &&
    faultOfSigning(certificate, issuer) === undefined
  );
}

function hashText(authority: Certificate): string {
  return toHex(authorityHash(authority));
}

function isSelfIssued({ subject, issuer }: Certificate): boolean {
  return subject.canonical === issuer.canonical;
}

/** A private key from a PEM text. Throws PolicyError (code "CREDENTIAL"). */
export function readPrivateKey(
  pem: string,
  passphrase: string | undefined,
  files: Pick<CredentialFiles, "key" | "passphrase">,
): { readonly key: KeyObject; readonly keyType: KeyType } {
  const key = openKey(pem, passphrase, files);
  const keyType = keyTypeOf(key);
  const fault = faultOfKey(key);
  if (keyType === undefined || fault !== undefined) throw refusal(`${files.key}: ${fault}`);
  return { key, keyType };
}

function openKey(
  pem: string,
  passphrase: string | undefined,
  files: Pick<CredentialFiles, "key" | "passphrase">,
): KeyObject {
  const block = readBlocks(pem, files.key).find(({ label }) => label.endsWith("PRIVATE KEY"));
  if (block === undefined)
    throw refusal(`${files.key} holds no private key (in PEM, "-----BEGIN PRIVATE KEY-----")`);
  const isEncrypted = block.label.startsWith("ENCRYPTED") || block.text.includes("Proc-Type: 4,ENCRYPTED");
  if (isEncrypted && passphrase === undefined)
    throw refusal(`${files.key} is encrypted, and no file with its passphrase is given`);
  try {
    return createPrivateKey({ key: block.text, ...(isEncrypted ? { passphrase } : {}) });
  } catch {
    throw refusal(
      isEncrypted
        ? `${files.key} cannot be decrypted with the passphrase in ${files.passphrase}`
        : `${files.key} holds a ${block.label} that cannot be read`,
    );
  }
}
