// What the sender of a packet is told that is longer than the path of its SA takes and must not be fragmented: ICMP Destination
// Unreachable, fragmentation needed (RFC 792, RFC 1191 section 4), or ICMPv6 Packet Too Big (RFC 4443 section 3.2). It leaves
// through the TUN device, whence the packet came.
//
//   IP header | type (1) | code (1) | checksum (2) | MTU (4; RFC 1191: 2 behind 2 unused) | as much of the packet as may be
//
// It comes from where the packet was to go: that is an address which the host expects behind the device, whatever filters it has
// on sources, and none that it has itself.

import { foldSum, sumWords } from "./checksum";
import {
  destinationAddress,
  family,
  protocol,
  sourceAddress,
  totalLength,
  upperLayer,
  upperLength,
} from "./inner-packet";
import { IPV4_FRAGMENT_OFFSET, IPV4_HEADER_LENGTH, IPV4_OFFSET_MASK } from "./ipv4-header";
import {
  REPLY_COUNT,
  REPLY_PACKET_OFFSET,
  REPLY_SIZE,
  VNET_HEADER_SIZE,
  WORKER_CLOCK_OFFSET,
  WORKER_REPLIES_OFFSET,
  WORKER_REPLY_COUNT_OFFSET,
} from "./layout";
import { region } from "./scratch";
import { writeIpv4Checksum } from "./transport-checksum";

const IPV6_HEADER_LENGTH: u32 = 40;
const ICMP: u32 = 1;
const ICMPV6: u32 = 58;
const ICMP_HEADER_LENGTH: u32 = 8;
const HOP_LIMIT: u8 = 64;
/** RFC 1812 section 4.3.2.3; RFC 4443 section 2.4 (c). */
const IPV4_LONGEST: u32 = 576;
const IPV6_LONGEST: u32 = 1280;

/** RFC 4443 section 2.4 (f), RFC 1812 section 4.3.2.8: so many at once, and one more each so many milliseconds. */
const BURST: f64 = 64;
const REFILL_MS: f64 = 5;
let tokens: f64 = BURST;
let lastRefill: f64 = 0;

/** Forgets the replies of the batch before. */
export function beginReplies(): void {
  store<u32>(region(), 0, WORKER_REPLY_COUNT_OFFSET);
}

/** Answers the packet at `packet`, parsed last, of which as much as may be is quoted, up to `length` octets. */
export function replyTooBig(packet: usize, length: u32, mtu: u32): void {
  const count = load<u32>(region(), WORKER_REPLY_COUNT_OFFSET);
  if (count == REPLY_COUNT || !deservesReply(packet) || !takeToken()) return;
  store<u32>(region(), count + 1, WORKER_REPLY_COUNT_OFFSET);
  const reply = region() + WORKER_REPLIES_OFFSET + count * REPLY_SIZE;
  const at = reply + REPLY_PACKET_OFFSET;
  memory.fill(at - VNET_HEADER_SIZE, 0, VNET_HEADER_SIZE);
  store<u32>(reply, family == 4 ? writeIpv4(at, packet, length, mtu) : writeIpv6(at, packet, length, mtu));
}

/** RFC 1122 section 3.2.2, RFC 4443 section 2.4 (e): nothing about errors, later fragments, and what is not from and to one host each. */
function deservesReply(packet: usize): bool {
  if (family == 4) {
    if ((<u32>bswap<u16>(load<u16>(packet, IPV4_FRAGMENT_OFFSET)) & IPV4_OFFSET_MASK) != 0) return false;
    if (protocol == ICMP && (upperLength == 0 || isIpv4Error(load<u8>(upperLayer)))) return false;
    return isIpv4Host(sourceAddress) && isIpv4Host(destinationAddress);
  }
  if (protocol == ICMPV6 && (upperLength == 0 || load<u8>(upperLayer) < 128)) return false;
  return isIpv6Host(sourceAddress) && isIpv6Host(destinationAddress);
}

/** Destination unreachable, source quench, redirect, time exceeded, parameter problem. */
function isIpv4Error(type: u8): bool {
  return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

/** Neither 0.0.0.0/8, multicast nor beyond it. */
function isIpv4Host(address: usize): bool {
  const first = load<u8>(address);
  return first != 0 && first < 224;
}

/** Neither the unspecified address nor multicast. */
function isIpv6Host(address: usize): bool {
  return load<u8>(address) != 0xff && (load<u64>(address) | load<u64>(address, 8)) != 0;
}

/** The clock may be behind where it was: then nothing is gained. */
function takeToken(): bool {
  const now = load<f64>(region(), WORKER_CLOCK_OFFSET);
  if (now > lastRefill) tokens = min(BURST, tokens + (now - lastRefill) / REFILL_MS);
  lastRefill = now;
  if (tokens < 1) return false;
  tokens -= 1;
  return true;
}

/** Returns the octets of the reply. */
function writeIpv4(at: usize, packet: usize, length: u32, mtu: u32): u32 {
  const quoted = min<u32>(
    min<u32>(length, totalLength),
    IPV4_LONGEST - IPV4_HEADER_LENGTH - ICMP_HEADER_LENGTH,
  );
  const total = IPV4_HEADER_LENGTH + ICMP_HEADER_LENGTH + quoted;
  store<u64>(at, 0);
  store<u8>(at, 0x45);
  store<u16>(at, bswap<u16>(<u16>total), 2);
  store<u8>(at, HOP_LIMIT, 8);
  store<u8>(at, <u8>ICMP, 9);
  store<u32>(at, load<u32>(destinationAddress), 12);
  store<u32>(at, load<u32>(sourceAddress), 16);
  writeIpv4Checksum(at, IPV4_HEADER_LENGTH);
  const message = at + IPV4_HEADER_LENGTH;
  store<u32>(message, 0x0403); // type 3, code 4
  store<u16>(message, 0, 4);
  store<u16>(message, bswap<u16>(<u16>mtu), 6);
  memory.copy(message + ICMP_HEADER_LENGTH, packet, quoted);
  store<u16>(message, <u16>~sumWords(message, ICMP_HEADER_LENGTH + quoted), 2);
  return total;
}

function writeIpv6(at: usize, packet: usize, length: u32, mtu: u32): u32 {
  const quoted = min<u32>(
    min<u32>(length, totalLength),
    IPV6_LONGEST - IPV6_HEADER_LENGTH - ICMP_HEADER_LENGTH,
  );
  const upper = ICMP_HEADER_LENGTH + quoted;
  store<u32>(at, 0x60);
  store<u16>(at, bswap<u16>(<u16>upper), 4);
  store<u8>(at, <u8>ICMPV6, 6);
  store<u8>(at, HOP_LIMIT, 7);
  memory.copy(at + 8, destinationAddress, 16);
  memory.copy(at + 24, sourceAddress, 16);
  const message = at + IPV6_HEADER_LENGTH;
  store<u32>(message, 2); // type 2, code 0
  store<u32>(message, bswap<u32>(mtu), 4);
  memory.copy(message + ICMP_HEADER_LENGTH, packet, quoted);
  // RFC 4443 section 2.3: with the pseudo-header.
  const sum = sumWords(at + 8, 32) + (ICMPV6 << 8) + <u32>bswap<u16>(<u16>upper) + sumWords(message, upper);
  store<u16>(message, <u16>~foldSum(sum), 2);
  return IPV6_HEADER_LENGTH + upper;
}
