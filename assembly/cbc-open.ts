// Opening in CBC mode (RFC 3602, SP 800-38A section 6.2). No block waits for another, so the ciphertext of a key's packets is
// laid side by side, decrypted in one go, and added to the blocks before.
//
// Constant time: see aes-inverse.ts. Lengths are public.

import { PLANES_SIZE } from "./aes";
import { roundKey, rounds } from "./aes-context";
import { runInverseRounds } from "./aes-inverse";
import { transpose } from "./aes-planes";
import { PACKED_BLOCK_COUNT, packedBlocks } from "./aes-scratch";
import { SEGMENT_SIZE, segments } from "./etm-scratch";
import { placeOf } from "./key-tables";
import { JOB_CONTEXT_OFFSET, JOB_DESTINATION_OFFSET, JOB_LENGTH_OFFSET, JOB_SOURCE_OFFSET } from "./layout";
import { cryptLent, isAesLent } from "./processor-aes";

// A segment, the blocks of one packet that are packed: u32 source | u32 destination | u32 blocks | unused | the block before
const SEGMENT_DESTINATION_OFFSET: usize = 4;
const SEGMENT_BLOCKS_OFFSET: usize = 8;
const SEGMENT_BEFORE_OFFSET: usize = 16;

let packed: u32 = 0;
let segmentCount: u32 = 0;

/**
 * Takes a job; the one before had the same key, or `flushCbc` came between. The IV stands right before the source. `tables` are those of
 * the key, or 0.
 */
export function pushCbc(job: usize, tables: usize): void {
  let source: usize = load<u32>(job, JOB_SOURCE_OFFSET);
  let destination: usize = load<u32>(job, JOB_DESTINATION_OFFSET);
  let left = load<u32>(job, JOB_LENGTH_OFFSET) / 16;
  let before = v128.load(source - 16);
  while (left != 0) {
    const blocks = min(left, PACKED_BLOCK_COUNT - packed);
    const size = 16 * blocks;
    const segment = segments() + SEGMENT_SIZE * segmentCount++;
    store<u32>(segment, <u32>source);
    store<u32>(segment, <u32>destination, SEGMENT_DESTINATION_OFFSET);
    store<u32>(segment, blocks, SEGMENT_BLOCKS_OFFSET);
    v128.store(segment, before, SEGMENT_BEFORE_OFFSET);
    memory.copy(packedBlocks() + 16 * packed, source, size);
    packed += blocks;
    left -= blocks;
    // Taken before this segment is written, which may be in its place.
    before = v128.load(source + size - 16);
    source += size;
    destination += size;
    if (packed == PACKED_BLOCK_COUNT) flushCbc(load<u32>(job, JOB_CONTEXT_OFFSET), tables);
  }
}

/** Decrypts what was taken, all under one key. */
export function flushCbc(context: usize, tables: usize): void {
  const blocks = packedBlocks();
  if (packed != 0 && !decryptLent(tables)) {
    const groups = (packed + 7) / 8;
    transpose(blocks, groups);
    runInverseRounds(roundKey(context, 0), roundKey(context, rounds(context)), blocks, groups);
    transpose(blocks, groups);
  }
  let decrypted = blocks;
  for (let i: u32 = 0; i < segmentCount; i++) decrypted = chain(segments() + SEGMENT_SIZE * i, decrypted);
  packed = 0;
  segmentCount = 0;
}

/** Decrypts the packed blocks with AES that is lent. False when it is not, and then they are as they were. */
function decryptLent(tables: usize): bool {
  if (tables == 0 || !isAesLent()) return false;
  if (cryptLent(placeOf(tables), packedBlocks(), packed)) return true;
  let blocks = packedBlocks();
  for (let i: u32 = 0; i < segmentCount; i++) {
    const segment = segments() + SEGMENT_SIZE * i;
    const size = 16 * load<u32>(segment, SEGMENT_BLOCKS_OFFSET);
    memory.copy(blocks, load<u32>(segment), size);
    blocks += size;
  }
  return false;
}

/** From the last block to the first: in place, each is written when nobody needs its ciphertext any more. Gives the next segment's blocks. */
function chain(segment: usize, decrypted: usize): usize {
  const source: usize = load<u32>(segment);
  const destination: usize = load<u32>(segment, SEGMENT_DESTINATION_OFFSET);
  const size = 16 * load<u32>(segment, SEGMENT_BLOCKS_OFFSET);
  for (let at: usize = size - 16; at != 0; at -= 16) {
    v128.store(destination + at, v128.xor(v128.load(decrypted + at), v128.load(source + at - 16)));
  }
  v128.store(destination, v128.xor(v128.load(decrypted), v128.load(segment, SEGMENT_BEFORE_OFFSET)));
  return decrypted + size;
}

if (PACKED_BLOCK_COUNT % 8 != 0 || PLANES_SIZE != 128) ERROR("Blocks are packed in groups of eight");
