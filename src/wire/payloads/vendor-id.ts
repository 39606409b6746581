import type { Reader } from "../../bytes/reader.ts";
import type { Writer } from "../../bytes/writer.ts";

/**
 * Vendor ID payload, RFC 7296 section 3.12.
 *
 *   Vendor ID
 */
export interface VendorId {
  readonly data: Uint8Array;
}

export function decodeVendorId(body: Reader): VendorId {
  return { data: body.rest() };
}

export function encodeVendorId(value: VendorId, writer: Writer): void {
  writer.bytes(value.data);
}
