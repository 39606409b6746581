import { Reader } from "../bytes/reader.ts";
import type { Writer } from "../bytes/writer.ts";

/**
 * IKE header, RFC 7296 section 3.1.
 *
 *   IKE SA Initiator's SPI (8) | IKE SA Responder's SPI (8)
 *   Next Payload (1) | Major Version, Minor Version (1) | Exchange Type (1) | Flags (1) | Message ID (4) | Length (4)
 */
export interface Header {
  readonly initiatorSpi: bigint;
  readonly responderSpi: bigint;
  /** PayloadType of the first payload; 0 when there is none. */
  readonly nextPayload: number;
  readonly majorVersion: number;
  readonly minorVersion: number;
  /** ExchangeType. */
  readonly exchangeType: number;
  /** The sender is the original initiator of the IKE SA. */
  readonly isInitiator: boolean;
  readonly isResponse: boolean;
  /** The sender can speak a higher major version. */
  readonly hasHigherVersion: boolean;
  readonly messageId: number;
  /** Octets of the whole message, as the sender says. */
  readonly length: number;
}

/** The part of a header that a sender chooses. */
export type HeaderFields = Pick<
  Header,
  "initiatorSpi" | "responderSpi" | "exchangeType" | "isInitiator" | "isResponse" | "messageId"
>;

export const HEADER_LENGTH = 28;
export const MAJOR_VERSION = 2;

/**
 * Reads the header in front of `octets`, also one of a version that we do not speak: the caller answers that with
 * INVALID_MAJOR_VERSION (RFC 7296 section 2.5). Throws WireError when there are fewer than 28 octets. `length` is not
 * compared with anything here.
 */
export function decodeHeader(octets: Uint8Array): Header {
  const reader = new Reader(octets, "IKE header");
  const initiatorSpi = reader.u64("Initiator's SPI");
  const responderSpi = reader.u64("Responder's SPI");
  const nextPayload = reader.u8("Next Payload");
  const version = reader.u8("Version");
  const exchangeType = reader.u8("Exchange Type");
  const flags = reader.u8("Flags");
  return {
    initiatorSpi,
    responderSpi,
    nextPayload,
    majorVersion: version >>> 4,
    minorVersion: version & 0x0f,
    exchangeType,
    isInitiator: (flags & FLAG_INITIATOR) !== 0,
    isResponse: (flags & FLAG_RESPONSE) !== 0,
    hasHigherVersion: (flags & FLAG_VERSION) !== 0,
    messageId: reader.u32("Message ID"),
    length: reader.u32("Length"),
  };
}

/** Writes a header of version 2.0. */
export function encodeHeader(
  header: HeaderFields,
  { nextPayload, length }: Pick<Header, "nextPayload" | "length">,
  writer: Writer,
): void {
  writer.u64(header.initiatorSpi, "Initiator's SPI");
  writer.u64(header.responderSpi, "Responder's SPI");
  writer.u8(nextPayload, "Next Payload");
  writer.u8(MAJOR_VERSION << 4);
  writer.u8(header.exchangeType, "Exchange Type");
  writer.u8((header.isInitiator ? FLAG_INITIATOR : 0) | (header.isResponse ? FLAG_RESPONSE : 0));
  writer.u32(header.messageId, "Message ID");
  writer.u32(length, "Length");
}

const FLAG_INITIATOR = 0x08;
const FLAG_VERSION = 0x10;
const FLAG_RESPONSE = 0x20;
