import type { Reader } from "../../bytes/reader.ts";
import type { Writer } from "../../bytes/writer.ts";

/**
 * Certificate payload, RFC 7296 section 3.6, and Certificate Request payload, section 3.7.
 *
 *   Cert Encoding (1) | Certificate Data, or Certification Authority
 */
export interface Certificate {
  /** CertificateEncoding. */
  readonly encoding: number;
  /** A certificate, or in a request the SHA-1 hashes of trusted public keys (20 octets each) behind one another. */
  readonly data: Uint8Array;
}

export function decodeCertificate(body: Reader): Certificate {
  return { encoding: body.u8("Cert Encoding"), data: body.rest() };
}

export function encodeCertificate(value: Certificate, writer: Writer): void {
  writer.u8(value.encoding, "Cert Encoding");
  writer.bytes(value.data);
}
