import type { Reader } from "../../bytes/reader.ts";
import type { Writer } from "../../bytes/writer.ts";
import { decodeTransform, encodeTransform, type Transform } from "./transform.ts";

/**
 * Proposal substructure, RFC 7296 section 3.3.1.
 *
 *   Last (1) | reserved (1) | Proposal Length (2) | Proposal Num (1) | Protocol ID (1) | SPI Size (1) | Num Transforms (1) | SPI | Transforms
 */
export interface Proposal {
  readonly number: number;
  readonly protocolId: number;
  /** 0 octets in IKE_SA_INIT, 8 when an IKE SA is rekeyed, 4 for ESP. Decoded at any length: what fits is the caller's to say. */
  readonly spi: Uint8Array;
  /** At least one. */
  readonly transforms: readonly Transform[];
}

/** Takes the next proposal out of an SA payload. The Last octet must agree with what remains behind it. */
export function decodeProposal(container: Reader): Proposal {
  const last = container.u8("Last Substruc");
  container.skip(1, "reserved");
  const length = container.u16("Proposal Length");
  if (length < HEADER_LENGTH) container.fail("Proposal Length", `${length} is less than its header`);
  const body = container.sub(length - 4, "Proposal");
  if (last !== (container.remaining > 0 ? MORE : LAST)) {
    container.fail("Last Substruc", `is ${last} with ${container.remaining} octets behind the proposal`);
  }

  const number = body.u8("Proposal Num");
  const protocolId = body.u8("Protocol ID");
  const spiSize = body.u8("SPI Size");
  const count = body.u8("Num Transforms");
  if (count === 0) body.fail("Num Transforms", "is 0");
  const spi = body.bytes(spiSize, "SPI");
  const transforms: Transform[] = [];
  while (transforms.length < count) transforms.push(decodeTransform(body, transforms.length === count - 1));
  body.end();
  return { number, protocolId, spi, transforms };
}

export function encodeProposal(value: Proposal, isLast: boolean, writer: Writer): void {
  const count = value.transforms.length;
  if (count === 0) throw new RangeError(`proposal ${value.number} has no transforms`);
  const start = writer.length;
  writer.u8(isLast ? LAST : MORE);
  writer.u8(0);
  const lengthAt = writer.reserve(2);
  writer.u8(value.number, "Proposal Num");
  writer.u8(value.protocolId, "Protocol ID");
  writer.u8(value.spi.length, "SPI Size");
  writer.u8(count, "Num Transforms");
  writer.bytes(value.spi);
  for (const [i, transform] of value.transforms.entries())
    encodeTransform(transform, i === count - 1, writer);
  writer.patchU16(lengthAt, writer.length - start, "Proposal Length");
}

const HEADER_LENGTH = 8;
const LAST = 0;
const MORE = 2;
