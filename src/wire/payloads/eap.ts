import { Reader } from "../../bytes/reader.ts";
import type { Writer } from "../../bytes/writer.ts";

/**
 * EAP payload, RFC 7296 section 3.16: one EAP message (RFC 3748 section 4).
 *
 *   Code (1) | Identifier (1) | Length (2) | Type (1) and Type_Data, in requests and responses
 */
export interface Eap {
  /** The whole EAP message, from its Code on. */
  readonly octets: Uint8Array;
}

export function decodeEap(body: Reader): Eap {
  const available = body.remaining;
  const octets = body.bytes(available, "EAP Message");
  const message = new Reader(octets, "EAP payload", body.offset - available);
  message.skip(2, "Code and Identifier");
  const length = message.u16("Length");
  // RFC 7296 section 3.16: four less than the Payload Length.
  if (length !== available) message.fail("Length", `is ${length} while the payload holds ${available}`);
  return { octets };
}

export function encodeEap(value: Eap, writer: Writer): void {
  const { octets } = value;
  if (octets.length < 4 || ((octets[2]! << 8) | octets[3]!) !== octets.length) {
    throw new TypeError(`the Length of the EAP message is not its ${octets.length} octets`);
  }
  writer.bytes(octets);
}
