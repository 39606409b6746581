import type { KeyObject } from "node:crypto";

/** What kind of key it is, of those that sign; undefined for any other. */
export type KeyType = "rsa" | "ec" | "ed25519" | "ed448";

/** Curves that IKEv2 names (RFC 4754), as node:crypto calls them, with the octets of a coordinate or of r and s. */
export const CURVES = {
  prime256v1: { name: "P-256", length: 32 },
  secp384r1: { name: "P-384", length: 48 },
  secp521r1: { name: "P-521", length: 66 },
} as const;

export type Curve = keyof typeof CURVES;

/** NIST SP 800-131A: fewer bits are not enough. */
const MINIMUM_MODULUS_BITS = 2048;
/** More take so long that checking a signature becomes a weapon. */
const MAXIMUM_MODULUS_BITS = 8192;
/**
 * Smaller ones let lax padding be forged (e = 3), or are no key at all (0, 1). FIPS 186-5 section 5.1 wants twice as much, but one
 * of the roots that browsers trust has 43147.
 */
const MINIMUM_EXPONENT = 32769n;
/** No key needs more, and each bit costs time. */
const MAXIMUM_EXPONENT = 2n ** 64n;

export function keyTypeOf(key: KeyObject): KeyType | undefined {
  const type = key.asymmetricKeyType;
  return type === "rsa" || type === "ec" || type === "ed25519" || type === "ed448" ? type : undefined;
}

/** The curve of an "ec" key, undefined for one that we do not take, or whose parameters are written out. */
export function curveOf(key: KeyObject): Curve | undefined {
  const curve = key.asymmetricKeyDetails?.namedCurve;
  return curve !== undefined && Object.hasOwn(CURVES, curve) ? (curve as Curve) : undefined;
}

/** Why a public key (or a private one's public part) is not to be trusted with anything, or undefined. */
export function faultOfKey(key: KeyObject): string | undefined {
  const type = keyTypeOf(key);
  if (type === undefined) return `a key of type ${key.asymmetricKeyType} is not supported`;
  if (type === "ec" && curveOf(key) === undefined)
    return `the curve ${key.asymmetricKeyDetails?.namedCurve ?? "with explicit parameters"} is not supported`;
  return type === "rsa" ? faultOfRsaKey(key) : undefined;
}

function faultOfRsaKey(key: KeyObject): string | undefined {
  const { modulusLength = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {};
  if (modulusLength < MINIMUM_MODULUS_BITS)
    return `an RSA key of ${modulusLength} bits is too short: ${MINIMUM_MODULUS_BITS} is the least`;
  if (modulusLength > MAXIMUM_MODULUS_BITS)
    return `an RSA key of ${modulusLength} bits is too long: ${MAXIMUM_MODULUS_BITS} is the most`;
  const isUsable = publicExponent >= MINIMUM_EXPONENT && publicExponent < MAXIMUM_EXPONENT;
  if (!isUsable || publicExponent % 2n === 0n)
    return `an RSA key with public exponent ${publicExponent} is refused: it has to be odd and at least ${MINIMUM_EXPONENT}`;
  return undefined;
}
