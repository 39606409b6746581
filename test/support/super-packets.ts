import {
  VNET_CHECKSUM_OFFSET_OFFSET,
  VNET_CHECKSUM_START_OFFSET,
  VNET_ECN,
  VNET_FLAGS_OFFSET,
  VNET_HEADER_SIZE,
  VNET_HEADERS_LENGTH_OFFSET,
  VNET_KIND_OFFSET,
  VNET_NEEDS_CHECKSUM,
  VNET_NONE,
  VNET_SEGMENT_LENGTH_OFFSET,
  VNET_TCP_IPV4,
  VNET_TCP_IPV6,
  VNET_UDP,
} from "../../assembly/layout.ts";
import { parseAddress } from "../../src/bytes/ip-address.ts";

export const FIN = 0x01;
export const SYN = 0x02;
export const PSH = 0x08;
export const ACK = 0x10;
export const ECE = 0x40;
export const CWR = 0x80;

/** What a TCP or UDP packet says; the rest has defaults. */
export interface TransportFacts {
  readonly version: 4 | 6;
  readonly kind: "tcp" | "udp";
  /** Tells flows apart. */
  readonly sourcePort?: number;
  /** IPv4. */
  readonly identification?: number;
  readonly mayFragment?: boolean;
  readonly trafficClass?: number;
  readonly hopLimit?: number;
  readonly sequence?: number;
  readonly acknowledgement?: number;
  readonly flags?: number;
  readonly window?: number;
  /** A multiple of 4 octets. */
  readonly options?: Uint8Array;
  readonly payload: Uint8Array;
}

/** A whole packet with right checksums. */
export function transportPacket(facts: TransportFacts): Uint8Array {
  const packet = headersAndPayload(facts);
  writeChecksums(packet);
  return packet;
}

/** A super-packet as a TUN device with offloads gives it: header, packet, and a checksum that holds the pseudo-header only. */
export function superFrame(facts: TransportFacts, segmentLength: number): Uint8Array {
  const packet = headersAndPayload(facts);
  const { transport, isTcp } = placesIn(packet);
  const field = isTcp ? 16 : 6;
  writeChecksums(packet);
  new DataView(packet.buffer).setUint16(transport + field, 0xffff & ~checksum(pseudoHeader(packet)));
  const header = new DataView(new ArrayBuffer(VNET_HEADER_SIZE));
  const tcpKind = facts.version === 4 ? VNET_TCP_IPV4 : VNET_TCP_IPV6;
  const ecn = ((facts.flags ?? 0) & CWR) !== 0 ? VNET_ECN : 0;
  header.setUint8(VNET_FLAGS_OFFSET, VNET_NEEDS_CHECKSUM);
  header.setUint8(VNET_KIND_OFFSET, isTcp ? tcpKind | ecn : VNET_UDP);
  header.setUint16(VNET_HEADERS_LENGTH_OFFSET, packet.length - facts.payload.length, true);
  header.setUint16(VNET_SEGMENT_LENGTH_OFFSET, segmentLength, true);
  header.setUint16(VNET_CHECKSUM_START_OFFSET, transport, true);
  header.setUint16(VNET_CHECKSUM_OFFSET_OFFSET, field, true);
  return new Uint8Array(Buffer.concat([new Uint8Array(header.buffer), packet]));
}

/** A packet whose checksum the kernel has left to us, as the device gives it. */
export function unsummedFrame(facts: TransportFacts): Uint8Array {
  const frame = superFrame(facts, 1);
  frame[VNET_KIND_OFFSET] = VNET_NONE;
  frame.fill(0, VNET_SEGMENT_LENGTH_OFFSET, VNET_SEGMENT_LENGTH_OFFSET + 2);
  return frame;
}

/** Behind a header that asks for nothing. */
export function plainFrame(packet: Uint8Array): Uint8Array {
  return new Uint8Array(Buffer.concat([new Uint8Array(VNET_HEADER_SIZE), packet]));
}

/** What a frame stands for, done plainly: every packet with all lengths, numbers, flags and checksums. */
export function cutFrame(frame: Uint8Array): Uint8Array[] {
  const header = new DataView(frame.buffer, frame.byteOffset);
  const packet = frame.slice(VNET_HEADER_SIZE);
  if ((header.getUint8(VNET_FLAGS_OFFSET) & VNET_NEEDS_CHECKSUM) === 0) return [packet];
  if (header.getUint8(VNET_KIND_OFFSET) === VNET_NONE) {
    writeChecksums(packet);
    return [packet];
  }
  const segmentLength = header.getUint16(VNET_SEGMENT_LENGTH_OFFSET, true);
  const { transport, isTcp, payload } = placesIn(packet);
  const count = Math.ceil((packet.length - payload) / segmentLength);
  return Array.from({ length: count }, (_, i) => {
    const from = payload + i * segmentLength;
    const body = packet.subarray(from, from + segmentLength);
    const segment = new Uint8Array(Buffer.concat([packet.subarray(0, payload), body]));
    const view = new DataView(segment.buffer);
    if (isIpv4(packet)) {
      view.setUint16(2, segment.length);
      view.setUint16(4, view.getUint16(4) + i);
    } else {
      view.setUint16(4, segment.length - 40);
    }
    if (isTcp) {
      view.setUint32(transport + 4, view.getUint32(transport + 4) + i * segmentLength);
      if (i < count - 1) segment[transport + 13]! &= ~(FIN | PSH);
      if (i > 0) segment[transport + 13]! &= ~CWR;
    } else {
      view.setUint16(transport + 4, segment.length - transport);
    }
    writeChecksums(segment);
    return segment;
  });
}

/** Makes the transport checksum, and the header checksum of IPv4, right. */
export function writeChecksums(packet: Uint8Array): void {
  const view = new DataView(packet.buffer, packet.byteOffset);
  const { transport, isTcp } = placesIn(packet);
  if (isIpv4(packet)) {
    view.setUint16(10, 0);
    view.setUint16(10, checksum(packet.subarray(0, 20)));
  }
  const field = transport + (isTcp ? 16 : 6);
  view.setUint16(field, 0);
  view.setUint16(
    field,
    checksum(Buffer.concat([pseudoHeader(packet), packet.subarray(transport)])) || 0xffff,
  );
}

/** Where the transport header and its payload begin. IPv4 without options, IPv6 without extension headers. */
export function placesIn(packet: Uint8Array): {
  readonly transport: number;
  readonly isTcp: boolean;
  readonly payload: number;
} {
  const transport = isIpv4(packet) ? 20 : 40;
  const isTcp = packet[isIpv4(packet) ? 9 : 6] === 6;
  return { transport, isTcp, payload: transport + (isTcp ? (packet[transport + 12]! >> 4) * 4 : 8) };
}

function headersAndPayload(facts: TransportFacts): Uint8Array {
  const options = facts.options ?? new Uint8Array(0);
  const ipLength = facts.version === 4 ? 20 : 40;
  const headerLength = facts.kind === "tcp" ? 20 + options.length : 8;
  const packet = new Uint8Array(ipLength + headerLength + facts.payload.length);
  const view = new DataView(packet.buffer);
  if (facts.version === 4) {
    packet[0] = 0x45;
    packet[1] = facts.trafficClass ?? 0;
    view.setUint16(2, packet.length);
    view.setUint16(4, facts.identification ?? 7);
    view.setUint16(6, facts.mayFragment ? 0 : 0x4000);
    packet[8] = facts.hopLimit ?? 64;
    packet[9] = facts.kind === "tcp" ? 6 : 17;
    packet.set(parseAddress("10.1.0.1")!, 12);
    packet.set(parseAddress("10.2.0.1")!, 16);
  } else {
    view.setUint32(0, 0x6000_0000 + ((facts.trafficClass ?? 0) << 20) + 0x1234);
    view.setUint16(4, packet.length - 40);
    packet[6] = facts.kind === "tcp" ? 6 : 17;
    packet[7] = facts.hopLimit ?? 64;
    packet.set(parseAddress("fd01::1")!, 8);
    packet.set(parseAddress("fd02::1")!, 24);
  }
  view.setUint16(ipLength, facts.sourcePort ?? 40_000);
  view.setUint16(ipLength + 2, 5201);
  if (facts.kind === "tcp") {
    view.setUint32(ipLength + 4, facts.sequence ?? 1000);
    view.setUint32(ipLength + 8, facts.acknowledgement ?? 2000);
    packet[ipLength + 12] = (headerLength / 4) << 4;
    packet[ipLength + 13] = facts.flags ?? ACK;
    view.setUint16(ipLength + 14, facts.window ?? 500);
    packet.set(options, ipLength + 20);
  } else {
    view.setUint16(ipLength + 4, headerLength + facts.payload.length);
  }
  packet.set(facts.payload, ipLength + headerLength);
  return packet;
}

function isIpv4(packet: Uint8Array): boolean {
  return packet[0]! >> 4 === 4;
}

function pseudoHeader(packet: Uint8Array): Uint8Array {
  const { transport } = placesIn(packet);
  const addresses = isIpv4(packet) ? packet.subarray(12, 20) : packet.subarray(8, 40);
  const rest = new Uint8Array(8);
  new DataView(rest.buffer).setUint32(0, packet.length - transport);
  rest[7] = packet[isIpv4(packet) ? 9 : 6]!;
  return new Uint8Array(Buffer.concat([addresses, rest]));
}

/** RFC 1071, octet by octet. */
function checksum(octets: Uint8Array): number {
  let sum = 0;
  octets.forEach((octet, i) => {
    sum += i % 2 === 0 ? octet << 8 : octet;
  });
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x1_0000);
  return ~sum & 0xffff;
}
