// Products of a secret with a factor given as rows: all that GHASH, SP 800-38D section 6.4, does with what is not public.
//
// Row i of the low half holds octet i of the products of the factor with the 16 values of an octet's low nibble, and row i of
// the high half (256 octets further) those with the high nibble. A swizzle with the nibbles of 16 octets then gives octet i of
// 16 products at once, from registers and not from addresses.

import { reduce } from "./ghash-reduce";

/** The product of the factor in rows with a secret. */
export function product(rows: usize, secret: v128): v128 {
  const zero = i64x2.splat(0);
  const low = lowNibbles(secret);
  const high = highNibbles(secret);
  let lower = zero;
  let upper = zero;
  // Octet j of row i's products belongs to place i + j. Rows 8 to 15 move up by eight octets, then rows 0 to 7 come in.
  for (let half = 8; half >= 0; half -= 8) {
    const at = rows + 16 * half;
    const s0 = rowProduct(at, low, high);
    const s1 = rowProduct(at + 16, low, high);
    const s2 = rowProduct(at + 32, low, high);
    const s3 = rowProduct(at + 48, low, high);
    const s4 = rowProduct(at + 64, low, high);
    const s5 = rowProduct(at + 80, low, high);
    const s6 = rowProduct(at + 96, low, high);
    const s7 = rowProduct(at + 112, low, high);
    upper = v128.shuffle<i64>(lower, upper, 1, 2);
    lower = v128.shuffle<i64>(zero, lower, 0, 2);
    lower = v128.xor(lower, inPlace(s0, s1, s2, s3, s4, s5, s6, s7));
    upper = v128.xor(upper, beyond(s1, s2, s3, s4, s5, s6, s7));
  }
  return reduce(lower, upper);
}

export function lowNibbles(octets: v128): v128 {
  return v128.and(octets, i8x16.splat(15));
}

export function highNibbles(octets: v128): v128 {
  return v128.and(i64x2.shr_u(octets, 4), i8x16.splat(15));
}

/** Octet i of the products of 16 octets, given as their nibbles, with the factor whose row i is given. */
export function rowProduct(row: usize, low: v128, high: v128): v128 {
  return v128.xor(v128.swizzle(v128.load(row), low), v128.swizzle(v128.load(row, 256), high));
}

/** Octets that stay in the block when accumulator i moves up by i octets. */
export function inPlace(
  s0: v128,
  s1: v128,
  s2: v128,
  s3: v128,
  s4: v128,
  s5: v128,
  s6: v128,
  s7: v128,
): v128 {
  return v128.xor(
    v128.xor(v128.xor(s0, up1(s1)), v128.xor(up2(s2), up3(s3))),
    v128.xor(v128.xor(up4(s4), up5(s5)), v128.xor(up6(s6), up7(s7))),
  );
}

/** Octets that leave the block by it. */
export function beyond(s1: v128, s2: v128, s3: v128, s4: v128, s5: v128, s6: v128, s7: v128): v128 {
  return v128.xor(
    v128.xor(over1(s1), v128.xor(over2(s2), over3(s3))),
    v128.xor(v128.xor(over4(s4), over5(s5)), v128.xor(over6(s6), over7(s7))),
  );
}

// upN: octets move up by N places. overN: those that leave the block by it.

function up1(a: v128): v128 {
  return v128.shuffle<i8>(i64x2.splat(0), a, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30);
}

function up2(a: v128): v128 {
  return v128.shuffle<i8>(i64x2.splat(0), a, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29);
}

function up3(a: v128): v128 {
  return v128.shuffle<i8>(i64x2.splat(0), a, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28);
}

function up4(a: v128): v128 {
  return v128.shuffle<i8>(i64x2.splat(0), a, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27);
}

function up5(a: v128): v128 {
  return v128.shuffle<i8>(i64x2.splat(0), a, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26);
}

function up6(a: v128): v128 {
  return v128.shuffle<i8>(i64x2.splat(0), a, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25);
}

function up7(a: v128): v128 {
  return v128.shuffle<i8>(i64x2.splat(0), a, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24);
}

function over1(a: v128): v128 {
  return v128.shuffle<i8>(a, i64x2.splat(0), 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30);
}

function over2(a: v128): v128 {
  return v128.shuffle<i8>(a, i64x2.splat(0), 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29);
}

function over3(a: v128): v128 {
  return v128.shuffle<i8>(a, i64x2.splat(0), 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28);
}

function over4(a: v128): v128 {
  return v128.shuffle<i8>(a, i64x2.splat(0), 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27);
}

function over5(a: v128): v128 {
  return v128.shuffle<i8>(a, i64x2.splat(0), 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26);
}

function over6(a: v128): v128 {
  return v128.shuffle<i8>(a, i64x2.splat(0), 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25);
}

function over7(a: v128): v128 {
  return v128.shuffle<i8>(a, i64x2.splat(0), 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24);
}
