import type { Reader } from "../../bytes/reader.ts";
import type { Writer } from "../../bytes/writer.ts";

/**
 * Key Exchange payload, RFC 7296 section 3.4.
 *
 *   Diffie-Hellman Group Num (2) | reserved (2) | Key Exchange Data
 */
export interface KeyExchange {
  /** KeyExchangeMethod. */
  readonly group: number;
  readonly data: Uint8Array;
}

export function decodeKeyExchange(body: Reader): KeyExchange {
  const group = body.u16("Group Num");
  body.skip(2, "reserved");
  // No group has public values of no octets.
  if (body.remaining === 0) body.fail("Key Exchange Data", "is empty");
  return { group, data: body.rest() };
}

export function encodeKeyExchange(value: KeyExchange, writer: Writer): void {
  if (value.data.length === 0) throw new RangeError(`no public value for group ${value.group}`);
  writer.u16(value.group, "Group Num");
  writer.u16(0);
  writer.bytes(value.data);
}
