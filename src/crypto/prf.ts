import { createHmac } from "node:crypto";
import { wipe } from "../bytes/wipe.ts";
import { plainOctets } from "./plain-octets.ts";
import { prfSuite } from "./suites.ts";

/** prf(key, data), RFC 7296 section 2.13. Several `data` are taken as one string. Throws RangeError for a PRF that this build lacks. */
export function prf(prfId: number, key: Uint8Array, ...data: readonly Uint8Array[]): Uint8Array {
  const hmac = createHmac(prfSuite(prfId).hash, key);
  for (const part of data) hmac.update(part);
  return plainOctets(hmac.digest());
}

/** prf+ stops at T255, since the counter is one octet. */
const LAST_BLOCK = 255;

/**
 * prf+ (key, seed), RFC 7296 section 2.13: `length` octets of T1 | T2 | ..., where each T is made from the one before.
 * Throws RangeError beyond 255 blocks.
 */
export function prfPlus(input: {
  readonly prfId: number;
  readonly key: Uint8Array;
  readonly seed: Uint8Array;
  readonly length: number;
}): Uint8Array {
  const { prfId, key, seed, length } = input;
  const blockLength = prfOutputLength(prfId);
  if (length > LAST_BLOCK * blockLength) {
    throw new RangeError(`prf+ yields at most ${LAST_BLOCK * blockLength} octets, ${length} were asked for`);
  }
  const output = new Uint8Array(length);
  let block: Uint8Array = new Uint8Array(0);
  for (let offset = 0, counter = 1; offset < length; offset += blockLength, counter++) {
    const previous = block;
    block = prf(prfId, key, previous, seed, Uint8Array.of(counter));
    wipe(previous);
    output.set(block.subarray(0, length - offset), offset);
  }
  wipe(block);
  return output;
}

/** Preferred key length in octets: what SK_d, SK_pi and SK_pr are cut to (RFC 7296 section 2.14). */
export function prfKeyLength(prfId: number): number {
  return prfSuite(prfId).outputLength;
}

/** Output length in octets. */
export function prfOutputLength(prfId: number): number {
  return prfSuite(prfId).outputLength;
}
