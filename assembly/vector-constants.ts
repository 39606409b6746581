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

/** The inverse of ShiftRows on a state that lies row by row. */
export const INVERSE_SHIFT_ROWS = memory.data<u8>([0, 1, 2, 3, 7, 4, 5, 6, 10, 11, 8, 9, 13, 14, 15, 12], 16);
/** From the order of a block, column by column, to row by row, and the inverse of ShiftRows. */
export const INVERSE_SHIFT_ROWS_FROM_BLOCK = memory.data<u8>(
  [0, 4, 8, 12, 13, 1, 5, 9, 10, 14, 2, 6, 7, 11, 15, 3],
  16,
);
/** Between row by row and column by column. */
export const ROWS_TO_COLUMNS = memory.data<u8>([0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15], 16);

/** Octets of each 32-bit or 64-bit lane in reverse. */
export const REVERSE_IN_32 = memory.data<u8>([3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12], 16);
export const REVERSE_IN_64 = memory.data<u8>([7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8], 16);
