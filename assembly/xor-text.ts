/** Writes `length` octets of source ^ key stream, and not one more. Reads both up to 15 octets further. */
export function xorText(destination: usize, source: usize, keyStream: usize, length: u32): void {
  for (; length >= 64; length -= 64) {
    const a = v128.xor(v128.load(source), v128.load(keyStream));
    const b = v128.xor(v128.load(source, 16), v128.load(keyStream, 16));
    const c = v128.xor(v128.load(source, 32), v128.load(keyStream, 32));
    const d = v128.xor(v128.load(source, 48), v128.load(keyStream, 48));
    v128.store(destination, a);
    v128.store(destination, b, 16);
    v128.store(destination, c, 32);
    v128.store(destination, d, 48);
    source += 64;
    keyStream += 64;
    destination += 64;
  }
  for (; length >= 16; length -= 16) {
    v128.store(destination, v128.xor(v128.load(source), v128.load(keyStream)));
    source += 16;
    keyStream += 16;
    destination += 16;
  }
  if (length == 0) return;
  let last = v128.xor(v128.load(source), v128.load(keyStream));
  if (length & 8) {
    v128.store64_lane(destination, last, 0);
    destination += 8;
    last = v128.shuffle<i64>(last, last, 1, 1);
  }
  if (length & 4) {
    v128.store32_lane(destination, last, 0);
    destination += 4;
    last = i64x2.shr_u(last, 32);
  }
  if (length & 2) {
    v128.store16_lane(destination, last, 0);
    destination += 2;
    last = i64x2.shr_u(last, 16);
  }
  if (length & 1) v128.store8_lane(destination, last, 0);
}
