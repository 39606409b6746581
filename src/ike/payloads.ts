import { FIRST_NOTIFY_STATUS_TYPE, NotifyType, nameOf, ProtocolId } from "../iana/ikev2-parameters.ts";
import type { Payload, PayloadOf } from "../wire/payloads/payload.ts";

const NONE = new Uint8Array(0);

/** A notification about the message or the IKE SA as a whole. */
export function notify(notifyType: number, data: Uint8Array = NONE): PayloadOf<"notify"> {
  return { kind: "notify", critical: false, protocolId: 0, notifyType, spi: NONE, data };
}

export function find<K extends Payload["kind"]>(
  payloads: readonly Payload[],
  kind: K,
): PayloadOf<K> | undefined {
  return payloads.find((payload): payload is PayloadOf<K> => payload.kind === kind);
}

export function findNotify(
  payloads: readonly Payload[],
  notifyType: number,
): PayloadOf<"notify"> | undefined {
  return payloads.find(
    (payload): payload is PayloadOf<"notify"> =>
      payload.kind === "notify" && payload.notifyType === notifyType,
  );
}

export function findNotifies(
  payloads: readonly Payload[],
  notifyType: number,
): readonly PayloadOf<"notify">[] {
  return payloads.filter(
    (payload): payload is PayloadOf<"notify"> =>
      payload.kind === "notify" && payload.notifyType === notifyType,
  );
}

/** The first notification that reports an error (RFC 7296 section 3.10.1). */
export function findError(payloads: readonly Payload[]): PayloadOf<"notify"> | undefined {
  return payloads.find(
    (payload): payload is PayloadOf<"notify"> =>
      payload.kind === "notify" && payload.notifyType < FIRST_NOTIFY_STATUS_TYPE,
  );
}

/** The first payload that its sender wants understood and that we do not know (RFC 7296 section 2.5). */
export function findUnknownCritical(payloads: readonly Payload[]): PayloadOf<"unknown"> | undefined {
  return payloads.find(
    (payload): payload is PayloadOf<"unknown"> => payload.kind === "unknown" && payload.critical,
  );
}

export function unsupportedCriticalPayload(payload: PayloadOf<"unknown">): PayloadOf<"notify"> {
  return notify(NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD, Uint8Array.of(payload.payloadType));
}

/** "NO_PROPOSAL_CHOSEN". */
export function notifyName(notifyType: number): string {
  return nameOf(NotifyType, notifyType);
}

/** ESP SPIs as they travel in proposals and Delete payloads: 4 octets. */
export function encodeSpi(spi: number): Uint8Array {
  return Uint8Array.of(spi >>> 24, spi >>> 16, spi >>> 8, spi);
}

/** Zero for octets that are no ESP SPI; 0 is reserved (RFC 4303 section 2.1), so nothing is found under it. */
export function decodeSpi(octets: Uint8Array): number {
  if (octets.length !== 4) return 0;
  return ((octets[0]! << 24) | (octets[1]! << 16) | (octets[2]! << 8) | octets[3]!) >>> 0;
}

/** SPIs of IKE SAs as they travel in proposals when one is rekeyed: 8 octets. */
export function encodeIkeSpi(spi: bigint): Uint8Array {
  const octets = new Uint8Array(8);
  new DataView(octets.buffer).setBigUint64(0, spi);
  return octets;
}

/** Zero for octets that are no SPI of an IKE SA. */
export function decodeIkeSpi(octets: Uint8Array): bigint {
  if (octets.length !== 8) return 0n;
  return new DataView(octets.buffer, octets.byteOffset, 8).getBigUint64(0);
}

export function deleteChildSas(inboundSpis: readonly number[]): PayloadOf<"delete"> {
  return { kind: "delete", critical: false, protocolId: ProtocolId.ESP, spis: inboundSpis.map(encodeSpi) };
}

export function deleteIkeSa(): PayloadOf<"delete"> {
  return { kind: "delete", critical: false, protocolId: ProtocolId.IKE, spis: [] };
}

/** SET_WINDOW_SIZE: a number of 4 octets (RFC 7296 section 3.10.1). */
export function encodeWindowSize(size: number): Uint8Array {
  return encodeSpi(size);
}

/** Undefined for octets that are no window size. */
export function decodeWindowSize(octets: Uint8Array): number | undefined {
  return octets.length === 4 ? decodeSpi(octets) : undefined;
}

/** The SPI that an INVALID_SPI notification calls unknown (RFC 7296 section 3.10.1). */
export function invalidSpiOf(payloads: readonly Payload[]): number | undefined {
  const data = findNotify(payloads, NotifyType.INVALID_SPI)?.data;
  return data?.length === 4 ? decodeSpi(data) : undefined;
}
