// Between AES blocks and bit planes (aes.ts). Shifts and masks only.

import { PLANES_SIZE } from "./aes";
import { ROWS_TO_COLUMNS, TRANSPOSE_1, TRANSPOSE_2, TRANSPOSE_4 } from "./vector-constants";

/**
 * Turns `count` groups of eight blocks into planes, or planes into blocks: an 8 x 8 bit transposition in each octet
 * position, in place. Octets keep their positions.
 */
export function transpose(address: usize, count: u32): void {
  for (; count != 0; --count) {
    let a0 = v128.load(address);
    let a1 = v128.load(address, 16);
    let a2 = v128.load(address, 32);
    let a3 = v128.load(address, 48);
    let a4 = v128.load(address, 64);
    let a5 = v128.load(address, 80);
    let a6 = v128.load(address, 96);
    let a7 = v128.load(address, 112);

    const mask1 = v128.load(TRANSPOSE_1);
    let t = v128.and(v128.xor(i64x2.shr_u(a0, 1), a1), mask1);
    a1 = v128.xor(a1, t);
    a0 = v128.xor(a0, i64x2.shl(t, 1));
    t = v128.and(v128.xor(i64x2.shr_u(a2, 1), a3), mask1);
    a3 = v128.xor(a3, t);
    a2 = v128.xor(a2, i64x2.shl(t, 1));
    t = v128.and(v128.xor(i64x2.shr_u(a4, 1), a5), mask1);
    a5 = v128.xor(a5, t);
    a4 = v128.xor(a4, i64x2.shl(t, 1));
    t = v128.and(v128.xor(i64x2.shr_u(a6, 1), a7), mask1);
    a7 = v128.xor(a7, t);
    a6 = v128.xor(a6, i64x2.shl(t, 1));

    const mask2 = v128.load(TRANSPOSE_2);
    t = v128.and(v128.xor(i64x2.shr_u(a0, 2), a2), mask2);
    a2 = v128.xor(a2, t);
    a0 = v128.xor(a0, i64x2.shl(t, 2));
    t = v128.and(v128.xor(i64x2.shr_u(a1, 2), a3), mask2);
    a3 = v128.xor(a3, t);
    a1 = v128.xor(a1, i64x2.shl(t, 2));
    t = v128.and(v128.xor(i64x2.shr_u(a4, 2), a6), mask2);
    a6 = v128.xor(a6, t);
    a4 = v128.xor(a4, i64x2.shl(t, 2));
    t = v128.and(v128.xor(i64x2.shr_u(a5, 2), a7), mask2);
    a7 = v128.xor(a7, t);
    a5 = v128.xor(a5, i64x2.shl(t, 2));

    const mask4 = v128.load(TRANSPOSE_4);
    t = v128.and(v128.xor(i64x2.shr_u(a0, 4), a4), mask4);
    v128.store(address, v128.xor(a4, t), 64);
    v128.store(address, v128.xor(a0, i64x2.shl(t, 4)));
    t = v128.and(v128.xor(i64x2.shr_u(a1, 4), a5), mask4);
    v128.store(address, v128.xor(a5, t), 80);
    v128.store(address, v128.xor(a1, i64x2.shl(t, 4)), 16);
    t = v128.and(v128.xor(i64x2.shr_u(a2, 4), a6), mask4);
    v128.store(address, v128.xor(a6, t), 96);
    v128.store(address, v128.xor(a2, i64x2.shl(t, 4)), 32);
    t = v128.and(v128.xor(i64x2.shr_u(a3, 4), a7), mask4);
    v128.store(address, v128.xor(a7, t), 112);
    v128.store(address, v128.xor(a3, i64x2.shl(t, 4)), 48);

    address += PLANES_SIZE;
  }
}

/** Writes the planes of eight copies of one block; the octets stay where they are. */
export function repeat(to: usize, block: v128): void {
  for (let bit: u32 = 0; bit < 8; ++bit) {
    const mask = i8x16.splat((<i8>1) << (<i8>bit));
    v128.store(to + 16 * bit, i8x16.eq(v128.and(block, mask), mask));
  }
}

/** From the order of a block (column by column) to that of planes (row by row), and back. */
export function swapRowsAndColumns(block: v128): v128 {
  return v128.swizzle(block, v128.load(ROWS_TO_COLUMNS));
}
