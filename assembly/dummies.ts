// Dummy packets, RFC 4303 section 2.6: next header 59 and a text that means nothing, so that whoever watches the wire cannot tell
// when there is something to say. The receiver drops them without fault.

import { NEXT_HEADER_NONE } from "./esp-header";
import { longestInner } from "./fit";
import { beginJobs, sealJobs } from "./jobs";
import {
  DESCRIPTOR_COUNT,
  DESCRIPTOR_SIZE,
  DESCRIPTOR_TRAFFIC_CLASS_OFFSET,
  DUMMIES_BASE,
  DUMMIES_COUNT_OFFSET,
  DUMMIES_LIMIT,
  DUMMIES_SLOTS_OFFSET,
  SA_ACTIVE,
  SA_FLAG_INBOUND,
  SA_SLOT_COUNT,
  SEND_SLAB_SIZE,
  STATUS_OK,
  WORKER_CLOCK_OFFSET,
  WORKER_DESCRIPTORS_OFFSET,
  WORKER_SEND_SLAB_OFFSET,
} from "./layout";
import { addPacket, fitsInto, textAt } from "./outbound-packet";
import { Descriptor, Sa } from "./records";
import { isOurs, nextSequence, noteDummy, saAt, wouldExceedLimits } from "./sad";
import { region } from "./scratch";

/** Milliseconds until the next one is due, as the last `espDummyBatch` found. */
let nextDue: f64 = Infinity;

/**
 * Seals a dummy packet for each listed SA that has been silent for as long as it may, at most `limit`. They lie back to back from
 * the start of the send slab, one for each descriptor from the first on. Gives their number.
 */
export function espDummyBatch(limit: u32): u32 {
  const now = load<f64>(region(), WORKER_CLOCK_OFFSET);
  const listed = min<u32>(atomic.load<u32>(DUMMIES_BASE + DUMMIES_COUNT_OFFSET), DUMMIES_LIMIT);
  const most = min<u32>(limit, DESCRIPTOR_COUNT);
  let cursor = region() + WORKER_SEND_SLAB_OFFSET;
  const end = cursor + SEND_SLAB_SIZE;
  let at = region() + WORKER_DESCRIPTORS_OFFSET;
  let count: u32 = 0;
  nextDue = Infinity;
  beginJobs();
  for (let i: u32 = 0; i < listed; i++) {
    const slot = load<u32>(DUMMIES_BASE + DUMMIES_SLOTS_OFFSET + 4 * i);
    const sa = senderOf(slot);
    if (!sa) continue;
    let wait = max(sa.lastUsed, sa.lastDummy) + sa.dummyEvery - now;
    // One that has sent nothing yet has been silent since now.
    if (sa.lastUsed == 0 && sa.lastDummy == 0) {
      sa.lastDummy = now;
      wait = sa.dummyEvery;
    }
    if (wait <= 0) {
      if (count == most) {
        nextDue = 0;
        break;
      }
      const descriptor = changetype<Descriptor>(at);
      if (addDummy(descriptor, sa, slot, cursor, end)) {
        cursor += descriptor.resultLength;
        at += DESCRIPTOR_SIZE;
        count++;
      }
      wait = sa.dummyEvery;
    }
    nextDue = min(nextDue, wait);
  }
  sealJobs();
  return count;
}

/** Milliseconds until another call of `espDummyBatch` has something to do; Infinity when no SA sends dummies. */
export function espNextDummy(): f64 {
  return nextDue;
}

/** The list and the SAs change under our eyes: what is no outbound SA with dummies any more is passed over. */
function senderOf(slot: u32): Sa | null {
  if (slot >= <u32>SA_SLOT_COUNT) return null;
  const sa = saAt(slot);
  if (atomic.load<u32>(changetype<usize>(sa)) != SA_ACTIVE) return null;
  if ((sa.flags & SA_FLAG_INBOUND) != 0 || !isOurs(sa)) return null;
  return sa.dummyEvery != 0 ? sa : null;
}

/** False when the SA must not send any more. */
function addDummy(descriptor: Descriptor, sa: Sa, slot: u32, destination: usize, end: usize): bool {
  const length = min<u32>(sa.dummyLength, longestInner(sa));
  if (!fitsInto(sa, destination, length, end) || wouldExceedLimits(sa, 0)) {
    sa.lastDummy = load<f64>(region(), WORKER_CLOCK_OFFSET);
    return false;
  }
  const sequence = nextSequence(sa);
  if (sequence == 0) {
    sa.lastDummy = load<f64>(region(), WORKER_CLOCK_OFFSET);
    return false;
  }
  noteDummy(sa);
  descriptor.result = <u32>destination;
  descriptor.resultLength = 0;
  descriptor.length = 0;
  descriptor.status = STATUS_OK;
  descriptor.sa = slot;
  descriptor.job = 0;
  descriptor.segmentLength = 0;
  descriptor.segmentCount = 0;
  store<u32>(changetype<usize>(descriptor), 0, DESCRIPTOR_TRAFFIC_CLASS_OFFSET);
  const text = textAt(sa, destination);
  memory.fill(text, 0, length);
  addPacket(descriptor, sa, sequence, text, length, NEXT_HEADER_NONE);
  return true;
}
