// The inverse cipher of AES, FIPS 197 section 5.3, bitsliced as in aes.ts, with the round keys of the cipher as they are.
//
// They carry the constant 0x63 of SubBytes, which the cipher's circuit leaves out; so does this one, and the constant
// passes InvMixColumns unchanged, because its columns hold four equal octets.

import { PLANES_SIZE } from "./aes";
import { INVERSE_SHIFT_ROWS, INVERSE_SHIFT_ROWS_FROM_BLOCK, ROWS_TO_COLUMNS } from "./vector-constants";

/**
 * Decrypts `count` groups of eight blocks in planes, in place. `firstKey` is round key 0, `lastKey` that of the last round.
 * Octets are in the order of a block, column by column, before and after.
 */
export function runInverseRounds(firstKey: usize, lastKey: usize, planes: usize, count: u32): void {
  for (; count != 0; --count) {
    let a0 = fromBlock(xor(v128.load(planes), v128.load(lastKey)));
    let a1 = fromBlock(xor(v128.load(planes, 16), v128.load(lastKey, 16)));
    let a2 = fromBlock(xor(v128.load(planes, 32), v128.load(lastKey, 32)));
    let a3 = fromBlock(xor(v128.load(planes, 48), v128.load(lastKey, 48)));
    let a4 = fromBlock(xor(v128.load(planes, 64), v128.load(lastKey, 64)));
    let a5 = fromBlock(xor(v128.load(planes, 80), v128.load(lastKey, 80)));
    let a6 = fromBlock(xor(v128.load(planes, 96), v128.load(lastKey, 96)));
    let a7 = fromBlock(xor(v128.load(planes, 112), v128.load(lastKey, 112)));
    let k = lastKey;
    while (true) {
      // InvSubBytes: the circuit of Boyar and Peralta, "A depth-16 circuit for the AES S-box", with their names; U0 is the
      // most significant bit. Their NOTs are the 0x63.
      const t23 = xor(a7, a4);
      const t22 = xor(a6, a4);
      const t2 = xor(a7, a6);
      const t1 = xor(a4, a3);
      const t24 = xor(a3, a0);
      const r5 = xor(a1, a0);
      const t8 = xor(a6, t23);
      const t19 = xor(t22, r5);
      const t9 = xor(a0, t1);
      const t10 = xor(t2, t24);
      const t13 = xor(t2, r5);
      const t3 = xor(t1, r5);
      const t25 = xor(a5, t1);
      const r13 = xor(a6, a1);
      const t17 = xor(a5, t19);
      const t20 = xor(t24, r13);
      const t4 = xor(a3, t8);
      const r17 = xor(a5, a2);
      const r18 = xor(a2, a1);
      const r19 = xor(a5, a3);
      const d = xor(a7, r17);
      const t6 = xor(t22, r17);
      const t16 = xor(r13, r19);
      const t27 = xor(t1, r18);
      const t15 = xor(t10, t27);
      const t14 = xor(t10, r18);
      const t26 = xor(t3, t16);

      const m1 = and(t13, t6);
      const m2 = and(t23, t8);
      const m3 = xor(t14, m1);
      const m4 = and(t19, d);
      const m5 = xor(m4, m1);
      const m6 = and(t3, t16);
      const m7 = and(t22, t9);
      const m8 = xor(t26, m6);
      const m9 = and(t20, t17);
      const m10 = xor(m9, m6);
      const m11 = and(t1, t15);
      const m12 = and(t4, t27);
      const m13 = xor(m12, m11);
      const m14 = and(t2, t10);
      const m15 = xor(m14, m11);
      const m16 = xor(m3, m2);
      const m17 = xor(m5, t24);
      const m18 = xor(m8, m7);
      const m19 = xor(m10, m15);
      const m20 = xor(m16, m13);
      const m21 = xor(m17, m15);
      const m22 = xor(m18, m13);
      const m23 = xor(m19, t25);
      const m24 = xor(m22, m23);
      const m25 = and(m22, m20);
      const m26 = xor(m21, m25);
      const m27 = xor(m20, m21);
      const m28 = xor(m23, m25);
      const m29 = and(m28, m27);
      const m30 = and(m26, m24);
      const m31 = and(m20, m23);
      const m32 = and(m27, m31);
      const m33 = xor(m27, m25);
      const m34 = and(m21, m22);
      const m35 = and(m24, m34);
      const m36 = xor(m24, m25);
      const m37 = xor(m21, m29);
      const m38 = xor(m32, m33);
      const m39 = xor(m23, m30);
      const m40 = xor(m35, m36);
      const m41 = xor(m38, m40);
      const m42 = xor(m37, m39);
      const m43 = xor(m37, m38);
      const m44 = xor(m39, m40);
      const m45 = xor(m42, m41);
      const m46 = and(m44, t6);
      const m47 = and(m40, t8);
      const m48 = and(m39, d);
      const m49 = and(m43, t16);
      const m50 = and(m38, t9);
      const m51 = and(m37, t17);
      const m52 = and(m42, t15);
      const m53 = and(m45, t27);
      const m54 = and(m41, t10);
      const m55 = and(m44, t13);
      const m56 = and(m40, t23);
      const m57 = and(m39, t19);
      const m58 = and(m43, t3);
      const m59 = and(m38, t22);
      const m60 = and(m37, t20);
      const m61 = and(m42, t1);
      const m62 = and(m45, t4);
      const m63 = and(m41, t2);

      const p0 = xor(m52, m61);
      const p1 = xor(m58, m59);
      const p2 = xor(m54, m62);
      const p3 = xor(m47, m50);
      const p4 = xor(m48, m56);
      const p5 = xor(m46, m51);
      const p6 = xor(m49, m60);
      const p7 = xor(p0, p1);
      const p8 = xor(m50, m53);
      const p9 = xor(m55, m63);
      const p10 = xor(m57, p4);
      const p11 = xor(p0, p3);
      const p12 = xor(m46, m48);
      const p13 = xor(m49, m51);
      const p14 = xor(m49, m62);
      const p15 = xor(m54, m59);
      const p16 = xor(m57, m61);
      const p17 = xor(m58, p2);
      const p18 = xor(m63, p5);
      const p19 = xor(p2, p3);
      const p20 = xor(p4, p6);
      const p22 = xor(p2, p7);
      const p23 = xor(p7, p8);
      const p24 = xor(p5, p7);
      const p25 = xor(p6, p10);
      const p26 = xor(p9, p11);
      const p27 = xor(p10, p18);
      const p28 = xor(p11, p25);
      const p29 = xor(p15, p20);
      a7 = xor(p13, p22);
      a6 = xor(p26, p29);
      a5 = xor(p17, p28);
      a4 = xor(p12, p22);
      a3 = xor(p23, p27);
      a2 = xor(p19, p24);
      a1 = xor(p14, p23);
      a0 = xor(p9, p16);

      k -= PLANES_SIZE;
      a0 = xor(a0, v128.load(k));
      a1 = xor(a1, v128.load(k, 16));
      a2 = xor(a2, v128.load(k, 32));
      a3 = xor(a3, v128.load(k, 48));
      a4 = xor(a4, v128.load(k, 64));
      a5 = xor(a5, v128.load(k, 80));
      a6 = xor(a6, v128.load(k, 96));
      a7 = xor(a7, v128.load(k, 112));
      if (k == firstKey) break;

      // InvMixColumns: MixColumns after adding four times the sum of each octet and the one two rows below. Multiplying by
      // four moves plane i to i + 2 and spreads planes 6 and 7 by the polynomial 0x11b.
      const u0 = xor(a0, twoRowsBelow(a0));
      const u1 = xor(a1, twoRowsBelow(a1));
      const u2 = xor(a2, twoRowsBelow(a2));
      const u3 = xor(a3, twoRowsBelow(a3));
      const u4 = xor(a4, twoRowsBelow(a4));
      const u5 = xor(a5, twoRowsBelow(a5));
      const u6 = xor(a6, twoRowsBelow(a6));
      const u7 = xor(a7, twoRowsBelow(a7));
      const u67 = xor(u6, u7);
      a0 = xor(a0, u6);
      a1 = xor(a1, u67);
      a2 = xor(a2, xor(u0, u7));
      a3 = xor(a3, xor(u1, u6));
      a4 = xor(a4, xor(u2, u67));
      a5 = xor(a5, xor(u3, u7));
      a6 = xor(a6, u4);
      a7 = xor(a7, u5);
      // MixColumns as in aes.ts, then InvShiftRows.
      const n7 = rowBelow(a7);
      const s7 = xor(a7, n7);
      const n0 = rowBelow(a0);
      const s0 = xor(a0, n0);
      a0 = inverseShiftRows(xor(xor(n0, s7), twoRowsBelow(s0)));
      const n1 = rowBelow(a1);
      const s1 = xor(a1, n1);
      a1 = inverseShiftRows(xor(xor(n1, xor(s0, s7)), twoRowsBelow(s1)));
      const n2 = rowBelow(a2);
      const s2 = xor(a2, n2);
      a2 = inverseShiftRows(xor(xor(n2, s1), twoRowsBelow(s2)));
      const n3 = rowBelow(a3);
      const s3 = xor(a3, n3);
      a3 = inverseShiftRows(xor(xor(n3, xor(s2, s7)), twoRowsBelow(s3)));
      const n4 = rowBelow(a4);
      const s4 = xor(a4, n4);
      a4 = inverseShiftRows(xor(xor(n4, xor(s3, s7)), twoRowsBelow(s4)));
      const n5 = rowBelow(a5);
      const s5 = xor(a5, n5);
      a5 = inverseShiftRows(xor(xor(n5, s4), twoRowsBelow(s5)));
      const n6 = rowBelow(a6);
      const s6 = xor(a6, n6);
      a6 = inverseShiftRows(xor(xor(n6, s5), twoRowsBelow(s6)));
      a7 = inverseShiftRows(xor(xor(n7, s6), twoRowsBelow(s7)));
    }
    v128.store(planes, toBlock(a0));
    v128.store(planes, toBlock(a1), 16);
    v128.store(planes, toBlock(a2), 32);
    v128.store(planes, toBlock(a3), 48);
    v128.store(planes, toBlock(a4), 64);
    v128.store(planes, toBlock(a5), 80);
    v128.store(planes, toBlock(a6), 96);
    v128.store(planes, toBlock(a7), 112);
    planes += PLANES_SIZE;
  }
}

function xor(a: v128, b: v128): v128 {
  return v128.xor(a, b);
}

function and(a: v128, b: v128): v128 {
  return v128.and(a, b);
}

function inverseShiftRows(a: v128): v128 {
  return v128.swizzle(a, v128.load(INVERSE_SHIFT_ROWS));
}

/** From column by column to row by row, and InvShiftRows. */
function fromBlock(a: v128): v128 {
  return v128.swizzle(a, v128.load(INVERSE_SHIFT_ROWS_FROM_BLOCK));
}

/** From row by row to the order of a block, column by column. */
function toBlock(a: v128): v128 {
  return v128.swizzle(a, v128.load(ROWS_TO_COLUMNS));
}

function rowBelow(a: v128): v128 {
  return v128.shuffle<i32>(a, a, 1, 2, 3, 0);
}

function twoRowsBelow(a: v128): v128 {
  return v128.shuffle<i32>(a, a, 2, 3, 0, 1);
}
