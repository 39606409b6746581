// Key stream of AES-GCM, SP 800-38D section 6.5: E(K, nonce | counter), for counters from 1. Counter 1 masks the tag,
// and the text begins with counter 2.
//
// Two ways lead to it, and packets use both:
//
// - Aligned groups of eight counters (8g to 8g + 7). Inside a packet, and for 256 counters, only the last octet of the
//   block changes. A key with tables has round 1 run once for counter 0 of the 256; group g starts from there with the
//   difference that its counters make, which depends on the key alone and lies in the tables.
// - Single blocks, packed side by side with those of other packets, so that short packets and the ends of long ones
//   fill whole groups too.

import { PLANES_SIZE, runRounds } from "./aes";
import { roundKey, rounds } from "./aes-context";
import { repeat, swapRowsAndColumns, transpose } from "./aes-planes";
import { planes, zeros } from "./aes-scratch";
import { WORKER_COUNTER_PLANES_OFFSET } from "./layout";
import { region } from "./scratch";

/** Groups of eight counters that share one run of round 1. */
export const GROUPS_PER_RUN: u32 = 32;

/** Octets of what `writeCounterRounds` writes. */
export const COUNTER_ROUNDS_SIZE: u32 = GROUPS_PER_RUN * PLANES_SIZE;

/** Writes, once for each instance, how the planes of 32 groups of eight counters differ from those of counter 0. */
export function writeCounters(): void {
  memory.fill(counters(), 0, COUNTER_ROUNDS_SIZE);
  for (let group: u32 = 0; group < GROUPS_PER_RUN; ++group) {
    // The counter's last octet stands in row 3, column 3, which is place 15 in a block as in a plane.
    const lowest = counters() + PLANES_SIZE * group + 15;
    store<u8>(lowest, 0xaa); // bit 0 of 0, 1, 2 ... 7
    store<u8>(lowest, 0xcc, 16);
    store<u8>(lowest, 0xf0, 32);
    for (let bit: u32 = 0; bit < 5; ++bit) {
      store<u8>(lowest + 48 + 16 * bit, (group >> bit) & 1 ? 0xff : 0);
    }
  }
}

function counters(): usize {
  return region() + WORKER_COUNTER_PLANES_OFFSET;
}

/** Writes how round 1 of each group differs from that of counter 0. */
export function writeCounterRounds(rounds: usize, context: usize): void {
  const zero = zeros();
  memory.fill(zero, 0, PLANES_SIZE);
  const first = roundKey(context, 0);
  runRounds(zero, 0, zero + PLANES_SIZE, rounds, counters(), PLANES_SIZE, first, 0, GROUPS_PER_RUN);
  const base = planes();
  runRounds(zero, 0, zero + PLANES_SIZE, base, zero, 0, first, 0, 1);
  for (let at: usize = 0; at < <usize>COUNTER_ROUNDS_SIZE; at += 16) {
    const difference = v128.xor(v128.load(rounds + at), v128.load(base + (at % PLANES_SIZE)));
    v128.store(rounds + at, difference);
  }
}

/** A counter block with the octets of the nonce, in the order of planes, and counter 0. */
export function counterBlock(nonce: usize): v128 {
  const block = i32x4.replace_lane(v128.load64_zero(nonce), 2, load<i32>(nonce, 8));
  return swapRowsAndColumns(block);
}

/** The same block with the given counter, below 65536. Places 11 and 15 hold the counter's last two octets. */
function withCounter(block: v128, counter: u32): v128 {
  return v128.xor(block, i32x4(0, 0, (counter >> 8) << 24, counter << 24));
}

/** Writes `count` counter blocks from `counter` on, which all have the same counter / 256. */
export function packBlocks(to: usize, block: v128, counter: u32, count: u32): void {
  let next = withCounter(block, counter);
  for (; count != 0; --count) {
    v128.store(to, next);
    next = i32x4.add(next, i32x4(0, 0, 0, 1 << 24));
    to += 16;
  }
}

/** Encrypts `count` packed blocks, and those behind them up to a multiple of eight. */
export function encryptPacked(context: usize, blocks: usize, count: u32): void {
  const groups = (count + 7) / 8;
  const last = roundKey(context, rounds(context));
  transpose(blocks, groups);
  runRounds(roundKey(context, 1), last, 0, blocks, blocks, PLANES_SIZE, roundKey(context, 0), 0, groups);
  transpose(blocks, groups);
}

/**
 * Writes the key stream of `count` groups (at most 32) of one run, from counter 256 * run on. `counterRounds` is what
 * `writeCounterRounds` wrote for the key, or 0.
 */
export function encryptRun(
  context: usize,
  counterRounds: usize,
  to: usize,
  block: v128,
  run: u32,
  count: u32,
): void {
  const first = planes();
  const last = roundKey(context, rounds(context));
  repeat(first, withCounter(block, 256 * run));
  if (counterRounds == 0) {
    for (let at: usize = 0; at < <usize>PLANES_SIZE; at += 16) {
      v128.store(first + at, v128.xor(v128.load(first + at), v128.load(roundKey(context, 0) + at)));
    }
    runRounds(roundKey(context, 1), last, 0, to, first, 0, counters(), PLANES_SIZE, count);
  } else {
    const afterRound1 = roundKey(context, 2);
    runRounds(roundKey(context, 1), 0, afterRound1, first, first, 0, roundKey(context, 0), 0, 1);
    runRounds(afterRound1, last, 0, to, first, 0, counterRounds, PLANES_SIZE, count);
  }
  transpose(to, count);
}
