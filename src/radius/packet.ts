import { concat } from "../bytes/concat.ts";

/**
 * RADIUS packet, RFC 2865 section 3.
 *
 *   Code (1) | Identifier (1) | Length (2) | Authenticator (16) | Attributes: Type (1) | Length (1) | Value
 */
export interface RadiusPacket {
  readonly code: number;
  readonly identifier: number;
  readonly authenticator: Uint8Array;
  readonly attributes: readonly Attribute[];
}

export interface Attribute {
  readonly type: number;
  readonly value: Uint8Array;
}

export const HEADER_LENGTH = 20;
export const AUTHENTICATOR_LENGTH = 16;
/** RFC 2865 section 3. */
export const LONGEST_PACKET = 4096;
/** RFC 2865 section 5: Length is one octet and counts Type and itself. */
export const LONGEST_VALUE = 253;

/**
 * The packet, or undefined for one that must be discarded silently: cut off, too long, with attributes that do not fit. What is behind
 * Length is padding (RFC 2865 section 3). Values are views.
 */
export function decodeRadius(octets: Uint8Array): RadiusPacket | undefined {
  if (octets.length < HEADER_LENGTH) return undefined;
  const length = (octets[2]! << 8) | octets[3]!;
  if (length < HEADER_LENGTH || length > octets.length || length > LONGEST_PACKET) return undefined;
  const attributes = decodeAttributes(octets.subarray(HEADER_LENGTH, length));
  if (attributes === undefined) return undefined;
  const authenticator = octets.subarray(4, HEADER_LENGTH);
  return { code: octets[0]!, identifier: octets[1]!, authenticator, attributes };
}

/** Attributes that fill the octets exactly, or undefined. */
function decodeAttributes(octets: Uint8Array): readonly Attribute[] | undefined {
  const attributes: Attribute[] = [];
  for (let at = 0; at < octets.length; ) {
    const length = octets[at + 1] ?? 0;
    if (length < 2 || at + length > octets.length) return undefined;
    attributes.push({ type: octets[at]!, value: octets.subarray(at + 2, at + length) });
    at += length;
  }
  return attributes;
}

/** Throws RangeError for what does not fit into a packet. */
export function encodeRadius({ code, identifier, authenticator, attributes }: RadiusPacket): Uint8Array {
  const body = concat(...attributes.map(encodeAttribute));
  const length = HEADER_LENGTH + body.length;
  if (length > LONGEST_PACKET) throw new RangeError(`a RADIUS packet of ${length} octets`);
  return concat(Uint8Array.of(code, identifier, length >>> 8, length & 0xff), authenticator, body);
}

function encodeAttribute({ type, value }: Attribute): Uint8Array {
  if (value.length > LONGEST_VALUE) throw new RangeError(`attribute ${type} of ${value.length} octets`);
  return concat(Uint8Array.of(type, value.length + 2), value);
}

/** The values of all attributes of the type, in order. */
export function valuesOf(attributes: readonly Attribute[], type: number): readonly Uint8Array[] {
  return attributes.filter((attribute) => attribute.type === type).map(({ value }) => value);
}

export function textAttribute(type: number, text: string): Attribute {
  return { type, value: new TextEncoder().encode(text) };
}

export function integerAttribute(type: number, value: number): Attribute {
  const octets = new Uint8Array(4);
  new DataView(octets.buffer).setUint32(0, value);
  return { type, value: octets };
}

/** A value of four octets as a number, or undefined for other lengths. */
export function integerOf(value: Uint8Array | undefined): number | undefined {
  if (value?.length !== 4) return undefined;
  return new DataView(value.buffer, value.byteOffset, 4).getUint32(0);
}
