// The anti-replay window of RFC 4303 section 3.4.3 as the block ring of RFC 6479: advancing clears whole blocks instead of
// shifting bits. The ring is twice the largest window, so one size serves every window.

import { SA_REPLAY_OFFSET, SA_REPLAY_SIZE, STATUS_OK, STATUS_REPLAYED, STATUS_TOO_OLD } from "./layout";
import { Sa } from "./records";

const BLOCK_MASK: u64 = SA_REPLAY_SIZE / 8 - 1;
const BLOCK_COUNT: u64 = SA_REPLAY_SIZE / 8;

/** What `inferSequence` says when no number is possible. Never a valid number: senders begin at 1 (RFC 4303 section 2.2). */
const NO_SEQUENCE: u64 = 0;

/** Whether `sequence` may be new: STATUS_OK, STATUS_REPLAYED or STATUS_TOO_OLD. Changes nothing. */
export function replayCheck(sa: Sa, sequence: u64): u32 {
  const window = <u64>sa.replayWindow;
  if (window == 0) return STATUS_OK;
  if (sequence == NO_SEQUENCE) return STATUS_TOO_OLD;
  const highest = sa.sequence;
  if (sequence > highest) return STATUS_OK;
  if (highest - sequence >= window) return STATUS_TOO_OLD;
  return (load<u64>(blockOf(sa, sequence >> 6)) >> (sequence & 63)) & 1 ? STATUS_REPLAYED : STATUS_OK;
}

/** Marks an authentic `sequence` as seen, if it still is new: the same answers as `replayCheck`. */
export function replayMark(sa: Sa, sequence: u64): u32 {
  const status = replayCheck(sa, sequence);
  if (status != STATUS_OK) return status;
  const highest = sa.sequence;
  if (sequence > highest) {
    const oldBlock = highest >> 6;
    const advance = min<u64>((sequence >> 6) - oldBlock, BLOCK_COUNT);
    for (let i: u64 = 1; i <= advance; i++) store<u64>(blockOf(sa, oldBlock + i), 0);
    sa.sequence = sequence;
  }
  if (sa.replayWindow != 0) {
    const block = blockOf(sa, sequence >> 6);
    store<u64>(block, load<u64>(block) | ((<u64>1) << (sequence & 63)));
  }
  return STATUS_OK;
}

/**
 * The 64-bit number that the low half stands for, RFC 4303 appendix A2.2: the one of its class that lies in the window or
 * next ahead of it. NO_SEQUENCE where that would be below zero or above 2^64.
 */
export function inferSequence(sa: Sa, low: u32): u64 {
  const highest = sa.sequence;
  const high = highest >> 32;
  const top = <u32>highest;
  const reach = sa.replayWindow - 1;
  const bottom = top - reach; // modulo 2^32
  if (top >= reach) {
    // Case A: the window lies within one subspace.
    if (low >= bottom) return (high << 32) | low;
    return high == 0xffff_ffff ? NO_SEQUENCE : ((high + 1) << 32) | low;
  }
  // Case B: it spans two.
  if (low < bottom) return (high << 32) | low;
  return high == 0 ? NO_SEQUENCE : ((high - 1) << 32) | low;
}

function blockOf(sa: Sa, block: u64): usize {
  return changetype<usize>(sa) + SA_REPLAY_OFFSET + ((<usize>(block & BLOCK_MASK)) << 3);
}
