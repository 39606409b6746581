// Feeds ChaCha20 with whole packets: their blocks line up behind one another, and eight at a time are computed, whatever
// packets they belong to.

import {
  BLOCK_COUNTER_OFFSET,
  BLOCK_INPUT_OFFSET,
  BLOCK_JOB_OFFSET,
  BLOCK_OUTPUT_OFFSET,
  BLOCK_SIZE,
  BLOCK_TAIL_LENGTH_OFFSET,
  BLOCK_TAIL_OFFSET,
  BLOCKS_OFFSET,
  chacha20Blocks,
  GROUP_STATE_SIZE,
  LANE_COUNT,
  LANES_SIZE,
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
const ZEROS = memory.data(64, 16);

// The stream's record: the lanes, then 64 octets for each, where the last block of a packet is made: behind the packet
// may lie somebody else's octets.
const STAGE_OFFSET = LANES_SIZE;
export const STREAM_SIZE = LANES_SIZE + LANE_COUNT * CHACHA_BLOCK;

/** Blocks lined up and not yet computed. */
let pending: u32 = 0;
/** Those of them that end a packet. */
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
  let input: usize = load<usize>(job, JOB_SOURCE_OFFSET);
  let output: usize = load<usize>(job, JOB_DESTINATION_OFFSET);
  let length = load<u32>(job, JOB_LENGTH_OFFSET);
  let counter: u32 = 1;
  for (; length >= CHACHA_BLOCK; length -= CHACHA_BLOCK) {
    pushBlock(stream, job, counter++, input, output);
    input += CHACHA_BLOCK;
    output += CHACHA_BLOCK;
  }
  if (length > 0) {
    const block = stream + BLOCKS_OFFSET + pending * BLOCK_SIZE;
    store<u32>(block, output, BLOCK_TAIL_OFFSET);
    store<u32>(block, length, BLOCK_TAIL_LENGTH_OFFSET);
    tails |= 1 << pending;
    pushBlock(stream, job, counter, input, stage(stream, pending));
  }
}

/** Computes what is lined up; idle lanes repeat the first one into the stage. */
export function flushStream(stream: usize): void {
  if (pending === 0) return;
  const job = load<usize>(stream, BLOCKS_OFFSET + BLOCK_JOB_OFFSET);
  for (let lane = pending; lane < LANE_COUNT; lane++)
    setBlock(stream, lane, job, 0, ZEROS, stage(stream, lane));
  computeBlocks(stream);
}

function pushBlock(stream: usize, job: usize, counter: u32, input: usize, output: usize): void {
  setBlock(stream, pending, job, counter, input, output);
  if (++pending === LANE_COUNT) computeBlocks(stream);
}

function setBlock(stream: usize, lane: u32, job: usize, counter: u32, input: usize, output: usize): void {
  const block = stream + BLOCKS_OFFSET + lane * BLOCK_SIZE;
  store<u32>(block, job, BLOCK_JOB_OFFSET);
  store<u32>(block, counter, BLOCK_COUNTER_OFFSET);
  store<u32>(block, input, BLOCK_INPUT_OFFSET);
  store<u32>(block, output, BLOCK_OUTPUT_OFFSET);
}

function stage(stream: usize, lane: u32): usize {
  return stream + STAGE_OFFSET + lane * CHACHA_BLOCK;
}

function computeBlocks(stream: usize): void {
  loadGroup(stream + STATE_OFFSET, stream + BLOCKS_OFFSET);
  loadGroup(stream + STATE_OFFSET + GROUP_STATE_SIZE, stream + BLOCKS_OFFSET + BLOCK_SIZE * 4);
  chacha20Blocks(stream);
  for (; tails !== 0; tails &= tails - 1) {
    const lane = ctz(tails);
    const block = stream + BLOCKS_OFFSET + lane * BLOCK_SIZE;
    copyTail(
      load<u32>(block, BLOCK_TAIL_OFFSET),
      stage(stream, lane),
      load<u32>(block, BLOCK_TAIL_LENGTH_OFFSET),
    );
  }
  pending = 0;
}

/** Sets words 4 to 15 of a group from its four blocks: key, counter, nonce. */
function loadGroup(state: usize, blocks: usize): void {
  const job0: usize = load<usize>(blocks, BLOCK_JOB_OFFSET);
  const job1: usize = load<usize>(blocks, BLOCK_SIZE + BLOCK_JOB_OFFSET);
  const job2: usize = load<usize>(blocks, BLOCK_SIZE * 2 + BLOCK_JOB_OFFSET);
  const job3: usize = load<usize>(blocks, BLOCK_SIZE * 3 + BLOCK_JOB_OFFSET);
  if (job0 === job1 && job0 === job2 && job0 === job3) {
    loadOneJob(state, job0);
  } else {
    const key0: usize = load<usize>(job0, JOB_CONTEXT_OFFSET);
    const key1: usize = load<usize>(job1, JOB_CONTEXT_OFFSET);
    const key2: usize = load<usize>(job2, JOB_CONTEXT_OFFSET);
    const key3: usize = load<usize>(job3, JOB_CONTEXT_OFFSET);
    loadRow(state, key0, key1, key2, key3);
    loadRow(state + 64, key0 + 16, key1 + 16, key2 + 16, key3 + 16);
    // The nonce is three words; the word before it goes where the counter comes next.
    const nonce = JOB_NONCE_OFFSET - 4;
    loadRow(state + 128, job0 + nonce, job1 + nonce, job2 + nonce, job3 + nonce);
  }
  let counters = i32x4.splat(load<u32>(blocks, BLOCK_COUNTER_OFFSET));
  counters = i32x4.replace_lane(counters, 1, load<u32>(blocks, BLOCK_SIZE + BLOCK_COUNTER_OFFSET));
  counters = i32x4.replace_lane(counters, 2, load<u32>(blocks, BLOCK_SIZE * 2 + BLOCK_COUNTER_OFFSET));
  counters = i32x4.replace_lane(counters, 3, load<u32>(blocks, BLOCK_SIZE * 3 + BLOCK_COUNTER_OFFSET));
  v128.store(state + 128, counters);
}

function loadOneJob(state: usize, job: usize): void {
  const key: usize = load<usize>(job, JOB_CONTEXT_OFFSET);
  for (let word: usize = 0; word < 8; word++)
    v128.store(state + word * 16, v128.load32_splat(key + word * 4));
  v128.store(state + 144, v128.load32_splat(job, JOB_NONCE_OFFSET));
  v128.store(state + 160, v128.load32_splat(job, JOB_NONCE_OFFSET + 4));
  v128.store(state + 176, v128.load32_splat(job, JOB_NONCE_OFFSET + 8));
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
  v128.store(state + 16, v128.shuffle<i64>(ab, cd, 1, 3));
  v128.store(state + 32, v128.shuffle<i64>(ef, gh, 0, 2));
  v128.store(state + 48, v128.shuffle<i64>(ef, gh, 1, 3));
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
