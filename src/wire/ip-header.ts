import { Reader } from "../bytes/reader.ts";
import { Writer } from "../bytes/writer.ts";
import { IpProtocol } from "../iana/ip-protocols.ts";

/**
 * IPv4 header (RFC 791 section 3.1) or IPv6 header (RFC 8200 section 3) with its extension headers.
 *
 *   IPv4: Version, IHL (1) | Type of Service (1) | Total Length (2) | Identification (2) | Flags, Fragment Offset (2) |
 *         Time to Live (1) | Protocol (1) | Header Checksum (2) | Source (4) | Destination (4) | Options
 *   IPv6: Version, Traffic Class, Flow Label (4) | Payload Length (2) | Next Header (1) | Hop Limit (1) |
 *         Source (16) | Destination (16)
 */
export interface IpHeader {
  readonly version: 4 | 6;
  /** Where the upper layer begins: options and extension headers are part of it. */
  readonly headerLength: number;
  /** Octets of the packet; what lies behind is padding. */
  readonly totalLength: number;
  /** DSCP and ECN. */
  readonly trafficClass: number;
  readonly hopLimit: number;
  /** IpProtocol of the upper layer. */
  readonly protocol: number;
  /** Octets into the original packet; only a packet with 0 has an upper-layer header. */
  readonly fragmentOffset: number;
  readonly hasMoreFragments: boolean;
  /** 4 or 16 octets, views. */
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
}

/** Reads the header of a packet that is wholly there; padding may follow. Throws WireError. Does not verify the checksum. */
export function decodeIpHeader(octets: Uint8Array): IpHeader {
  const reader = new Reader(octets, "IP header");
  const version = reader.u8("Version") >>> 4;
  if (version === 4) return decodeIpv4Header(octets);
  if (version === 6) return decodeIpv6Header(octets);
  return reader.fail("Version", `${version} is neither 4 nor 6`);
}

/** A header without options for `payloadLength` octets; the version follows from the addresses. Hop limit 64 unless said otherwise. */
export function encodeIpHeader(header: {
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly protocol: number;
  readonly payloadLength: number;
  readonly trafficClass?: number;
  readonly hopLimit?: number;
}): Uint8Array {
  const { source, destination } = header;
  if (source.length !== destination.length || (source.length !== 4 && source.length !== 16)) {
    throw new TypeError(`addresses of ${source.length} and ${destination.length} octets`);
  }
  const trafficClass = header.trafficClass ?? 0;
  const hopLimit = header.hopLimit ?? DEFAULT_HOP_LIMIT;
  const writer = new Writer();
  if (source.length === 4) {
    writer.u8(0x45);
    writer.u8(trafficClass, "Type of Service");
    writer.u16(IPV4_HEADER_LENGTH + header.payloadLength, "Total Length");
    writer.u16(0);
    writer.u16(IPV4_DONT_FRAGMENT); // Identification may be 0 in a packet that is never cut up (RFC 6864 section 4.1).
    writer.u8(hopLimit, "Time to Live");
    writer.u8(header.protocol, "Protocol");
    writer.u16(0);
  } else {
    if (trafficClass > 0xff) throw new RangeError(`Traffic Class ${trafficClass} is not one octet`);
    writer.u32(((6 << 28) | (trafficClass << 20)) >>> 0);
    writer.u16(header.payloadLength, "Payload Length");
    writer.u8(header.protocol, "Next Header");
    writer.u8(hopLimit, "Hop Limit");
  }
  writer.bytes(source);
  writer.bytes(destination);
  if (source.length === 4) writer.patchU16(IPV4_CHECKSUM_OFFSET, internetChecksum(writer.finish()));
  return writer.finish();
}

/**
 * The Internet checksum (RFC 1071) over parts laid behind one another; all but the last must have even lengths.
 * Over octets that hold their own correct checksum it is 0.
 */
export function internetChecksum(...parts: readonly Uint8Array[]): number {
  let sum = 0;
  for (const part of parts) {
    for (let i = 0; i < part.length; i += 2) sum += (part[i]! << 8) | (part[i + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum % 0x10000) + Math.floor(sum / 0x10000);
  return ~sum & 0xffff;
}

/** The checksum of UDP, TCP and ICMPv6: over a pseudo-header and the upper layer's octets (RFC 8200 section 8.1, RFC 9293 section 3.1). */
export function upperLayerChecksum(packet: {
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly protocol: number;
  readonly octets: Uint8Array;
}): number {
  const { source, destination, protocol, octets } = packet;
  const writer = new Writer();
  writer.bytes(source);
  writer.bytes(destination);
  writer.u32(octets.length);
  writer.u32(protocol);
  return internetChecksum(writer.finish(), octets);
}

function decodeIpv4Header(octets: Uint8Array): IpHeader {
  const reader = new Reader(octets, "IPv4 header");
  const headerLength = (reader.u8("IHL") & 0x0f) * 4;
  const trafficClass = reader.u8("Type of Service");
  const totalLength = reader.u16("Total Length");
  if (headerLength < IPV4_HEADER_LENGTH) reader.fail("IHL", `${headerLength / 4} is less than 5`);
  if (totalLength < headerLength) reader.fail("Total Length", `${totalLength} is less than the header`);
  if (totalLength > octets.length) {
    reader.fail("Total Length", `${totalLength} is more than the ${octets.length} octets that are there`);
  }
  reader.skip(2, "Identification");
  const fragment = reader.u16("Fragment Offset");
  const hopLimit = reader.u8("Time to Live");
  const protocol = reader.u8("Protocol");
  reader.skip(2, "Header Checksum");
  return {
    version: 4,
    headerLength,
    totalLength,
    trafficClass,
    hopLimit,
    protocol,
    fragmentOffset: (fragment & 0x1fff) * 8,
    hasMoreFragments: (fragment & IPV4_MORE_FRAGMENTS) !== 0,
    source: reader.bytes(4, "Source Address"),
    destination: reader.bytes(4, "Destination Address"),
  };
}

function decodeIpv6Header(octets: Uint8Array): IpHeader {
  const fixed = new Reader(octets, "IPv6 header");
  const trafficClass = (fixed.u32("Version, Traffic Class and Flow Label") >>> 20) & 0xff;
  const payloadLength = fixed.u16("Payload Length");
  const nextHeader = fixed.u8("Next Header");
  const hopLimit = fixed.u8("Hop Limit");
  const source = fixed.bytes(16, "Source Address");
  const destination = fixed.bytes(16, "Destination Address");
  const payload = fixed.sub(payloadLength, "Payload", "IPv6 extension header");
  const { protocol, fragmentOffset, hasMoreFragments } = skipExtensionHeaders(payload, nextHeader);
  return {
    version: 6,
    headerLength: payload.offset,
    totalLength: IPV6_HEADER_LENGTH + payloadLength,
    trafficClass,
    hopLimit,
    protocol,
    fragmentOffset,
    hasMoreFragments,
    source,
    destination,
  };
}

/** RFC 8200 section 4. What follows the header of a later fragment is a piece of something and is not looked into. */
function skipExtensionHeaders(
  payload: Reader,
  nextHeader: number,
): Pick<IpHeader, "protocol" | "fragmentOffset" | "hasMoreFragments"> {
  let protocol = nextHeader;
  let fragmentOffset = 0;
  let hasMoreFragments = false;
  while (EXTENSION_HEADERS.has(protocol) && fragmentOffset === 0) {
    const isFragment = protocol === IpProtocol.IPV6_FRAG;
    protocol = payload.u8("Next Header");
    const length = payload.u8("Hdr Ext Len");
    if (isFragment) {
      const fragment = payload.u16("Fragment Offset");
      fragmentOffset = fragment & 0xfff8;
      hasMoreFragments = (fragment & 1) !== 0;
      payload.skip(4, "Identification");
    } else {
      payload.skip(6 + 8 * length, "Options");
    }
  }
  return { protocol, fragmentOffset, hasMoreFragments };
}

const IPV4_HEADER_LENGTH = 20;
const IPV4_CHECKSUM_OFFSET = 10;
const IPV4_DONT_FRAGMENT = 0x4000;
const IPV4_MORE_FRAGMENTS = 0x2000;
const IPV6_HEADER_LENGTH = 40;
const DEFAULT_HOP_LIMIT = 64;
const EXTENSION_HEADERS: ReadonlySet<number> = new Set([
  IpProtocol.HOPOPT,
  IpProtocol.IPV6_ROUTE,
  IpProtocol.IPV6_FRAG,
  IpProtocol.IPV6_OPTS,
]);
