// Sealing in CBC mode (RFC 3602, SP 800-38A section 6.2). A packet's blocks follow one another, so eight packets go side by
// side, one in each block of a group; when a packet ends, the next one takes its lane, whatever its key.
//
// Constant time: see aes.ts. Lanes go by lengths, which are public.

import { PLANES_SIZE, runRounds } from "./aes";
import { roundKey } from "./aes-context";
import { swapRowsAndColumns, transpose } from "./aes-planes";
import { planes } from "./aes-scratch";
import { CBC_LANES_SIZE, cbcLanes, mixedKeys } from "./etm-scratch";
import { JOB_CONTEXT_OFFSET, JOB_DESTINATION_OFFSET, JOB_LENGTH_OFFSET, JOB_SOURCE_OFFSET } from "./layout";

const LANE_COUNT: u32 = 8;

// u32 for each lane: source | destination | ones, or zero where the lane is idle and stays on its spare block |
// blocks that are left | context whose key is mixed in; then the spare block of idle lanes.
const DESTINATIONS_OFFSET: usize = 32;
const MASKS_OFFSET: usize = 64;
const LEFT_OFFSET: usize = 96;
const CONTEXTS_OFFSET: usize = 128;
const SPARE_OFFSET: usize = 160;
if (SPARE_OFFSET + 16 > <usize>CBC_LANES_SIZE) ERROR("CBC lanes do not fit their place");

/**
 * Encrypts the jobs in a list, all of keys with as many rounds. Lengths are multiples of 16, not 0; each IV stands right before its
 * destination. A list with the longest packets first leaves the fewest lanes idle at the end.
 */
export function sealCbc(rounds: u32, list: usize, count: u32): void {
  const lanes = cbcLanes();
  const end = list + 4 * count;
  const shared = sharedContext(list, count);
  const keys: usize = shared != 0 ? roundKey(shared, 0) : mixedKeys();
  memory.fill(lanes, 0, CBC_LANES_SIZE);
  let busy: u32 = 0;
  for (let lane: u32 = 0; lane < LANE_COUNT; lane++) {
    if (list < end) {
      begin(lane, load<u32>(list), shared == 0 ? rounds : 0);
      list += 4;
      busy++;
    } else {
      rest(lane);
    }
  }
  while (busy != 0) {
    const blocks = fewestBlocks();
    encrypt(keys, keys + PLANES_SIZE * rounds, blocks);
    for (let lane: u32 = 0; lane < LANE_COUNT; lane++) {
      const left = lanes + LEFT_OFFSET + 4 * lane;
      if (load<u32>(left) == 0) continue;
      store<u32>(left, load<u32>(left) - blocks);
      if (load<u32>(left) != 0) {
        move(lane, 16 * blocks);
      } else if (list < end) {
        begin(lane, load<u32>(list), shared == 0 ? rounds : 0);
        list += 4;
      } else {
        rest(lane);
        busy--;
      }
    }
  }
}

/** The context of all jobs in the list, or 0 when they have several. */
function sharedContext(list: usize, count: u32): usize {
  const context = load<u32>(load<u32>(list), JOB_CONTEXT_OFFSET);
  for (let i: u32 = 1; i < count; i++) {
    if (load<u32>(load<u32>(list + 4 * i), JOB_CONTEXT_OFFSET) != context) return 0;
  }
  return context;
}

/** Gives a lane its packet; mixes its key in unless `rounds` is 0. The chain begins with the IV. */
function begin(lane: u32, job: usize, rounds: u32): void {
  const record = cbcLanes() + 4 * lane;
  const context = load<u32>(job, JOB_CONTEXT_OFFSET);
  const destination = load<u32>(job, JOB_DESTINATION_OFFSET);
  store<u32>(record, load<u32>(job, JOB_SOURCE_OFFSET));
  store<u32>(record, destination, DESTINATIONS_OFFSET);
  store<u32>(record, u32.MAX_VALUE, MASKS_OFFSET);
  store<u32>(record, load<u32>(job, JOB_LENGTH_OFFSET) / 16, LEFT_OFFSET);
  v128.store(planes() + 16 * lane, v128.load(destination - 16));
  if (rounds == 0 || load<u32>(record, CONTEXTS_OFFSET) == context) return;
  store<u32>(record, context, CONTEXTS_OFFSET);
  mixKey(lane, context, rounds);
}

/** Puts a key into the bits of the mixed round keys that belong to one block. */
function mixKey(lane: u32, context: usize, rounds: u32): void {
  const own = i8x16.splat((<i8>1) << (<i8>lane));
  const key = roundKey(context, 0);
  const mixed = mixedKeys();
  const size = PLANES_SIZE * (rounds + 1);
  for (let at: usize = 0; at < size; at += 16) {
    v128.store(mixed + at, v128.bitselect(v128.load(key + at), v128.load(mixed + at), own));
  }
}

function move(lane: u32, size: u32): void {
  const record = cbcLanes() + 4 * lane;
  store<u32>(record, load<u32>(record) + size);
  store<u32>(record, load<u32>(record, DESTINATIONS_OFFSET) + size, DESTINATIONS_OFFSET);
}

function rest(lane: u32): void {
  const record = cbcLanes() + 4 * lane;
  const spare = <u32>(cbcLanes() + SPARE_OFFSET);
  store<u32>(record, spare);
  store<u32>(record, spare, DESTINATIONS_OFFSET);
  store<u32>(record, 0, MASKS_OFFSET);
  store<u32>(record, 0, LEFT_OFFSET);
}

function fewestBlocks(): u32 {
  let fewest = u32.MAX_VALUE;
  for (let lane: u32 = 0; lane < LANE_COUNT; lane++) {
    const left = load<u32>(cbcLanes() + LEFT_OFFSET + 4 * lane);
    if (left != 0) fewest = min(fewest, left);
  }
  return fewest;
}

/** Encrypts `count` blocks in each lane. Between the steps the last ciphertext blocks stand where planes are made. */
function encrypt(firstKey: usize, lastKey: usize, count: u32): void {
  const lanes = cbcLanes();
  const state = planes();
  const end: u32 = 16 * count;
  for (let at: u32 = 0; at < end; at += 16) {
    chain(lanes, state, at);
    chain(lanes + 4, state + 16, at);
    chain(lanes + 8, state + 32, at);
    chain(lanes + 12, state + 48, at);
    chain(lanes + 16, state + 64, at);
    chain(lanes + 20, state + 80, at);
    chain(lanes + 24, state + 96, at);
    chain(lanes + 28, state + 112, at);
    transpose(state, 1);
    runRounds(firstKey + PLANES_SIZE, lastKey, 0, state, state, 0, firstKey, 0, 1);
    transpose(state, 1);
    emit(lanes, state, at);
    emit(lanes + 4, state + 16, at);
    emit(lanes + 8, state + 32, at);
    emit(lanes + 12, state + 48, at);
    emit(lanes + 16, state + 64, at);
    emit(lanes + 20, state + 80, at);
    emit(lanes + 24, state + 96, at);
    emit(lanes + 28, state + 112, at);
  }
}

function chain(record: usize, block: usize, at: u32): void {
  const source = load<u32>(record) + (at & load<u32>(record, MASKS_OFFSET));
  v128.store(block, swapRowsAndColumns(v128.xor(v128.load(block), v128.load(source))));
}

function emit(record: usize, block: usize, at: u32): void {
  const destination = load<u32>(record, DESTINATIONS_OFFSET) + (at & load<u32>(record, MASKS_OFFSET));
  v128.store(destination, v128.load(block));
}
