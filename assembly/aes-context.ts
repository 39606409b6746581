// The expanded AES key, as it lies at the context address of every AES mode. Written once, only read afterwards.

/** u32: 10, 12 or 14 rounds. */
const ROUNDS_OFFSET: u32 = 0;
/** Round keys 0 to 14 as planes. */
const ROUND_KEYS_OFFSET: u32 = 64;
/** For each of 32 groups of eight counters, planes: how round 1 differs from that of counter 0 (ctr.ts). */
const COUNTER_ROUNDS_OFFSET: u32 = 2048;
/** What a mode keeps beside that begins here. */
export const MODE_OFFSET: u32 = 6144;

export function rounds(context: usize): u32 {
  return load<u32>(context, ROUNDS_OFFSET);
}

export function setRounds(context: usize, rounds: u32): void {
  store<u32>(context, rounds, ROUNDS_OFFSET);
}

export function roundKey(context: usize, round: u32): usize {
  return context + ROUND_KEYS_OFFSET + 128 * round;
}

export function counterRounds(context: usize): usize {
  return context + COUNTER_ROUNDS_OFFSET;
}
