// Powers of the hash key H for GHASH, SP 800-38D section 6.3, and products with a secret.
//
// A block is a polynomial whose term x^0 is the most significant bit of octet 0. Table k holds b(x) * H^k for every octet
// b in place 0, 256 entries of 16 octets. Constant time: entries are made by shifts and sums; nothing is looked up.

import { rowsOfH } from "./aes-scratch";
import { foldRows, setTable } from "./gcm-context";
import { reduce } from "./ghash-reduce";

const POWER_COUNT: u32 = 16;
export const POWER_SIZE: u32 = 4096;
/** Octets of one factor as rows. */
const ROWS_SIZE: u32 = 512;

/** Writes H^1 to H^16 as tables, and H^8 and H^16 as rows. */
export function expandGhashTable(context: usize, table: usize, h: v128): void {
  const rows = rowsOfH();
  setTable(context, table);
  writePower(table, h);
  writeRows(rows, table);
  let power = h;
  for (let k: u32 = 1; k < POWER_COUNT; ++k) {
    power = multiply(rows, power);
    writePower(table + POWER_SIZE * k, power);
  }
  writeRows(foldRows(context, 8), table + POWER_SIZE * 7);
  writeRows(foldRows(context, 16), table + POWER_SIZE * 15);
  memory.fill(rows, 0, ROWS_SIZE);
}

function writePower(table: usize, power: v128): void {
  let high = bswap<u64>(v128.extract_lane<u64>(power, 0));
  let low = bswap<u64>(v128.extract_lane<u64>(power, 1));
  v128.store(table, i64x2.splat(0));
  for (let bit: u32 = 128; bit != 0; bit >>= 1) {
    store<u64>(table + 16 * bit, bswap<u64>(high));
    store<u64>(table + 16 * bit, bswap<u64>(low), 8);
    const carry = <u64>-(<i64>(low & 1));
    low = (low >> 1) | (high << 63);
    high = (high >> 1) ^ (carry & 0xe100000000000000);
  }
  for (let half: usize = 32; half < POWER_SIZE; half <<= 1) {
    const top = v128.load(table + half);
    for (let at: usize = 16; at < half; at += 16) {
      v128.store(table + half + at, v128.xor(top, v128.load(table + at)));
    }
  }
}

/**
 * Writes a power as rows, from its table. Row i of the low half holds octet i of the products with the 16 values of an
 * octet's low nibble, and row i of the high half (256 octets further) those with the high nibble: a swizzle with the
 * nibbles of 16 octets then gives 16 products' octet i at once, from registers and not from addresses.
 */
function writeRows(rows: usize, table: usize): void {
  for (let nibble: u32 = 0; nibble < 16; ++nibble) {
    for (let octet: u32 = 0; octet < 16; ++octet) {
      const row = rows + 16 * octet + nibble;
      store<u8>(row, load<u8>(table + 16 * nibble + octet));
      store<u8>(row, load<u8>(table + 256 * nibble + octet), 256);
    }
  }
}

/** The product of the factor in rows with a secret. */
function multiply(rows: usize, secret: v128): v128 {
  const zero = i64x2.splat(0);
  const low = v128.and(secret, i8x16.splat(15));
  const high = v128.and(i64x2.shr_u(secret, 4), i8x16.splat(15));
  let lower = zero;
  let upper = zero;
  // Octet j of row i's products belongs to place i + j: from the last row down, everything moves up by one octet.
  for (let i = 15; i >= 0; --i) {
    upper = v128.shuffle<i8>(lower, upper, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30);
    lower = v128.shuffle<i8>(zero, lower, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30);
    lower = v128.xor(lower, rowProduct(rows + 16 * i, low, high));
  }
  return reduce(lower, upper);
}

/** Octet i of the products of 16 octets, given as their nibbles, with the factor whose row i is given. */
export function rowProduct(row: usize, low: v128, high: v128): v128 {
  return v128.xor(v128.swizzle(v128.load(row), low), v128.swizzle(v128.load(row, 256), high));
}
