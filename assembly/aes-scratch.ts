// Where AES modes work beside the packet: the first half of the instance's scratch. What lies here belongs to one call.

import { ORDER_COUNT, ORDER_WORK_SIZE } from "./job-order";
import { WORKER_SCRATCH_SIZE } from "./layout";
import { scratch } from "./scratch";

/** Counter blocks of several packets side by side: whole groups of eight. */
export const PACKED_BLOCK_COUNT: u32 = 320;
/** One run of key stream: 32 groups of eight blocks. */
const KEY_STREAM_SIZE: u32 = 4096;

const PACKED_SIZE: u32 = 16 * PACKED_BLOCK_COUNT;
const KEY_STREAM_OFFSET: u32 = PACKED_SIZE;
const PLANES_OFFSET: u32 = KEY_STREAM_OFFSET + KEY_STREAM_SIZE;
const CHUNK_OFFSET: u32 = PLANES_OFFSET + 128;
const ZEROS_OFFSET: u32 = CHUNK_OFFSET + 256;
const KEY_WORDS_OFFSET: u32 = ZEROS_OFFSET + 128;
const ORDER_OFFSET: u32 = KEY_WORDS_OFFSET + 256;
const ORDER_WORK_OFFSET: u32 = ORDER_OFFSET + 4 * ORDER_COUNT;
/** Blocks that are encrypted in one call where the host lends AES: with the packets they belong to they stay in the processor's first cache. */
export const LENT_BLOCK_COUNT: u32 = 1024;
const LENT_OFFSET: u32 = (ORDER_WORK_OFFSET + ORDER_WORK_SIZE + 63) & ~63;
/** What a mode works with beside that begins here. XOR reads a block further. */
export const AES_SCRATCH_END: u32 = LENT_OFFSET + 16 * LENT_BLOCK_COUNT + 16;

if (AES_SCRATCH_END > <u32>WORKER_SCRATCH_SIZE / 2) ERROR("AES wants more scratch than its half");

export function packedBlocks(): usize {
  return scratch();
}

export function keyStream(): usize {
  return scratch() + KEY_STREAM_OFFSET;
}

/** LENT_BLOCK_COUNT blocks. */
export function lentBlocks(): usize {
  return scratch() + LENT_OFFSET;
}

/** Overwrites them. */
export function wipeLent(): void {
  memory.fill(lentBlocks(), 0, 16 * LENT_BLOCK_COUNT);
}

/** Eight blocks in planes. */
export function planes(): usize {
  return scratch() + PLANES_OFFSET;
}

/** Overwrites what could tell of a text or a key: packed blocks, key stream, planes and pieces of text. */
export function wipe(): void {
  memory.fill(scratch(), 0, ZEROS_OFFSET);
}

/** 128 octets that the user fills with zeros. */
export function zeros(): usize {
  return scratch() + ZEROS_OFFSET;
}

/** 16 blocks for GHASH that are put together from pieces. */
export function chunk(): usize {
  return scratch() + CHUNK_OFFSET;
}

/** 240 octets of key schedule in words. */
export function keyWords(): usize {
  return scratch() + KEY_WORDS_OFFSET;
}

/** Addresses of the batch's jobs, key by key. */
export function jobOrder(): usize {
  return scratch() + ORDER_OFFSET;
}

export function jobOrderWork(): usize {
  return scratch() + ORDER_WORK_OFFSET;
}
