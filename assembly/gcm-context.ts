// The expanded key of AES-GCM, as it lies at the context address: AEAD_CONTEXT_SIZE octets, and the GHASH table beside
// it. Both are written by gcmExpandKey and only read afterwards.

import { AEAD_CONTEXT_SIZE, GHASH_TABLE_SIZE } from "./layout";

/** u32: 10, 12 or 14 rounds. */
const ROUNDS_OFFSET: u32 = 0;
/** u32: address of the GHASH table. */
const TABLE_OFFSET: u32 = 4;
/** Round keys 0 to 14 as planes. */
const ROUND_KEYS_OFFSET: u32 = 64;
/** For each of 32 groups of eight counters, planes: how round 1 differs from that of counter 0 (ctr.ts). */
const COUNTER_ROUNDS_OFFSET: u32 = 2048;
/** H^8 and H^16 as rows (ghash-table.ts). */
const FOLD_ROWS_OFFSET: u32 = 6144;
const FOLD_ROWS_SIZE: u32 = 512;
const END_OFFSET: u32 = FOLD_ROWS_OFFSET + 2 * FOLD_ROWS_SIZE;

if (END_OFFSET > <u32>AEAD_CONTEXT_SIZE) ERROR("The AES-GCM context does not fit its place in layout.ts");
if (GHASH_TABLE_SIZE < 65536) ERROR("The GHASH table does not fit its place in layout.ts");

export function rounds(context: usize): u32 {
  return load<u32>(context, ROUNDS_OFFSET);
}

export function setRounds(context: usize, rounds: u32): void {
  store<u32>(context, rounds, ROUNDS_OFFSET);
}

export function table(context: usize): usize {
  return load<u32>(context, TABLE_OFFSET);
}

export function setTable(context: usize, table: usize): void {
  store<u32>(context, <u32>table, TABLE_OFFSET);
}

export function roundKey(context: usize, round: u32): usize {
  return context + ROUND_KEYS_OFFSET + 128 * round;
}

export function counterRounds(context: usize): usize {
  return context + COUNTER_ROUNDS_OFFSET;
}

/** `power` is 8 or 16. */
export function foldRows(context: usize, power: u32): usize {
  const place: u32 = power == 16 ? FOLD_ROWS_SIZE : 0;
  return context + FOLD_ROWS_OFFSET + place;
}
