// Poly1305, RFC 8439 section 2.5: four packets at once, lane = packet.
//
// A number modulo p = 2^130 - 5 is ten limbs of 13 bits. Two neighbouring limbs of a packet share one 32-bit lane as a
// pair of 16-bit values, because the widest multiplication there is, i32x4.dot_i16x8_s, multiplies pairs and adds them:
//
//   H_0 = (h0, h1)  H_2 = (h2, h3) ... H_8        R_j = (r_j, r_j-1), where r_-k stands for 5 * r_10-k
//   (h * r)_k = H_0 . R_k  +  H_2 . R_k-2  +  H_4 . R_k-4  +  H_6 . R_k-6  +  H_8 . R_k-8
//
// Bounds: the limbs of r are brought into -4096..4095, so 5 * r fits 16 bits. The limbs of h are in 0..8191 (h1 and h6
// may miss that by 150). A message block m is added as m - p, limb by limb, so h stays within +-8341, and a
// sum of ten products within 8341 * (4096 + 9 * 20480) = 1.58e9 < 2^31.
//
// Constant time: no branch and no address depends on keys or data. Never fed with lengths that are secret.

/** Both halves of a pair: 13 bits. */
const MASK = memory.data<u32>([0x1fff1fff, 0x1fff1fff, 0x1fff1fff, 0x1fff1fff], 16);
const FOUR = memory.data<u32>([4, 4, 4, 4], 16);

// The record of four packets:
//
//   0              288       368        384                                    448
//   | R_-8 .. R_9  | h       | high bit | from, step, key, 0: for each packet  | tags x 4
const R_OFFSET = 0;
const H_OFFSET = 288;
/** u32 for each packet: MAC_HIGH_BIT, or 0 as long as the packet has not begun. */
export const MAC_HIGH_OFFSET = 368;
/** For each packet: where its next block lies, 16 or 0 octets from one block to the next, its 32 octets of key. */
export const MAC_LANES_OFFSET = 384;
export const MAC_FROM_OFFSET = 0;
export const MAC_STEP_OFFSET = 4;
export const MAC_KEY_OFFSET = 8;
export const MAC_LANE_SIZE = 16;
export const MAC_TAGS_OFFSET = 448;
export const MAC_SIZE = 512;

/** Bit 128 of a block, as bit 24 of its last 26 bits (RFC 8439 section 2.5: "add one bit beyond the number of octets"). */
export const MAC_HIGH_BIT = 0x01000000;

/** Prepares the four keys named in the record. */
export function macStart(mac: usize): void {
  const a = v128.load(load<usize>(mac, MAC_LANES_OFFSET + MAC_KEY_OFFSET));
  const b = v128.load(load<usize>(mac, MAC_LANES_OFFSET + MAC_LANE_SIZE + MAC_KEY_OFFSET));
  const c = v128.load(load<usize>(mac, MAC_LANES_OFFSET + MAC_LANE_SIZE * 2 + MAC_KEY_OFFSET));
  const d = v128.load(load<usize>(mac, MAC_LANES_OFFSET + MAC_LANE_SIZE * 3 + MAC_KEY_OFFSET));
  const ab = v128.shuffle<i32>(a, b, 0, 4, 1, 5);
  const cd = v128.shuffle<i32>(c, d, 0, 4, 1, 5);
  const ef = v128.shuffle<i32>(a, b, 2, 6, 3, 7);
  const gh = v128.shuffle<i32>(c, d, 2, 6, 3, 7);
  // RFC 8439 section 2.5: r is clamped.
  const clamp = i32x4.splat(0x0ffffffc);
  const w0 = v128.and(v128.shuffle<i64>(ab, cd, 0, 2), i32x4.splat(0x0fffffff));
  const w1 = v128.and(v128.shuffle<i64>(ab, cd, 1, 3), clamp);
  const w2 = v128.and(v128.shuffle<i64>(ef, gh, 0, 2), clamp);
  const w3 = v128.and(v128.shuffle<i64>(ef, gh, 1, 3), clamp);

  const low = i32x4.splat(0x1fff);
  let r0 = v128.and(w0, low);
  let r1 = v128.and(i32x4.shr_u(w0, 13), low);
  let r2 = v128.and(v128.or(i32x4.shr_u(w0, 26), i32x4.shl(w1, 6)), low);
  let r3 = v128.and(i32x4.shr_u(w1, 7), low);
  let r4 = v128.and(v128.or(i32x4.shr_u(w1, 20), i32x4.shl(w2, 12)), low);
  let r5 = v128.and(i32x4.shr_u(w2, 1), low);
  let r6 = v128.and(i32x4.shr_u(w2, 14), low);
  let r7 = v128.and(v128.or(i32x4.shr_u(w2, 27), i32x4.shl(w3, 5)), low);
  let r8 = v128.and(i32x4.shr_u(w3, 8), low);
  let r9 = i32x4.shr_u(w3, 21);

  // 0..8192 becomes -4096..4095 and a carry. The clamped r9 is below 128, so nothing leaves at the top.
  let carry = halfUp(r0);
  r0 = i32x4.sub(r0, i32x4.shl(carry, 13));
  r1 = i32x4.add(r1, carry);
  carry = halfUp(r1);
  r1 = i32x4.sub(r1, i32x4.shl(carry, 13));
  r2 = i32x4.add(r2, carry);
  carry = halfUp(r2);
  r2 = i32x4.sub(r2, i32x4.shl(carry, 13));
  r3 = i32x4.add(r3, carry);
  carry = halfUp(r3);
  r3 = i32x4.sub(r3, i32x4.shl(carry, 13));
  r4 = i32x4.add(r4, carry);
  carry = halfUp(r4);
  r4 = i32x4.sub(r4, i32x4.shl(carry, 13));
  r5 = i32x4.add(r5, carry);
  carry = halfUp(r5);
  r5 = i32x4.sub(r5, i32x4.shl(carry, 13));
  r6 = i32x4.add(r6, carry);
  carry = halfUp(r6);
  r6 = i32x4.sub(r6, i32x4.shl(carry, 13));
  r7 = i32x4.add(r7, carry);
  carry = halfUp(r7);
  r7 = i32x4.sub(r7, i32x4.shl(carry, 13));
  r8 = i32x4.add(r8, carry);
  carry = halfUp(r8);
  r8 = i32x4.sub(r8, i32x4.shl(carry, 13));
  r9 = i32x4.add(r9, carry);

  v128.store(mac, pair(fivefold(r2), fivefold(r1)), R_OFFSET);
  v128.store(mac, pair(fivefold(r3), fivefold(r2)), R_OFFSET + 16);
  v128.store(mac, pair(fivefold(r4), fivefold(r3)), R_OFFSET + 32);
  v128.store(mac, pair(fivefold(r5), fivefold(r4)), R_OFFSET + 48);
  v128.store(mac, pair(fivefold(r6), fivefold(r5)), R_OFFSET + 64);
  v128.store(mac, pair(fivefold(r7), fivefold(r6)), R_OFFSET + 80);
  v128.store(mac, pair(fivefold(r8), fivefold(r7)), R_OFFSET + 96);
  v128.store(mac, pair(fivefold(r9), fivefold(r8)), R_OFFSET + 112);
  v128.store(mac, pair(r0, fivefold(r9)), R_OFFSET + 128);
  v128.store(mac, pair(r1, r0), R_OFFSET + 144);
  v128.store(mac, pair(r2, r1), R_OFFSET + 160);
  v128.store(mac, pair(r3, r2), R_OFFSET + 176);
  v128.store(mac, pair(r4, r3), R_OFFSET + 192);
  v128.store(mac, pair(r5, r4), R_OFFSET + 208);
  v128.store(mac, pair(r6, r5), R_OFFSET + 224);
  v128.store(mac, pair(r7, r6), R_OFFSET + 240);
  v128.store(mac, pair(r8, r7), R_OFFSET + 256);
  v128.store(mac, pair(r9, r8), R_OFFSET + 272);

  const zero = i32x4.splat(0);
  v128.store(mac, zero, H_OFFSET);
  v128.store(mac, zero, H_OFFSET + 16);
  v128.store(mac, zero, H_OFFSET + 32);
  v128.store(mac, zero, H_OFFSET + 48);
  v128.store(mac, zero, H_OFFSET + 64);
}

/** h = (h + block) * r, `count` times for each of the four packets, from where the record says. */
export function macAbsorb(mac: usize, count: u32): void {
  let from0: usize = load<usize>(mac, MAC_LANES_OFFSET + MAC_FROM_OFFSET);
  let from1: usize = load<usize>(mac, MAC_LANES_OFFSET + MAC_LANE_SIZE + MAC_FROM_OFFSET);
  let from2: usize = load<usize>(mac, MAC_LANES_OFFSET + MAC_LANE_SIZE * 2 + MAC_FROM_OFFSET);
  let from3: usize = load<usize>(mac, MAC_LANES_OFFSET + MAC_LANE_SIZE * 3 + MAC_FROM_OFFSET);
  const step0: usize = load<usize>(mac, MAC_LANES_OFFSET + MAC_STEP_OFFSET);
  const step1: usize = load<usize>(mac, MAC_LANES_OFFSET + MAC_LANE_SIZE + MAC_STEP_OFFSET);
  const step2: usize = load<usize>(mac, MAC_LANES_OFFSET + MAC_LANE_SIZE * 2 + MAC_STEP_OFFSET);
  const step3: usize = load<usize>(mac, MAC_LANES_OFFSET + MAC_LANE_SIZE * 3 + MAC_STEP_OFFSET);
  const mask = v128.load(MASK);
  const low = i32x4.shr_u(mask, 16);
  const four = v128.load(FOUR);
  const high = v128.load(mac, MAC_HIGH_OFFSET);
  let h0 = v128.load(mac, H_OFFSET);
  let h2 = v128.load(mac, H_OFFSET + 16);
  let h4 = v128.load(mac, H_OFFSET + 32);
  let h6 = v128.load(mac, H_OFFSET + 48);
  let h8 = v128.load(mac, H_OFFSET + 64);

  for (; count > 0; count--) {
    const a = v128.load(from0);
    const b = v128.load(from1);
    const c = v128.load(from2);
    const d = v128.load(from3);
    from0 += step0;
    from1 += step1;
    from2 += step2;
    from3 += step3;
    const ab = v128.shuffle<i32>(a, b, 0, 4, 1, 5);
    const cd = v128.shuffle<i32>(c, d, 0, 4, 1, 5);
    const ef = v128.shuffle<i32>(a, b, 2, 6, 3, 7);
    const gh = v128.shuffle<i32>(c, d, 2, 6, 3, 7);
    const w0 = v128.shuffle<i64>(ab, cd, 0, 2);
    const w1 = v128.shuffle<i64>(ab, cd, 1, 3);
    const w2 = v128.shuffle<i64>(ef, gh, 0, 2);
    const w3 = v128.shuffle<i64>(ef, gh, 1, 3);

    // h += m - p. The limbs of p are 8191 except the lowest, 8187; and m - 8191 = -(~m & 0x1fff).
    h0 = i16x8.add(i16x8.sub(h0, v128.andnot(mask, limbs(w0))), four);
    h2 = i16x8.sub(h2, v128.andnot(mask, limbs(v128.or(i32x4.shr_u(w0, 26), i32x4.shl(w1, 6)))));
    h4 = i16x8.sub(h4, v128.andnot(mask, limbs(v128.or(i32x4.shr_u(w1, 20), i32x4.shl(w2, 12)))));
    h6 = i16x8.sub(h6, v128.andnot(mask, limbs(v128.or(i32x4.shr_u(w2, 14), i32x4.shl(w3, 18)))));
    h8 = i16x8.sub(h8, v128.andnot(mask, limbs(v128.or(i32x4.shr_u(w3, 8), high))));

    const p0 = v128.load(mac, 0);
    const p1 = v128.load(mac, 16);
    const p2 = v128.load(mac, 32);
    const p3 = v128.load(mac, 48);
    const p4 = v128.load(mac, 64);
    const p5 = v128.load(mac, 80);
    const p6 = v128.load(mac, 96);
    const p7 = v128.load(mac, 112);
    const p8 = v128.load(mac, 128);
    const p9 = v128.load(mac, 144);
    const p10 = v128.load(mac, 160);
    const p11 = v128.load(mac, 176);
    const p12 = v128.load(mac, 192);
    const p13 = v128.load(mac, 208);
    const p14 = v128.load(mac, 224);
    const p15 = v128.load(mac, 240);
    const p16 = v128.load(mac, 256);
    const p17 = v128.load(mac, 272);
    let d0 = i32x4.add(
      i32x4.add(i32x4.dot_i16x8_s(h0, p8), i32x4.dot_i16x8_s(h2, p6)),
      i32x4.add(i32x4.add(i32x4.dot_i16x8_s(h4, p4), i32x4.dot_i16x8_s(h6, p2)), i32x4.dot_i16x8_s(h8, p0)),
    );
    let d1 = i32x4.add(
      i32x4.add(i32x4.dot_i16x8_s(h0, p9), i32x4.dot_i16x8_s(h2, p7)),
      i32x4.add(i32x4.add(i32x4.dot_i16x8_s(h4, p5), i32x4.dot_i16x8_s(h6, p3)), i32x4.dot_i16x8_s(h8, p1)),
    );
    let d2 = i32x4.add(
      i32x4.add(i32x4.dot_i16x8_s(h0, p10), i32x4.dot_i16x8_s(h2, p8)),
      i32x4.add(i32x4.add(i32x4.dot_i16x8_s(h4, p6), i32x4.dot_i16x8_s(h6, p4)), i32x4.dot_i16x8_s(h8, p2)),
    );
    let d3 = i32x4.add(
      i32x4.add(i32x4.dot_i16x8_s(h0, p11), i32x4.dot_i16x8_s(h2, p9)),
      i32x4.add(i32x4.add(i32x4.dot_i16x8_s(h4, p7), i32x4.dot_i16x8_s(h6, p5)), i32x4.dot_i16x8_s(h8, p3)),
    );
    let d4 = i32x4.add(
      i32x4.add(i32x4.dot_i16x8_s(h0, p12), i32x4.dot_i16x8_s(h2, p10)),
      i32x4.add(i32x4.add(i32x4.dot_i16x8_s(h4, p8), i32x4.dot_i16x8_s(h6, p6)), i32x4.dot_i16x8_s(h8, p4)),
    );
    let d5 = i32x4.add(
      i32x4.add(i32x4.dot_i16x8_s(h0, p13), i32x4.dot_i16x8_s(h2, p11)),
      i32x4.add(i32x4.add(i32x4.dot_i16x8_s(h4, p9), i32x4.dot_i16x8_s(h6, p7)), i32x4.dot_i16x8_s(h8, p5)),
    );
    let d6 = i32x4.add(
      i32x4.add(i32x4.dot_i16x8_s(h0, p14), i32x4.dot_i16x8_s(h2, p12)),
      i32x4.add(i32x4.add(i32x4.dot_i16x8_s(h4, p10), i32x4.dot_i16x8_s(h6, p8)), i32x4.dot_i16x8_s(h8, p6)),
    );
    let d7 = i32x4.add(
      i32x4.add(i32x4.dot_i16x8_s(h0, p15), i32x4.dot_i16x8_s(h2, p13)),
      i32x4.add(i32x4.add(i32x4.dot_i16x8_s(h4, p11), i32x4.dot_i16x8_s(h6, p9)), i32x4.dot_i16x8_s(h8, p7)),
    );
    let d8 = i32x4.add(
      i32x4.add(i32x4.dot_i16x8_s(h0, p16), i32x4.dot_i16x8_s(h2, p14)),
      i32x4.add(i32x4.add(i32x4.dot_i16x8_s(h4, p12), i32x4.dot_i16x8_s(h6, p10)), i32x4.dot_i16x8_s(h8, p8)),
    );
    let d9 = i32x4.add(
      i32x4.add(i32x4.dot_i16x8_s(h0, p17), i32x4.dot_i16x8_s(h2, p15)),
      i32x4.add(i32x4.add(i32x4.dot_i16x8_s(h4, p13), i32x4.dot_i16x8_s(h6, p11)), i32x4.dot_i16x8_s(h8, p9)),
    );

    // Two chains of carries, from limbs 0 and 5; what leaves limb 9 comes back to limb 0 five times.
    d1 = i32x4.add(d1, i32x4.shr_s(d0, 13));
    d6 = i32x4.add(d6, i32x4.shr_s(d5, 13));
    d2 = i32x4.add(d2, i32x4.shr_s(d1, 13));
    d7 = i32x4.add(d7, i32x4.shr_s(d6, 13));
    d3 = i32x4.add(d3, i32x4.shr_s(d2, 13));
    d8 = i32x4.add(d8, i32x4.shr_s(d7, 13));
    d4 = i32x4.add(d4, i32x4.shr_s(d3, 13));
    d9 = i32x4.add(d9, i32x4.shr_s(d8, 13));
    d5 = i32x4.add(v128.and(d5, low), i32x4.shr_s(d4, 13));
    d0 = i32x4.add(v128.and(d0, low), fivefold(i32x4.shr_s(d9, 13)));
    h0 = i16x8.add(v128.and(pair(d0, d1), mask), i32x4.shl(i32x4.shr_s(d0, 13), 16));
    h2 = v128.and(pair(d2, d3), mask);
    h4 = v128.and(pair(d4, d5), mask);
    h6 = i16x8.add(v128.and(pair(d6, d7), mask), i32x4.shr_u(i32x4.shl(d5, 3), 16));
    h8 = v128.and(pair(d8, d9), mask);
  }

  v128.store(mac, h0, H_OFFSET);
  v128.store(mac, h2, H_OFFSET + 16);
  v128.store(mac, h4, H_OFFSET + 32);
  v128.store(mac, h6, H_OFFSET + 48);
  v128.store(mac, h8, H_OFFSET + 64);
  store<u32>(mac, from0, MAC_LANES_OFFSET + MAC_FROM_OFFSET);
  store<u32>(mac, from1, MAC_LANES_OFFSET + MAC_LANE_SIZE + MAC_FROM_OFFSET);
  store<u32>(mac, from2, MAC_LANES_OFFSET + MAC_LANE_SIZE * 2 + MAC_FROM_OFFSET);
  store<u32>(mac, from3, MAC_LANES_OFFSET + MAC_LANE_SIZE * 3 + MAC_FROM_OFFSET);
}

/** Reduces h, adds s and leaves the four tags in the record. */
export function macFinish(mac: usize): void {
  const low = i32x4.splat(0x1fff);
  let pairs = v128.load(mac, H_OFFSET);
  let h0 = evenLimb(pairs);
  let h1 = oddLimb(pairs);
  pairs = v128.load(mac, H_OFFSET + 16);
  let h2 = evenLimb(pairs);
  let h3 = oddLimb(pairs);
  pairs = v128.load(mac, H_OFFSET + 32);
  let h4 = evenLimb(pairs);
  let h5 = oddLimb(pairs);
  pairs = v128.load(mac, H_OFFSET + 48);
  let h6 = evenLimb(pairs);
  let h7 = oddLimb(pairs);
  pairs = v128.load(mac, H_OFFSET + 64);
  let h8 = evenLimb(pairs);
  let h9 = oddLimb(pairs);

  // After the second round every limb is in 0..8191: what still left limb 9 found all others at 0 or all at 8191.
  for (let round = 0; round < 2; round++) {
    h1 = i32x4.add(h1, i32x4.shr_s(h0, 13));
    h0 = v128.and(h0, low);
    h2 = i32x4.add(h2, i32x4.shr_s(h1, 13));
    h1 = v128.and(h1, low);
    h3 = i32x4.add(h3, i32x4.shr_s(h2, 13));
    h2 = v128.and(h2, low);
    h4 = i32x4.add(h4, i32x4.shr_s(h3, 13));
    h3 = v128.and(h3, low);
    h5 = i32x4.add(h5, i32x4.shr_s(h4, 13));
    h4 = v128.and(h4, low);
    h6 = i32x4.add(h6, i32x4.shr_s(h5, 13));
    h5 = v128.and(h5, low);
    h7 = i32x4.add(h7, i32x4.shr_s(h6, 13));
    h6 = v128.and(h6, low);
    h8 = i32x4.add(h8, i32x4.shr_s(h7, 13));
    h7 = v128.and(h7, low);
    h9 = i32x4.add(h9, i32x4.shr_s(h8, 13));
    h8 = v128.and(h8, low);
    h0 = i32x4.add(h0, fivefold(i32x4.shr_s(h9, 13)));
    h9 = v128.and(h9, low);
  }

  // h + 5 reaches 2^130 just when h reaches p: then h - p is h + 5 without that bit.
  const g0 = i32x4.add(h0, i32x4.splat(5));
  const g1 = i32x4.add(h1, i32x4.shr_u(g0, 13));
  const g2 = i32x4.add(h2, i32x4.shr_u(g1, 13));
  const g3 = i32x4.add(h3, i32x4.shr_u(g2, 13));
  const g4 = i32x4.add(h4, i32x4.shr_u(g3, 13));
  const g5 = i32x4.add(h5, i32x4.shr_u(g4, 13));
  const g6 = i32x4.add(h6, i32x4.shr_u(g5, 13));
  const g7 = i32x4.add(h7, i32x4.shr_u(g6, 13));
  const g8 = i32x4.add(h8, i32x4.shr_u(g7, 13));
  const g9 = i32x4.add(h9, i32x4.shr_u(g8, 13));
  const isReduced = i32x4.eq(i32x4.shr_u(g9, 13), i32x4.splat(0));
  h0 = v128.bitselect(h0, v128.and(g0, low), isReduced);
  h1 = v128.bitselect(h1, v128.and(g1, low), isReduced);
  h2 = v128.bitselect(h2, v128.and(g2, low), isReduced);
  h3 = v128.bitselect(h3, v128.and(g3, low), isReduced);
  h4 = v128.bitselect(h4, v128.and(g4, low), isReduced);
  h5 = v128.bitselect(h5, v128.and(g5, low), isReduced);
  h6 = v128.bitselect(h6, v128.and(g6, low), isReduced);
  h7 = v128.bitselect(h7, v128.and(g7, low), isReduced);
  h8 = v128.bitselect(h8, v128.and(g8, low), isReduced);
  h9 = v128.bitselect(h9, v128.and(g9, low), isReduced);

  const w0 = v128.or(v128.or(h0, i32x4.shl(h1, 13)), i32x4.shl(h2, 26));
  const w1 = v128.or(v128.or(i32x4.shr_u(h2, 6), i32x4.shl(h3, 7)), i32x4.shl(h4, 20));
  const w2 = v128.or(
    v128.or(v128.or(i32x4.shr_u(h4, 12), i32x4.shl(h5, 1)), i32x4.shl(h6, 14)),
    i32x4.shl(h7, 27),
  );
  const w3 = v128.or(v128.or(i32x4.shr_u(h7, 5), i32x4.shl(h8, 8)), i32x4.shl(h9, 21));
  const ab = v128.shuffle<i32>(w0, w1, 0, 4, 1, 5);
  const cd = v128.shuffle<i32>(w2, w3, 0, 4, 1, 5);
  const ef = v128.shuffle<i32>(w0, w1, 2, 6, 3, 7);
  const gh = v128.shuffle<i32>(w2, w3, 2, 6, 3, 7);
  finishTag(mac, 0, v128.shuffle<i64>(ab, cd, 0, 2));
  finishTag(mac, 1, v128.shuffle<i64>(ab, cd, 1, 3));
  finishTag(mac, 2, v128.shuffle<i64>(ef, gh, 0, 2));
  finishTag(mac, 3, v128.shuffle<i64>(ef, gh, 1, 3));
}

/** tag = h + s modulo 2^128; s is the second half of the key. */
function finishTag(mac: usize, packet: usize, h: v128): void {
  const key = load<usize>(mac + (MAC_LANE_SIZE as usize) * packet, MAC_LANES_OFFSET + MAC_KEY_OFFSET);
  const s = key + 16;
  const low = (i64x2.extract_lane(h, 0) as u64) + load<u64>(s);
  const carry: u64 = low < load<u64>(s) ? 1 : 0;
  const tag = mac + MAC_TAGS_OFFSET + 16 * packet;
  store<u64>(tag, low);
  store<u64>(tag, (i64x2.extract_lane(h, 1) as u64) + load<u64>(s, 8) + carry, 8);
}

/** 26 bits of each lane as two limbs; their upper bits are not cleared. */
function limbs(x: v128): v128 {
  return v128.shuffle<i16>(x, i32x4.shl(x, 3), 0, 9, 2, 11, 4, 13, 6, 15);
}

function pair(even: v128, odd: v128): v128 {
  return v128.shuffle<i16>(even, i32x4.shl(odd, 16), 0, 9, 2, 11, 4, 13, 6, 15);
}

function evenLimb(pairs: v128): v128 {
  return i32x4.shr_s(i32x4.shl(pairs, 16), 16);
}

function oddLimb(pairs: v128): v128 {
  return i32x4.shr_s(pairs, 16);
}

function halfUp(limb: v128): v128 {
  return i32x4.shr_s(i32x4.add(limb, i32x4.splat(4096)), 13);
}

function fivefold(x: v128): v128 {
  return i32x4.add(x, i32x4.shl(x, 2));
}
