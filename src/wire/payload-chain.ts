import { Reader } from "../bytes/reader.ts";
import { Writer } from "../bytes/writer.ts";
import { PayloadType } from "../iana/ikev2-parameters.ts";
import { decodePayload, encodePayload, type Payload, payloadName, typeOf } from "./payloads/payload.ts";

/**
 * Generic payload header, RFC 7296 section 3.2, in front of every payload.
 *
 *   Next Payload (1) | critical (1 bit) reserved (7 bits) | Payload Length (2)
 */
export const GENERIC_HEADER_LENGTH = 4;

/**
 * The most payloads one message may have. A payload can be as short as 4 octets, and some make the machine look something
 * up; honest messages have about ten, certificate chains and requests included a few dozen.
 */
export const MAXIMUM_PAYLOAD_COUNT = 255;

/** A chain as it lies in a message or in a decrypted body: its octets and the PayloadType of the first payload. */
export interface PayloadChain {
  readonly firstType: number;
  readonly octets: Uint8Array;
}

/**
 * Reads the payloads of a decrypted body (padding already stripped). Values are views into `octets`.
 * Throws WireError; also for an SK or SKF payload, which has no place inside another.
 */
export function decodePayloads(chain: PayloadChain): Payload[] {
  return decodeChain(new Reader(chain.octets, "payloads"), chain.firstType, undefined);
}

/** Lays payloads out one behind the other. Throws TypeError or RangeError for values that have no encoding. */
export function encodePayloads(payloads: readonly Payload[]): PayloadChain {
  const writer = new Writer();
  encodeChain(payloads, writer);
  return { firstType: typeOf(payloads[0]), octets: writer.finish() };
}

/** Reads a chain to its end, which must be the end of the octets too. `message` is the datagram where SK may occur. */
export function decodeChain(reader: Reader, firstType: number, message: Uint8Array | undefined): Payload[] {
  const payloads: Payload[] = [];
  let type = firstType;
  while (type !== PayloadType.NONE) {
    if (payloads.length === MAXIMUM_PAYLOAD_COUNT)
      reader.fail("payloads", `are more than ${MAXIMUM_PAYLOAD_COUNT}`);
    const nextType = reader.u8("Next Payload");
    const critical = (reader.u8("Critical") & CRITICAL) !== 0;
    const length = reader.u16("Payload Length");
    if (length < GENERIC_HEADER_LENGTH) reader.fail("Payload Length", `${length} is less than its header`);
    const body = reader.sub(length - GENERIC_HEADER_LENGTH, payloadName(type));
    const envelope = message && { message, nextPayload: nextType };
    payloads.push(decodePayload(body, { type, critical, envelope }));
    // RFC 7296 section 3.14: the Next Payload of SK names what is inside of it, and nothing comes behind.
    if (type === PayloadType.SK || type === PayloadType.SKF) break;
    type = nextType;
  }
  reader.end();
  return payloads;
}

export function encodeChain(payloads: readonly Payload[], writer: Writer): void {
  if (payloads.length > MAXIMUM_PAYLOAD_COUNT)
    throw new RangeError(`${payloads.length} payloads in one message`);
  for (const [i, payload] of payloads.entries()) {
    const isLast = i === payloads.length - 1;
    const isEncrypted = payload.kind === "encrypted" || payload.kind === "encrypted-fragment";
    if (isEncrypted && !isLast) throw new TypeError("an encrypted payload is not the last");
    const start = writer.length;
    encodeGenericHeader(
      {
        nextType: isEncrypted ? payload.nextPayload : typeOf(payloads[i + 1]),
        critical: payload.critical,
        length: 0,
      },
      writer,
    );
    encodePayload(payload, writer);
    writer.patchU16(start + 2, writer.length - start, "Payload Length");
  }
}

export function encodeGenericHeader(
  header: { readonly nextType: number; readonly critical: boolean; readonly length: number },
  writer: Writer,
): void {
  writer.u8(header.nextType, "Next Payload");
  writer.u8(header.critical ? CRITICAL : 0);
  writer.u16(header.length, "Payload Length");
}

const CRITICAL = 0x80;
