// The packets of a batch that continue one another become super-packets, which the machine's own stack takes in one piece: the
// inverse of segment.ts. Nothing is copied; a super-packet is a list of pieces.
//
//   [virtio_net_hdr][headers | payload]  [payload 2]  [payload 3] ...
//
// Only what can be cut into the same packets again is put together: one flow, consecutive numbers, equal headers, and
// checksums that were right. A packet with a wrong one goes through alone and as it came: whoever it is for must see that.

import { foldSum, sumWords } from "./checksum";
import {
  COALESCE_HEADERS,
  COALESCE_LIMIT,
  COALESCE_TCP,
  COALESCE_UDP,
  DESCRIPTOR_COUNT,
  DESCRIPTOR_SIZE,
  FLOW_COUNT,
  STATUS_OK,
  VNET_CHECKSUM_OFFSET_OFFSET,
  VNET_CHECKSUM_START_OFFSET,
  VNET_FLAGS_OFFSET,
  VNET_HEADER_SIZE,
  VNET_HEADERS_LENGTH_OFFSET,
  VNET_KIND_OFFSET,
  VNET_NEEDS_CHECKSUM,
  VNET_SEGMENT_LENGTH_OFFSET,
  VNET_TCP_IPV4,
  VNET_TCP_IPV6,
  VNET_UDP,
  WORKER_DESCRIPTORS_OFFSET,
  WORKER_FLOWS_OFFSET,
  WORKER_WRITES_OFFSET,
} from "./layout";
import { Descriptor } from "./records";
import { region } from "./scratch";
import {
  checksumOf,
  isTransportIntact,
  sumOfLength,
  sumPseudoHeader,
  TCP,
  TCP_CHECKSUM_OFFSET,
  UDP,
  UDP_CHECKSUM_OFFSET,
  writeIpv4Checksum,
} from "./transport-checksum";

const IPV4_HEADER_LENGTH: u32 = 20;
const IPV6_HEADER_LENGTH: u32 = 40;
const TCP_HEADER_LENGTH: u32 = 20;
const UDP_HEADER_LENGTH: u32 = 8;
const PACKET_LIMIT: u32 = 65535;
const IPV4_MORE_FRAGMENTS_OR_OFFSET: u32 = 0xbfff;
const TCP_SEQUENCE_OFFSET: usize = 4;
const TCP_FLAGS_OFFSET: usize = 13;
const TCP_PSH: u8 = 0x08;
const TCP_ACK: u8 = 0x10;
const TCP_ECE: u8 = 0x40;
/** PSH within the word at 12 of a TCP header, as it lies. */
const TCP_PSH_IN_WORD: u32 = 0x0800;

/** A write: how many pieces, the SA's slot, then address and length of each. */
const WRITE_PIECES_OFFSET: usize = 8;
const PIECE_SIZE: usize = 8;

/** Groups that may still grow. */
let openCount: u32 = 0;
let turn: u32 = 0;

/**
 * Lists what descriptors `first` to `first + count - 1`, decapsulated, become at the TUN device, in their order: packets and
 * super-packets. Returns the number of writes. With COALESCE_HEADERS each begins with a virtio_net_hdr, which is put in front of the
 * packet, where ESP's own header was.
 */
export function espCoalesceBatch(first: u32, count: u32, kinds: u32): u32 {
  if (<u64>first + <u64>count > <u64>DESCRIPTOR_COUNT) return 0;
  const start = region() + WORKER_DESCRIPTORS_OFFSET + first * DESCRIPTOR_SIZE;
  const end = start + count * DESCRIPTOR_SIZE;
  openCount = 0;
  turn = 0;
  for (let at = start; at < end; at += DESCRIPTOR_SIZE) {
    const descriptor = changetype<Descriptor>(at);
    if (descriptor.status != STATUS_OK) continue;
    descriptor.next = 0;
    descriptor.last = <u32>at;
    descriptor.segmentCount = 1;
    if ((kinds & (COALESCE_TCP | COALESCE_UDP)) != 0) group(descriptor, kinds);
  }
  let write = region() + WORKER_WRITES_OFFSET;
  let writeCount: u32 = 0;
  for (let at = start; at < end; at += DESCRIPTOR_SIZE) {
    const descriptor = changetype<Descriptor>(at);
    if (descriptor.status != STATUS_OK || descriptor.last == 0) continue;
    write = listWrite(descriptor, kinds, write);
    writeCount++;
  }
  return writeCount;
}

/** Takes the super-packet of a write apart again, after the device refused it. Each piece is then a packet behind a virtio_net_hdr of its own. */
export function espSplitWrite(write: usize): void {
  const count = load<u32>(write);
  let piece = write + WRITE_PIECES_OFFSET;
  const header: usize = load<u32>(piece);
  const headersLength = <u32>load<u16>(header, VNET_HEADERS_LENGTH_OFFSET);
  const transport = <u32>load<u16>(header, VNET_CHECKSUM_START_OFFSET);
  const field = transport + <u32>load<u16>(header, VNET_CHECKSUM_OFFSET_OFFSET);
  const isTcp = load<u8>(header, VNET_KIND_OFFSET) != VNET_UDP;
  const packet = header + VNET_HEADER_SIZE;
  const length = load<u32>(piece, 4) - VNET_HEADER_SIZE;
  if (isTcp) {
    // PSH came with the last packet.
    const flags = packet + transport + TCP_FLAGS_OFFSET;
    store<u8>(flags, load<u8>(flags) & ~TCP_PSH);
  }
  writeLengths(packet, transport, length, isTcp);
  store<u16>(packet + field, 0);
  const proto = isTcp ? TCP : UDP;
  const sum = sumPseudoHeader(packet, proto) + sumOfLength(length - transport);
  store<u16>(packet + field, checksumOf(sum + sumWords(packet + transport, length - transport), proto));
  clearHeader(header);
  for (let i: u32 = 1; i < count; i++) {
    piece += PIECE_SIZE;
    const before = headersLength + VNET_HEADER_SIZE;
    store<u32>(piece, load<u32>(piece) - before);
    store<u32>(piece, load<u32>(piece, 4) + before, 4);
    clearHeader(load<u32>(piece));
  }
}

/** Puts a packet into the group that it continues, or makes it the first of one. */
function group(descriptor: Descriptor, kinds: u32): void {
  const packet: usize = descriptor.result;
  const isFlow = readFlow(descriptor, packet);
  if (!isFlow) return;
  const place = findOpen(packet, descriptor.transport);
  if (!mayCoalesce(descriptor, packet, kinds)) {
    // Nothing overtakes it within its flow.
    if (place != 0) close(place);
    return;
  }
  if (place != 0) {
    const head = changetype<Descriptor>(<usize>load<u32>(place));
    if (continues(head, descriptor)) {
      append(head, descriptor);
      if (isComplete(head, descriptor)) close(place);
      return;
    }
    close(place);
  }
  const payloadLength = descriptor.resultLength - <u32>descriptor.payload;
  descriptor.segmentLength = payloadLength;
  descriptor.continues = nextNumber(packet, descriptor, payloadLength);
  if (!isPushed(packet, descriptor)) open(descriptor);
}

/** Notes where TCP or UDP begins; false for anything else, and for fragments and options, which nobody coalesces. */
function readFlow(descriptor: Descriptor, packet: usize): bool {
  const length = descriptor.resultLength;
  let transport = IPV4_HEADER_LENGTH;
  let next: u32;
  const first = load<u8>(packet);
  if (first == 0x45) {
    if ((<u32>bswap<u16>(load<u16>(packet, 6)) & IPV4_MORE_FRAGMENTS_OR_OFFSET) != 0) return false;
    next = load<u8>(packet, 9);
  } else if (first >> 4 == 6) {
    transport = IPV6_HEADER_LENGTH;
    next = load<u8>(packet, 6);
  } else {
    return false;
  }
  descriptor.transport = <u16>transport;
  descriptor.payload = 0;
  if (next == UDP) return length >= transport + UDP_HEADER_LENGTH;
  return next == TCP && length >= transport + TCP_HEADER_LENGTH;
}

function protocolOf(packet: usize): u32 {
  return load<u8>(packet) == 0x45 ? load<u8>(packet, 9) : load<u8>(packet, 6);
}

/** Whether the packet has payload and nothing else to say, and all its checksums are right. */
function mayCoalesce(descriptor: Descriptor, packet: usize, kinds: u32): bool {
  const transport = <u32>descriptor.transport;
  const length = descriptor.resultLength - transport;
  const header = packet + transport;
  const next = protocolOf(packet);
  let headerLength = UDP_HEADER_LENGTH;
  if (next == TCP) {
    if ((kinds & COALESCE_TCP) == 0) return false;
    headerLength = (<u32>load<u8>(header, 12) >> 4) << 2;
    if (headerLength < TCP_HEADER_LENGTH) return false;
    const flags = load<u8>(header, TCP_FLAGS_OFFSET) & ~(TCP_PSH | TCP_ECE);
    if (flags != TCP_ACK) return false;
  } else {
    if ((kinds & COALESCE_UDP) == 0) return false;
    if (<u32>bswap<u16>(load<u16>(header, 4)) != length) return false;
    // RFC 768: the sender made none, and a super-packet would give it one.
    if (load<u16>(header, UDP_CHECKSUM_OFFSET) == 0) return false;
  }
  if (length <= headerLength) return false;
  descriptor.payload = <u16>(transport + headerLength);
  if (transport == IPV4_HEADER_LENGTH && foldSum(sumWords(packet, IPV4_HEADER_LENGTH)) != 0xffff)
    return false;
  return isTransportIntact(packet, header, length, next);
}

/** Whether both belong to one flow: protocol, addresses and ports. */
function isSameFlow(one: usize, other: usize, transport: u32): bool {
  if (load<u32>(one + transport) != load<u32>(other + transport)) return false;
  if (load<u8>(one) >> 4 != load<u8>(other) >> 4 || protocolOf(one) != protocolOf(other)) return false;
  if (transport == IPV4_HEADER_LENGTH) return load<u64>(one, 12) == load<u64>(other, 12);
  return (
    v128.all_true<u8>(v128.eq<u8>(v128.load(one, 8), v128.load(other, 8))) &&
    v128.all_true<u8>(v128.eq<u8>(v128.load(one, 24), v128.load(other, 24)))
  );
}

/** Whether cutting the group with this packet at its end would yield this packet. */
function continues(head: Descriptor, descriptor: Descriptor): bool {
  const one: usize = head.result;
  const other: usize = descriptor.result;
  if (head.payload != descriptor.payload) return false;
  const transport = <usize>head.transport;
  const payloadLength = descriptor.resultLength - <u32>descriptor.payload;
  if (payloadLength > head.segmentLength) return false;
  const total = <u32>head.payload + head.segmentCount * head.segmentLength + payloadLength;
  if (total > PACKET_LIMIT) return false;
  if (transport == IPV4_HEADER_LENGTH) {
    // Version, header length and type of service; fragment bits; time to live and protocol.
    if (load<u16>(one) != load<u16>(other) || load<u32>(one, 6) != load<u32>(other, 6)) return false;
    const number = <u32>bswap<u16>(load<u16>(one, 4)) + head.segmentCount;
    if ((number & 0xffff) != <u32>bswap<u16>(load<u16>(other, 4))) return false;
  } else {
    // Version, traffic class and flow label; next header and hop limit.
    if (load<u32>(one) != load<u32>(other) || load<u16>(one, 6) != load<u16>(other, 6)) return false;
  }
  if (protocolOf(one) == UDP) return true;
  const a = one + transport;
  const b = other + transport;
  if (bswap<u32>(load<u32>(b, TCP_SEQUENCE_OFFSET)) != head.continues) return false;
  // Acknowledgement; offset, flags but PSH, and window; urgent pointer; options.
  if (load<u32>(a, 8) != load<u32>(b, 8)) return false;
  if (((load<u32>(a, 12) ^ load<u32>(b, 12)) & ~TCP_PSH_IN_WORD) != 0) return false;
  if (load<u16>(a, 18) != load<u16>(b, 18)) return false;
  const headerLength = <usize>head.payload - transport;
  for (let at: usize = TCP_HEADER_LENGTH; at < headerLength; at += 4) {
    if (load<u32>(a + at) != load<u32>(b + at)) return false;
  }
  return true;
}

function append(head: Descriptor, descriptor: Descriptor): void {
  changetype<Descriptor>(<usize>head.last).next = <u32>changetype<usize>(descriptor);
  head.last = <u32>changetype<usize>(descriptor);
  head.segmentCount++;
  descriptor.last = 0;
  const payloadLength = descriptor.resultLength - <u32>descriptor.payload;
  head.continues = nextNumber(descriptor.result, descriptor, payloadLength);
}

/** Behind a shorter packet or PSH nothing may follow. */
function isComplete(head: Descriptor, descriptor: Descriptor): bool {
  if (descriptor.resultLength - <u32>descriptor.payload < head.segmentLength) return true;
  return head.segmentCount == <u32>COALESCE_LIMIT || isPushed(descriptor.result, descriptor);
}

function isPushed(packet: usize, descriptor: Descriptor): bool {
  if (protocolOf(packet) != TCP) return false;
  return (load<u8>(packet + descriptor.transport, TCP_FLAGS_OFFSET) & TCP_PSH) != 0;
}

function nextNumber(packet: usize, descriptor: Descriptor, payloadLength: u32): u32 {
  if (protocolOf(packet) != TCP) return 0;
  return bswap<u32>(load<u32>(packet + descriptor.transport, TCP_SEQUENCE_OFFSET)) + payloadLength;
}

/** The place of the open group of the packet's flow, or 0. */
function findOpen(packet: usize, transport: u32): usize {
  let place = region() + WORKER_FLOWS_OFFSET;
  for (let i: u32 = 0; i < openCount; i++, place += 4) {
    const head = changetype<Descriptor>(<usize>load<u32>(place));
    if (isSameFlow(head.result, packet, transport)) return place;
  }
  return 0;
}

/** With as many flows as there are places, one of them ends, each in turn. */
function open(descriptor: Descriptor): void {
  const places = region() + WORKER_FLOWS_OFFSET;
  const place = openCount < <u32>FLOW_COUNT ? openCount++ : turn++ & (FLOW_COUNT - 1);
  store<u32>(places + 4 * place, <u32>changetype<usize>(descriptor));
}

function close(place: usize): void {
  openCount--;
  store<u32>(place, load<u32>(region() + WORKER_FLOWS_OFFSET + 4 * openCount));
}

/** Lists one packet or group. Returns where the next write goes. */
function listWrite(head: Descriptor, kinds: u32, write: usize): usize {
  const hasHeader = (kinds & COALESCE_HEADERS) != 0;
  store<u32>(write, head.segmentCount);
  store<u32>(write, head.sa, 4);
  let piece = write + WRITE_PIECES_OFFSET;
  const room: u32 = hasHeader ? VNET_HEADER_SIZE : 0;
  store<u32>(piece, head.result - room);
  store<u32>(piece, head.resultLength + room, 4);
  piece += PIECE_SIZE;
  if (hasHeader) clearHeader(head.result - room);
  if (head.segmentCount == 1) return piece;
  let total = head.resultLength;
  let isPushing = false;
  for (let at = head.next; at != 0; ) {
    const descriptor = changetype<Descriptor>(<usize>at);
    const payload = <u32>descriptor.payload;
    store<u32>(piece, descriptor.result + payload);
    store<u32>(piece, descriptor.resultLength - payload, 4);
    piece += PIECE_SIZE;
    total += descriptor.resultLength - payload;
    isPushing = isPushed(descriptor.result, descriptor);
    at = descriptor.next;
  }
  writeSuperHeaders(head, total, isPushing);
  return piece;
}

/** What the first packet's headers say of the whole. */
function writeSuperHeaders(head: Descriptor, total: u32, isPushing: bool): void {
  const packet: usize = head.result;
  const transport = <u32>head.transport;
  const next = protocolOf(packet);
  const isTcp = next == TCP;
  if (isPushing) {
    const flags = packet + transport + TCP_FLAGS_OFFSET;
    store<u8>(flags, load<u8>(flags) | TCP_PSH);
  }
  writeLengths(packet, transport, total, isTcp);
  const field = isTcp ? TCP_CHECKSUM_OFFSET : UDP_CHECKSUM_OFFSET;
  const sum = foldSum(sumPseudoHeader(packet, next) + sumOfLength(total - transport));
  store<u16>(packet + transport + field, <u16>sum);

  const header = packet - VNET_HEADER_SIZE;
  const tcpKind = transport == IPV4_HEADER_LENGTH ? VNET_TCP_IPV4 : VNET_TCP_IPV6;
  store<u8>(header, VNET_NEEDS_CHECKSUM, VNET_FLAGS_OFFSET);
  store<u8>(header, <u8>(isTcp ? tcpKind : VNET_UDP), VNET_KIND_OFFSET);
  store<u16>(header, head.payload, VNET_HEADERS_LENGTH_OFFSET);
  store<u16>(header, <u16>head.segmentLength, VNET_SEGMENT_LENGTH_OFFSET);
  store<u16>(header, <u16>transport, VNET_CHECKSUM_START_OFFSET);
  store<u16>(header, <u16>field, VNET_CHECKSUM_OFFSET_OFFSET);
}

/** Writes the length of the whole packet where headers name it, and the checksum of an IPv4 header. */
function writeLengths(packet: usize, transport: u32, length: u32, isTcp: bool): void {
  if (transport == IPV4_HEADER_LENGTH) {
    store<u16>(packet, bswap<u16>(<u16>length), 2);
    writeIpv4Checksum(packet, IPV4_HEADER_LENGTH);
  } else {
    store<u16>(packet, bswap<u16>(<u16>(length - IPV6_HEADER_LENGTH)), 4);
  }
  if (!isTcp) store<u16>(packet + transport, bswap<u16>(<u16>(length - transport)), 4);
}

function clearHeader(header: usize): void {
  store<u64>(header, 0);
  store<u16>(header, 0, 8);
}
