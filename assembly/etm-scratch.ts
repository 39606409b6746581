// Where encrypt-then-MAC suites work beside the packet, behind what AES has of the first half of the instance's scratch.
// What lies here belongs to one call.

import { AES_SCRATCH_END, PACKED_BLOCK_COUNT } from "./aes-scratch";
import { LANE_COUNT, LONGEST_BLOCK } from "./hashes";
import { WORKER_SCRATCH_SIZE } from "./layout";
import { scratch } from "./scratch";
import { LANES_SIZE } from "./sha-lanes";

/** Jobs that go through together. */
export const CHUNK: u32 = 256;
/** Octets of one run of ciphertext blocks that belong to one packet (cbc-open.ts). */
export const SEGMENT_SIZE: u32 = 32;
/** Octets of what is known of one lane (hmac.ts). */
const HMAC_LANE_SIZE: u32 = 16;
/** Octets of a lane's last blocks. */
export const TAIL_SIZE: u32 = 2 * LONGEST_BLOCK;
/** Octets of what is known of eight lanes (cbc-seal.ts). */
export const CBC_LANES_SIZE: u32 = 256;
const MIXED_KEYS_SIZE: u32 = 15 * 128;

const LIST_OFFSET: u32 = (AES_SCRATCH_END + 63) & ~63;
const PART_OFFSET: u32 = LIST_OFFSET + 4 * CHUNK;
const HASH_LANES_OFFSET: u32 = PART_OFFSET + 4 * CHUNK;
const HMAC_LANES_OFFSET: u32 = HASH_LANES_OFFSET + <u32>LANES_SIZE;
const TAILS_OFFSET: u32 = HMAC_LANES_OFFSET + LANE_COUNT * HMAC_LANE_SIZE;
const CBC_LANES_OFFSET: u32 = TAILS_OFFSET + LANE_COUNT * TAIL_SIZE;
const MIXED_KEYS_OFFSET: u32 = CBC_LANES_OFFSET + CBC_LANES_SIZE;
const SEGMENTS_OFFSET: u32 = MIXED_KEYS_OFFSET + MIXED_KEYS_SIZE;
const END_OFFSET: u32 = SEGMENTS_OFFSET + PACKED_BLOCK_COUNT * SEGMENT_SIZE;

if (END_OFFSET > <u32>WORKER_SCRATCH_SIZE / 2)
  ERROR("Encrypt-then-MAC suites want more scratch than their half");

/** Addresses of a chunk's jobs, shortest packet first. */
export function list(): usize {
  return scratch() + LIST_OFFSET;
}

/** Addresses of those jobs of a chunk that one primitive takes together. */
export function part(): usize {
  return scratch() + PART_OFFSET;
}

/** What the hashes work with (sha-lanes.ts). */
export function hashLanes(): usize {
  return scratch() + HASH_LANES_OFFSET;
}

export function hmacLane(lane: u32): usize {
  return scratch() + HMAC_LANES_OFFSET + lane * HMAC_LANE_SIZE;
}

export function tail(lane: u32): usize {
  return scratch() + TAILS_OFFSET + lane * TAIL_SIZE;
}

export function cbcLanes(): usize {
  return scratch() + CBC_LANES_OFFSET;
}

/** Round keys in planes, of which each of the eight blocks has its own. */
export function mixedKeys(): usize {
  return scratch() + MIXED_KEYS_OFFSET;
}

export function segments(): usize {
  return scratch() + SEGMENTS_OFFSET;
}

/** Overwrites what could tell of a key or a text. */
export function wipeEtm(): void {
  memory.fill(scratch() + HASH_LANES_OFFSET, 0, END_OFFSET - HASH_LANES_OFFSET);
}
