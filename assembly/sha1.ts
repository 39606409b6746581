// SHA-1, FIPS 180-4 section 6.1.2, four messages at once. Constant time: no branch and no address knows the message.

import { load32BitBlocks, SCHEDULE_OFFSET, STATE_OFFSET } from "./sha-lanes";

/** Absorbs `count` blocks of 64 octets in each of four lanes. */
export function sha1Blocks(lanes: usize, count: u32): void {
  for (; count != 0; --count) {
    load32BitBlocks(lanes);
    expandSchedule(lanes + SCHEDULE_OFFSET);
    absorb(lanes + STATE_OFFSET, lanes + SCHEDULE_OFFSET);
  }
}

function expandSchedule(schedule: usize): void {
  const end = schedule + 64 * 16;
  for (let w = schedule; w < end; w += 16) {
    const older = v128.xor(v128.load(w), v128.load(w, 2 * 16));
    const newer = v128.xor(v128.load(w, 8 * 16), v128.load(w, 13 * 16));
    v128.store(w, rotateLeft(v128.xor(older, newer), 1), 16 * 16);
  }
}

function absorb(state: usize, schedule: usize): void {
  let a = v128.load(state);
  let b = v128.load(state, 16);
  let c = v128.load(state, 32);
  let d = v128.load(state, 48);
  let e = v128.load(state, 64);
  let w = schedule;

  let k = i32x4.splat(0x5a827999);
  for (let end = w + 20 * 16; w < end; w += 5 * 16) {
    e = next(a, choose(b, c, d), e, k, v128.load(w));
    b = rotateLeft(b, 30);
    d = next(e, choose(a, b, c), d, k, v128.load(w, 16));
    a = rotateLeft(a, 30);
    c = next(d, choose(e, a, b), c, k, v128.load(w, 32));
    e = rotateLeft(e, 30);
    b = next(c, choose(d, e, a), b, k, v128.load(w, 48));
    d = rotateLeft(d, 30);
    a = next(b, choose(c, d, e), a, k, v128.load(w, 64));
    c = rotateLeft(c, 30);
  }
  k = i32x4.splat(0x6ed9eba1);
  for (let end = w + 20 * 16; w < end; w += 5 * 16) {
    e = next(a, parity(b, c, d), e, k, v128.load(w));
    b = rotateLeft(b, 30);
    d = next(e, parity(a, b, c), d, k, v128.load(w, 16));
    a = rotateLeft(a, 30);
    c = next(d, parity(e, a, b), c, k, v128.load(w, 32));
    e = rotateLeft(e, 30);
    b = next(c, parity(d, e, a), b, k, v128.load(w, 48));
    d = rotateLeft(d, 30);
    a = next(b, parity(c, d, e), a, k, v128.load(w, 64));
    c = rotateLeft(c, 30);
  }
  k = i32x4.splat(<i32>0x8f1bbcdc);
  for (let end = w + 20 * 16; w < end; w += 5 * 16) {
    e = next(a, majority(b, c, d), e, k, v128.load(w));
    b = rotateLeft(b, 30);
    d = next(e, majority(a, b, c), d, k, v128.load(w, 16));
    a = rotateLeft(a, 30);
    c = next(d, majority(e, a, b), c, k, v128.load(w, 32));
    e = rotateLeft(e, 30);
    b = next(c, majority(d, e, a), b, k, v128.load(w, 48));
    d = rotateLeft(d, 30);
    a = next(b, majority(c, d, e), a, k, v128.load(w, 64));
    c = rotateLeft(c, 30);
  }
  k = i32x4.splat(<i32>0xca62c1d6);
  for (let end = w + 20 * 16; w < end; w += 5 * 16) {
    e = next(a, parity(b, c, d), e, k, v128.load(w));
    b = rotateLeft(b, 30);
    d = next(e, parity(a, b, c), d, k, v128.load(w, 16));
    a = rotateLeft(a, 30);
    c = next(d, parity(e, a, b), c, k, v128.load(w, 32));
    e = rotateLeft(e, 30);
    b = next(c, parity(d, e, a), b, k, v128.load(w, 48));
    d = rotateLeft(d, 30);
    a = next(b, parity(c, d, e), a, k, v128.load(w, 64));
    c = rotateLeft(c, 30);
  }

  v128.store(state, i32x4.add(a, v128.load(state)));
  v128.store(state, i32x4.add(b, v128.load(state, 16)), 16);
  v128.store(state, i32x4.add(c, v128.load(state, 32)), 32);
  v128.store(state, i32x4.add(d, v128.load(state, 48)), 48);
  v128.store(state, i32x4.add(e, v128.load(state, 64)), 64);
}

/** What takes the place of `e`: rotl 5 (a) + f + e + K + W. */
function next(a: v128, f: v128, e: v128, k: v128, w: v128): v128 {
  return i32x4.add(i32x4.add(rotateLeft(a, 5), f), i32x4.add(i32x4.add(e, k), w));
}

function choose(x: v128, y: v128, z: v128): v128 {
  return v128.xor(z, v128.and(x, v128.xor(y, z)));
}

function parity(x: v128, y: v128, z: v128): v128 {
  return v128.xor(x, v128.xor(y, z));
}

function majority(x: v128, y: v128, z: v128): v128 {
  return v128.or(v128.and(x, y), v128.and(z, v128.or(x, y)));
}

function rotateLeft(x: v128, bits: i32): v128 {
  return v128.or(i32x4.shl(x, bits), i32x4.shr_u(x, 32 - bits));
}
