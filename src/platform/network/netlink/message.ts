import { concat } from "../../../bytes/concat.ts";
import { PlatformError } from "../../../errors/index.ts";

/** nlmsg_len (4) | nlmsg_type (2) | nlmsg_flags (2) | nlmsg_seq (4) | nlmsg_pid (4) */
const HEADER_SIZE = 16;
/** nla_len (2) | nla_type (2) */
const ATTRIBUTE_HEADER_SIZE = 4;
/** NLA_F_NESTED and NLA_F_NET_BYTEORDER are flags above the type. */
const ATTRIBUTE_TYPE_MASK = 0x3fff;

export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly body: Uint8Array;
}

export function encodeMessage({ type, flags, sequence, body }: NetlinkMessage): Uint8Array {
  const octets = new Uint8Array(HEADER_SIZE + body.length);
  const view = new DataView(octets.buffer);
  view.setUint32(0, octets.length, true);
  view.setUint16(4, type, true);
  view.setUint16(6, flags, true);
  view.setUint32(8, sequence, true);
  octets.set(body, HEADER_SIZE);
  return octets;
}

/** The messages of one datagram. Bodies are copies. Throws PlatformError when a length does not fit. */
export function decodeMessages(octets: Uint8Array): NetlinkMessage[] {
  const messages: NetlinkMessage[] = [];
  const view = viewOf(octets);
  for (let at = 0; at + HEADER_SIZE <= octets.length; ) {
    const length = view.getUint32(at, true);
    if (length < HEADER_SIZE || at + length > octets.length) throw malformed("message", at);
    messages.push({
      type: view.getUint16(at + 4, true),
      flags: view.getUint16(at + 6, true),
      sequence: view.getUint32(at + 8, true),
      body: octets.slice(at + HEADER_SIZE, at + length),
    });
    at += align(length);
  }
  return messages;
}

/** One attribute. A number is a u32, text ends in a zero, several values are nested attributes. */
export function attribute(
  type: number,
  value: number | string | Uint8Array | readonly Uint8Array[],
): Uint8Array {
  const data = encodeValue(value);
  const octets = new Uint8Array(align(ATTRIBUTE_HEADER_SIZE + data.length));
  const view = new DataView(octets.buffer);
  view.setUint16(0, ATTRIBUTE_HEADER_SIZE + data.length, true);
  view.setUint16(2, type, true);
  octets.set(data, ATTRIBUTE_HEADER_SIZE);
  return octets;
}

/** Attributes by type; the last of a type counts. Throws PlatformError when a length does not fit. */
export function decodeAttributes(octets: Uint8Array): ReadonlyMap<number, Uint8Array> {
  const attributes = new Map<number, Uint8Array>();
  const view = viewOf(octets);
  for (let at = 0; at + ATTRIBUTE_HEADER_SIZE <= octets.length; ) {
    const length = view.getUint16(at, true);
    if (length < ATTRIBUTE_HEADER_SIZE || at + length > octets.length) throw malformed("attribute", at);
    const type = view.getUint16(at + 2, true) & ATTRIBUTE_TYPE_MASK;
    attributes.set(type, octets.subarray(at + ATTRIBUTE_HEADER_SIZE, at + length));
    at += align(length);
  }
  return attributes;
}

/** A u32 attribute, or undefined when it is missing or short. */
export function readU32(octets: Uint8Array | undefined): number | undefined {
  return octets === undefined || octets.length < 4 ? undefined : viewOf(octets).getUint32(0, true);
}

/** A text attribute, or undefined when it is missing. */
export function readText(octets: Uint8Array | undefined): string | undefined {
  if (octets === undefined) return undefined;
  const end = octets.indexOf(0);
  return Buffer.from(end < 0 ? octets : octets.subarray(0, end)).toString("utf8");
}

export function viewOf(octets: Uint8Array): DataView {
  return new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
}

function encodeValue(value: number | string | Uint8Array | readonly Uint8Array[]): Uint8Array {
  if (typeof value === "number") return new Uint8Array(new Uint32Array([value]).buffer);
  if (typeof value === "string") return Buffer.from(`${value}\0`, "utf8");
  return value instanceof Uint8Array ? value : concat(...value);
}

/** NLMSG_ALIGN and NLA_ALIGN. */
export function align(length: number): number {
  return (length + 3) & ~3;
}

function malformed(what: string, offset: number): PlatformError {
  return new PlatformError(`netlink ${what} at octet ${offset} does not fit its datagram`, {
    code: "EBADMSG",
  });
}
