// The Internet checksum, RFC 1071. Words are summed as they lie in memory: the sum is the same in either byte order, as long
// as it is also stored as it lies.

/** The sum of `length` octets (at most 64 KB) in 16 bits. An odd last octet counts as if a zero followed. */
export function sumWords(source: usize, length: u32): u32 {
  let lanes = i32x4.splat(0);
  const end = source + length;
  const blocksEnd = source + (length & ~15);
  for (; source < blocksEnd; source += 16) {
    lanes = i32x4.add(lanes, i32x4.extadd_pairwise_i16x8_u(v128.load(source)));
  }
  return foldSum(sumLanes(lanes) + sumTail(source, end));
}

/** Copies `length` octets (at most 64 KB) and sums them on the way. */
export function copyAndSum(destination: usize, source: usize, length: u32): u32 {
  let lanes = i32x4.splat(0);
  const end = source + length;
  const blocksEnd = source + (length & ~15);
  for (; source < blocksEnd; source += 16, destination += 16) {
    const block = v128.load(source);
    v128.store(destination, block);
    lanes = i32x4.add(lanes, i32x4.extadd_pairwise_i16x8_u(block));
  }
  for (let at = source; at < end; at++, destination++) store<u8>(destination, load<u8>(at));
  return foldSum(sumLanes(lanes) + sumTail(source, end));
}

/** Brings a sum of at most 2^32 - 1 into 16 bits. */
export function foldSum(sum: u32): u32 {
  sum = (sum & 0xffff) + (sum >> 16);
  return (sum & 0xffff) + (sum >> 16);
}

/** Changes the checksum at `field` as a word that it covers changes (RFC 1624 section 3). One that was wrong stays wrong. */
export function adjustChecksum(field: usize, before: u16, after: u16): void {
  const sum = (<u32>load<u16>(field) ^ 0xffff) + (<u32>before ^ 0xffff) + <u32>after;
  store<u16>(field, <u16>(foldSum(sum) ^ 0xffff));
}

/** 64 KB are 32,768 words of at most 65,535: the lanes together stay below 2^32. */
function sumLanes(lanes: v128): u32 {
  return (
    i32x4.extract_lane(lanes, 0) +
    i32x4.extract_lane(lanes, 1) +
    i32x4.extract_lane(lanes, 2) +
    i32x4.extract_lane(lanes, 3)
  );
}

function sumTail(at: usize, end: usize): u32 {
  let sum: u32 = 0;
  for (; at + 2 <= end; at += 2) sum += <u32>load<u16>(at);
  return at < end ? sum + <u32>load<u8>(at) : sum;
}
