import type { Reader } from "../../bytes/reader.ts";
import type { Writer } from "../../bytes/writer.ts";

/**
 * Encrypted and Authenticated payload (SK), RFC 7296 section 3.14: the last of its message.
 *
 *   IV | encrypted payloads, padding, Pad Length | ICV
 */
export interface Encrypted {
  /** PayloadType of the first payload inside. */
  readonly nextPayload: number;
  /** Everything of the message before the body: what the ICV covers beside it (RFC 5282 section 5.1). Not encoded: it is the rest of the message. */
  readonly aad: Uint8Array;
  readonly body: Uint8Array;
}

/** What the body cannot know: the message around it, and its generic header's Next Payload. */
export interface Envelope {
  readonly message: Uint8Array;
  readonly nextPayload: number;
}

export function decodeEncrypted(body: Reader, envelope: Envelope): Encrypted {
  const aad = envelope.message.subarray(0, body.offset);
  return { nextPayload: envelope.nextPayload, aad, body: body.rest() };
}

export function encodeEncrypted(value: Encrypted, writer: Writer): void {
  writer.bytes(value.body);
}
