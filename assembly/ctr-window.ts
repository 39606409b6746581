// Counter mode over the packets of a batch that share a key: for GCM, whose text begins with counter 2, and for RFC 3686,
// where it begins with counter 1. `textCounter` says which.
//
//   1 lay the counter blocks of short packets and of packet ends side by side   2 encrypt them in one go
//   3 for each packet the rest of its key stream, and XOR

import { PLANES_SIZE } from "./aes";
import { jobOrder, keyStream, PACKED_BLOCK_COUNT, packedBlocks } from "./aes-scratch";
import { counterBlock, encryptPacked, encryptRun, GROUPS_PER_RUN, packBlocks } from "./ctr";
import {
  JOB_CONTEXT_OFFSET,
  JOB_DESTINATION_OFFSET,
  JOB_LENGTH_OFFSET,
  JOB_NONCE_OFFSET,
  JOB_SOURCE_OFFSET,
} from "./layout";
import { xorText } from "./xor-text";

/** Packets below this many whole groups of counters are packed with others altogether. */
const FEWEST_GROUPS: u32 = 2;

/** Packs and encrypts the single blocks of as many jobs in order from `first` on, which share a key, as fit; gives the end of them. */
export function packWindow(first: u32, end: u32, textCounter: u32): u32 {
  const context = load<u32>(jobAt(first), JOB_CONTEXT_OFFSET);
  let packed: u32 = 0;
  let i = first;
  for (; i != end; ++i) {
    const job = jobAt(i);
    const length = load<u32>(job, JOB_LENGTH_OFFSET);
    const count = packedCount(length, textCounter);
    if (packed + count > PACKED_BLOCK_COUNT) break;
    const counter = max<u32>(1, 8 * groupCount(length, textCounter));
    packBlocks(packedBlocks() + 16 * packed, counterBlock(job + JOB_NONCE_OFFSET), counter, count);
    packed += count;
  }
  encryptPacked(context, packedBlocks(), packed);
  return i;
}

/**
 * Makes the first run of a packet's key stream and gives its block of counter 1. `packed` is where its packed blocks are,
 * `counterRounds` those of the key, or 0.
 */
export function beginKeyStream(job: usize, packed: usize, textCounter: u32, counterRounds: usize): v128 {
  const groups = groupCount(load<u32>(job, JOB_LENGTH_OFFSET), textCounter);
  if (groups == 0) return v128.load(packed);
  const block = counterBlock(job + JOB_NONCE_OFFSET);
  const context = load<u32>(job, JOB_CONTEXT_OFFSET);
  encryptRun(context, counterRounds, keyStream(), block, 0, min(groups, GROUPS_PER_RUN));
  return v128.load(keyStream(), 16);
}

/** Destination = source ^ key stream, of which the first run is made. */
export function xorKeyStream(job: usize, packed: usize, textCounter: u32, counterRounds: usize): void {
  const context: usize = load<u32>(job, JOB_CONTEXT_OFFSET);
  let source: usize = load<u32>(job, JOB_SOURCE_OFFSET);
  let destination: usize = load<u32>(job, JOB_DESTINATION_OFFSET);
  let left = load<u32>(job, JOB_LENGTH_OFFSET);
  let groups = groupCount(left, textCounter);
  if (groups == 0) {
    xorText(destination, source, packed + 16 * (textCounter - 1), left);
    return;
  }
  let run: u32 = 0;
  let skipped = 16 * textCounter;
  while (true) {
    const runGroups = min(groups, GROUPS_PER_RUN);
    const size = min<u32>(left, PLANES_SIZE * runGroups - skipped);
    xorText(destination, source, keyStream() + skipped, size);
    destination += size;
    source += size;
    left -= size;
    groups -= runGroups;
    if (groups == 0) break;
    skipped = 0;
    ++run;
    const block = counterBlock(job + JOB_NONCE_OFFSET);
    encryptRun(context, counterRounds, keyStream(), block, run, min(groups, GROUPS_PER_RUN));
  }
  xorText(destination, source, packed, left);
}

/** The end of the jobs in order from `first` on that share a key. */
export function endOfKey(first: u32, end: u32): u32 {
  const context = load<u32>(jobAt(first), JOB_CONTEXT_OFFSET);
  let i = first + 1;
  while (i != end && load<u32>(jobAt(i), JOB_CONTEXT_OFFSET) == context) ++i;
  return i;
}

/** The job at a place of the order. */
export function jobAt(place: u32): usize {
  return load<u32>(jobOrder() + 4 * place);
}

/** How many aligned groups of eight counters a text of `length` octets has to itself. */
function groupCount(length: u32, textCounter: u32): u32 {
  // A last group of seven is not worth packing.
  const groups = ((length + 15) / 16 + textCounter + 1) / 8;
  return groups < FEWEST_GROUPS ? 0 : groups;
}

/** How many blocks of its key stream are packed. */
export function packedCount(length: u32, textCounter: u32): u32 {
  const counterEnd = (length + 15) / 16 + textCounter;
  const first = max<u32>(1, 8 * groupCount(length, textCounter));
  return first < counterEnd ? counterEnd - first : 0;
}
