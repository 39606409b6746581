import type { Reader } from "../../bytes/reader.ts";
import type { Writer } from "../../bytes/writer.ts";

/**
 * Nonce payload, RFC 7296 section 3.9.
 *
 *   Nonce Data (16 to 256)
 */
export interface Nonce {
  readonly nonce: Uint8Array;
}

export const MINIMUM_NONCE_LENGTH = 16;
export const MAXIMUM_NONCE_LENGTH = 256;

export function decodeNonce(body: Reader): Nonce {
  if (!isNonceLength(body.remaining)) body.fail("Nonce Data", notNonceLength(body.remaining));
  return { nonce: body.rest() };
}

export function encodeNonce(value: Nonce, writer: Writer): void {
  const { length } = value.nonce;
  if (!isNonceLength(length)) throw new RangeError(`nonce ${notNonceLength(length)}`);
  writer.bytes(value.nonce);
}

function isNonceLength(length: number): boolean {
  return length >= MINIMUM_NONCE_LENGTH && length <= MAXIMUM_NONCE_LENGTH;
}

function notNonceLength(length: number): string {
  return `of ${length} octets is not ${MINIMUM_NONCE_LENGTH} to ${MAXIMUM_NONCE_LENGTH} long`;
}
