// Powers of the hash key H for GHASH, SP 800-38D section 6.3.
//
// A block is a polynomial whose term x^0 is the most significant bit of octet 0. Table k holds b(x) * H^k for every octet
// b in place 0, 256 entries of 16 octets. Constant time: entries are made by shifts and sums; nothing is looked up.

import { rowsOfH } from "./gcm-context";
import { product } from "./ghash-product";
import { TABLES_SIZE } from "./layout";

const POWER_COUNT: u32 = 16;
export const POWER_SIZE: u32 = 4096;
/** Behind the powers: H^8 and H^16 as rows. */
const FOLD_ROWS_OFFSET: u32 = POWER_COUNT * POWER_SIZE;
const FOLD_ROWS_SIZE: u32 = 512;
/** What a key's tables hold beside GHASH's begins here. */
export const GHASH_TABLES_END: u32 = FOLD_ROWS_OFFSET + 2 * FOLD_ROWS_SIZE;

if (GHASH_TABLES_END > <u32>TABLES_SIZE) ERROR("The GHASH tables do not fit their place in layout.ts");

/** Writes H as rows into the context. `work` is POWER_SIZE octets, which the caller wipes. */
export function writeRowsOfH(context: usize, h: v128, work: usize): void {
  writePower(work, h);
  writeRows(rowsOfH(context), work);
}

/** Writes H^1 to H^16 as tables, and H^8 and H^16 as rows, from the rows of H. */
export function writeGhashTables(tables: usize, context: usize): void {
  const rows = rowsOfH(context);
  let power = hashKey(rows);
  writePower(tables, power);
  for (let k: u32 = 1; k < POWER_COUNT; ++k) {
    power = product(rows, power);
    writePower(tables + POWER_SIZE * k, power);
  }
  writeRows(foldRows(tables, 8), tables + POWER_SIZE * 7);
  writeRows(foldRows(tables, 16), tables + POWER_SIZE * 15);
}

/** `power` is 8 or 16. */
export function foldRows(tables: usize, power: u32): usize {
  const place: u32 = power == 16 ? FOLD_ROWS_SIZE : 0;
  return tables + FOLD_ROWS_OFFSET + place;
}

/** H itself: its product with 1, which is the top bit of octet 0. */
function hashKey(rows: usize): v128 {
  return product(rows, i64x2(0x80, 0));
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

/** Writes a power as rows (ghash-product.ts), from its table. */
function writeRows(rows: usize, table: usize): void {
  for (let nibble: u32 = 0; nibble < 16; ++nibble) {
    for (let octet: u32 = 0; octet < 16; ++octet) {
      const row = rows + 16 * octet + nibble;
      store<u8>(row, load<u8>(table + 16 * nibble + octet));
      store<u8>(row, load<u8>(table + 256 * nibble + octet), 256);
    }
  }
}
