// Inbound, one batch: 1 look the SPI up  2 check length and replay window  3 open all packets of a kernel in one call, in place
//   4 mark the authentic ones in the window, in order  5 strip the trailer  6 check the inner packet against the SA's selectors
//   7 bring in what the path did to the outer traffic class

import {
  IV_OFFSET,
  NEXT_HEADER_IPV4,
  NEXT_HEADER_IPV6,
  NEXT_HEADER_NONE,
  SEQUENCE_OFFSET,
  TRAILER_LENGTH,
} from "./esp-header";
import { family, parseInnerPacket, totalLength } from "./inner-packet";
import { addJob, beginJobs, openJobs } from "./jobs";
import {
  DESCRIPTOR_COUNT,
  DESCRIPTOR_SIZE,
  DESCRIPTOR_TRAFFIC_CLASS_OFFSET,
  JOB_AUTHENTIC,
  JOB_FORGED,
  NO_SLOT,
  SA_FLAG_ESN,
  STATUS_DUMMY,
  STATUS_INTEGRITY_FAILED,
  STATUS_LIMIT_REACHED,
  STATUS_MALFORMED,
  STATUS_NO_SA,
  STATUS_OK,
  STATUS_OTHER_WORKER,
  STATUS_RUNT,
  STATUS_SELECTOR_MISMATCH,
  STATUS_TOO_LONG,
  WORKER_DESCRIPTORS_OFFSET,
} from "./layout";
import { clampMss } from "./mss";
import { Descriptor, Job, Sa } from "./records";
import { inferSequence, replayCheck, replayMark } from "./replay";
import { countStatus, findInboundSlot, isForOtherWorker, noteUse, saAt, wouldExceedLimits } from "./sad";
import { region } from "./scratch";
import { matchesSelectors } from "./selector";
import { decapsulateTrafficClass } from "./traffic-class";
import { beginRebuilding, isTransport, rebuildPacket } from "./transport-mode";

const HEADER_LENGTH: u32 = 8;
const BLOCK_SIZE: u32 = 16;

/** Decapsulates the ESP packets of descriptors `first` to `first + count - 1` in place. */
export function espDecapsulateBatch(first: u32, count: u32): void {
  if (<u64>first + <u64>count > <u64>DESCRIPTOR_COUNT) return;
  const start = region() + WORKER_DESCRIPTORS_OFFSET + first * DESCRIPTOR_SIZE;
  const end = start + count * DESCRIPTOR_SIZE;
  beginJobs();
  beginRebuilding();
  for (let at = start; at < end; at += DESCRIPTOR_SIZE) {
    const descriptor = changetype<Descriptor>(at);
    descriptor.result = 0;
    descriptor.resultLength = 0;
    descriptor.sa = <u32>NO_SLOT;
    descriptor.sequence = 0;
    descriptor.job = 0;
    descriptor.status = admit(descriptor);
  }
  openJobs();
  for (let at = start; at < end; at += DESCRIPTOR_SIZE) {
    const descriptor = changetype<Descriptor>(at);
    if (descriptor.job != 0) descriptor.status = finish(descriptor);
    countStatus(descriptor.sa, descriptor.status);
  }
}

/** What can be refused before any cryptography. STATUS_OK has a job. */
function admit(descriptor: Descriptor): u32 {
  const packet: usize = descriptor.source;
  const length = descriptor.length;
  if (length < HEADER_LENGTH) return STATUS_RUNT;
  const spi = bswap<u32>(load<u32>(packet));
  const slot = findInboundSlot(spi);
  if (slot == <u32>NO_SLOT) return isForOtherWorker(spi) ? STATUS_OTHER_WORKER : STATUS_NO_SA;
  descriptor.sa = slot;
  const sa = saAt(slot);
  const textOffset = IV_OFFSET + sa.ivLength;
  if (length < textOffset + TRAILER_LENGTH + sa.icvLength) return STATUS_RUNT;
  const textLength = length - textOffset - sa.icvLength;
  // CBC knows whole blocks only. Where no cipher asks for it, alignment is the sender's affair.
  if (sa.unit == BLOCK_SIZE && textLength % BLOCK_SIZE != 0) return STATUS_RUNT;
  const low = bswap<u32>(load<u32>(packet, SEQUENCE_OFFSET));
  const sequence = (sa.flags & SA_FLAG_ESN) != 0 ? inferSequence(sa, low) : <u64>low;
  descriptor.sequence = sequence;
  const status = replayCheck(sa, sequence);
  if (status != STATUS_OK) return status;

  const job = addJob(sa, packet, sequence);
  job.salt = sa.salt;
  if (sa.ivLength == 0) {
    // RFC 8750 section 4: all 64 bits of the number; without ESN the high half is zero.
    job.ivFirst = bswap<u32>(<u32>(sequence >> 32));
    job.ivSecond = bswap<u32>(low);
  } else {
    job.ivFirst = load<u32>(packet + IV_OFFSET);
    job.ivSecond = load<u32>(packet + IV_OFFSET + 4);
  }
  job.source = <u32>packet + textOffset;
  job.destination = <u32>packet + textOffset;
  job.length = textLength;
  job.tag = <u32>packet + textOffset + textLength;
  job.verdict = JOB_FORGED;
  descriptor.job = <u32>changetype<usize>(job);
  return STATUS_OK;
}

function finish(descriptor: Descriptor): u32 {
  const job = changetype<Job>(<usize>descriptor.job);
  if (job.verdict != JOB_AUTHENTIC) return STATUS_INTEGRITY_FAILED;
  const sa = saAt(descriptor.sa);
  // RFC 4303 section 3.4.3: only now. A duplicate within the batch passed the first look and is caught here.
  const seen = replayMark(sa, descriptor.sequence);
  if (seen != STATUS_OK) return seen;
  return deliver(descriptor, sa, job.destination, job.length);
}

/** RFC 4303 section 3.4.4.2 and RFC 4301 section 5.2: what is inside an authentic packet. */
function deliver(descriptor: Descriptor, sa: Sa, inner: usize, length: u32): u32 {
  const trailer = inner + length - TRAILER_LENGTH;
  const padLength = <u32>load<u8>(trailer);
  const nextHeader = <u32>load<u8>(trailer, 1);
  if (nextHeader == NEXT_HEADER_NONE) return STATUS_DUMMY;
  if (padLength > length - TRAILER_LENGTH || !isPadding(trailer - padLength, padLength)) {
    return STATUS_MALFORMED;
  }
  if (isTransport(sa)) {
    const outer = load<u32>(changetype<usize>(descriptor), DESCRIPTOR_TRAFFIC_CLASS_OFFSET);
    const payloadLength = length - TRAILER_LENGTH - padLength;
    const packet = rebuildPacket(sa, inner, payloadLength, nextHeader, outer);
    if (packet == 0) return STATUS_TOO_LONG;
    if (!parseInnerPacket(packet, 65535)) return STATUS_MALFORMED;
    return accept(descriptor, sa, packet);
  }
  // What is left between the inner packet and the padding is for traffic flow confidentiality (RFC 4303 section 2.7).
  if (!parseInnerPacket(inner, length - TRAILER_LENGTH - padLength)) return STATUS_MALFORMED;
  if (nextHeader != (family == 4 ? NEXT_HEADER_IPV4 : NEXT_HEADER_IPV6)) return STATUS_MALFORMED;
  return accept(descriptor, sa, inner);
}

/** The packet that was parsed, against what the SA is for. */
function accept(descriptor: Descriptor, sa: Sa, inner: usize): u32 {
  if (!matchesSelectors(sa.selectorFirst, sa.selectorCount, true)) return STATUS_SELECTOR_MISMATCH;
  if (wouldExceedLimits(sa, totalLength)) return STATUS_LIMIT_REACHED;
  const outer = load<u32>(changetype<usize>(descriptor), DESCRIPTOR_TRAFFIC_CLASS_OFFSET);
  if (!isTransport(sa)) {
    const status = decapsulateTrafficClass(sa, inner, outer);
    if (status != STATUS_OK) return status;
  }
  clampMss(sa, true);
  noteUse(sa, totalLength);
  descriptor.result = <u32>inner;
  descriptor.resultLength = totalLength;
  return STATUS_OK;
}

/** Authentic octets: nothing secret hangs on how long the comparison takes. */
function isPadding(at: usize, padLength: u32): bool {
  for (let i: u32 = 1; i <= padLength; i++) {
    if (load<u8>(at++) != <u8>i) return false;
  }
  return true;
}
