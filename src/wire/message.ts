import { Reader } from "../bytes/reader.ts";
import { Writer } from "../bytes/writer.ts";
import { PayloadType } from "../iana/ikev2-parameters.ts";
import {
  decodeHeader,
  encodeHeader,
  HEADER_LENGTH,
  type Header,
  type HeaderFields,
  MAJOR_VERSION,
} from "./header.ts";
import { decodeChain, encodeChain, encodeGenericHeader, GENERIC_HEADER_LENGTH } from "./payload-chain.ts";
import { encodeFragmentNumber } from "./payloads/encrypted-fragment.ts";
import { type Payload, typeOf } from "./payloads/payload.ts";

export { decodeHeader, type Header, type HeaderFields } from "./header.ts";
export { decodePayloads, encodePayloads, type PayloadChain } from "./payload-chain.ts";

/**
 * An IKE message, RFC 7296 section 3: header, then a chain of payloads. An SK or SKF payload ends the chain; what is
 * inside of it is decoded with `decodePayloads` once it is open.
 */
export interface Message {
  readonly header: Header;
  readonly payloads: readonly Payload[];
}

/**
 * Reads a whole message of major version 2. Values are views into `octets`. Throws WireError for octets that make no
 * sense, and for another major version, which `decodeHeader` tells apart.
 */
export function decodeMessage(octets: Uint8Array): Message {
  const header = decodeHeader(octets);
  const reader = new Reader(octets, "IKE message");
  reader.skip(HEADER_LENGTH, "header");
  if (header.majorVersion !== MAJOR_VERSION) reader.fail("Major Version", `${header.majorVersion} is not 2`);
  if (header.length !== octets.length) {
    reader.fail("Length", `${header.length} is not the ${octets.length} octets of the datagram`);
  }
  return { header, payloads: decodeChain(reader, header.nextPayload, octets) };
}

/** Throws TypeError or RangeError for values that have no encoding. */
export function encodeMessage(message: HeaderFields & { readonly payloads: readonly Payload[] }): Uint8Array {
  const writer = new Writer();
  encodeHeader(message, { nextPayload: typeOf(message.payloads[0]), length: 0 }, writer);
  encodeChain(message.payloads, writer);
  writer.patchU32(LENGTH_OFFSET, writer.length, "Length");
  return writer.finish();
}

/** A protected message that waits for its body. */
export interface ProtectedEnvelope {
  /** The whole message. The body is zero until the caller seals into it. */
  readonly octets: Uint8Array;
  /** The associated data are the first `aadLength` octets (RFC 5282 section 5.1, RFC 7383 section 2.5). */
  readonly aadLength: number;
  /** Where the body (IV, ciphertext, ICV) begins; it reaches to the end. */
  readonly bodyOffset: number;
}

/**
 * Lays out a message whose only payload is SK, or SKF when `fragment` is given, around a body of `bodyLength` octets.
 * `firstType` is the PayloadType of the first payload inside; a fragment behind the first carries 0 instead
 * (RFC 7383 section 2.5).
 */
export function encodeProtectedEnvelope(
  message: HeaderFields & {
    readonly firstType: number;
    readonly bodyLength: number;
    /** `number` counts from 1 to `total`. */
    readonly fragment?: { readonly number: number; readonly total: number };
  },
): ProtectedEnvelope {
  const { fragment, bodyLength } = message;
  const payloadLength =
    GENERIC_HEADER_LENGTH + (fragment === undefined ? 0 : FRAGMENT_HEADER_LENGTH) + bodyLength;
  const length = HEADER_LENGTH + payloadLength;
  const nextPayload = fragment === undefined ? PayloadType.SK : PayloadType.SKF;
  const nextType = fragment === undefined || fragment.number === 1 ? message.firstType : PayloadType.NONE;

  const writer = new Writer();
  encodeHeader(message, { nextPayload, length }, writer);
  encodeGenericHeader({ nextType, critical: false, length: payloadLength }, writer);
  if (fragment !== undefined) {
    encodeFragmentNumber({ fragmentNumber: fragment.number, totalFragments: fragment.total }, writer);
  }
  const bodyOffset = writer.reserve(bodyLength);
  return { octets: writer.finish(), aadLength: bodyOffset, bodyOffset };
}

const LENGTH_OFFSET = 24;
const FRAGMENT_HEADER_LENGTH = 4;
