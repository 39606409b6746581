// Hashing several messages at once: lane l of every vector belongs to message l. A record holds what one run of a
// compression function reads and writes.

import { REVERSE_IN_32, REVERSE_IN_64 } from "./vector-constants";

/** Eight state words, a vector of lanes each. SHA-1 uses five. */
export const STATE_OFFSET: usize = 0;
/** u32 each: where the next block of each lane's message begins. */
export const POINTERS_OFFSET: usize = 128;
/** The message schedule of the current block: up to 80 words, a vector of lanes each. */
export const SCHEDULE_OFFSET: usize = 192;
export const LANES_SIZE: usize = SCHEDULE_OFFSET + 80 * 16;

/** Reads a block of 16 big-endian words from each of four lanes into the schedule, and moves the pointers on. */
export function load32BitBlocks(lanes: usize): void {
  const reverse = v128.load(REVERSE_IN_32);
  const p0: usize = load<u32>(lanes, POINTERS_OFFSET);
  const p1: usize = load<u32>(lanes, POINTERS_OFFSET + 4);
  const p2: usize = load<u32>(lanes, POINTERS_OFFSET + 8);
  const p3: usize = load<u32>(lanes, POINTERS_OFFSET + 12);
  let to = lanes + SCHEDULE_OFFSET;
  for (let at: usize = 0; at < 64; at += 16) {
    const a = v128.swizzle(v128.load(p0 + at), reverse);
    const b = v128.swizzle(v128.load(p1 + at), reverse);
    const c = v128.swizzle(v128.load(p2 + at), reverse);
    const d = v128.swizzle(v128.load(p3 + at), reverse);
    const ab = v128.shuffle<i32>(a, b, 0, 4, 1, 5);
    const cd = v128.shuffle<i32>(c, d, 0, 4, 1, 5);
    v128.store(to, v128.shuffle<i64>(ab, cd, 0, 2));
    v128.store(to, v128.shuffle<i64>(ab, cd, 1, 3), 16);
    const abHigh = v128.shuffle<i32>(a, b, 2, 6, 3, 7);
    const cdHigh = v128.shuffle<i32>(c, d, 2, 6, 3, 7);
    v128.store(to, v128.shuffle<i64>(abHigh, cdHigh, 0, 2), 32);
    v128.store(to, v128.shuffle<i64>(abHigh, cdHigh, 1, 3), 48);
    to += 64;
  }
  const moved = i32x4.add(v128.load(lanes, POINTERS_OFFSET), i32x4.splat(64));
  v128.store(lanes, moved, POINTERS_OFFSET);
}

/** Reads a block of 16 big-endian double words from each of two lanes into the schedule, and moves the pointers on. */
export function load64BitBlocks(lanes: usize): void {
  const reverse = v128.load(REVERSE_IN_64);
  const p0: usize = load<u32>(lanes, POINTERS_OFFSET);
  const p1: usize = load<u32>(lanes, POINTERS_OFFSET + 4);
  let to = lanes + SCHEDULE_OFFSET;
  for (let at: usize = 0; at < 128; at += 16) {
    const a = v128.swizzle(v128.load(p0 + at), reverse);
    const b = v128.swizzle(v128.load(p1 + at), reverse);
    v128.store(to, v128.shuffle<i64>(a, b, 0, 2));
    v128.store(to, v128.shuffle<i64>(a, b, 1, 3), 16);
    to += 32;
  }
  store<u32>(lanes, <u32>p0 + 128, POINTERS_OFFSET);
  store<u32>(lanes, <u32>p1 + 128, POINTERS_OFFSET + 4);
}
