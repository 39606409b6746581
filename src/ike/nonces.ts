import { RFC_LIMITS } from "./limits.ts";

/** Half of the longest PRF key that we have, and more than half of every other. */
export const NONCE_LENGTH = 32;

/** RFC 7296 section 2.10: 16 to 256 octets. */
export function hasNonceLength(nonce: Uint8Array): boolean {
  return nonce.length >= RFC_LIMITS.nonceLengthMin && nonce.length <= RFC_LIMITS.nonceLengthMax;
}
