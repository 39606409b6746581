// ChaCha20, RFC 8439 section 2.3: eight blocks at once, for any mixture of packets and counters.
//
// Lane = block: vector i of a group holds word i of four blocks, and two groups run side by side. Which packet a lane
// works for is a matter of the words loaded into it, so small packets share a call as well as large ones fill it.
//
// Constant time: additions, XORs and rotations by fixed amounts, addresses known beforehand.
//
// No v128 constant stands in the loop: newer engines build one anew at every use, where a load is one instruction.

/** "expand 32-byte k", each word in four lanes. */
const SIGMA = memory.data<u32>(
  [
    0x61707865, 0x61707865, 0x61707865, 0x61707865, 0x3320646e, 0x3320646e, 0x3320646e, 0x3320646e,
    0x79622d32, 0x79622d32, 0x79622d32, 0x79622d32, 0x6b206574, 0x6b206574, 0x6b206574, 0x6b206574,
  ],
  16,
);

/** Octet order that turns each word left by 8. */
const ROTL8 = memory.data<u8>([3, 0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10, 15, 12, 13, 14], 16);

export const LANE_COUNT: u32 = 8;

// The record that a call works on:
//
//   0                    192                  384            416             448
//   | group 0: w4..w15   | group 1: w4..w15   | inputs x 8   | outputs x 8   |
//
// A word takes 16 octets, its value in each of the group's four lanes. Inputs and outputs are addresses, one for each lane:
// 64 octets to XOR the key stream with, and where the result goes.
export const STATE_OFFSET = 0;
export const GROUP_STATE_SIZE = 192;
export const INPUTS_OFFSET = 384;
export const OUTPUTS_OFFSET = 416;
export const LANES_SIZE = 448;

/** Runs the 20 rounds on the eight states in `lanes` and XORs each block's key stream from its input to its output. */
export function chacha20Blocks(lanes: usize): void {
  let x0 = v128.load(SIGMA, 0);
  let x1 = v128.load(SIGMA, 16);
  let x2 = v128.load(SIGMA, 32);
  let x3 = v128.load(SIGMA, 48);
  let x4 = v128.load(lanes, STATE_OFFSET + 0);
  let x5 = v128.load(lanes, STATE_OFFSET + 16);
  let x6 = v128.load(lanes, STATE_OFFSET + 32);
  let x7 = v128.load(lanes, STATE_OFFSET + 48);
  let x8 = v128.load(lanes, STATE_OFFSET + 64);
  let x9 = v128.load(lanes, STATE_OFFSET + 80);
  let x10 = v128.load(lanes, STATE_OFFSET + 96);
  let x11 = v128.load(lanes, STATE_OFFSET + 112);
  let x12 = v128.load(lanes, STATE_OFFSET + 128);
  let x13 = v128.load(lanes, STATE_OFFSET + 144);
  let x14 = v128.load(lanes, STATE_OFFSET + 160);
  let x15 = v128.load(lanes, STATE_OFFSET + 176);
  let y0 = v128.load(SIGMA, 0);
  let y1 = v128.load(SIGMA, 16);
  let y2 = v128.load(SIGMA, 32);
  let y3 = v128.load(SIGMA, 48);
  let y4 = v128.load(lanes, STATE_OFFSET + 192);
  let y5 = v128.load(lanes, STATE_OFFSET + 208);
  let y6 = v128.load(lanes, STATE_OFFSET + 224);
  let y7 = v128.load(lanes, STATE_OFFSET + 240);
  let y8 = v128.load(lanes, STATE_OFFSET + 256);
  let y9 = v128.load(lanes, STATE_OFFSET + 272);
  let y10 = v128.load(lanes, STATE_OFFSET + 288);
  let y11 = v128.load(lanes, STATE_OFFSET + 304);
  let y12 = v128.load(lanes, STATE_OFFSET + 320);
  let y13 = v128.load(lanes, STATE_OFFSET + 336);
  let y14 = v128.load(lanes, STATE_OFFSET + 352);
  let y15 = v128.load(lanes, STATE_OFFSET + 368);

  for (let i = 0; i < 10; i++) {
    x0 = i32x4.add(x0, x4);
    x12 = rotl16(v128.xor(x12, x0));
    x8 = i32x4.add(x8, x12);
    x4 = rotl12(v128.xor(x4, x8));
    x0 = i32x4.add(x0, x4);
    x12 = rotl8(v128.xor(x12, x0));
    x8 = i32x4.add(x8, x12);
    x4 = rotl7(v128.xor(x4, x8));
    x1 = i32x4.add(x1, x5);
    x13 = rotl16(v128.xor(x13, x1));
    x9 = i32x4.add(x9, x13);
    x5 = rotl12(v128.xor(x5, x9));
    x1 = i32x4.add(x1, x5);
    x13 = rotl8(v128.xor(x13, x1));
    x9 = i32x4.add(x9, x13);
    x5 = rotl7(v128.xor(x5, x9));
    x2 = i32x4.add(x2, x6);
    x14 = rotl16(v128.xor(x14, x2));
    x10 = i32x4.add(x10, x14);
    x6 = rotl12(v128.xor(x6, x10));
    x2 = i32x4.add(x2, x6);
    x14 = rotl8(v128.xor(x14, x2));
    x10 = i32x4.add(x10, x14);
    x6 = rotl7(v128.xor(x6, x10));
    x3 = i32x4.add(x3, x7);
    x15 = rotl16(v128.xor(x15, x3));
    x11 = i32x4.add(x11, x15);
    x7 = rotl12(v128.xor(x7, x11));
    x3 = i32x4.add(x3, x7);
    x15 = rotl8(v128.xor(x15, x3));
    x11 = i32x4.add(x11, x15);
    x7 = rotl7(v128.xor(x7, x11));
    x0 = i32x4.add(x0, x5);
    x15 = rotl16(v128.xor(x15, x0));
    x10 = i32x4.add(x10, x15);
    x5 = rotl12(v128.xor(x5, x10));
    x0 = i32x4.add(x0, x5);
    x15 = rotl8(v128.xor(x15, x0));
    x10 = i32x4.add(x10, x15);
    x5 = rotl7(v128.xor(x5, x10));
    x1 = i32x4.add(x1, x6);
    x12 = rotl16(v128.xor(x12, x1));
    x11 = i32x4.add(x11, x12);
    x6 = rotl12(v128.xor(x6, x11));
    x1 = i32x4.add(x1, x6);
    x12 = rotl8(v128.xor(x12, x1));
    x11 = i32x4.add(x11, x12);
    x6 = rotl7(v128.xor(x6, x11));
    x2 = i32x4.add(x2, x7);
    x13 = rotl16(v128.xor(x13, x2));
    x8 = i32x4.add(x8, x13);
    x7 = rotl12(v128.xor(x7, x8));
    x2 = i32x4.add(x2, x7);
    x13 = rotl8(v128.xor(x13, x2));
    x8 = i32x4.add(x8, x13);
    x7 = rotl7(v128.xor(x7, x8));
    x3 = i32x4.add(x3, x4);
    x14 = rotl16(v128.xor(x14, x3));
    x9 = i32x4.add(x9, x14);
    x4 = rotl12(v128.xor(x4, x9));
    x3 = i32x4.add(x3, x4);
    x14 = rotl8(v128.xor(x14, x3));
    x9 = i32x4.add(x9, x14);
    x4 = rotl7(v128.xor(x4, x9));
    y0 = i32x4.add(y0, y4);
    y12 = rotl16(v128.xor(y12, y0));
    y8 = i32x4.add(y8, y12);
    y4 = rotl12(v128.xor(y4, y8));
    y0 = i32x4.add(y0, y4);
    y12 = rotl8(v128.xor(y12, y0));
    y8 = i32x4.add(y8, y12);
    y4 = rotl7(v128.xor(y4, y8));
    y1 = i32x4.add(y1, y5);
    y13 = rotl16(v128.xor(y13, y1));
    y9 = i32x4.add(y9, y13);
    y5 = rotl12(v128.xor(y5, y9));
    y1 = i32x4.add(y1, y5);
    y13 = rotl8(v128.xor(y13, y1));
    y9 = i32x4.add(y9, y13);
    y5 = rotl7(v128.xor(y5, y9));
    y2 = i32x4.add(y2, y6);
    y14 = rotl16(v128.xor(y14, y2));
    y10 = i32x4.add(y10, y14);
    y6 = rotl12(v128.xor(y6, y10));
    y2 = i32x4.add(y2, y6);
    y14 = rotl8(v128.xor(y14, y2));
    y10 = i32x4.add(y10, y14);
    y6 = rotl7(v128.xor(y6, y10));
    y3 = i32x4.add(y3, y7);
    y15 = rotl16(v128.xor(y15, y3));
    y11 = i32x4.add(y11, y15);
    y7 = rotl12(v128.xor(y7, y11));
    y3 = i32x4.add(y3, y7);
    y15 = rotl8(v128.xor(y15, y3));
    y11 = i32x4.add(y11, y15);
    y7 = rotl7(v128.xor(y7, y11));
    y0 = i32x4.add(y0, y5);
    y15 = rotl16(v128.xor(y15, y0));
    y10 = i32x4.add(y10, y15);
    y5 = rotl12(v128.xor(y5, y10));
    y0 = i32x4.add(y0, y5);
    y15 = rotl8(v128.xor(y15, y0));
    y10 = i32x4.add(y10, y15);
    y5 = rotl7(v128.xor(y5, y10));
    y1 = i32x4.add(y1, y6);
    y12 = rotl16(v128.xor(y12, y1));
    y11 = i32x4.add(y11, y12);
    y6 = rotl12(v128.xor(y6, y11));
    y1 = i32x4.add(y1, y6);
    y12 = rotl8(v128.xor(y12, y1));
    y11 = i32x4.add(y11, y12);
    y6 = rotl7(v128.xor(y6, y11));
    y2 = i32x4.add(y2, y7);
    y13 = rotl16(v128.xor(y13, y2));
    y8 = i32x4.add(y8, y13);
    y7 = rotl12(v128.xor(y7, y8));
    y2 = i32x4.add(y2, y7);
    y13 = rotl8(v128.xor(y13, y2));
    y8 = i32x4.add(y8, y13);
    y7 = rotl7(v128.xor(y7, y8));
    y3 = i32x4.add(y3, y4);
    y14 = rotl16(v128.xor(y14, y3));
    y9 = i32x4.add(y9, y14);
    y4 = rotl12(v128.xor(y4, y9));
    y3 = i32x4.add(y3, y4);
    y14 = rotl8(v128.xor(y14, y3));
    y9 = i32x4.add(y9, y14);
    y4 = rotl7(v128.xor(y4, y9));
  }

  x0 = i32x4.add(x0, v128.load(SIGMA, 0));
  x1 = i32x4.add(x1, v128.load(SIGMA, 16));
  x2 = i32x4.add(x2, v128.load(SIGMA, 32));
  x3 = i32x4.add(x3, v128.load(SIGMA, 48));
  x4 = i32x4.add(x4, v128.load(lanes, STATE_OFFSET + 0));
  x5 = i32x4.add(x5, v128.load(lanes, STATE_OFFSET + 16));
  x6 = i32x4.add(x6, v128.load(lanes, STATE_OFFSET + 32));
  x7 = i32x4.add(x7, v128.load(lanes, STATE_OFFSET + 48));
  x8 = i32x4.add(x8, v128.load(lanes, STATE_OFFSET + 64));
  x9 = i32x4.add(x9, v128.load(lanes, STATE_OFFSET + 80));
  x10 = i32x4.add(x10, v128.load(lanes, STATE_OFFSET + 96));
  x11 = i32x4.add(x11, v128.load(lanes, STATE_OFFSET + 112));
  x12 = i32x4.add(x12, v128.load(lanes, STATE_OFFSET + 128));
  x13 = i32x4.add(x13, v128.load(lanes, STATE_OFFSET + 144));
  x14 = i32x4.add(x14, v128.load(lanes, STATE_OFFSET + 160));
  x15 = i32x4.add(x15, v128.load(lanes, STATE_OFFSET + 176));
  Output.row(lanes, 0, x0, x1, x2, x3);
  Output.row(lanes, 16, x4, x5, x6, x7);
  Output.row(lanes, 32, x8, x9, x10, x11);
  Output.row(lanes, 48, x12, x13, x14, x15);
  y0 = i32x4.add(y0, v128.load(SIGMA, 0));
  y1 = i32x4.add(y1, v128.load(SIGMA, 16));
  y2 = i32x4.add(y2, v128.load(SIGMA, 32));
  y3 = i32x4.add(y3, v128.load(SIGMA, 48));
  y4 = i32x4.add(y4, v128.load(lanes, STATE_OFFSET + 192));
  y5 = i32x4.add(y5, v128.load(lanes, STATE_OFFSET + 208));
  y6 = i32x4.add(y6, v128.load(lanes, STATE_OFFSET + 224));
  y7 = i32x4.add(y7, v128.load(lanes, STATE_OFFSET + 240));
  y8 = i32x4.add(y8, v128.load(lanes, STATE_OFFSET + 256));
  y9 = i32x4.add(y9, v128.load(lanes, STATE_OFFSET + 272));
  y10 = i32x4.add(y10, v128.load(lanes, STATE_OFFSET + 288));
  y11 = i32x4.add(y11, v128.load(lanes, STATE_OFFSET + 304));
  y12 = i32x4.add(y12, v128.load(lanes, STATE_OFFSET + 320));
  y13 = i32x4.add(y13, v128.load(lanes, STATE_OFFSET + 336));
  y14 = i32x4.add(y14, v128.load(lanes, STATE_OFFSET + 352));
  y15 = i32x4.add(y15, v128.load(lanes, STATE_OFFSET + 368));
  Output.row(lanes + 16, 0, y0, y1, y2, y3);
  Output.row(lanes + 16, 16, y4, y5, y6, y7);
  Output.row(lanes + 16, 32, y8, y9, y10, y11);
  Output.row(lanes + 16, 48, y12, y13, y14, y15);
}

/** Inlined by force: around a call the engine would save every vector that is alive, which costs an eighth of the whole. */
class Output {
  /** Turns four words of four blocks round, so that each block has 16 octets in a row, and XORs those from input to output. */
  @inline
  static row(lanes: usize, offset: usize, a: v128, b: v128, c: v128, d: v128): void {
    const ab = v128.shuffle<i32>(a, b, 0, 4, 1, 5);
    const cd = v128.shuffle<i32>(c, d, 0, 4, 1, 5);
    const ef = v128.shuffle<i32>(a, b, 2, 6, 3, 7);
    const gh = v128.shuffle<i32>(c, d, 2, 6, 3, 7);
    xorInto(lanes, offset, v128.shuffle<i64>(ab, cd, 0, 2));
    xorInto(lanes + 4, offset, v128.shuffle<i64>(ab, cd, 1, 3));
    xorInto(lanes + 8, offset, v128.shuffle<i64>(ef, gh, 0, 2));
    xorInto(lanes + 12, offset, v128.shuffle<i64>(ef, gh, 1, 3));
  }
}

function xorInto(lane: usize, offset: usize, keyStream: v128): void {
  const input = load<usize>(lane, INPUTS_OFFSET) + offset;
  v128.store(load<usize>(lane, OUTPUTS_OFFSET) + offset, v128.xor(keyStream, v128.load(input)));
}

function rotl16(x: v128): v128 {
  return v128.shuffle<i16>(x, x, 1, 0, 3, 2, 5, 4, 7, 6);
}

function rotl12(x: v128): v128 {
  return v128.or(i32x4.shl(x, 12), i32x4.shr_u(x, 20));
}

function rotl8(x: v128): v128 {
  return i8x16.swizzle(x, v128.load(ROTL8));
}

function rotl7(x: v128): v128 {
  return v128.or(i32x4.shl(x, 7), i32x4.shr_u(x, 25));
}
