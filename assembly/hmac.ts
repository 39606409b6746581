// HMAC (RFC 2104) over many packets: each lane of the hash follows a packet of its own, and takes the next one when it is
// through, so packets of any lengths and under any keys go side by side.
//
// What is authenticated (RFC 4303 section 2.8): the AAD, which stands right before the ciphertext, the ciphertext, and with
// ESN the high half of the sequence number behind them.
//
//   | whole blocks, where they lie | the rest, high half, padding: one or two blocks in the tail | outer hash: one block in the tail |
//
// Constant time: lanes go by lengths, which are public, and ICVs are compared as a whole.

import { innerState, outerState } from "./etm-context";
import { hashLanes, hmacLane, TAIL_SIZE, tail } from "./etm-scratch";
import {
  blockSize,
  digestLength,
  hashBlocks,
  icvLength,
  initialState,
  LONGEST_BLOCK,
  laneCount,
  lengthSize,
  loadState,
  storeState,
  writeDigest,
} from "./hashes";
import {
  JOB_AAD_LENGTH_OFFSET,
  JOB_AUTHENTIC,
  JOB_CONTEXT_OFFSET,
  JOB_DESTINATION_OFFSET,
  JOB_FORGED,
  JOB_HIGH_HALF_LENGTH_OFFSET,
  JOB_HIGH_HALF_OFFSET,
  JOB_LENGTH_OFFSET,
  JOB_SOURCE_OFFSET,
  JOB_TAG_OFFSET,
  JOB_VERDICT_OFFSET,
} from "./layout";
import { POINTERS_OFFSET } from "./sha-lanes";

// A lane: u32 job, 0 is idle | u32 blocks that are left of the step | u32 STEP_*
const BLOCKS_OFFSET: usize = 4;
const STEP_OFFSET: usize = 8;
const STEP_WHOLE: u32 = 0;
const STEP_TAIL: u32 = 1;
const STEP_OUTER: u32 = 2;

/** Writes the two states that the key leads to. */
export function expandHmacKey(context: usize, hash: u32, key: usize, keyLength: u32): void {
  const lanes = hashLanes();
  const size = blockSize(hash);
  for (let lane: u32 = 0; lane < laneCount(hash); lane++) {
    const block = tail(lane);
    memory.fill(block, lane == 0 ? 0x36 : 0x5c, size);
    for (let i: u32 = 0; i < keyLength; i++) store<u8>(block + i, load<u8>(block + i) ^ load<u8>(key + i));
    loadState(hash, lanes, lane, initialState(hash));
    store<u32>(lanes + POINTERS_OFFSET + 4 * lane, <u32>block);
  }
  hashBlocks(hash, lanes, 1);
  storeState(hash, lanes, 0, innerState(context));
  storeState(hash, lanes, 1, outerState(context));
}

/** Writes the ICVs of the jobs in a list, all of one hash. */
export function sealHmac(hash: u32, list: usize, count: u32): void {
  run(hash, list, count, false);
}

/** Checks the ICVs of the jobs in a list, all of one hash: leaves a verdict in each, and zeros where a forged one would go. */
export function openHmac(hash: u32, list: usize, count: u32): void {
  run(hash, list, count, true);
}

function run(hash: u32, list: usize, count: u32, isOpening: bool): void {
  const lanes = laneCount(hash);
  const end = list + 4 * count;
  let busy: u32 = 0;
  for (let lane: u32 = 0; lane < lanes; lane++) {
    if (list < end) {
      beginMessage(hash, lane, load<u32>(list), isOpening);
      list += 4;
      busy++;
    } else {
      rest(lane);
    }
  }
  while (busy != 0) {
    const blocks = fewestBlocks(lanes);
    hashBlocks(hash, hashLanes(), blocks);
    for (let lane: u32 = 0; lane < lanes; lane++) {
      const record = hmacLane(lane);
      if (load<u32>(record) == 0) {
        rest(lane);
        continue;
      }
      const left = load<u32>(record, BLOCKS_OFFSET) - blocks;
      store<u32>(record, left, BLOCKS_OFFSET);
      if (left != 0) continue;
      const step = load<u32>(record, STEP_OFFSET);
      if (step == STEP_WHOLE) {
        beginTail(hash, lane, pointer(lane));
      } else if (step == STEP_TAIL) {
        beginOuter(hash, lane);
      } else {
        finish(hash, lane, isOpening);
        if (list < end) {
          beginMessage(hash, lane, load<u32>(list), isOpening);
          list += 4;
        } else {
          rest(lane);
          busy--;
        }
      }
    }
  }
}

function fewestBlocks(lanes: u32): u32 {
  let fewest = u32.MAX_VALUE;
  for (let lane: u32 = 0; lane < lanes; lane++) {
    const record = hmacLane(lane);
    if (load<u32>(record) != 0) fewest = min(fewest, load<u32>(record, BLOCKS_OFFSET));
  }
  return fewest;
}

/** An idle lane hashes whatever lies behind its tail, for nobody. */
function rest(lane: u32): void {
  store<u32>(hmacLane(lane), 0);
  setPointer(lane, tail(lane));
}

function beginMessage(hash: u32, lane: u32, job: usize, isOpening: bool): void {
  const record = hmacLane(lane);
  store<u32>(record, <u32>job);
  loadState(hash, hashLanes(), lane, innerState(load<u32>(job, JOB_CONTEXT_OFFSET)));
  const aadLength = load<u32>(job, JOB_AAD_LENGTH_OFFSET);
  const ciphertext = isOpening ? load<u32>(job, JOB_SOURCE_OFFSET) : load<u32>(job, JOB_DESTINATION_OFFSET);
  const message: usize = ciphertext - aadLength;
  const whole = messageLength(job) / blockSize(hash);
  if (whole == 0) {
    beginTail(hash, lane, message);
    return;
  }
  store<u32>(record, whole, BLOCKS_OFFSET);
  store<u32>(record, STEP_WHOLE, STEP_OFFSET);
  setPointer(lane, message);
}

/** Octets that lie together: AAD and ciphertext. */
function messageLength(job: usize): u32 {
  return load<u32>(job, JOB_AAD_LENGTH_OFFSET) + load<u32>(job, JOB_LENGTH_OFFSET);
}

/** `from` is where the whole blocks end. */
function beginTail(hash: u32, lane: u32, from: usize): void {
  const record = hmacLane(lane);
  const job: usize = load<u32>(record);
  const at = tail(lane);
  const length = messageLength(job);
  const restLength = length & (blockSize(hash) - 1);
  const highHalfLength = load<u32>(job, JOB_HIGH_HALF_LENGTH_OFFSET);
  memory.copy(at, from, restLength);
  store<u32>(at + restLength, load<u32>(job, JOB_HIGH_HALF_OFFSET));
  // One block of padded key came before.
  const bits = 8 * (<u64>blockSize(hash) + <u64>length + <u64>highHalfLength);
  store<u32>(record, pad(hash, at, restLength + highHalfLength, bits), BLOCKS_OFFSET);
  store<u32>(record, STEP_TAIL, STEP_OFFSET);
  setPointer(lane, at);
}

function beginOuter(hash: u32, lane: u32): void {
  const record = hmacLane(lane);
  const at = tail(lane);
  const length = digestLength(hash);
  writeDigest(hash, hashLanes(), lane, at);
  store<u32>(record, pad(hash, at, length, 8 * <u64>(blockSize(hash) + length)), BLOCKS_OFFSET);
  store<u32>(record, STEP_OUTER, STEP_OFFSET);
  loadState(hash, hashLanes(), lane, outerState(load<u32>(load<u32>(record), JOB_CONTEXT_OFFSET)));
  setPointer(lane, at);
}

/** Ends a message of which `length` octets, less than a block and four, lie at `at`. Gives the number of blocks there. */
function pad(hash: u32, at: usize, length: u32, bits: u64): u32 {
  const size = blockSize(hash);
  const blocks: u32 = length + 1 + lengthSize(hash) > size ? 2 : 1;
  memory.fill(at + length, 0, blocks * size - length);
  store<u8>(at + length, 0x80);
  store<u64>(at + blocks * size - 8, bswap<u64>(bits));
  return blocks;
}

function finish(hash: u32, lane: u32, isOpening: bool): void {
  const job: usize = load<u32>(hmacLane(lane));
  const icv = tail(lane);
  const tag: usize = load<u32>(job, JOB_TAG_OFFSET);
  const length = icvLength(hash);
  writeDigest(hash, hashLanes(), lane, icv);
  if (!isOpening) {
    memory.copy(tag, icv, length);
    return;
  }
  let difference: u32 = 0;
  for (let i: u32 = 0; i < length; i += 4) difference |= load<u32>(icv + i) ^ load<u32>(tag + i);
  if (difference != 0)
    memory.fill(load<u32>(job, JOB_DESTINATION_OFFSET), 0, load<u32>(job, JOB_LENGTH_OFFSET));
  store<u32>(job, difference == 0 ? JOB_AUTHENTIC : JOB_FORGED, JOB_VERDICT_OFFSET);
}

function pointer(lane: u32): usize {
  return load<u32>(hashLanes() + POINTERS_OFFSET + 4 * lane);
}

function setPointer(lane: u32, address: usize): void {
  store<u32>(hashLanes() + POINTERS_OFFSET + 4 * lane, <u32>address);
}

if (TAIL_SIZE < 2 * LONGEST_BLOCK) ERROR("A lane's tail holds two blocks");
