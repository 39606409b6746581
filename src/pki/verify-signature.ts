import { constants, type KeyObject, type VerifyKeyObjectInput, verify } from "node:crypto";
import { WireError } from "../errors/index.ts";
import { DerReader } from "./der-reader.ts";
import { CURVES, curveOf, faultOfKey, keyTypeOf } from "./public-keys.ts";
import type { SignatureAlgorithm, SignatureScheme } from "./signature-algorithms.ts";

const KEY_TYPE_OF_SCHEME = {
  "rsa-pkcs1": "rsa",
  "rsa-pss": "rsa",
  ecdsa: "ec",
  ed25519: "ed25519",
  ed448: "ed448",
} as const satisfies Record<SignatureScheme, string>;

/**
 * Why `signature` is none by `publicKey` over `octets`, or undefined if it is one. ECDSA signatures are in DER. Never throws.
 *
 * RSASSA-PKCS1-v1_5 is checked by OpenSSL, which encodes the expected block and compares it as a whole (RFC 8017 section 8.2.2):
 * nothing is parsed that a forger could stretch.
 */
export function faultOfRawSignature(input: {
  readonly publicKey: KeyObject;
  readonly algorithm: SignatureAlgorithm;
  readonly signature: Uint8Array;
  readonly octets: Uint8Array;
}): string | undefined {
  const { publicKey, algorithm, signature, octets } = input;
  if (keyTypeOf(publicKey) !== KEY_TYPE_OF_SCHEME[algorithm.scheme])
    return `${algorithm.name} does not fit a key of type ${publicKey.asymmetricKeyType}`;
  const fault =
    faultOfKey(publicKey) ??
    (algorithm.scheme === "ecdsa" ? faultOfEcdsaEncoding(signature, publicKey) : undefined);
  if (fault !== undefined) return fault;
  return isSignature(algorithm.hash, octets, keyInput(publicKey, algorithm), signature)
    ? undefined
    : `the signature (${algorithm.name}) does not match`;
}

/** Ecdsa-Sig-Value (RFC 3279 section 2.2.3): exactly two positive numbers that fit the curve. Zero would be a signature of everything to a lax verifier. */
function faultOfEcdsaEncoding(signature: Uint8Array, publicKey: KeyObject): string | undefined {
  const { length } = CURVES[curveOf(publicKey)!];
  try {
    const outer = new DerReader(signature, "ECDSA signature");
    const parts = outer.sequence("value");
    outer.end();
    const [r, s] = [parts.unsigned("r"), parts.unsigned("s")];
    parts.end();
    if (r.length === 0 || s.length === 0) return "an ECDSA signature with r or s of zero";
    if (r.length > length || s.length > length) return "an ECDSA signature too long for its curve";
    return undefined;
  } catch (error) {
    if (error instanceof WireError) return error.message;
    throw error;
  }
}

function keyInput(key: KeyObject, { scheme }: SignatureAlgorithm): VerifyKeyObjectInput {
  if (scheme === "rsa-pkcs1") return { key, padding: constants.RSA_PKCS1_PADDING };
  if (scheme === "rsa-pss")
    return {
      key,
      padding: constants.RSA_PKCS1_PSS_PADDING,
      saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
    };
  return scheme === "ecdsa" ? { key, dsaEncoding: "der" } : { key };
}

/** OpenSSL throws for some keys that it could read and cannot use. */
function isSignature(
  hash: string | undefined,
  octets: Uint8Array,
  key: VerifyKeyObjectInput,
  signature: Uint8Array,
): boolean {
  try {
    return verify(hash, octets, key, signature);
  } catch {
    return false;
  }
}
