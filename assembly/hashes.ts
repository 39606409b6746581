// The hashes under HMAC (RFC 2404, RFC 4868): what differs between them.

import { SHA1_INITIAL, SHA256_INITIAL, SHA384_INITIAL, SHA512_INITIAL } from "./hash-constants";
import { HASH_SHA1, HASH_SHA2_256, HASH_SHA2_384, HASH_SHA2_512 } from "./layout";
import { STATE_OFFSET } from "./sha-lanes";
import { sha1Blocks } from "./sha1";
import { sha256Blocks } from "./sha256";
import { sha512Blocks } from "./sha512";

/** Octets of eight state words; SHA-1 leaves three unused. */
export const STATE_SIZE: u32 = 64;
/** Most messages that are hashed at once. */
export const LANE_COUNT: u32 = 4;
/** Octets of the longest block. */
export const LONGEST_BLOCK: u32 = 128;

function hasLongWords(hash: u32): bool {
  return hash >= <u32>HASH_SHA2_384;
}

export function laneCount(hash: u32): u32 {
  return hasLongWords(hash) ? 2 : 4;
}

export function blockSize(hash: u32): u32 {
  return hasLongWords(hash) ? 128 : 64;
}

/** Octets that the length of the message takes at its end. */
export function lengthSize(hash: u32): u32 {
  return hasLongWords(hash) ? 16 : 8;
}

/** Octets of a digest, and of an integrity key (RFC 2404 section 3, RFC 4868 section 2.1.1). */
export function digestLength(hash: u32): u32 {
  if (hash == HASH_SHA1) return 20;
  return hash == HASH_SHA2_256 ? 32 : hash == HASH_SHA2_384 ? 48 : 64;
}

/** Octets of the digest that are sent: 96 bits of SHA-1, half of the others. */
export function icvLength(hash: u32): u32 {
  return hash == HASH_SHA1 ? 12 : digestLength(hash) / 2;
}

/** STATE_SIZE octets. */
export function initialState(hash: u32): usize {
  if (hash == HASH_SHA1) return SHA1_INITIAL;
  if (hash == HASH_SHA2_256) return SHA256_INITIAL;
  return hash == HASH_SHA2_384 ? SHA384_INITIAL : SHA512_INITIAL;
}

/** Absorbs `count` blocks in each lane. */
export function hashBlocks(hash: u32, lanes: usize, count: u32): void {
  if (hash == HASH_SHA1) sha1Blocks(lanes, count);
  else if (hash == HASH_SHA2_256) sha256Blocks(lanes, count);
  else sha512Blocks(lanes, count);
}

/** Copies STATE_SIZE octets of state words into one lane. */
export function loadState(hash: u32, lanes: usize, lane: u32, state: usize): void {
  const at = lanes + STATE_OFFSET;
  if (hasLongWords(hash)) {
    for (let i: u32 = 0; i < 8; i++) store<u64>(at + 16 * i + 8 * lane, load<u64>(state + 8 * i));
  } else {
    for (let i: u32 = 0; i < 8; i++) store<u32>(at + 16 * i + 4 * lane, load<u32>(state + 4 * i));
  }
}

/** Copies one lane's state words to STATE_SIZE octets. */
export function storeState(hash: u32, lanes: usize, lane: u32, state: usize): void {
  const at = lanes + STATE_OFFSET;
  if (hasLongWords(hash)) {
    for (let i: u32 = 0; i < 8; i++) store<u64>(state + 8 * i, load<u64>(at + 16 * i + 8 * lane));
  } else {
    for (let i: u32 = 0; i < 8; i++) store<u32>(state + 4 * i, load<u32>(at + 16 * i + 4 * lane));
  }
}

/** Writes one lane's state as octets, the digest first, STATE_SIZE of them. */
export function writeDigest(hash: u32, lanes: usize, lane: u32, to: usize): void {
  const at = lanes + STATE_OFFSET;
  if (hasLongWords(hash)) {
    for (let i: u32 = 0; i < 8; i++) store<u64>(to + 8 * i, bswap<u64>(load<u64>(at + 16 * i + 8 * lane)));
  } else {
    for (let i: u32 = 0; i < 8; i++) store<u32>(to + 4 * i, bswap<u32>(load<u32>(at + 16 * i + 4 * lane)));
  }
}
