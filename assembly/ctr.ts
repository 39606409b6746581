// Key stream of AES-GCM, SP 800-38D section 6.5: E(K, nonce | counter), for counters from 1. Counter 1 masks the tag,
// and the text begins with counter 2.
//
// Two ways lead to it, and packets use both:
//
// - Aligned groups of eight counters (8g to 8g + 7). Inside a packet, and for 256 counters, only the last octet of the
//   block changes, so round 1 is run once for counter 0 of the 256; group g starts from there with the difference that
//   its counters make. That difference depends on the key alone and lies in the context.
// - Single blocks, packed side by side with those of other packets, so that short packets and the ends of long ones
//   fill whole groups too.

import { PLANES_SIZE, runRounds } from "./aes";
import { counterRounds, roundKey, rounds } from "./aes-context";
import { repeat, swapRowsAndColumns, transpose } from "./aes-planes";
import { keyStream, planes, zeros } from "./aes-scratch";

/** Groups of eight counters that share one run of round 1. */
export const GROUPS_PER_RUN: u32 = 32;

/** Fills in the context's round-1 differences. The round keys are there already. */
export function expandCounterRounds(context: usize): void {
  const zero = zeros();
  const counters = keyStream(); // 32 groups in planes, until they are used up
  memory.fill(zero, 0, PLANES_SIZE);
  memory.fill(counters, 0, GROUPS_PER_RUN * PLANES_SIZE);
  for (let group: u32 = 0; group < GROUPS_PER_RUN; ++group) {
    // The counter's last octet stands in row 3, column 3, which is place 15 in a block as in a plane.
    const lowest = counters + PLANES_SIZE * group + 15;
    store<u8>(lowest, 0xaa); // bit 0 of 0, 1, 2 ... 7
    store<u8>(lowest, 0xcc, 16);
    store<u8>(lowest, 0xf0, 32);
    for (let bit: u32 = 0; bit < 5; ++bit) store<u8>(lowest + 48 + 16 * bit, (group >> bit) & 1 ? 0xff : 0);
  }
  const differences = counterRounds(context);
  const first = roundKey(context, 0);
  runRounds(zero, 0, zero + PLANES_SIZE, differences, counters, PLANES_SIZE, first, 0, GROUPS_PER_RUN);
  const base = planes();
  runRounds(zero, 0, zero + PLANES_SIZE, base, zero, 0, first, 0, 1);
  for (let at: usize = 0; at < <usize>GROUPS_PER_RUN * PLANES_SIZE; at += 16) {
    const difference = v128.xor(v128.load(differences + at), v128.load(base + (at % PLANES_SIZE)));
    v128.store(differences + at, difference);
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

/** Writes the key stream of `count` groups (at most 32) of one run, from counter 256 * run on. */
export function encryptRun(context: usize, to: usize, block: v128, run: u32, count: u32): void {
  const first = planes();
  const afterRound1 = roundKey(context, 2);
  const last = roundKey(context, rounds(context));
  repeat(first, withCounter(block, 256 * run));
  runRounds(roundKey(context, 1), 0, afterRound1, first, first, 0, roundKey(context, 0), 0, 1);
  runRounds(afterRound1, last, 0, to, first, 0, counterRounds(context), PLANES_SIZE, count);
  transpose(to, count);
}
