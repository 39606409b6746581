import type { Reader } from "../../bytes/reader.ts";
import type { Writer } from "../../bytes/writer.ts";

/**
 * A payload of a type that we do not know, RFC 7296 section 2.5: skipped, or refused when it is critical.
 */
export interface Unknown {
  readonly payloadType: number;
  readonly body: Uint8Array;
}

export function decodeUnknown(body: Reader, payloadType: number): Unknown {
  return { payloadType, body: body.rest() };
}

export function encodeUnknown(value: Unknown, writer: Writer): void {
  writer.bytes(value.body);
}
