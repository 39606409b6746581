// Outbound, one batch: 1 parse the inner packet  2 match the SPD  3 find the SA  4 cut a super-packet  5 check limits  6 number
//   7 write header and trailer  8 seal all packets of a kernel in one call, from where they lie into the send slab; pieces of
//   a super-packet are put together in the slab and sealed there

import { NEXT_HEADER_IPV4, NEXT_HEADER_IPV6 } from "./esp-header";
import { DOES_NOT_FIT, FITS, FRAGMENTS_INSIDE, fitOf, longestInner, toldMtu } from "./fit";
import { beginFragments, fragmentLength, writeFragment } from "./fragment";
import { family, parseInnerPacket, totalLength } from "./inner-packet";
import { beginJobs, sealJobs } from "./jobs";
import {
  DESCRIPTOR_COUNT,
  DESCRIPTOR_RESUME_OFFSET,
  DESCRIPTOR_SEGMENT_LIMIT_OFFSET,
  DESCRIPTOR_SIZE,
  DESCRIPTOR_TRAFFIC_CLASS_OFFSET,
  EVENT_FRAGMENTED,
  EVENT_FRAGMENTED_OUTSIDE,
  MAY_FRAGMENT,
  NO_SLOT,
  POLICY_PROTECT,
  POLICY_TRAP,
  SA_FLAG_FRAGMENT_OUTSIDE,
  SEND_SLAB_SIZE,
  STATUS_LIMIT_REACHED,
  STATUS_NO_POLICY,
  STATUS_NO_SA,
  STATUS_OK,
  STATUS_OTHER_WORKER,
  STATUS_RUNT,
  STATUS_SEQUENCE_EXHAUSTED,
  STATUS_TOO_BIG,
  STATUS_TOO_LONG,
  STATUS_TRAPPED,
  WORKER_DESCRIPTORS_OFFSET,
  WORKER_SEND_SLAB_OFFSET,
  WORKER_STAGING_OFFSET,
} from "./layout";
import { clampMss } from "./mss";
import { addPacket, fitsInto, textAt } from "./outbound-packet";
import { Descriptor, Sa } from "./records";
import {
  countEvent,
  countStatus,
  findOutboundSa,
  isSealedElsewhere,
  nextSequence,
  noteUse,
  wouldExceedLimits,
} from "./sad";
import { region } from "./scratch";
import {
  beginSegments,
  completeChecksum,
  isSuperPacket,
  needsChecksum,
  segmentLength,
  segmentStart,
  writeSegment,
} from "./segment";
import { activeRoots, findPolicy } from "./spd";
import { beginReplies, replyTooBig } from "./too-big";
import { outerTrafficClass } from "./traffic-class";
import { isTransport, protocolBehind, strippedLength } from "./transport-mode";

// What an ESP packet is made of: the descriptor's packet as it is, or one of its segments or fragments.
const WHOLE: u32 = 0;
const SEGMENT: u32 = 1;
const FRAGMENT: u32 = 2;

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
  beginReplies();
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
  const resume = takeResume(descriptor);
  if (!parseInnerPacket(inner, descriptor.length)) return STATUS_RUNT;

  const policy = findPolicy(roots);
  if (!policy) return STATUS_NO_POLICY;
  if (policy.action == POLICY_TRAP) {
    descriptor.sequence = policy.sa;
    return STATUS_TRAPPED;
  }
  if (policy.action != POLICY_PROTECT) return STATUS_NO_SA;
  const sa = findOutboundSa(policy.sa, policy.generation);
  if (!sa) {
    if (!isSealedElsewhere(policy.sa, policy.generation)) return STATUS_NO_SA;
    // What has left, or was given up, goes with it.
    setResume(descriptor, resume);
    return STATUS_OTHER_WORKER;
  }
  descriptor.sa = policy.sa;
  store<u32>(changetype<usize>(descriptor), outerTrafficClass(sa, inner), DESCRIPTOR_TRAFFIC_CLASS_OFFSET);

  clampMss(sa, header == 0 || !needsChecksum(header));
  if (header != 0) {
    if (isSuperPacket(header)) return encapsulateSegments(descriptor, sa, resume, end);
    if (!completeChecksum(inner, header)) return STATUS_RUNT;
  }
  const fit = fitOf(sa, inner, totalLength);
  if (fit == FITS) return encapsulatePacket(descriptor, sa, totalLength, WHOLE, 0, end);
  if (fit == FRAGMENTS_INSIDE) return encapsulateFragments(descriptor, sa, end);
  if (fit == DOES_NOT_FIT) {
    replyTooBig(inner, totalLength, toldMtu(sa));
    return STATUS_TOO_BIG;
  }
  allowFragments(descriptor, sa, totalLength);
  return encapsulatePacket(descriptor, sa, totalLength, WHOLE, 0, end);
}

/** Outside, the packet's datagrams may be fragmented. Each of them has `length` octets inside. */
function allowFragments(descriptor: Descriptor, sa: Sa, length: u32): void {
  const word = changetype<usize>(descriptor) + DESCRIPTOR_TRAFFIC_CLASS_OFFSET;
  store<u32>(word, load<u32>(word) | MAY_FRAGMENT);
  if (length > longestInner(sa)) countEvent(sa, EVENT_FRAGMENTED_OUTSIDE);
}

/**
 * The segments behind the first `resume` octets of payload: all, or as many as are asked for, and as limits and room allow. What is
 * asked for later is left; the rest is dropped and counted.
 */
function encapsulateSegments(descriptor: Descriptor, sa: Sa, resume: u32, end: usize): u32 {
  // Where anything may be fragmented outside, the sender's segments are right.
  const longest = (sa.flags & SA_FLAG_FRAGMENT_OUTSIDE) != 0 ? u32.MAX_VALUE : longestInner(sa);
  const count = beginSegments(descriptor.source, descriptor.header, longest, resume);
  if (count == 0) return STATUS_RUNT;
  const fit = fitOf(sa, descriptor.source, segmentLength(0));
  if (fit == DOES_NOT_FIT) {
    const staged = region() + WORKER_STAGING_OFFSET;
    writeSegment(staged, 0);
    replyTooBig(staged, segmentLength(0), toldMtu(sa));
    return dropRest(descriptor, STATUS_TOO_BIG, 0, count);
  }
  if (fit != FITS) allowFragments(descriptor, sa, segmentLength(0));
  const limit = load<u32>(changetype<usize>(descriptor), DESCRIPTOR_SEGMENT_LIMIT_OFFSET);
  if (limit == 0 || limit >= count) return encapsulatePieces(descriptor, sa, SEGMENT, count, count, end);
  setResume(descriptor, segmentStart(limit));
  return encapsulatePieces(descriptor, sa, SEGMENT, limit, count, end);
}

function encapsulateFragments(descriptor: Descriptor, sa: Sa, end: usize): u32 {
  const count = beginFragments(descriptor.source, totalLength, longestInner(sa));
  if (count == 0) return STATUS_TOO_BIG;
  const status = encapsulatePieces(descriptor, sa, FRAGMENT, count, count, end);
  if (status == STATUS_OK) countEvent(sa, EVENT_FRAGMENTED);
  return status;
}

/** The first `wanted` of `count` pieces. When one does not leave, those behind it would not either. */
function encapsulatePieces(
  descriptor: Descriptor,
  sa: Sa,
  kind: u32,
  wanted: u32,
  count: u32,
  end: usize,
): u32 {
  for (let i: u32 = 0; i < wanted; i++) {
    const length = kind == SEGMENT ? segmentLength(i) : fragmentLength(i);
    const status = encapsulatePacket(descriptor, sa, length, kind, i, end);
    if (status == STATUS_OK) continue;
    setResume(descriptor, 0);
    return dropRest(descriptor, status, i, count);
  }
  return STATUS_OK;
}

function takeResume(descriptor: Descriptor): u32 {
  const resume = load<u32>(changetype<usize>(descriptor), DESCRIPTOR_RESUME_OFFSET);
  setResume(descriptor, 0);
  return resume;
}

function setResume(descriptor: Descriptor, octets: u32): void {
  store<u32>(changetype<usize>(descriptor), octets, DESCRIPTOR_RESUME_OFFSET);
}

/** Counts the pieces from `first` on. The caller counts one: the first, or the packet as a whole. */
function dropRest(descriptor: Descriptor, status: u32, first: u32, count: u32): u32 {
  for (let left = count - max<u32>(first, 1); left > 0; left--) countStatus(descriptor.sa, status);
  return first == 0 ? status : STATUS_OK;
}

/** Adds the ESP packet of `length` octets of inner packet to the result: piece `index` of the descriptor's packet, or all of it. */
function encapsulatePacket(
  descriptor: Descriptor,
  sa: Sa,
  length: u32,
  kind: u32,
  index: u32,
  end: usize,
): u32 {
  // RFC 4303 section 2.7: between the inner packet, which knows its length, and the padding. What shorter ones are padded to goes
  // through the send slab, since there is no room for it behind a packet in the TUN slab.
  const stripped = isTransport(sa) ? strippedLength(descriptor.source) : 0;
  if (isTransport(sa) && stripped == 0) return STATUS_RUNT;
  const textLength = length - stripped;
  const paddedLength = isTransport(sa) ? textLength : max<u32>(length, min<u32>(sa.padTo, longestInner(sa)));
  const destination: usize = descriptor.result + descriptor.resultLength;
  if (!fitsInto(sa, destination, max(length, paddedLength), end)) return STATUS_TOO_LONG;
  if (wouldExceedLimits(sa, length)) return STATUS_LIMIT_REACHED;
  const sequence = nextSequence(sa);
  if (sequence == 0) return STATUS_SEQUENCE_EXHAUSTED;
  noteUse(sa, length);

  let source: usize = descriptor.source + stripped;
  if (kind != WHOLE || paddedLength != textLength) {
    source = textAt(sa, destination);
    if (kind == WHOLE) {
      memory.copy(source, descriptor.source, length);
    } else {
      if (kind == SEGMENT) writeSegment(source, index);
      else writeFragment(source, index);
      if (stripped != 0) memory.copy(source, source + stripped, textLength);
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
