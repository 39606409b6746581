// SHA-512 and SHA-384, FIPS 180-4 section 6.4.2, two messages at once. Constant time: no branch and no address knows the
// message.

import { SHA512_CONSTANTS } from "./hash-constants";
import { load64BitBlocks, SCHEDULE_OFFSET, STATE_OFFSET } from "./sha-lanes";

/** Absorbs `count` blocks of 128 octets in each of two lanes. */
export function sha512Blocks(lanes: usize, count: u32): void {
  for (; count != 0; --count) {
    load64BitBlocks(lanes);
    expandSchedule(lanes + SCHEDULE_OFFSET);
    absorb(lanes + STATE_OFFSET, lanes + SCHEDULE_OFFSET);
  }
}

function expandSchedule(schedule: usize): void {
  const end = schedule + 64 * 16;
  for (let w = schedule; w < end; w += 16) {
    const older = add(v128.load(w), smallSigma0(v128.load(w, 16)));
    const newer = add(v128.load(w, 9 * 16), smallSigma1(v128.load(w, 14 * 16)));
    v128.store(w, add(older, newer), 16 * 16);
  }
}

function absorb(state: usize, schedule: usize): void {
  let a = v128.load(state);
  let b = v128.load(state, 16);
  let c = v128.load(state, 32);
  let d = v128.load(state, 48);
  let e = v128.load(state, 64);
  let f = v128.load(state, 80);
  let g = v128.load(state, 96);
  let h = v128.load(state, 112);
  // x and y take turns as this round's a ^ b and the last one's, which is b ^ c now.
  let x = v128.xor(b, c);
  let y = x;
  let k: usize = SHA512_CONSTANTS;
  const end = schedule + 80 * 16;
  for (let w = schedule; w < end; w += 8 * 16) {
    h = first(e, f, g, h, v128.load64_splat(k), v128.load(w));
    d = add(d, h);
    y = v128.xor(a, b);
    h = add(h, second(a, b, y, x));
    g = first(d, e, f, g, v128.load64_splat(k, 8), v128.load(w, 16));
    c = add(c, g);
    x = v128.xor(h, a);
    g = add(g, second(h, a, x, y));
    f = first(c, d, e, f, v128.load64_splat(k, 16), v128.load(w, 32));
    b = add(b, f);
    y = v128.xor(g, h);
    f = add(f, second(g, h, y, x));
    e = first(b, c, d, e, v128.load64_splat(k, 24), v128.load(w, 48));
    a = add(a, e);
    x = v128.xor(f, g);
    e = add(e, second(f, g, x, y));
    d = first(a, b, c, d, v128.load64_splat(k, 32), v128.load(w, 64));
    h = add(h, d);
    y = v128.xor(e, f);
    d = add(d, second(e, f, y, x));
    c = first(h, a, b, c, v128.load64_splat(k, 40), v128.load(w, 80));
    g = add(g, c);
    x = v128.xor(d, e);
    c = add(c, second(d, e, x, y));
    b = first(g, h, a, b, v128.load64_splat(k, 48), v128.load(w, 96));
    f = add(f, b);
    y = v128.xor(c, d);
    b = add(b, second(c, d, y, x));
    a = first(f, g, h, a, v128.load64_splat(k, 56), v128.load(w, 112));
    e = add(e, a);
    x = v128.xor(b, c);
    a = add(a, second(b, c, x, y));
    k += 64;
  }
  v128.store(state, add(a, v128.load(state)));
  v128.store(state, add(b, v128.load(state, 16)), 16);
  v128.store(state, add(c, v128.load(state, 32)), 32);
  v128.store(state, add(d, v128.load(state, 48)), 48);
  v128.store(state, add(e, v128.load(state, 64)), 64);
  v128.store(state, add(f, v128.load(state, 80)), 80);
  v128.store(state, add(g, v128.load(state, 96)), 96);
  v128.store(state, add(h, v128.load(state, 112)), 112);
}

/** T1: h + Sigma1 (e) + Ch (e, f, g) + K + W. */
function first(e: v128, f: v128, g: v128, h: v128, k: v128, w: v128): v128 {
  const choice = v128.xor(g, v128.and(e, v128.xor(f, g)));
  return add(add(h, add(k, w)), add(bigSigma1(e), choice));
}

/** T2: Sigma0 (a) + Maj (a, b, c), given a ^ b and b ^ c. */
function second(a: v128, b: v128, ab: v128, bc: v128): v128 {
  return add(bigSigma0(a), v128.xor(b, v128.and(ab, bc)));
}

function bigSigma0(x: v128): v128 {
  return v128.xor(v128.xor(rotateRight(x, 28), rotateRight(x, 34)), rotateRight(x, 39));
}

function bigSigma1(x: v128): v128 {
  return v128.xor(v128.xor(rotateRight(x, 14), rotateRight(x, 18)), rotateRight(x, 41));
}

function smallSigma0(x: v128): v128 {
  return v128.xor(v128.xor(rotateRight(x, 1), rotateRight(x, 8)), i64x2.shr_u(x, 7));
}

function smallSigma1(x: v128): v128 {
  return v128.xor(v128.xor(rotateRight(x, 19), rotateRight(x, 61)), i64x2.shr_u(x, 6));
}

function add(x: v128, y: v128): v128 {
  return i64x2.add(x, y);
}

function rotateRight(x: v128, bits: i32): v128 {
  return v128.or(i64x2.shr_u(x, bits), i64x2.shl(x, 64 - bits));
}
