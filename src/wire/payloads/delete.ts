import type { Reader } from "../../bytes/reader.ts";
import type { Writer } from "../../bytes/writer.ts";
import { ProtocolId } from "../../iana/ikev2-parameters.ts";

/**
 * Delete payload, RFC 7296 section 3.11.
 *
 *   Protocol ID (1) | SPI Size (1) | Num of SPIs (2) | SPIs
 */
export interface Delete {
  /** ProtocolId. */
  readonly protocolId: number;
  /** None for an IKE SA (the header names it), 4 octets each for AH and ESP. */
  readonly spis: readonly Uint8Array[];
}

export function decodeDelete(body: Reader): Delete {
  const protocolId = body.u8("Protocol ID");
  const spiSize = body.u8("SPI Size");
  const count = body.u16("Num of SPIs");
  if (!isSpiSize(protocolId, spiSize))
    body.fail("SPI Size", `${spiSize} does not fit protocol ${protocolId}`);
  // SPIs of no octets would cost the sender nothing and us 65535 values.
  if (spiSize === 0 && count > 0) body.fail("Num of SPIs", `is ${count} while SPI Size is 0`);
  if (count * spiSize !== body.remaining) {
    body.fail("Num of SPIs", `${count} of ${spiSize} octets are not the ${body.remaining} that follow`);
  }
  return { protocolId, spis: Array.from({ length: count }, () => body.bytes(spiSize, "SPI")) };
}

export function encodeDelete(value: Delete, writer: Writer): void {
  const spiSize = value.spis[0]?.length ?? (hasFourOctetSpis(value.protocolId) ? 4 : 0);
  if (!isSpiSize(value.protocolId, spiSize) || value.spis.some((spi) => spi.length !== spiSize)) {
    throw new TypeError(
      `SPIs of ${spiSize} octets do not fit protocol ${value.protocolId}, or differ in length`,
    );
  }
  writer.u8(value.protocolId, "Protocol ID");
  writer.u8(spiSize, "SPI Size");
  writer.u16(value.spis.length, "Num of SPIs");
  for (const spi of value.spis) writer.bytes(spi);
}

/** Protocols we do not know may have SPIs of any size from 4 octets on: shorter ones would be a cheap way to make us work. */
function isSpiSize(protocolId: number, spiSize: number): boolean {
  if (protocolId === ProtocolId.IKE) return spiSize === 0;
  if (hasFourOctetSpis(protocolId)) return spiSize === 4;
  return spiSize === 0 || spiSize >= 4;
}

function hasFourOctetSpis(protocolId: number): boolean {
  return protocolId === ProtocolId.AH || protocolId === ProtocolId.ESP;
}
