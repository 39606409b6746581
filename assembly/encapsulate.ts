// Outbound, one batch: 1 parse the inner packet  2 match the SPD  3 find the SA  4 cut a super-packet  5 check limits  6 number
//   7 write header and trailer  8 seal all packets of a kernel in one call, from where they lie into the send slab; pieces of
//   a super-packet are put together in the slab and sealed there

import { IV_OFFSET, NEXT_HEADER_IPV4, NEXT_HEADER_IPV6, SEQUENCE_OFFSET, TRAILER_LENGTH } from "./esp-header";
import { family, parseInnerPacket, totalLength } from "./inner-packet";
import { addJob, beginJobs, isFull, sealJobs } from "./jobs";
import {
  DESCRIPTOR_COUNT,
  DESCRIPTOR_SIZE,
  DESCRIPTOR_TRAFFIC_CLASS_OFFSET,
  NO_SLOT,
  POLICY_PROTECT,
  POLICY_TRAP,
  SA_FLAG_ESN,
  SEND_SLAB_SIZE,
  STATUS_LIMIT_REACHED,
  STATUS_NO_POLICY,
  STATUS_NO_SA,
  STATUS_OK,
  STATUS_RUNT,
  STATUS_SEQUENCE_EXHAUSTED,
  STATUS_TOO_LONG,
  STATUS_TRAPPED,
  WORKER_DESCRIPTORS_OFFSET,
  WORKER_SEND_SLAB_OFFSET,
} from "./layout";
import { Descriptor, Sa } from "./records";
import { countStatus, findOutboundSa, noteUse, wouldExceedLimits } from "./sad";
import { region } from "./scratch";
import { beginSegments, completeChecksum, isSuperPacket, segmentLength, writeSegment } from "./segment";
import { activeSnapshot, findPolicy } from "./spd";
import { outerTrafficClass } from "./traffic-class";

/** The longest payload of UDP over IPv4. */
const DATAGRAM_LIMIT: u32 = 65507;
/** No segment, but the packet as it is. */
const WHOLE: i32 = -1;

/**
 * Encapsulates the inner packets of descriptors `first` to `first + count - 1`; their ESP packets lie back to back from the
 * start of the send slab. What became of a packet is counted for each of its segments.
 */
export function espEncapsulateBatch(first: u32, count: u32): void {
  if (<u64>first + <u64>count > <u64>DESCRIPTOR_COUNT) return;
  const snapshot = activeSnapshot();
  let cursor = region() + WORKER_SEND_SLAB_OFFSET;
  const end = cursor + SEND_SLAB_SIZE;
  let at = region() + WORKER_DESCRIPTORS_OFFSET + first * DESCRIPTOR_SIZE;
  beginJobs();
  for (let i: u32 = 0; i < count; i++, at += DESCRIPTOR_SIZE) {
    const descriptor = changetype<Descriptor>(at);
    descriptor.result = <u32>cursor;
    descriptor.resultLength = 0;
    descriptor.sa = <u32>NO_SLOT;
    descriptor.sequence = 0;
    descriptor.job = 0;
    descriptor.segmentLength = 0;
    descriptor.segmentCount = 0;
    descriptor.status = encapsulate(descriptor, snapshot, end);
    if (descriptor.resultLength == 0) descriptor.result = 0;
    countStatus(descriptor.sa, descriptor.status);
    cursor += descriptor.resultLength;
  }
  sealJobs();
}

function encapsulate(descriptor: Descriptor, snapshot: usize, end: usize): u32 {
  const inner: usize = descriptor.source;
  const header: usize = descriptor.header;
  if (!parseInnerPacket(inner, descriptor.length)) return STATUS_RUNT;

  const policy = findPolicy(snapshot);
  if (!policy) return STATUS_NO_POLICY;
  if (policy.action == POLICY_TRAP) {
    descriptor.sequence = policy.sa;
    return STATUS_TRAPPED;
  }
  if (policy.action != POLICY_PROTECT) return STATUS_NO_SA;
  const sa = findOutboundSa(policy.sa, policy.generation);
  if (!sa) return STATUS_NO_SA;
  descriptor.sa = policy.sa;
  store<u32>(changetype<usize>(descriptor), outerTrafficClass(sa, inner), DESCRIPTOR_TRAFFIC_CLASS_OFFSET);

  if (header == 0) return encapsulatePacket(descriptor, sa, totalLength, WHOLE, end);
  if (isSuperPacket(header)) return encapsulateSegments(descriptor, sa, end);
  if (!completeChecksum(inner, header)) return STATUS_RUNT;
  return encapsulatePacket(descriptor, sa, totalLength, WHOLE, end);
}

/** All segments, or as many as limits and room allow: the rest is dropped and counted. */
function encapsulateSegments(descriptor: Descriptor, sa: Sa, end: usize): u32 {
  const count = beginSegments(descriptor.source, descriptor.header);
  if (count == 0) return STATUS_RUNT;
  for (let i: u32 = 0; i < count; i++) {
    const status = encapsulatePacket(descriptor, sa, segmentLength(i), <i32>i, end);
    if (status == STATUS_OK) continue;
    // The caller counts one: the first, or the super-packet as a whole.
    for (let left = count - max<u32>(i, 1); left > 0; left--) countStatus(descriptor.sa, status);
    return i == 0 ? status : STATUS_OK;
  }
  return STATUS_OK;
}

/** Adds the ESP packet of `length` octets of inner packet to the result: segment `segment` of the descriptor's packet, or all of it. */
function encapsulatePacket(descriptor: Descriptor, sa: Sa, length: u32, segment: i32, end: usize): u32 {
  const destination: usize = descriptor.result + descriptor.resultLength;
  const padLength = (0 - (length + TRAILER_LENGTH)) & (sa.unit - 1);
  const textLength = length + padLength + TRAILER_LENGTH;
  const textOffset = IV_OFFSET + sa.ivLength;
  const espLength = textOffset + textLength + sa.icvLength;
  if (espLength > DATAGRAM_LIMIT || <usize>espLength > end - destination) return STATUS_TOO_LONG;

  if (wouldExceedLimits(sa, length)) return STATUS_LIMIT_REACHED;
  const sequence = nextSequence(sa);
  if (sequence == 0) return STATUS_SEQUENCE_EXHAUSTED;
  noteUse(sa, length);

  let source: usize = descriptor.source;
  if (segment != WHOLE) {
    source = destination + textOffset;
    writeSegment(source, <u32>segment);
  }
  writeTrailer(source + length, padLength);
  store<u32>(destination, bswap<u32>(sa.spi));
  store<u32>(destination, bswap<u32>(<u32>sequence), SEQUENCE_OFFSET);
  // The IV of CBC is the kernel's to make, from the number in the nonce.
  if (sa.ivLength == 8) store<u64>(destination + IV_OFFSET, bswap<u64>(sequence));

  if (isFull()) {
    sealJobs();
    beginJobs();
  }
  const job = addJob(sa, destination, sequence);
  job.salt = sa.salt;
  job.ivFirst = bswap<u32>(<u32>(sequence >> 32));
  job.ivSecond = bswap<u32>(<u32>sequence);
  job.source = <u32>source;
  job.destination = <u32>destination + textOffset;
  job.length = textLength;
  job.tag = <u32>destination + textOffset + textLength;

  descriptor.resultLength += espLength;
  if (descriptor.segmentCount == 0) descriptor.segmentLength = espLength;
  descriptor.segmentCount++;
  descriptor.sequence = sequence;
  return STATUS_OK;
}

/**
 * Takes the next number of the SA, or 0 when it would cycle (RFC 4303 section 3.3.3). The number is also the IV, so it must
 * be taken once even if several workers send on one SA: hence the exchange, which also keeps it from passing the end.
 */
function nextSequence(sa: Sa): u64 {
  const word = changetype<usize>(sa) + offsetof<Sa>("sequence");
  const last: u64 = (sa.flags & SA_FLAG_ESN) != 0 ? u64.MAX_VALUE : <u64>u32.MAX_VALUE;
  let sent = atomic.load<u64>(word);
  while (sent < last) {
    const found = atomic.cmpxchg<u64>(word, sent, sent + 1);
    if (found == sent) return sent + 1;
    sent = found;
  }
  return 0;
}

/** RFC 4303 section 2.4: padding counts 1, 2, 3. */
function writeTrailer(at: usize, padLength: u32): void {
  for (let i: u32 = 1; i <= padLength; i++) store<u8>(at++, <u8>i);
  store<u8>(at, <u8>padLength);
  store<u8>(at, <u8>(family == 4 ? NEXT_HEADER_IPV4 : NEXT_HEADER_IPV6), 1);
}
