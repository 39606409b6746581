// Transport mode, RFC 4303 section 3.1.1: what is inside begins behind the IP header. Outbound the header is left out, and the socket
// makes one of its own; inbound it is made again from the SA's selectors, which name one address at either end.

import {
  SA_FLAG_TRANSPORT,
  SA_HEADER_LENGTH_OFFSET,
  SA_HEADER_OFFSET,
  SEND_SLAB_SIZE,
  WORKER_SEND_SLAB_OFFSET,
} from "./layout";
import { Sa } from "./records";
import { region } from "./scratch";
import { setTrafficClass } from "./traffic-class";
import { writeIpv4Checksum } from "./transport-checksum";

const IPV6_HEADER_LENGTH: u32 = 40;
const HOP_BY_HOP: u32 = 0;
const ROUTING: u32 = 43;
const FRAGMENT: u32 = 44;
const IPV4_MORE_FRAGMENTS_OR_OFFSET: u32 = 0x3fff;
/** A virtio_net_hdr, and then some. */
const HEADROOM: usize = 16;

export function isTransport(sa: Sa): bool {
  return (sa.flags & SA_FLAG_TRANSPORT) != 0;
}

/**
 * Octets of the IP header of the packet at `inner`, or 0 for one that transport mode cannot carry: a fragment (RFC 4303 section
 * 3.3.4), or an IPv6 packet whose extension headers belong in front of ESP.
 */
export function strippedLength(inner: usize): u32 {
  if (<u32>load<u8>(inner) >> 4 == 4) {
    const isFragment = (<u32>bswap<u16>(load<u16>(inner, 6)) & IPV4_MORE_FRAGMENTS_OR_OFFSET) != 0;
    return isFragment ? 0 : (<u32>load<u8>(inner) & 15) << 2;
  }
  const next = <u32>load<u8>(inner, 6);
  return next == HOP_BY_HOP || next == ROUTING || next == FRAGMENT ? 0 : IPV6_HEADER_LENGTH;
}

/** The protocol of what follows the IP header. */
export function protocolBehind(inner: usize): u32 {
  return <u32>load<u8>(inner) >> 4 == 4 ? load<u8>(inner, 9) : load<u8>(inner, 6);
}

let cursor: usize = 0;

/** Packets are put together in the send slab, where nothing lies while a batch is opened. */
export function beginRebuilding(): void {
  cursor = region() + WORKER_SEND_SLAB_OFFSET;
}

/** The packet with `length` octets at `payload` behind its IP header, or 0 when there is no room. */
export function rebuildPacket(sa: Sa, payload: usize, length: u32, protocol: u32, trafficClass: u32): usize {
  const headerLength = load<u32>(changetype<usize>(sa) + SA_HEADER_LENGTH_OFFSET);
  const packet = cursor + HEADROOM;
  const total = headerLength + length;
  if (total > 65535 || packet + total > region() + WORKER_SEND_SLAB_OFFSET + SEND_SLAB_SIZE) return 0;
  memory.copy(packet, changetype<usize>(sa) + SA_HEADER_OFFSET, headerLength);
  memory.copy(packet + headerLength, payload, length);
  if (headerLength == IPV6_HEADER_LENGTH) {
    store<u16>(packet, bswap<u16>(<u16>length), 4);
    store<u8>(packet, <u8>protocol, 6);
    setTrafficClass(packet, trafficClass);
  } else {
    store<u16>(packet, bswap<u16>(<u16>total), 2);
    store<u8>(packet, <u8>protocol, 9);
    store<u8>(packet, <u8>trafficClass, 1);
    writeIpv4Checksum(packet, headerLength);
  }
  cursor = packet + ((total + 15) & ~15);
  return packet;
}
