// GHASH, SP 800-38D section 6.4, as a sum instead of a chain: X_1 * H^m + X_2 * H^(m-1) + ... + X_m * H.
//
// Every X_i is public (AAD, ciphertext, lengths), so tables may be indexed by its octets. The sum is secret and never
// becomes an address: it is folded in from registers (ghash-product.ts). Feed this no plaintext and no sum.
//
// A key without tables goes the chain instead, a product for each block, from the 512 octets that every key has.

import { chunk } from "./aes-scratch";
import { rowsOfH } from "./gcm-context";
import { beyond, highNibbles, inPlace, lowNibbles, product, rowProduct } from "./ghash-product";
import { reduce } from "./ghash-reduce";
import { foldRows, POWER_SIZE } from "./ghash-table";

/**
 * GHASH of AAD and ciphertext, each padded to blocks, and their lengths. With the key's tables in chunks of `powers` blocks: 16
 * is faster, and 8 leaves more of the cache to others; `tables` 0 is none.
 */
export function ghash(
  context: usize,
  tables: usize,
  powers: u32,
  aad: usize,
  aadLength: u32,
  text: usize,
  textLength: u32,
): v128 {
  const lengths = lengthsBlock(aadLength, textLength);
  if (tables == 0) return chainOf(context, aad, aadLength, text, textLength, lengths);
  return sumOf(tables, powers, aad, aadLength, text, textLength, lengths);
}

/** GHASH of AAD alone, in two pieces: a first one of whole blocks, and the rest. */
export function ghashAad(
  context: usize,
  tables: usize,
  powers: u32,
  first: usize,
  firstLength: u32,
  rest: usize,
  restLength: u32,
): v128 {
  const lengths = lengthsBlock(firstLength + restLength, 0);
  if (tables == 0) return chainOf(context, first, firstLength, rest, restLength, lengths);
  return sumOf(tables, powers, first, firstLength, rest, restLength, lengths);
}

/** ((X_1 * H + X_2) * H + ...) * H. */
function chainOf(
  context: usize,
  aad: usize,
  aadLength: u32,
  text: usize,
  textLength: u32,
  lengths: v128,
): v128 {
  const rows = rowsOfH(context);
  let sum = chain(rows, i64x2.splat(0), aad, aadLength);
  sum = chain(rows, sum, text, textLength);
  return product(rows, v128.xor(sum, lengths));
}

function chain(rows: usize, sum: v128, text: usize, length: u32): v128 {
  const wholeEnd = text + (length & ~15);
  for (; text < wholeEnd; text += 16) sum = product(rows, v128.xor(sum, v128.load(text)));
  const left = length & 15;
  if (left == 0) return sum;
  return product(rows, v128.xor(sum, v128.and(v128.load(text), firstOctets(left))));
}

function sumOf(
  tables: usize,
  powers: u32,
  aad: usize,
  aadLength: u32,
  text: usize,
  textLength: u32,
  lengths: v128,
): v128 {
  const textFirst = (aadLength + 15) / 16;
  const lengthsAt = textFirst + (textLength + 15) / 16;
  const wholeEnd = textFirst + textLength / 16;
  // The first chunk takes what the others, all of them whole, leave over.
  let end = (lengthsAt & (powers - 1)) + 1;
  let begin: u32 = 0;
  let sum = i64x2.splat(0);
  while (begin <= lengthsAt) {
    let blocks = text + 16 * (begin - textFirst);
    if (begin < textFirst || end > wholeEnd) {
      blocks = chunk();
      let to = blocks;
      for (let i = begin; i < end; ++i) {
        let block: v128;
        if (i < textFirst) block = loadBlock(aad, aadLength, i);
        else if (i < lengthsAt) block = loadBlock(text, textLength, i - textFirst);
        else block = lengths;
        v128.store(to, block);
        to += 16;
      }
    }
    sum = absorb(tables, powers, sum, begin == 0, blocks, end - begin);
    begin = end;
    end += powers;
  }
  return sum;
}

/** Block i of a text, with zeros behind its end. Reads up to 15 octets further. */
function loadBlock(text: usize, length: u32, i: u32): v128 {
  const block = v128.load(text + 16 * i);
  const left = length - 16 * i;
  return left >= 16 ? block : v128.and(block, firstOctets(left));
}

/** Ones in the first `count` octets, below 16. */
function firstOctets(count: u32): v128 {
  return i8x16.lt_u(i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), i8x16.splat(<i8>count));
}

/** Both lengths in bits. */
function lengthsBlock(aadLength: u32, textLength: u32): v128 {
  const high = i64x2.splat(bswap<u64>(8 * <u64>aadLength));
  return i64x2.replace_lane(high, 1, bswap<u64>(8 * <u64>textLength));
}

/**
 * (sum * H^count) + blocks[0] * H^count + ... + blocks[count - 1] * H, for 1 to `powers` blocks; `powers` unless
 * `isFirst`, where the sum is zero and is left out.
 */
function absorb(tables: usize, powers: u32, sum: v128, isFirst: bool, blocks: usize, count: u32): v128 {
  const zero = i64x2.splat(0);
  const low = lowNibbles(sum);
  const high = highNibbles(sum);
  const highestPower = tables + POWER_SIZE * (count - 1);
  let lower = zero;
  let upper = zero;
  // Octets 8 to 15 of each block, then octets 0 to 7; place i of a block has an accumulator of its own.
  for (let half = 8; half >= 0; half -= 8) {
    let s0 = zero;
    let s1 = zero;
    let s2 = zero;
    let s3 = zero;
    let s4 = zero;
    let s5 = zero;
    let s6 = zero;
    let s7 = zero;
    if (!isFirst) {
      const rows = foldRows(tables, powers) + 16 * half;
      s0 = rowProduct(rows, low, high);
      s1 = rowProduct(rows + 16, low, high);
      s2 = rowProduct(rows + 32, low, high);
      s3 = rowProduct(rows + 48, low, high);
      s4 = rowProduct(rows + 64, low, high);
      s5 = rowProduct(rows + 80, low, high);
      s6 = rowProduct(rows + 96, low, high);
      s7 = rowProduct(rows + 112, low, high);
    }
    let power = highestPower;
    let at = blocks + half;
    for (let i = count; i != 0; --i) {
      s0 = v128.xor(s0, v128.load(power + ((<usize>load<u8>(at)) << 4)));
      s1 = v128.xor(s1, v128.load(power + ((<usize>load<u8>(at, 1)) << 4)));
      s2 = v128.xor(s2, v128.load(power + ((<usize>load<u8>(at, 2)) << 4)));
      s3 = v128.xor(s3, v128.load(power + ((<usize>load<u8>(at, 3)) << 4)));
      s4 = v128.xor(s4, v128.load(power + ((<usize>load<u8>(at, 4)) << 4)));
      s5 = v128.xor(s5, v128.load(power + ((<usize>load<u8>(at, 5)) << 4)));
      s6 = v128.xor(s6, v128.load(power + ((<usize>load<u8>(at, 6)) << 4)));
      s7 = v128.xor(s7, v128.load(power + ((<usize>load<u8>(at, 7)) << 4)));
      power -= POWER_SIZE;
      at += 16;
    }
    // Everything so far moves up by eight octets, then accumulator i comes in at place i.
    upper = v128.shuffle<i64>(lower, upper, 1, 2);
    lower = v128.shuffle<i64>(zero, lower, 0, 2);
    lower = v128.xor(lower, inPlace(s0, s1, s2, s3, s4, s5, s6, s7));
    upper = v128.xor(upper, beyond(s1, s2, s3, s4, s5, s6, s7));
  }
  return reduce(lower, upper);
}
