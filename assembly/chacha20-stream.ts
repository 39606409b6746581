// Feeds ChaCha20 with whole packets: their blocks line up behind one another, and eight at a time are computed, whatever
// packets they belong to.

import {
  chacha20Blocks,
  GROUP_STATE_SIZE,
  INPUTS_OFFSET,
  LANE_COUNT,
  LANES_SIZE,
  OUTPUTS_OFFSET,
  STATE_OFFSET,
} from "./chacha20";
import {
  JOB_CONTEXT_OFFSET,
  JOB_DESTINATION_OFFSET,
  JOB_LENGTH_OFFSET,
  JOB_NONCE_OFFSET,
  JOB_SOURCE_OFFSET,
} from "./layout";

const CHACHA_BLOCK: u32 = 64;
const GROUP: u32 = 4;
const ZEROS = memory.data(64, 16);
/** Counters of four blocks of one packet, and how far these lie apart. */
const COUNT = memory.data<u32>([0, 1, 2, 3], 16);
const STEP = memory.data<u32>([0, 64, 128, 192], 16);

// The stream's record: the lanes of chacha20.ts, then for each lane a word of
//
//   448      480        512             544                576
//   | job    | counter  | tail: where   | tail: how long   | stage: 64 octets x 8 |
//
// The last block of a packet, its tail, is made in the stage, because behind the packet may lie somebody else's octets.
const JOBS_OFFSET = LANES_SIZE;
const COUNTERS_OFFSET = LANES_SIZE + 32;
const TAILS_OFFSET = LANES_SIZE + 64;
const TAIL_LENGTHS_OFFSET = LANES_SIZE + 96;
const STAGE_OFFSET = LANES_SIZE + 128;
export const STREAM_SIZE = STAGE_OFFSET + LANE_COUNT * CHACHA_BLOCK;

/** Lanes filled and not yet computed. */
let pending: u32 = 0;
/** A bit for each of them that holds a tail. */
let tails: u32 = 0;

/** Lines up key stream block 0 of `job`, whose first 32 octets key Poly1305; 64 octets are written to `output`. */
export function pushMacKey(stream: usize, job: usize, output: usize): void {
  pushBlock(stream, job, 0, ZEROS, output);
}

/**
 * Lines up a packet: source XOR key stream from counter 1 on, to destination. The last block is read as a whole, up to
 * 63 octets behind the source; nothing is written behind the destination.
 */
export function pushPacket(stream: usize, job: usize): void {
  let input = load<usize>(job, JOB_SOURCE_OFFSET);
  let output = load<usize>(job, JOB_DESTINATION_OFFSET);
  let length = load<u32>(job, JOB_LENGTH_OFFSET);
  let counter: u32 = 1;
  while (length >= CHACHA_BLOCK) {
    let blocks: u32 = 1;
    if (length >= CHACHA_BLOCK * GROUP && pending % GROUP === 0) {
      blocks = GROUP;
      pushGroup(stream, job, counter, input, output);
    } else {
      pushBlock(stream, job, counter, input, output);
    }
    counter += blocks;
    input += blocks * CHACHA_BLOCK;
    output += blocks * CHACHA_BLOCK;
    length -= blocks * CHACHA_BLOCK;
  }
  if (length > 0) {
    store<u32>(stream + 4 * pending, output, TAILS_OFFSET);
    store<u32>(stream + 4 * pending, length, TAIL_LENGTHS_OFFSET);
    tails |= 1 << pending;
    pushBlock(stream, job, counter, input, stage(stream, pending));
  }
}

/** Computes what is lined up; the idle lanes work for nobody. */
export function flushStream(stream: usize): void {
  if (pending === 0) return;
  const job = load<usize>(stream, JOBS_OFFSET);
  while (pending % GROUP !== 0) pushBlock(stream, job, 0, ZEROS, stage(stream, pending));
  if (pending === 0) return;
  for (let lane = GROUP; lane < LANE_COUNT; lane++) setAddresses(stream, lane, ZEROS, stage(stream, lane));
  computeBlocks(stream);
}

function pushBlock(stream: usize, job: usize, counter: u32, input: usize, output: usize): void {
  const lane = stream + 4 * pending;
  store<u32>(lane, job, JOBS_OFFSET);
  store<u32>(lane, counter, COUNTERS_OFFSET);
  setAddresses(stream, pending, input, output);
  pending++;
  if (pending % GROUP !== 0) return;
  loadGroup(stream, pending / GROUP - 1);
  if (pending === LANE_COUNT) computeBlocks(stream);
}

/** Four blocks of one packet at once. */
function pushGroup(stream: usize, job: usize, counter: u32, input: usize, output: usize): void {
  const lane = stream + 4 * pending;
  v128.store(lane, i32x4.add(i32x4.splat(input as i32), v128.load(STEP)), INPUTS_OFFSET);
  v128.store(lane, i32x4.add(i32x4.splat(output as i32), v128.load(STEP)), OUTPUTS_OFFSET);
  store<u32>(lane, job, JOBS_OFFSET);
  const state = stream + STATE_OFFSET + (pending / GROUP) * GROUP_STATE_SIZE;
  const key = load<usize>(job, JOB_CONTEXT_OFFSET);
  v128.store(state, v128.load32_splat(key));
  v128.store(state, v128.load32_splat(key, 4), 16);
  v128.store(state, v128.load32_splat(key, 8), 32);
  v128.store(state, v128.load32_splat(key, 12), 48);
  v128.store(state, v128.load32_splat(key, 16), 64);
  v128.store(state, v128.load32_splat(key, 20), 80);
  v128.store(state, v128.load32_splat(key, 24), 96);
  v128.store(state, v128.load32_splat(key, 28), 112);
  v128.store(state, i32x4.add(i32x4.splat(counter), v128.load(COUNT)), 128);
  v128.store(state, v128.load32_splat(job, JOB_NONCE_OFFSET), 144);
  v128.store(state, v128.load32_splat(job, JOB_NONCE_OFFSET + 4), 160);
  v128.store(state, v128.load32_splat(job, JOB_NONCE_OFFSET + 8), 176);
  pending += GROUP;
  if (pending === LANE_COUNT) computeBlocks(stream);
}

function setAddresses(stream: usize, lane: u32, input: usize, output: usize): void {
  store<u32>(stream + 4 * lane, input, INPUTS_OFFSET);
  store<u32>(stream + 4 * lane, output, OUTPUTS_OFFSET);
}

function stage(stream: usize, lane: u32): usize {
  return stream + STAGE_OFFSET + lane * CHACHA_BLOCK;
}

function computeBlocks(stream: usize): void {
  chacha20Blocks(stream);
  for (; tails !== 0; tails &= tails - 1) {
    const lane = ctz(tails);
    const tail = stream + 4 * lane;
    copyTail(load<usize>(tail, TAILS_OFFSET), stage(stream, lane), load<u32>(tail, TAIL_LENGTHS_OFFSET));
  }
  pending = 0;
}

/** Sets words 4 to 15 of a group from its four jobs: key, counter, nonce. */
function loadGroup(stream: usize, group: u32): void {
  const state = stream + STATE_OFFSET + group * GROUP_STATE_SIZE;
  const lanes = stream + group * 4 * GROUP;
  const job0 = load<usize>(lanes, JOBS_OFFSET);
  const job1 = load<usize>(lanes, JOBS_OFFSET + 4);
  const job2 = load<usize>(lanes, JOBS_OFFSET + 8);
  const job3 = load<usize>(lanes, JOBS_OFFSET + 12);
  const key0 = load<usize>(job0, JOB_CONTEXT_OFFSET);
  const key1 = load<usize>(job1, JOB_CONTEXT_OFFSET);
  const key2 = load<usize>(job2, JOB_CONTEXT_OFFSET);
  const key3 = load<usize>(job3, JOB_CONTEXT_OFFSET);
  loadRow(state, key0, key1, key2, key3);
  loadRow(state + 64, key0 + 16, key1 + 16, key2 + 16, key3 + 16);
  // The nonce is three words; the word before it lies where the counter belongs.
  const nonce = JOB_NONCE_OFFSET - 4;
  loadRow(state + 128, job0 + nonce, job1 + nonce, job2 + nonce, job3 + nonce);
  v128.store(state, v128.load(lanes, COUNTERS_OFFSET), 128);
}

/** Four words from each of four places, turned round: one vector for each word. */
function loadRow(state: usize, place0: usize, place1: usize, place2: usize, place3: usize): void {
  const a = v128.load(place0);
  const b = v128.load(place1);
  const c = v128.load(place2);
  const d = v128.load(place3);
  const ab = v128.shuffle<i32>(a, b, 0, 4, 1, 5);
  const cd = v128.shuffle<i32>(c, d, 0, 4, 1, 5);
  const ef = v128.shuffle<i32>(a, b, 2, 6, 3, 7);
  const gh = v128.shuffle<i32>(c, d, 2, 6, 3, 7);
  v128.store(state, v128.shuffle<i64>(ab, cd, 0, 2));
  v128.store(state, v128.shuffle<i64>(ab, cd, 1, 3), 16);
  v128.store(state, v128.shuffle<i64>(ef, gh, 0, 2), 32);
  v128.store(state, v128.shuffle<i64>(ef, gh, 1, 3), 48);
}

/** Copies 1 to 63 octets and touches no other. */
function copyTail(destination: usize, source: usize, length: u32): void {
  for (; length >= 16; length -= 16) {
    v128.store(destination, v128.load(source));
    destination += 16;
    source += 16;
  }
  if (length & 8) {
    store<u64>(destination, load<u64>(source));
    destination += 8;
    source += 8;
  }
  if (length & 4) {
    store<u32>(destination, load<u32>(source));
    destination += 4;
    source += 4;
  }
  if (length & 2) {
    store<u16>(destination, load<u16>(source));
    destination += 2;
    source += 2;
  }
  if (length & 1) store<u8>(destination, load<u8>(source));
}
