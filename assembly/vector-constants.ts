// Vector constants that hot loops load from memory. Newer V8 builds a v128 literal anew at each use, out of four
// instructions; a load is one, and the optimiser cannot turn it back into a literal.

/** ShiftRows on a state that lies row by row. */
export const SHIFT_ROWS = memory.data<u8>([0, 1, 2, 3, 5, 6, 7, 4, 10, 11, 8, 9, 15, 12, 13, 14], 16);
/** ShiftRows, and from row by row to the order of a block, column by column. */
export const SHIFT_ROWS_TO_BLOCK = memory.data<u8>(
  [0, 5, 10, 15, 1, 6, 11, 12, 2, 7, 8, 13, 3, 4, 9, 14],
  16,
);

/** Bits that the steps of a bit transposition move. */
export const TRANSPOSE_1 = memory.data<u64>([0x5555555555555555, 0x5555555555555555], 16);
export const TRANSPOSE_2 = memory.data<u64>([0x3333333333333333, 0x3333333333333333], 16);
export const TRANSPOSE_4 = memory.data<u64>([0x0f0f0f0f0f0f0f0f, 0x0f0f0f0f0f0f0f0f], 16);
