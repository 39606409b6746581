import type { KeyObject } from "node:crypto";
import { AuthenticationMethod, HashAlgorithm } from "../iana/ikev2-parameters.ts";
import { type Curve, curveOf, type KeyType } from "./public-keys.ts";
import { type SignatureAlgorithm, signatureAlgorithm } from "./signature-algorithms.ts";

const { RSA_DIGITAL_SIGNATURE, DIGITAL_SIGNATURE } = AuthenticationMethod;
const { SHA2_256, SHA2_384, SHA2_512, IDENTITY } = HashAlgorithm;

/** What we announce in SIGNATURE_HASH_ALGORITHMS (RFC 7427 section 4), and so take under method 14. SHA-1 is not among it (RFC 8247 section 3.2). */
export const SIGNATURE_HASHES: readonly number[] = [SHA2_256, SHA2_384, SHA2_512, IDENTITY];

/** Methods of RFC 4754: the curve settles the hash, and AUTH is r and s side by side. */
export const ECDSA_METHODS: readonly {
  readonly method: number;
  readonly curve: Curve;
  readonly algorithm: SignatureAlgorithm;
}[] = [
  ecdsaMethod(AuthenticationMethod.ECDSA_WITH_SHA_256_ON_P_256, "prime256v1", "sha256"),
  ecdsaMethod(AuthenticationMethod.ECDSA_WITH_SHA_384_ON_P_384, "secp384r1", "sha384"),
  ecdsaMethod(AuthenticationMethod.ECDSA_WITH_SHA_512_ON_P_521, "secp521r1", "sha512"),
];

/** How to sign for one peer: method number and what makes the signature. */
export interface AuthScheme {
  readonly method: number;
  readonly algorithm: SignatureAlgorithm;
}

/**
 * How a key signs for a peer that announced these `hashes` (none at all when it does not know RFC 7427), or undefined when they have
 * nothing in common.
 *
 * RSA for a peer that announced nothing is method 1 with SHA-1 (RFC 7296 section 3.8), which is all that iOS and Windows take. With
 * a list it is RSASSA-PKCS1-v1_5, unless `prefersPss`: Android cannot verify PSS, and has no way to say so.
 */
export function authScheme(input: {
  readonly key: KeyObject;
  readonly keyType: KeyType;
  readonly hashes: readonly number[];
  readonly prefersPss?: boolean;
}): AuthScheme | undefined {
  const { key, keyType, hashes } = input;
  if (keyType === "rsa") return rsaScheme(hashes, input.prefersPss ?? false);
  if (keyType === "ec") return ecdsaScheme(key, hashes);
  return hashes.includes(IDENTITY) ? generic(signatureAlgorithm(keyType, undefined)) : undefined;
}

function rsaScheme(hashes: readonly number[], prefersPss: boolean): AuthScheme | undefined {
  if (hashes.length === 0)
    return { method: RSA_DIGITAL_SIGNATURE, algorithm: signatureAlgorithm("rsa-pkcs1", "sha1") };
  const hash = HASHES.find(({ id }) => hashes.includes(id))?.hash;
  return hash && generic(signatureAlgorithm(prefersPss ? "rsa-pss" : "rsa-pkcs1", hash));
}

/** Under method 14 with the hash that fits the curve, or else with another; a peer that announced none of them still knows the older methods. */
function ecdsaScheme(key: KeyObject, hashes: readonly number[]): AuthScheme | undefined {
  const own = ECDSA_METHODS.find(({ curve }) => curve === curveOf(key));
  if (own === undefined) return undefined;
  if (hashes.includes(own.algorithm.hashId)) return generic(own.algorithm);
  const hash = HASHES.find(({ id }) => hashes.includes(id))?.hash;
  return hash === undefined ? own : generic(signatureAlgorithm("ecdsa", hash));
}

const HASHES = [
  { id: SHA2_256, hash: "sha256" },
  { id: SHA2_384, hash: "sha384" },
  { id: SHA2_512, hash: "sha512" },
] as const;

function generic(algorithm: SignatureAlgorithm): AuthScheme {
  return { method: DIGITAL_SIGNATURE, algorithm };
}

function ecdsaMethod(method: number, curve: Curve, hash: "sha256" | "sha384" | "sha512") {
  return { method, curve, algorithm: signatureAlgorithm("ecdsa", hash) };
}
