// DSCP and ECN in tunnel mode (RFC 4301 section 5.1.2, RFC 6040): the octet that IPv4 calls type of service and IPv6 traffic class.
//
//     0   1   2   3   4   5   6   7
//   |         DSCP          |  ECN  |    ECN: 00 Not-ECT, 01 ECT(1), 10 ECT(0), 11 CE

import { adjustChecksum } from "./checksum";
import { SA_FLAG_COPY_DSCP, SA_FLAG_TRANSPORT, STATUS_CE_ON_NOT_ECT, STATUS_OK } from "./layout";
import { Sa } from "./records";

const ECN_MASK: u32 = 3;
const NOT_ECT: u32 = 0;
const ECT_1: u32 = 1;
const ECT_0: u32 = 2;
const CE: u32 = 3;

const IPV4_CHECKSUM_OFFSET: usize = 10;

/** What goes outside of the IPv4 or IPv6 packet at `inner`: its ECN (RFC 6040 section 4.1, normal mode), and its DSCP if the SA copies it. */
export function outerTrafficClass(sa: Sa, inner: usize): u32 {
  const own = trafficClassOf(inner);
  return (sa.flags & (SA_FLAG_COPY_DSCP | SA_FLAG_TRANSPORT)) != 0 ? own : own & ECN_MASK;
}

/**
 * Brings what the path did to the outer header into the packet at `inner`. RFC 6040 section 4.2: a mark on a packet whose sender
 * knows no ECN means congestion, and only its loss can tell the sender.
 */
export function decapsulateTrafficClass(sa: Sa, inner: usize, outer: u32): u32 {
  const own = trafficClassOf(inner);
  let result = own;
  const innerEcn = own & ECN_MASK;
  const outerEcn = outer & ECN_MASK;
  if (outerEcn == CE) {
    if (innerEcn == NOT_ECT) return STATUS_CE_ON_NOT_ECT;
    result |= CE;
  } else if (outerEcn == ECT_1 && innerEcn == ECT_0) {
    result = (own & ~ECN_MASK) | ECT_1;
  }
  if ((sa.flags & SA_FLAG_COPY_DSCP) != 0) result = (outer & ~ECN_MASK) | (result & ECN_MASK);
  if (result != own) setTrafficClass(inner, result);
  return STATUS_OK;
}

function trafficClassOf(packet: usize): u32 {
  const word = <u32>bswap<u16>(load<u16>(packet));
  return word >> 12 == 4 ? word & 0xff : (word >> 4) & 0xff;
}

export function setTrafficClass(packet: usize, value: u32): void {
  const before = load<u16>(packet);
  const word = <u32>bswap<u16>(before);
  if (word >> 12 != 4) {
    store<u16>(packet, bswap<u16>(<u16>((word & 0xf00f) | (value << 4))));
    return;
  }
  const after = bswap<u16>(<u16>((word & 0xff00) | value));
  store<u16>(packet, after);
  adjustChecksum(packet + IPV4_CHECKSUM_OFFSET, before, after);
}
