import { Reader } from "../bytes/reader.ts";
import { Writer } from "../bytes/writer.ts";

/**
 * ESP header, RFC 4303 section 2. The rest of the packet (IV, ciphertext, ICV) depends on the SA.
 *
 *   Security Parameters Index (4) | Sequence Number (4)
 */
export interface EspHeader {
  readonly spi: number;
  /** The low 32 bits; the high ones of an extended number do not travel. */
  readonly sequenceNumber: number;
}

export const ESP_HEADER_LENGTH = 8;

/** Reads the header in front of `octets`. Throws WireError when they are fewer than 8. */
export function decodeEspHeader(octets: Uint8Array): EspHeader {
  const reader = new Reader(octets, "ESP header");
  return { spi: reader.u32("Security Parameters Index"), sequenceNumber: reader.u32("Sequence Number") };
}

export function encodeEspHeader(header: EspHeader): Uint8Array {
  const writer = new Writer();
  writer.u32(header.spi, "Security Parameters Index");
  writer.u32(header.sequenceNumber, "Sequence Number");
  return writer.finish();
}
