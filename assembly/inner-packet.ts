// What selectors ask of an inner packet (RFC 4301 section 4.4.1.1). `parseInnerPacket` leaves its answer in the globals
// below, which each instance has to itself; they hold until the next call.

/** 4 or 6. */
export let family: u32 = 0;
/** Octets of the packet as its own header says, without what lies behind it. */
export let totalLength: u32 = 0;
/** The next layer's protocol, behind IPv6 extension headers. */
export let protocol: u32 = 0;
/** Where the addresses lie, in network order. */
export let sourceAddress: usize = 0;
export let destinationAddress: usize = 0;
/** Where the header of the next layer's protocol begins, and how many octets are there; none in a later fragment. */
export let upperLayer: usize = 0;
export let upperLength: u32 = 0;
/** A port of 0 to 65535, PORT_OPAQUE or PORT_ABSENT. */
export let sourcePort: u32 = 0;
export let destinationPort: u32 = 0;

/** The packet does not show the port: a later fragment, or a protocol that has none. */
export const PORT_OPAQUE: u32 = 65536;
/** The other side of an ICMP type: it has no say (RFC 4301 section 4.4.1.3). */
export const PORT_ABSENT: u32 = 65537;

const IPV4_HEADER_LENGTH: u32 = 20;
const IPV6_HEADER_LENGTH: u32 = 40;
/** No stack sends longer chains, and each costs a look. */
const EXTENSION_HEADER_LIMIT: u32 = 8;

const HOP_BY_HOP: u32 = 0;
const ICMP: u32 = 1;
const TCP: u32 = 6;
const UDP: u32 = 17;
const DCCP: u32 = 33;
const ROUTING: u32 = 43;
const FRAGMENT: u32 = 44;
const AH: u32 = 51;
const ICMPV6: u32 = 58;
const DESTINATION_OPTIONS: u32 = 60;
const SCTP: u32 = 132;
const MOBILITY: u32 = 135;
const UDP_LITE: u32 = 136;

/** Reads the headers of `length` octets at `packet`. False when they are not one whole IPv4 or IPv6 packet; more octets behind it are allowed. */
export function parseInnerPacket(packet: usize, length: u32): bool {
  if (length < IPV4_HEADER_LENGTH) return false;
  const version = <u32>load<u8>(packet) >> 4;
  if (version == 4) return parseIpv4(packet, length);
  if (version == 6) return parseIpv6(packet, length);
  return false;
}

/** Makes the packet parsed last look as a later fragment of it does. */
export function hidePorts(): void {
  sourcePort = PORT_OPAQUE;
  destinationPort = PORT_OPAQUE;
}

function parseIpv4(packet: usize, length: u32): bool {
  const headerLength = (<u32>load<u8>(packet) & 15) << 2;
  const total = <u32>bswap<u16>(load<u16>(packet, 2));
  if (headerLength < IPV4_HEADER_LENGTH || total < headerLength || total > length) return false;
  family = 4;
  totalLength = total;
  protocol = load<u8>(packet, 9);
  sourceAddress = packet + 12;
  destinationAddress = packet + 16;
  const fragmentOffset = <u32>bswap<u16>(load<u16>(packet, 6)) & 0x1fff;
  readPorts(packet + headerLength, fragmentOffset == 0 ? total - headerLength : 0);
  return true;
}

function parseIpv6(packet: usize, length: u32): bool {
  if (length < IPV6_HEADER_LENGTH) return false;
  const total = IPV6_HEADER_LENGTH + <u32>bswap<u16>(load<u16>(packet, 4));
  if (total > length) return false;
  family = 6;
  totalLength = total;
  sourceAddress = packet + 8;
  destinationAddress = packet + 24;

  let next = <u32>load<u8>(packet, 6);
  let at = IPV6_HEADER_LENGTH;
  for (let headers: u32 = 0; isExtensionHeader(next); headers++) {
    if (headers == EXTENSION_HEADER_LIMIT || total - at < 8) return false;
    const here = packet + at;
    const kind = next;
    next = load<u8>(here);
    if (kind == FRAGMENT) {
      at += 8;
      // What follows in a later fragment is not a header, whatever it looks like.
      if ((<u32>bswap<u16>(load<u16>(here, 2)) & 0xfff8) != 0) {
        protocol = next;
        readPorts(here, 0);
        return true;
      }
    } else {
      // RFC 4302 section 2.2: AH counts in words of 4 octets, less two; the others in words of 8, less one (RFC 8200).
      const size = kind == AH ? (<u32>load<u8>(here, 1) + 2) << 2 : (<u32>load<u8>(here, 1) + 1) << 3;
      if (size > total - at) return false;
      at += size;
    }
  }
  protocol = next;
  readPorts(packet + at, total - at);
  return true;
}

function isExtensionHeader(next: u32): bool {
  return (
    next == HOP_BY_HOP || next == ROUTING || next == FRAGMENT || next == AH || next == DESTINATION_OPTIONS
  );
}

/** Reads the ports of the next layer at `header`, of which `length` octets are there. */
function readPorts(header: usize, length: u32): void {
  upperLayer = header;
  upperLength = length;
  sourcePort = PORT_OPAQUE;
  destinationPort = PORT_OPAQUE;
  if (length < 4) return;
  if (protocol == TCP || protocol == UDP || protocol == SCTP || protocol == DCCP || protocol == UDP_LITE) {
    sourcePort = bswap<u16>(load<u16>(header));
    destinationPort = bswap<u16>(load<u16>(header, 2));
  } else if (protocol == ICMP || protocol == ICMPV6) {
    // RFC 7296 section 3.13.1: the type in the upper octet, the code in the lower.
    sourcePort = bswap<u16>(load<u16>(header));
    destinationPort = PORT_ABSENT;
  } else if (protocol == MOBILITY) {
    sourcePort = (<u32>load<u8>(header, 2)) << 8;
    destinationPort = PORT_ABSENT;
  }
}
