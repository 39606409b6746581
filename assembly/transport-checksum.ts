// The checksums of IPv4, TCP and UDP headers within an inner packet, in network order.

import { foldSum, sumWords } from "./checksum";

export const TCP_CHECKSUM_OFFSET: u32 = 16;
export const UDP_CHECKSUM_OFFSET: u32 = 6;
export const TCP: u32 = 6;
export const UDP: u32 = 17;

const IPV4_CHECKSUM_OFFSET: usize = 10;

/** Writes the checksum of the IPv4 header of `length` octets (RFC 791 section 3.1). */
export function writeIpv4Checksum(packet: usize, length: u32): void {
  store<u16>(packet, 0, IPV4_CHECKSUM_OFFSET);
  store<u16>(packet, <u16>~sumWords(packet, length), IPV4_CHECKSUM_OFFSET);
}

/** The sum of the pseudo-header (RFC 9293 section 3.1, RFC 8200 section 8.1) of `length` octets of TCP or UDP, without the length. */
export function sumPseudoHeader(packet: usize, protocol: u32): u32 {
  const isIpv4 = load<u8>(packet) >> 4 == 4;
  return foldSum((isIpv4 ? sumWords(packet + 12, 8) : sumWords(packet + 8, 32)) + (protocol << 8));
}

/** What a length of at most 65,535 adds to a sum. */
export function sumOfLength(length: u32): u32 {
  return <u32>bswap<u16>(<u16>length);
}

/** The field for a sum. RFC 768: zero means that there is none, so a sum that comes out as zero is sent as all ones. */
export function checksumOf(sum: u32, protocol: u32): u16 {
  const checksum = <u16>~foldSum(sum);
  return checksum == 0 && protocol == UDP ? 0xffff : checksum;
}

/** Whether the checksum of the TCP or UDP packet at `transport` is right. */
export function isTransportIntact(packet: usize, transport: usize, length: u32, protocol: u32): bool {
  const sum = sumPseudoHeader(packet, protocol) + sumOfLength(length) + sumWords(transport, length);
  return foldSum(sum) == 0xffff;
}
