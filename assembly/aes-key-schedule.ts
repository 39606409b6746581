// AES key expansion, FIPS 197 section 5.2, into round keys as planes. Constant time: SubWord is the same circuit that
// runs the rounds, and nothing else looks at a key octet.

import { PLANES_SIZE, runRounds } from "./aes";
import { rawKey, roundKey, setRounds } from "./aes-context";
import { repeat, swapRowsAndColumns, transpose } from "./aes-planes";
import { keyWords, planes, zeros } from "./aes-scratch";

/** Expands a key of 16, 24 or 32 octets into the context. */
export function expandRoundKeys(context: usize, key: usize, keyLength: u32): void {
  const words = keyWords();
  const keyWordCount = keyLength / 4;
  const rounds = keyWordCount + 6;
  memory.copy(words, key, keyLength);
  memory.fill(zeros(), 0, PLANES_SIZE);

  let roundConstant: u32 = 1;
  for (let i = keyWordCount; i < 4 * (rounds + 1); ++i) {
    let word = load<u32>(words + 4 * (i - 1));
    const place = i % keyWordCount;
    if (place == 0) {
      word = subWord(rotr<u32>(word, 8)) ^ roundConstant;
      roundConstant = (roundConstant << 1) ^ ((roundConstant >> 7) * 0x11b);
    } else if (place == 4 && keyWordCount == 8) {
      word = subWord(word);
    }
    store<u32>(words + 4 * i, word ^ load<u32>(words + 4 * (i - keyWordCount)));
  }

  setRounds(context, rounds);
  memory.copy(rawKey(context), key, keyLength);
  for (let round: u32 = 0; round <= rounds; ++round) {
    let octets = v128.load(words + 16 * round);
    if (round != 0) octets = v128.xor(octets, i8x16.splat(0x63)); // what SubBytes of the round leaves out
    if (round != rounds) octets = swapRowsAndColumns(octets); // the last round has already left the order of planes
    repeat(roundKey(context, round), octets);
  }
  memory.fill(words, 0, 240);
}

/** The word in all four columns, through a last round whose key is zero: ShiftRows then changes nothing. */
function subWord(word: u32): u32 {
  const zero = zeros();
  const state = planes();
  repeat(state, swapRowsAndColumns(i32x4.splat(word)));
  runRounds(zero, zero, 0, state, state, 0, zero, 0, 1);
  transpose(state, 1);
  return load<u32>(state) ^ 0x63636363;
}
