import { toHex } from "../bytes/hex.ts";
import { HashAlgorithm } from "../iana/ikev2-parameters.ts";
import { explicit, nothing, objectIdentifier, sequence, small } from "./der-writer.ts";
import { Oid } from "./object-identifiers.ts";

export type SignatureScheme = "rsa-pkcs1" | "rsa-pss" | "ecdsa" | "ed25519" | "ed448";
export type SignatureHash = "sha1" | "sha256" | "sha384" | "sha512";

/** A way to sign, as an AlgorithmIdentifier names it: in a certificate, and in AUTH under RFC 7427. */
export interface SignatureAlgorithm {
  readonly name: string;
  readonly scheme: SignatureScheme;
  /** What node:crypto calls the hash; undefined for the Edwards curves, which take the message itself (RFC 8420). */
  readonly hash: SignatureHash | undefined;
  /** What SIGNATURE_HASH_ALGORITHMS calls it. */
  readonly hashId: number;
  /** AlgorithmIdentifier in DER, as we write it. */
  readonly identifier: Uint8Array;
}

/** An algorithm that there is, by scheme and hash. */
export function signatureAlgorithm(
  scheme: SignatureScheme,
  hash: SignatureHash | undefined,
): SignatureAlgorithm {
  const algorithm = ALGORITHMS.find((known) => known.scheme === scheme && known.hash === hash);
  if (algorithm === undefined) throw new RangeError(`no signature algorithm ${scheme} with ${hash}`);
  return algorithm;
}

/**
 * What an AlgorithmIdentifier stands for, or undefined. Its octets are compared as a whole, so that no parameter can be left out,
 * added or changed: RSASSA-PSS has the same hash in MGF1, a salt as long as the hash, and the usual trailer.
 */
export function signatureAlgorithmOf(identifier: Uint8Array): SignatureAlgorithm | undefined {
  return identifier.length <= MAXIMUM_IDENTIFIER_LENGTH ? BY_OCTETS.get(toHex(identifier)) : undefined;
}

const { SHA1, SHA2_256, SHA2_384, SHA2_512, IDENTITY } = HashAlgorithm;

const HASHES = [
  { hash: "sha1", id: SHA1, label: "SHA-1", oid: Oid.sha1, length: 20 },
  { hash: "sha256", id: SHA2_256, label: "SHA2-256", oid: Oid.sha256, length: 32 },
  { hash: "sha384", id: SHA2_384, label: "SHA2-384", oid: Oid.sha384, length: 48 },
  { hash: "sha512", id: SHA2_512, label: "SHA2-512", oid: Oid.sha512, length: 64 },
] as const;

const RSA_OIDS = {
  sha1: Oid.sha1WithRSAEncryption,
  sha256: Oid.sha256WithRSAEncryption,
  sha384: Oid.sha384WithRSAEncryption,
  sha512: Oid.sha512WithRSAEncryption,
} as const;

const ECDSA_OIDS = {
  sha1: Oid.ecdsaWithSha1,
  sha256: Oid.ecdsaWithSha256,
  sha384: Oid.ecdsaWithSha384,
  sha512: Oid.ecdsaWithSha512,
} as const;

type HashEntry = (typeof HASHES)[number];

/** Each with the forms in which others write it, ours first. */
const FORMS: readonly { readonly algorithm: SignatureAlgorithm; readonly forms: readonly Uint8Array[] }[] = [
  // RFC 4055 section 5: NULL is written, and its absence understood.
  ...HASHES.map((hash) => {
    const oid = objectIdentifier(RSA_OIDS[hash.hash]);
    return named("RSASSA-PKCS1-v1_5", "rsa-pkcs1", hash, [sequence(oid, nothing), sequence(oid)]);
  }),
  // Without SHA-1, whose parameters DER leaves out: RFC 8247 section 3.2 forbids the empty ones.
  ...HASHES.slice(1).map((hash) => named("RSASSA-PSS", "rsa-pss", hash, pssForms(hash))),
  // RFC 5758 section 3.2: no parameters.
  ...HASHES.map((hash) => named("ECDSA", "ecdsa", hash, [sequence(objectIdentifier(ECDSA_OIDS[hash.hash]))])),
  edwards("Ed25519", "ed25519", Oid.ed25519),
  edwards("Ed448", "ed448", Oid.ed448),
];

const ALGORITHMS: readonly SignatureAlgorithm[] = FORMS.map(({ algorithm }) => algorithm);

const BY_OCTETS: ReadonlyMap<string, SignatureAlgorithm> = new Map(
  FORMS.flatMap(({ algorithm, forms }) => forms.map((form) => [toHex(form), algorithm] as const)),
);

const MAXIMUM_IDENTIFIER_LENGTH = Math.max(
  ...FORMS.flatMap(({ forms }) => forms.map(({ length }) => length)),
);

function named(
  name: string,
  scheme: SignatureScheme,
  { hash, id, label }: HashEntry,
  forms: readonly Uint8Array[],
): { algorithm: SignatureAlgorithm; forms: readonly Uint8Array[] } {
  return {
    algorithm: { name: `${name} with ${label}`, scheme, hash, hashId: id, identifier: forms[0]! },
    forms,
  };
}

/** RFC 8410 section 3: no parameters. */
function edwards(
  name: string,
  scheme: SignatureScheme,
  oid: string,
): { algorithm: SignatureAlgorithm; forms: readonly Uint8Array[] } {
  const identifier = sequence(objectIdentifier(oid));
  return {
    algorithm: { name, scheme, hash: undefined, hashId: IDENTITY, identifier },
    forms: [identifier],
  };
}

/**
 * RSASSA-PSS-params, RFC 4055 section 3.1:
 *
 *   [0] hash | [1] MGF1 with hash | [2] length of the salt | trailer: 1, which DER leaves out
 *
 * The hash is named with NULL or without, in either place (section 2.1).
 */
function pssForms({ oid, length }: HashEntry): readonly Uint8Array[] {
  const hashForms = [sequence(objectIdentifier(oid), nothing), sequence(objectIdentifier(oid))];
  return hashForms.flatMap((hash) =>
    hashForms.map((maskHash) =>
      sequence(
        objectIdentifier(Oid.rsassaPss),
        sequence(
          explicit(0, hash),
          explicit(1, sequence(objectIdentifier(Oid.mgf1), maskHash)),
          explicit(2, small(length)),
        ),
      ),
    ),
  );
}
