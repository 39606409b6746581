import { EapCode } from "../iana/eap.ts";

/**
 * EAP packet, RFC 3748 section 4.
 *
 *   Code (1) | Identifier (1) | Length (2) | Type (1) and Type-Data, in requests and responses
 */
export type EapPacket = EapRequest | EapResponse | EapResult;

export interface EapRequest extends TypedPacket {
  readonly code: typeof EapCode.REQUEST;
}

export interface EapResponse extends TypedPacket {
  readonly code: typeof EapCode.RESPONSE;
}

interface TypedPacket {
  readonly identifier: number;
  readonly type: number;
  readonly data: Uint8Array;
}

interface EapResult {
  readonly code: typeof EapCode.SUCCESS | typeof EapCode.FAILURE;
  readonly identifier: number;
}

const HEADER_LENGTH = 4;

/**
 * The packet, or undefined for one that must be discarded silently: cut off, without a Type, of another code. What is behind Length
 * counts as padding of the layer below (RFC 3748 section 4.1). `data` is a view.
 */
export function decodeEapPacket(octets: Uint8Array): EapPacket | undefined {
  if (octets.length < HEADER_LENGTH) return undefined;
  const [code, identifier] = [octets[0]!, octets[1]!];
  const length = (octets[2]! << 8) | octets[3]!;
  if (length < HEADER_LENGTH || length > octets.length) return undefined;
  if (code === EapCode.SUCCESS || code === EapCode.FAILURE) {
    return length === HEADER_LENGTH ? { code, identifier } : undefined;
  }
  if ((code !== EapCode.REQUEST && code !== EapCode.RESPONSE) || length === HEADER_LENGTH) return undefined;
  return { code, identifier, type: octets[4]!, data: octets.subarray(5, length) };
}

export function encodeEapPacket(packet: EapPacket): Uint8Array {
  const hasType = packet.code === EapCode.REQUEST || packet.code === EapCode.RESPONSE;
  const length = HEADER_LENGTH + (hasType ? 1 + packet.data.length : 0);
  if (length > 0xffff) throw new RangeError(`an EAP packet of ${length} octets`);
  const octets = new Uint8Array(length);
  octets.set([packet.code, packet.identifier, length >>> 8, length & 0xff]);
  if (hasType) {
    octets[HEADER_LENGTH] = packet.type;
    octets.set(packet.data, HEADER_LENGTH + 1);
  }
  return octets;
}
