import type { Reader } from "../../bytes/reader.ts";
import { Writer } from "../../bytes/writer.ts";
import { IdType } from "../../iana/ikev2-parameters.ts";

/**
 * Identification payloads (IDi, IDr), RFC 7296 section 3.5.
 *
 *   ID Type (1) | reserved (3) | Identification Data
 */
export interface Identification {
  /** IdType. */
  readonly idType: number;
  readonly data: Uint8Array;
}

export function decodeIdentification(body: Reader): Identification {
  const idType = body.u8("ID Type");
  body.skip(3, "reserved");
  const expected = fixedLength(idType);
  if (expected !== undefined && body.remaining !== expected) {
    body.fail("Identification Data", `of ${body.remaining} octets is not ${expected} long`);
  }
  return { idType, data: body.rest() };
}

export function encodeIdentification(value: Identification, writer: Writer): void {
  const expected = fixedLength(value.idType);
  if (expected !== undefined && value.data.length !== expected) {
    throw new TypeError(`identification of type ${value.idType} takes ${expected} octets`);
  }
  writer.u8(value.idType, "ID Type");
  writer.bytes(RESERVED);
  writer.bytes(value.data);
}

/** The body of the payload by itself: the octets that AUTH covers (RestOfInitIDPayload, RFC 7296 section 2.15). */
export function encodeIdentificationBody(value: Identification): Uint8Array {
  const writer = new Writer();
  encodeIdentification(value, writer);
  return writer.finish();
}

const RESERVED = new Uint8Array(3);

function fixedLength(idType: number): number | undefined {
  if (idType === IdType.ID_IPV4_ADDR) return 4;
  if (idType === IdType.ID_IPV6_ADDR) return 16;
  if (idType === IdType.ID_NULL) return 0; // RFC 7619 section 2.2
  return undefined;
}
