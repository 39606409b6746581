const BLOCK_LENGTH = 64;
const DIGEST_LENGTH = 16;

/** Which word each of the 48 steps takes, RFC 1320 section 3.4. */
const WORDS = [
  [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
  [0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15],
  [0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15],
] as const;

const ROTATIONS = [
  [3, 7, 11, 19],
  [3, 5, 9, 13],
  [3, 9, 11, 15],
] as const;

const ADDENDS = [0, 0x5a82_7999, 0x6ed9_eba1] as const;

/**
 * The MD4 digest (RFC 1320), 16 octets. Broken as a hash; it is here because NT password hashes are made with it (RFC 2759 section
 * 8.3) and OpenSSL 3 no longer offers it. No branch and no address depends on what is hashed; what is left of it is wiped.
 */
export function md4(message: Uint8Array): Uint8Array {
  const padded = pad(message);
  const view = new DataView(padded.buffer);
  const state = Uint32Array.of(0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476);
  const words = new Uint32Array(16);
  for (let at = 0; at < padded.length; at += BLOCK_LENGTH) {
    for (let i = 0; i < 16; i++) words[i] = view.getUint32(at + 4 * i, true);
    mix(state, words);
  }
  const digest = new Uint8Array(DIGEST_LENGTH);
  const out = new DataView(digest.buffer);
  for (let i = 0; i < 4; i++) out.setUint32(4 * i, state[i]!, true);
  padded.fill(0);
  words.fill(0);
  state.fill(0);
  return digest;
}

/** A one bit, zeros, and the length in bits, up to whole blocks (RFC 1320 sections 3.1, 3.2). */
function pad(message: Uint8Array): Uint8Array<ArrayBuffer> {
  const padded = new Uint8Array(Math.ceil((message.length + 9) / BLOCK_LENGTH) * BLOCK_LENGTH);
  padded.set(message);
  padded[message.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setUint32(padded.length - 8, (message.length << 3) >>> 0, true);
  view.setUint32(padded.length - 4, Math.floor(message.length / 0x2000_0000), true);
  return padded;
}

function mix(state: Uint32Array, words: Uint32Array): void {
  let [a, b, c, d] = [state[0]!, state[1]!, state[2]!, state[3]!];
  for (let round = 0; round < 3; round++) {
    for (let step = 0; step < 16; step++) {
      const sum = (a + chosen(round, b, c, d) + words[WORDS[round]![step]!]! + ADDENDS[round]!) >>> 0;
      const count = ROTATIONS[round]![step % 4]!;
      const turned = ((sum << count) | (sum >>> (32 - count))) >>> 0;
      [a, b, c, d] = [d, turned, b, c];
    }
  }
  state[0] = state[0]! + a;
  state[1] = state[1]! + b;
  state[2] = state[2]! + c;
  state[3] = state[3]! + d;
}

/** F, G and H of RFC 1320 section 3.4. */
function chosen(round: number, x: number, y: number, z: number): number {
  if (round === 0) return ((x & y) | (~x & z)) >>> 0;
  if (round === 1) return ((x & y) | (x & z) | (y & z)) >>> 0;
  return (x ^ y ^ z) >>> 0;
}
