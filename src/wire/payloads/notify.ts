import type { Reader } from "../../bytes/reader.ts";
import type { Writer } from "../../bytes/writer.ts";

/**
 * Notify payload, RFC 7296 section 3.10.
 *
 *   Protocol ID (1) | SPI Size (1) | Notify Message Type (2) | SPI | Notification Data
 */
export interface Notify {
  /** ProtocolId; 0 where no SPI goes with it. */
  readonly protocolId: number;
  /** NotifyType. */
  readonly notifyType: number;
  readonly spi: Uint8Array;
  readonly data: Uint8Array;
}

export function decodeNotify(body: Reader): Notify {
  const protocolId = body.u8("Protocol ID");
  const spiSize = body.u8("SPI Size");
  const notifyType = body.u16("Notify Message Type");
  return { protocolId, notifyType, spi: body.bytes(spiSize, "SPI"), data: body.rest() };
}

export function encodeNotify(value: Notify, writer: Writer): void {
  writer.u8(value.protocolId, "Protocol ID");
  writer.u8(value.spi.length, "SPI Size");
  writer.u16(value.notifyType, "Notify Message Type");
  writer.bytes(value.spi);
  writer.bytes(value.data);
}
