// AES rounds, bitsliced: eight blocks at once, no table and no branch that depends on data.
//
// Eight v128 planes hold eight blocks. Plane i holds bit i of every octet; octet p of a plane stands for the octet in
// row p / 4, column p % 4 of the AES state (FIPS 197 section 3.4), and bit b of that octet belongs to block b.
// Planes lie in memory one behind the other, PLANES_SIZE octets for eight blocks. SubBytes leaves its constant 0x63
// out; the round keys carry it (aes-key-schedule.ts).

import { SHIFT_ROWS, SHIFT_ROWS_TO_BLOCK } from "./vector-constants";

/** Octets of eight blocks, as blocks and as planes. */
export const PLANES_SIZE: u32 = 128;

/**
 * Runs rounds over `count` groups of eight blocks in planes. Group n starts from
 * planes(from + n * fromStep) ^ planes(add + n * addStep), which is AddRoundKey where `add` is a round key.
 *
 * The rounds use the round keys from `key` on. The round with `lastKey` is the cipher's last one: it has no MixColumns,
 * and it leaves the octets in the order of a block, column by column. A run that comes to `endKey` first ends before the
 * round with that key.
 */
export function runRounds(
  key: usize,
  lastKey: usize,
  endKey: usize,
  to: usize,
  from: usize,
  fromStep: usize,
  add: usize,
  addStep: usize,
  count: u32,
): void {
  for (; count != 0; --count) {
    let a0 = v128.xor(v128.load(from), v128.load(add));
    let a1 = v128.xor(v128.load(from, 16), v128.load(add, 16));
    let a2 = v128.xor(v128.load(from, 32), v128.load(add, 32));
    let a3 = v128.xor(v128.load(from, 48), v128.load(add, 48));
    let a4 = v128.xor(v128.load(from, 64), v128.load(add, 64));
    let a5 = v128.xor(v128.load(from, 80), v128.load(add, 80));
    let a6 = v128.xor(v128.load(from, 96), v128.load(add, 96));
    let a7 = v128.xor(v128.load(from, 112), v128.load(add, 112));
    let k = key;
    while (true) {
      // SubBytes: the circuit of Boyar and Peralta, "A new combinational logic minimization technique with
      // applications to cryptology", with their names; U0 is the most significant bit. Their four final NOTs are the 0x63.
      const y14 = xor(a4, a2);
      const y13 = xor(a7, a1);
      const y9 = xor(a7, a4);
      const y8 = xor(a7, a2);
      const t0 = xor(a6, a5);
      const y1 = xor(t0, a0);
      const y4 = xor(y1, a4);
      const y12 = xor(y13, y14);
      const y2 = xor(y1, a7);
      const y5 = xor(y1, a1);
      const y3 = xor(y5, y8);
      const t1 = xor(a3, y12);
      const y15 = xor(t1, a2);
      const y20 = xor(t1, a6);
      const y6 = xor(y15, a0);
      const y10 = xor(y15, t0);
      const y11 = xor(y20, y9);
      const y7 = xor(a0, y11);
      const y17 = xor(y10, y11);
      const y19 = xor(y10, y8);
      const y16 = xor(t0, y11);
      const y21 = xor(y13, y16);
      const y18 = xor(a7, y16);

      const t2 = and(y12, y15);
      const t3 = and(y3, y6);
      const t4 = xor(t3, t2);
      const t5 = and(y4, a0);
      const t6 = xor(t5, t2);
      const t7 = and(y13, y16);
      const t8 = and(y5, y1);
      const t9 = xor(t8, t7);
      const t10 = and(y2, y7);
      const t11 = xor(t10, t7);
      const t12 = and(y9, y11);
      const t13 = and(y14, y17);
      const t14 = xor(t13, t12);
      const t15 = and(y8, y10);
      const t16 = xor(t15, t12);
      const t17 = xor(t4, t14);
      const t18 = xor(t6, t16);
      const t19 = xor(t9, t14);
      const t20 = xor(t11, t16);
      const t21 = xor(t17, y20);
      const t22 = xor(t18, y19);
      const t23 = xor(t19, y21);
      const t24 = xor(t20, y18);

      const t25 = xor(t21, t22);
      const t26 = and(t21, t23);
      const t27 = xor(t24, t26);
      const t28 = and(t25, t27);
      const t29 = xor(t28, t22);
      const t30 = xor(t23, t24);
      const t31 = xor(t22, t26);
      const t32 = and(t31, t30);
      const t33 = xor(t32, t24);
      const t34 = xor(t23, t33);
      const t35 = xor(t27, t33);
      const t36 = and(t24, t35);
      const t37 = xor(t36, t34);
      const t38 = xor(t27, t36);
      const t39 = and(t29, t38);
      const t40 = xor(t25, t39);

      const t41 = xor(t40, t37);
      const t42 = xor(t29, t33);
      const t43 = xor(t29, t40);
      const t44 = xor(t33, t37);
      const t45 = xor(t42, t41);
      const z0 = and(t44, y15);
      const z1 = and(t37, y6);
      const z2 = and(t33, a0);
      const z3 = and(t43, y16);
      const z4 = and(t40, y1);
      const z5 = and(t29, y7);
      const z6 = and(t42, y11);
      const z7 = and(t45, y17);
      const z8 = and(t41, y10);
      const z9 = and(t44, y12);
      const z10 = and(t37, y3);
      const z11 = and(t33, y4);
      const z12 = and(t43, y13);
      const z13 = and(t40, y5);
      const z14 = and(t29, y2);
      const z15 = and(t42, y9);
      const z16 = and(t45, y14);
      const z17 = and(t41, y8);

      const t46 = xor(z15, z16);
      const t47 = xor(z10, z11);
      const t48 = xor(z5, z13);
      const t49 = xor(z9, z10);
      const t50 = xor(z2, z12);
      const t51 = xor(z2, z5);
      const t52 = xor(z7, z8);
      const t53 = xor(z0, z3);
      const t54 = xor(z6, z7);
      const t55 = xor(z16, z17);
      const t56 = xor(z12, t48);
      const t57 = xor(t50, t53);
      const t58 = xor(z4, t46);
      const t59 = xor(z3, t54);
      const t60 = xor(t46, t57);
      const t61 = xor(z14, t57);
      const t62 = xor(t52, t58);
      const t63 = xor(t49, t58);
      const t64 = xor(z4, t59);
      const t65 = xor(t61, t62);
      const t66 = xor(z1, t63);
      const t67 = xor(t64, t65);
      a7 = xor(t59, t63);
      a4 = xor(t53, t66);
      a3 = xor(t51, t66);
      a2 = xor(t47, t65);
      a6 = xor(t64, a4);
      a5 = xor(t55, t67);
      a1 = xor(t56, t62);
      a0 = xor(t48, t60);

      if (k == lastKey) {
        a0 = xor(shiftRowsToBlock(a0), v128.load(k));
        a1 = xor(shiftRowsToBlock(a1), v128.load(k, 16));
        a2 = xor(shiftRowsToBlock(a2), v128.load(k, 32));
        a3 = xor(shiftRowsToBlock(a3), v128.load(k, 48));
        a4 = xor(shiftRowsToBlock(a4), v128.load(k, 64));
        a5 = xor(shiftRowsToBlock(a5), v128.load(k, 80));
        a6 = xor(shiftRowsToBlock(a6), v128.load(k, 96));
        a7 = xor(shiftRowsToBlock(a7), v128.load(k, 112));
        break;
      }

      // ShiftRows and MixColumns: with r the row below, the new row is 2 (a ^ r) ^ r ^ (the rows two and three below).
      // m = a ^ r; doubling moves plane i to i + 1 and spreads plane 7 by the polynomial 0x11b.
      a7 = shiftRows(a7);
      const r7 = rowBelow(a7);
      const m7 = xor(a7, r7);
      a0 = shiftRows(a0);
      const r0 = rowBelow(a0);
      const m0 = xor(a0, r0);
      a0 = xor(xor(xor(r0, v128.load(k)), m7), twoRowsBelow(m0));
      a1 = shiftRows(a1);
      const r1 = rowBelow(a1);
      const m1 = xor(a1, r1);
      a1 = xor(xor(xor(r1, v128.load(k, 16)), xor(m0, m7)), twoRowsBelow(m1));
      a2 = shiftRows(a2);
      const r2 = rowBelow(a2);
      const m2 = xor(a2, r2);
      a2 = xor(xor(xor(r2, v128.load(k, 32)), m1), twoRowsBelow(m2));
      a3 = shiftRows(a3);
      const r3 = rowBelow(a3);
      const m3 = xor(a3, r3);
      a3 = xor(xor(xor(r3, v128.load(k, 48)), xor(m2, m7)), twoRowsBelow(m3));
      a4 = shiftRows(a4);
      const r4 = rowBelow(a4);
      const m4 = xor(a4, r4);
      a4 = xor(xor(xor(r4, v128.load(k, 64)), xor(m3, m7)), twoRowsBelow(m4));
      a5 = shiftRows(a5);
      const r5 = rowBelow(a5);
      const m5 = xor(a5, r5);
      a5 = xor(xor(xor(r5, v128.load(k, 80)), m4), twoRowsBelow(m5));
      a6 = shiftRows(a6);
      const r6 = rowBelow(a6);
      const m6 = xor(a6, r6);
      a6 = xor(xor(xor(r6, v128.load(k, 96)), m5), twoRowsBelow(m6));
      a7 = xor(xor(xor(r7, v128.load(k, 112)), m6), twoRowsBelow(m7));

      k += PLANES_SIZE;
      if (k == endKey) break;
    }
    v128.store(to, a0);
    v128.store(to, a1, 16);
    v128.store(to, a2, 32);
    v128.store(to, a3, 48);
    v128.store(to, a4, 64);
    v128.store(to, a5, 80);
    v128.store(to, a6, 96);
    v128.store(to, a7, 112);
    to += PLANES_SIZE;
    from += fromStep;
    add += addStep;
  }
}

function xor(a: v128, b: v128): v128 {
  return v128.xor(a, b);
}

function and(a: v128, b: v128): v128 {
  return v128.and(a, b);
}

function shiftRows(a: v128): v128 {
  return v128.swizzle(a, v128.load(SHIFT_ROWS));
}

/** ShiftRows of the last round, and from row by row to the order of a block, column by column. */
function shiftRowsToBlock(a: v128): v128 {
  return v128.swizzle(a, v128.load(SHIFT_ROWS_TO_BLOCK));
}

function rowBelow(a: v128): v128 {
  return v128.shuffle<i32>(a, a, 1, 2, 3, 0);
}

function twoRowsBelow(a: v128): v128 {
  return v128.shuffle<i32>(a, a, 2, 3, 0, 1);
}
