// 64-bit numbers in the shared memory, as two 32-bit words, low first.

/** The number at `address`; exact up to 2^53. */
export function u64At(words: Uint32Array, address: number): number {
  return words[(address >>> 2) + 1]! * 2 ** 32 + words[address >>> 2]!;
}

/** Writes a number from 0 to 2^53 - 1, or `Infinity` as all ones. */
export function writeU64(words: Uint32Array, address: number, value: number): void {
  const isAll = value === Number.POSITIVE_INFINITY;
  words[address >>> 2] = isAll ? 0xffff_ffff : value % 2 ** 32;
  words[(address >>> 2) + 1] = isAll ? 0xffff_ffff : Math.floor(value / 2 ** 32);
}

/** Lowers the number by one, from 1 or more. */
export function decrementU64(words: Uint32Array, address: number): void {
  const low = words[address >>> 2]!;
  words[address >>> 2] = (low - 1) >>> 0;
  if (low === 0) words[(address >>> 2) + 1]!--;
}

/** Raises the number by one. */
export function incrementU64(words: Uint32Array, address: number): void {
  const low = (words[address >>> 2]! + 1) >>> 0;
  words[address >>> 2] = low;
  if (low === 0) words[(address >>> 2) + 1]!++;
}
