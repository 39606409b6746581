// Outbound, one batch: 1 parse the inner packet  2 match the SPD  3 find the SA  4 cut a super-packet  5 check limits  6 number
//   7 write header and trailer  8 seal all packets of a kernel in one call, from where they lie into the send slab; pieces of
//   a super-packet are put together in the slab and sealed there

import { NEXT_HEADER_IPV4, NEXT_HEADER_IPV6 } from "./esp-header";
import { family, parseInnerPacket, totalLength } from "./inner-packet";
import { beginJobs, sealJobs } from "./jobs";
import {
  DESCRIPTOR_COUNT,
  DESCRIPTOR_RESUME_OFFSET,
  DESCRIPTOR_SEGMENT_LIMIT_OFFSET,
  DESCRIPTOR_SIZE,
  DESCRIPTOR_TRAFFIC_CLASS_OFFSET,
  NO_SLOT,
  POLICY_PROTECT,
  POLICY_TRAP,
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
import { clampMss } from "./mss";
import { addPacket, fitsInto, textAt } from "./outbound-packet";
import { Descriptor, Sa } from "./records";
import { countStatus, findOutboundSa, nextSequence, noteUse, wouldExceedLimits } from "./sad";
import { region } from "./scratch";
import {
  beginSegments,
  completeChecksum,
  isSuperPacket,
  needsChecksum,
  segmentLength,
  writeSegment,
} from "./segment";
import { activeRoots, findPolicy } from "./spd";
import { outerTrafficClass } from "./traffic-class";
import { isTransport, protocolBehind, strippedLength } from "./transport-mode";

/** No segment, but the packet as it is. */
const WHOLE: i32 = -1;

/**
 * Encapsulates the inner packets of descriptors `first` to `first + count - 1`; their ESP packets lie back to back from the
 * start of the send slab. What became of a packet is counted for each of its segments.
 */
export function espEncapsulateBatch(first: u32, count: u32): void {
  if (<u64>first + <u64>count > <u64>DESCRIPTOR_COUNT) return;
  const roots = activeRoots();
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
    descriptor.status = encapsulate(descriptor, roots, end);
    if (descriptor.resultLength == 0) descriptor.result = 0;
    countStatus(descriptor.sa, descriptor.status);
    cursor += descriptor.resultLength;
  }
  sealJobs();
}

function encapsulate(descriptor: Descriptor, roots: usize, end: usize): u32 {
  const inner: usize = descriptor.source;
  const header: usize = descriptor.header;
  const first = resumeOf(descriptor);
  setResume(descriptor, 0);
  if (!parseInnerPacket(inner, descriptor.length)) return STATUS_RUNT;

  const policy = findPolicy(roots);
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

  clampMss(sa, header == 0 || !needsChecksum(header));
  if (header == 0) return encapsulatePacket(descriptor, sa, totalLength, WHOLE, end);
  if (isSuperPacket(header)) {
    const limit = load<u32>(changetype<usize>(descriptor), DESCRIPTOR_SEGMENT_LIMIT_OFFSET);
    return encapsulateSegments(descriptor, sa, first, limit, end);
  }
  if (!completeChecksum(inner, header)) return STATUS_RUNT;
  return encapsulatePacket(descriptor, sa, totalLength, WHOLE, end);
}

/** The segments that are asked for, or as many as limits and room allow: the rest is dropped and counted. */
function encapsulateSegments(descriptor: Descriptor, sa: Sa, first: u32, limit: u32, end: usize): u32 {
  const count = beginSegments(descriptor.source, descriptor.header);
  if (count <= first) return STATUS_RUNT;
  const last = limit == 0 ? count : first + min(limit, count - first);
  for (let i = first; i < last; i++) {
    const status = encapsulatePacket(descriptor, sa, segmentLength(i), <i32>i, end);
    if (status == STATUS_OK) continue;
    // The caller counts one: the first, or the segments until here as one.
    for (let left = count - max<u32>(i, first + 1); left > 0; left--) countStatus(descriptor.sa, status);
    return i == first ? status : STATUS_OK;
  }
  setResume(descriptor, last < count ? last : 0);
  return STATUS_OK;
}

function resumeOf(descriptor: Descriptor): u32 {
  return load<u32>(changetype<usize>(descriptor), DESCRIPTOR_RESUME_OFFSET);
}

function setResume(descriptor: Descriptor, segment: u32): void {
  store<u32>(changetype<usize>(descriptor), segment, DESCRIPTOR_RESUME_OFFSET);
}

/** Adds the ESP packet of `length` octets of inner packet to the result: segment `segment` of the descriptor's packet, or all of it. */
function encapsulatePacket(descriptor: Descriptor, sa: Sa, length: u32, segment: i32, end: usize): u32 {
  // RFC 4303 section 2.7: between the inner packet, which knows its length, and the padding. What shorter ones are padded to goes
  // through the send slab, since there is no room for it behind a packet in the TUN slab.
  const stripped = isTransport(sa) ? strippedLength(descriptor.source) : 0;
  if (isTransport(sa) && stripped == 0) return STATUS_RUNT;
  const textLength = length - stripped;
  const paddedLength = isTransport(sa) ? textLength : max(length, sa.padTo);
  const destination: usize = descriptor.result + descriptor.resultLength;
  if (!fitsInto(sa, destination, max(length, paddedLength), end)) return STATUS_TOO_LONG;
  if (wouldExceedLimits(sa, length)) return STATUS_LIMIT_REACHED;
  const sequence = nextSequence(sa);
  if (sequence == 0) return STATUS_SEQUENCE_EXHAUSTED;
  noteUse(sa, length);

  let source: usize = descriptor.source + stripped;
  if (segment != WHOLE || paddedLength != textLength) {
    source = textAt(sa, destination);
    if (segment != WHOLE) {
      writeSegment(source, <u32>segment);
      if (stripped != 0) memory.copy(source, source + stripped, textLength);
    } else {
      memory.copy(source, descriptor.source, length);
    }
    memory.fill(source + textLength, 0, paddedLength - textLength);
  }
  addPacket(descriptor, sa, sequence, source, paddedLength, nextHeaderOf(sa, descriptor.source));
  return STATUS_OK;
}

function nextHeaderOf(sa: Sa, inner: usize): u32 {
  if (isTransport(sa)) return protocolBehind(inner);
  return family == 4 ? NEXT_HEADER_IPV4 : NEXT_HEADER_IPV6;
}
