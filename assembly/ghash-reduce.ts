/**
 * A sum of 31 octets modulo x^128 + x^7 + x^2 + x + 1: `lower` holds octets 0 to 15, `upper` octets 16 to 30 and a zero.
 * As x^128 = 1 + x + x^2 + x^7, and the last octet is empty, one step suffices.
 */
export function reduce(lower: v128, upper: v128): v128 {
  // Octet 0 carries the lowest powers in its top bits, so a product with x moves bits right, across octets: as two
  // 64-bit numbers with octet 0 on top.
  const number = reverse(upper);
  const moved = v128.xor(
    v128.xor(i64x2.shr_u(number, 1), i64x2.shr_u(number, 2)),
    v128.xor(i64x2.shr_u(number, 7), number),
  );
  const across = v128.shuffle<i64>(number, i64x2.splat(0), 1, 2);
  const carried = v128.xor(v128.xor(i64x2.shl(across, 63), i64x2.shl(across, 62)), i64x2.shl(across, 57));
  return v128.xor(lower, reverse(v128.xor(moved, carried)));
}

function reverse(octets: v128): v128 {
  return v128.swizzle(octets, i8x16(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0));
}
