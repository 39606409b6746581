import type { KeyObject } from "node:crypto";
import { toHex } from "../bytes/hex.ts";
import { AuthenticationMethod, nameOf } from "../iana/ikev2-parameters.ts";
import { ECDSA_METHODS, SIGNATURE_HASHES } from "./auth-methods.ts";
import { sequence, unsigned } from "./der-writer.ts";
import { CURVES, curveOf } from "./public-keys.ts";
import { type SignatureAlgorithm, signatureAlgorithm, signatureAlgorithmOf } from "./signature-algorithms.ts";
import { faultOfRawSignature } from "./verify-signature.ts";

const { RSA_DIGITAL_SIGNATURE, DIGITAL_SIGNATURE } = AuthenticationMethod;

/** An Authentication payload that claims to be a signature over `octets`. */
export interface AuthClaim {
  /** From a certificate that was verified, or a raw key that is configured. */
  readonly publicKey: KeyObject;
  /** AuthenticationMethod. */
  readonly method: number;
  /** Authentication Data, as it came. */
  readonly data: Uint8Array;
  /** From `signedOctets`. */
  readonly octets: Uint8Array;
  /** Whether method 1 may use SHA-1. Never so under method 14 (RFC 7427 section 7). */
  readonly allowsSha1: boolean;
}

/** Why an Authentication payload does not prove possession of the key, or undefined when it does. Never throws. */
export function faultOfSignature(claim: AuthClaim): string | undefined {
  const { method } = claim;
  if (method === RSA_DIGITAL_SIGNATURE) return faultOfRsa(claim);
  if (method === DIGITAL_SIGNATURE) return faultOfGeneric(claim);
  const ecdsa = ECDSA_METHODS.find((known) => known.method === method);
  if (ecdsa === undefined) return `AUTH method ${nameOf(AuthenticationMethod, method)} is no signature`;
  if (curveOf(claim.publicKey) !== ecdsa.curve)
    return `AUTH method ${nameOf(AuthenticationMethod, method)} does not fit the peer's key`;
  return faultOfEcdsa(claim, ecdsa.algorithm, CURVES[ecdsa.curve].length);
}

/** RFC 7296 section 3.8: SHA-1 by default, and a sender may take another hash, which only the signature itself tells. */
function faultOfRsa({ publicKey, data, octets, allowsSha1 }: AuthClaim): string | undefined {
  const faultUnder = (hash: "sha1" | "sha256" | "sha384" | "sha512"): string | undefined =>
    faultOfRawSignature({
      publicKey,
      algorithm: signatureAlgorithm("rsa-pkcs1", hash),
      signature: data,
      octets,
    });
  const fault = faultUnder("sha1");
  if (fault === undefined && !allowsSha1) return "AUTH is signed with SHA-1, which is not allowed here";
  const isGood = fault === undefined || RSA_HASHES.some((hash) => faultUnder(hash) === undefined);
  return isGood ? undefined : `AUTH: ${fault}`;
}

const RSA_HASHES = ["sha256", "sha384", "sha512"] as const;

/** RFC 4754 section 3: r and s, each as long as the curve's order. */
function faultOfEcdsa(
  { publicKey, data, octets }: AuthClaim,
  algorithm: SignatureAlgorithm,
  length: number,
): string | undefined {
  if (data.length !== 2 * length)
    return `AUTH: an ECDSA signature of ${data.length} octets instead of ${2 * length}`;
  const signature = sequence(unsigned(data.subarray(0, length)), unsigned(data.subarray(length)));
  const fault = faultOfRawSignature({ publicKey, algorithm, signature, octets });
  return fault && `AUTH: ${fault}`;
}

/** RFC 7427 section 3: ASN.1 Length (1) | AlgorithmIdentifier | Signature Value. */
function faultOfGeneric({ publicKey, data, octets }: AuthClaim): string | undefined {
  const length = data[0] ?? 0;
  const identifier = data.subarray(1, 1 + length);
  if (length === 0 || identifier.length < length) return "AUTH: no AlgorithmIdentifier";
  const algorithm = signatureAlgorithmOf(identifier);
  if (algorithm === undefined)
    return `AUTH: signature algorithm ${toHex(identifier.subarray(0, 80))} is not supported`;
  if (!SIGNATURE_HASHES.includes(algorithm.hashId))
    return `AUTH: ${algorithm.name} has a hash that we did not announce`;
  const fault = faultOfRawSignature({
    publicKey,
    algorithm,
    signature: data.subarray(1 + length),
    octets,
  });
  return fault && `AUTH: ${fault}`;
}
