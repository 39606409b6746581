/** The first `length` bits of an address, as four words from the first bit on; the bits behind them are zero. */
export interface AddressPrefix {
  readonly words: readonly [number, number, number, number];
  readonly length: number;
}

type Words = readonly [number, number, number, number];

/**
 * One or two prefixes that hold every address from `start` to `end`, and at most as many others. Two, where one would have to
 * be shorter for the sake of a few addresses: from 10.0.0.255 to 10.0.1.255, for example.
 */
export function coveringPrefixes(start: Uint8Array, end: Uint8Array): readonly AddressPrefix[] {
  const [first, last] = [wordsOf(start), wordsOf(end)];
  const bits = 8 * start.length;
  const length = Math.min(commonBits(first, last), bits);
  const whole = prefixOf(first, length);
  if (length === bits) return [whole];
  // Where the two part, the range goes from within one half to the end of it, and on to within the other.
  const lower = Math.min(commonBits(first, onesFrom(first, length + 1, bits)), bits);
  const upper = Math.min(commonBits(last, prefixOf(last, length + 1).words), bits);
  if (lower === length + 1 && upper === length + 1) return [whole];
  return [prefixOf(first, lower), prefixOf(last, upper)];
}

/** How many bits two addresses have in common, from the first on. */
export function commonBits(a: Words, b: Words): number {
  for (let i = 0; i < 4; i++) {
    const difference = (a[i]! ^ b[i]!) >>> 0;
    if (difference !== 0) return 32 * i + Math.clz32(difference);
  }
  return 128;
}

/** Bit `index` of 0 to 127, from the first on. */
export function bitAt(words: Words, index: number): 0 | 1 {
  return ((words[index >> 5]! >>> (31 - (index & 31))) & 1) as 0 | 1;
}

function prefixOf(words: Words, length: number): AddressPrefix {
  return { words: mapWords((i) => words[i]! & maskOf(i, length)), length };
}

function onesFrom(words: Words, from: number, bits: number): Words {
  return mapWords((i) => (words[i]! & maskOf(i, from)) | (maskOf(i, bits) & ~maskOf(i, from)));
}

/** Ones for those of word i that belong to the first `length` bits. */
function maskOf(i: number, length: number): number {
  const bits = Math.min(Math.max(length - 32 * i, 0), 32);
  return bits === 0 ? 0 : -1 << (32 - bits);
}

function mapWords(word: (i: number) => number): Words {
  return [word(0) >>> 0, word(1) >>> 0, word(2) >>> 0, word(3) >>> 0];
}

function wordsOf(address: Uint8Array): Words {
  return mapWords((i) =>
    4 * i < address.length
      ? (address[4 * i]! << 24) |
        (address[4 * i + 1]! << 16) |
        (address[4 * i + 2]! << 8) |
        address[4 * i + 3]!
      : 0,
  );
}
