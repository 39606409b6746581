// The expanded AES key, as it lies at the context address of every AES mode. Written once, only read afterwards.

/** u32: 10, 12 or 14 rounds. */
const ROUNDS_OFFSET: u32 = 0;
/** u32: which word of a worker's key tables is this key's (key-tables.ts). */
const NUMBER_OFFSET: u32 = 4;
/** The key itself, up to 32 octets, for who expands it in another way (processor-aes.ts). */
const RAW_KEY_OFFSET: u32 = 16;
/** Round keys 0 to 14 as planes. */
const ROUND_KEYS_OFFSET: u32 = 64;
/** What a mode keeps beside that begins here. */
export const MODE_OFFSET: u32 = ROUND_KEYS_OFFSET + 15 * 128;
/** Octets of an AES-128 key and nothing beside it. */
export const SHORT_CONTEXT_SIZE: u32 = ROUND_KEYS_OFFSET + 11 * 128;

export function rounds(context: usize): u32 {
  return load<u32>(context, ROUNDS_OFFSET);
}

export function setRounds(context: usize, rounds: u32): void {
  store<u32>(context, rounds, ROUNDS_OFFSET);
}

export function rawKey(context: usize): usize {
  return context + RAW_KEY_OFFSET;
}

/** 16, 24 or 32. */
export function rawKeyLength(context: usize): u32 {
  return 4 * (rounds(context) - 6);
}

export function number(context: usize): u32 {
  return load<u32>(context, NUMBER_OFFSET);
}

export function setNumber(context: usize, number: u32): void {
  store<u32>(context, number, NUMBER_OFFSET);
}

export function roundKey(context: usize, round: u32): usize {
  return context + ROUND_KEYS_OFFSET + 128 * round;
}
