// Sealing in CBC mode (RFC 3602) where the host lends AES (processor-aes.ts). A packet's blocks follow one another, so up to 64 packets of
// a key go side by side, a block of each in every call; when a packet ends, the next one takes its lane.
//
// The block before, and the IV before the first, is read from the destination each time: so a step can be made anew when the host fails.

import { swapRowsAndColumns } from "./aes-planes";
import { lentBlocks } from "./aes-scratch";
import { encryptPacked } from "./ctr";
import { jobAt } from "./ctr-window";
import { JOB_CONTEXT_OFFSET, JOB_DESTINATION_OFFSET, JOB_LENGTH_OFFSET, JOB_SOURCE_OFFSET } from "./layout";
import { cryptLent, isAesLent } from "./processor-aes";

const LANE_COUNT: u32 = 64;

// The blocks of a step, one of each lane, and behind them the lanes: u32 source | u32 destination | u32 blocks that are left | unused
const LANES_OFFSET: u32 = 16 * LANE_COUNT;
const LANE_SIZE: u32 = 16;
const DESTINATION_OFFSET: usize = 4;
const LEFT_OFFSET: usize = 8;

let next: u32 = 0;

/** Encrypts the jobs in order from `first` to `end` - 1, all of the key of one place. Lengths are multiples of 16; IVs stand right before the destinations. */
export function sealCbcLent(place: u32, first: u32, end: u32): void {
  const context: usize = load<u32>(jobAt(first), JOB_CONTEXT_OFFSET);
  next = first;
  let busy: u32 = 0;
  while (busy != LANE_COUNT && begin(busy, end)) busy++;
  while (busy != 0) {
    const blocks = fewestBlocks(busy);
    for (let i: u32 = 0; i < blocks; i++) {
      step(place, context, busy);
      emit(busy);
    }
    for (let lane: u32 = 0; lane < busy; ) {
      const left = load<u32>(laneAt(lane), LEFT_OFFSET) - blocks;
      store<u32>(laneAt(lane), left, LEFT_OFFSET);
      if (left != 0 || begin(lane, end)) lane++;
      // The last lane takes its place, and is looked at there.
      else v128.store(laneAt(lane), v128.load(laneAt(--busy)));
    }
  }
}

/** Gives a lane the next packet that has a text; false when there is none. */
function begin(lane: u32, end: u32): bool {
  while (next != end) {
    const job = jobAt(next++);
    const blocks = load<u32>(job, JOB_LENGTH_OFFSET) / 16;
    if (blocks == 0) continue;
    store<u32>(laneAt(lane), load<u32>(job, JOB_SOURCE_OFFSET));
    store<u32>(laneAt(lane), load<u32>(job, JOB_DESTINATION_OFFSET), DESTINATION_OFFSET);
    store<u32>(laneAt(lane), blocks, LEFT_OFFSET);
    return true;
  }
  return false;
}

/** Encrypts one block of each lane. */
function step(place: u32, context: usize, busy: u32): void {
  const blocks = lentBlocks();
  for (let lane: u32 = 0; lane < busy; lane++) v128.store(blocks + 16 * lane, chained(lane));
  if (isAesLent() && cryptLent(place, blocks, busy)) return;
  for (let lane: u32 = 0; lane < busy; lane++)
    v128.store(blocks + 16 * lane, swapRowsAndColumns(chained(lane)));
  encryptPacked(context, blocks, busy);
}

/** The lane's next block of text ^ the ciphertext before it. */
function chained(lane: u32): v128 {
  const source: usize = load<u32>(laneAt(lane));
  const destination: usize = load<u32>(laneAt(lane), DESTINATION_OFFSET);
  return v128.xor(v128.load(source), v128.load(destination - 16));
}

/** Writes the blocks to their destinations and moves the lanes on. */
function emit(busy: u32): void {
  const blocks = lentBlocks();
  for (let lane: u32 = 0; lane < busy; lane++) {
    const record = laneAt(lane);
    const destination: usize = load<u32>(record, DESTINATION_OFFSET);
    v128.store(destination, v128.load(blocks + 16 * lane));
    store<u32>(record, load<u32>(record) + 16);
    store<u32>(record, <u32>destination + 16, DESTINATION_OFFSET);
  }
}

function fewestBlocks(busy: u32): u32 {
  let fewest = u32.MAX_VALUE;
  for (let lane: u32 = 0; lane < busy; lane++) fewest = min(fewest, load<u32>(laneAt(lane), LEFT_OFFSET));
  return fewest;
}

function laneAt(lane: u32): usize {
  return lentBlocks() + LANES_OFFSET + LANE_SIZE * lane;
}
