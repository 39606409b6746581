// A super-packet of the TUN device becomes packets: headers once, payload in pieces of the segment length. What the kernel
// of the machine would do with TCP and UDP segmentation, it leaves to us, checksums included (linux/virtio_net.h).
//
//   headers | payload ........................            headers' | piece    headers' | piece    headers' | piece

import { copyAndSum, foldSum, sumWords } from "./checksum";
import { family, protocol, totalLength } from "./inner-packet";
import {
  VNET_CHECKSUM_OFFSET_OFFSET,
  VNET_CHECKSUM_START_OFFSET,
  VNET_ECN,
  VNET_FLAGS_OFFSET,
  VNET_KIND_OFFSET,
  VNET_NEEDS_CHECKSUM,
  VNET_NONE,
  VNET_SEGMENT_LENGTH_OFFSET,
  VNET_TCP_IPV4,
  VNET_TCP_IPV6,
  VNET_UDP,
} from "./layout";
import {
  checksumOf,
  sumOfLength,
  sumPseudoHeader,
  TCP,
  TCP_CHECKSUM_OFFSET,
  UDP,
  UDP_CHECKSUM_OFFSET,
  writeIpv4Checksum,
} from "./transport-checksum";

const IPV6_HEADER_LENGTH: u32 = 40;
const TCP_HEADER_LENGTH: u32 = 20;
const UDP_HEADER_LENGTH: u32 = 8;
const TCP_SEQUENCE_OFFSET: usize = 4;
const TCP_FLAGS_OFFSET: usize = 13;
const TCP_FIN_AND_PSH: u8 = 0x09;
const TCP_CWR: u8 = 0x80;

// The super-packet that is being cut.
let packet: usize = 0;
/** Where the transport header begins. */
let transport: u32 = 0;
/** Octets of payload that are not to be cut, since they have left before. */
let payloadStart: u32 = 0;
/** Octets of all headers. */
let headersLength: u32 = 0;
let payloadLength: u32 = 0;
let pieceLength: u32 = 0;
let pseudoSum: u32 = 0;

/** Whether the packet behind the virtio_net_hdr at `header` is a super-packet. */
export function isSuperPacket(header: usize): bool {
  return load<u8>(header, VNET_KIND_OFFSET) != VNET_NONE;
}

/** Whether the transport checksum holds the sum of its pseudo-header only. */
export function needsChecksum(header: usize): bool {
  return (load<u8>(header, VNET_FLAGS_OFFSET) & VNET_NEEDS_CHECKSUM) != 0;
}

/** Completes the checksum of the packet parsed last, if the virtio_net_hdr asks for it. False when it makes no sense. */
export function completeChecksum(inner: usize, header: usize): bool {
  if (!needsChecksum(header)) return true;
  const start = <u32>load<u16>(header, VNET_CHECKSUM_START_OFFSET);
  const field = start + <u32>load<u16>(header, VNET_CHECKSUM_OFFSET_OFFSET);
  if (field + 2 > totalLength) return false;
  // The field holds the sum of the pseudo-header and is part of what is summed.
  const checksum = <u16>~sumWords(inner + start, totalLength - start);
  // Only UDP gives zero a meaning, and in every other checksum all ones is the same number.
  store<u16>(inner + field, checksum == 0 ? 0xffff : checksum);
  return true;
}

/**
 * Looks at the super-packet parsed last. Returns into how many packets it is cut, or 0 when its headers make no sense. Segments of
 * TCP are made shorter where packets would be longer than `longest`: to TCP that is the same stream. The first `start` octets of
 * payload are left out; it is as if packets were numbered behind them.
 */
export function beginSegments(inner: usize, header: usize, longest: u32, start: u32): u32 {
  const kind = <u32>load<u8>(header, VNET_KIND_OFFSET) & ~(<u32>VNET_ECN);
  packet = inner;
  transport = load<u16>(header, VNET_CHECKSUM_START_OFFSET);
  pieceLength = load<u16>(header, VNET_SEGMENT_LENGTH_OFFSET);
  if (!isTransportWhere(transport) || pieceLength == 0) return 0;
  const isTcp = kind == (family == 4 ? VNET_TCP_IPV4 : VNET_TCP_IPV6) && protocol == TCP;
  if (!isTcp && (kind != VNET_UDP || protocol != UDP)) return 0;
  headersLength = transport + UDP_HEADER_LENGTH;
  if (isTcp) {
    if (transport + TCP_HEADER_LENGTH > totalLength) return 0;
    const dataOffset = (<u32>load<u8>(inner + transport, 12) >> 4) << 2;
    if (dataOffset < TCP_HEADER_LENGTH) return 0;
    headersLength = transport + dataOffset;
  }
  if (headersLength >= totalLength) return 0;
  if (isTcp && longest > headersLength) pieceLength = min<u32>(pieceLength, longest - headersLength);
  payloadLength = totalLength - headersLength;
  if (start >= payloadLength) return 0;
  payloadStart = start;
  pseudoSum = sumPseudoHeader(inner, protocol);
  return (payloadLength - start + pieceLength - 1) / pieceLength;
}

/** Octets of packet `index`. */
export function segmentLength(index: u32): u32 {
  return headersLength + min<u32>(pieceLength, payloadLength - segmentStart(index));
}

/** Octets of payload before packet `index`. */
export function segmentStart(index: u32): u32 {
  return payloadStart + index * pieceLength;
}

/** Writes packet `index`, whole and with all checksums, to `destination`. */
export function writeSegment(destination: usize, index: u32): void {
  const from = segmentStart(index);
  const length = min<u32>(pieceLength, payloadLength - from);
  memory.copy(destination, packet, headersLength);
  const payloadSum = copyAndSum(destination + headersLength, packet + headersLength + from, length);
  writeIpHeader(destination, headersLength + length, (from + pieceLength - 1) / pieceLength);
  const header = destination + transport;
  const upperLength = headersLength - transport + length;
  const field = protocol == TCP ? TCP_CHECKSUM_OFFSET : UDP_CHECKSUM_OFFSET;
  if (protocol == TCP) writeTcpHeader(header, from, length);
  else store<u16>(header, bswap<u16>(<u16>upperLength), 4);
  store<u16>(header + field, 0);
  // Headers are whole 16-bit words, so the payload's sum needs no shift.
  const headerSum = sumWords(header, headersLength - transport);
  const sum = pseudoSum + sumOfLength(upperLength) + headerSum + payloadSum;
  store<u16>(header + field, checksumOf(foldSum(sum), protocol));
}

function isTransportWhere(at: u32): bool {
  if (family == 4) return at == (<u32>load<u8>(packet) & 15) << 2 && at + UDP_HEADER_LENGTH <= totalLength;
  return at >= IPV6_HEADER_LENGTH && at + UDP_HEADER_LENGTH <= totalLength;
}

function writeIpHeader(at: usize, length: u32, index: u32): void {
  if (family == 6) {
    store<u16>(at, bswap<u16>(<u16>(length - IPV6_HEADER_LENGTH)), 4);
    return;
  }
  store<u16>(at, bswap<u16>(<u16>length), 2);
  // RFC 791: fragments of different packets must not be taken for one another.
  store<u16>(at, bswap<u16>(<u16>(<u32>bswap<u16>(load<u16>(packet, 4)) + index)), 4);
  writeIpv4Checksum(at, transport);
}

function writeTcpHeader(at: usize, from: u32, length: u32): void {
  store<u32>(at, bswap<u32>(bswap<u32>(load<u32>(at, TCP_SEQUENCE_OFFSET)) + from), TCP_SEQUENCE_OFFSET);
  let flags = load<u8>(at, TCP_FLAGS_OFFSET);
  // FIN and PSH come behind the last octet, CWR with the first (RFC 3168 section 6.1.2).
  if (from + length != payloadLength) flags &= ~TCP_FIN_AND_PSH;
  if (from != 0) flags &= ~TCP_CWR;
  store<u8>(at, flags, TCP_FLAGS_OFFSET);
}
