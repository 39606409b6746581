import type { Reader } from "../../bytes/reader.ts";
import type { Writer } from "../../bytes/writer.ts";

/**
 * Authentication payload, RFC 7296 section 3.8.
 *
 *   Auth Method (1) | reserved (3) | Authentication Data
 */
export interface Authentication {
  /** AuthenticationMethod. */
  readonly method: number;
  readonly data: Uint8Array;
}

export function decodeAuthentication(body: Reader): Authentication {
  const method = body.u8("Auth Method");
  body.skip(3, "reserved");
  return { method, data: body.rest() };
}

export function encodeAuthentication(value: Authentication, writer: Writer): void {
  writer.u8(value.method, "Auth Method");
  writer.bytes(RESERVED);
  writer.bytes(value.data);
}

const RESERVED = new Uint8Array(3);
