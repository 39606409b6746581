// Counter mode where the host lends AES (processor-aes.ts): the key stream of many packets in one call, since a call costs as much
// as the AES of a small packet. Every packet's counter blocks begin with counter 1, whether its text does or not.

import { LENT_BLOCK_COUNT, lentBlocks, wipeLent } from "./aes-scratch";
import { jobAt } from "./ctr-window";
import { JOB_DESTINATION_OFFSET, JOB_LENGTH_OFFSET, JOB_NONCE_OFFSET, JOB_SOURCE_OFFSET } from "./layout";
import { cryptLent } from "./processor-aes";
import { xorText } from "./xor-text";

/**
 * Makes the key stream of as many jobs in order from `first` on as fit, all under the key of one place, and gives the end of them.
 * That is `first` itself when the first one alone does not fit, or when the host has failed.
 */
export function makeLentKeyStream(place: u32, first: u32, end: u32, textCounter: u32): u32 {
  let block = lentBlocks();
  let room = LENT_BLOCK_COUNT;
  let i = first;
  for (; i != end; ++i) {
    const job = jobAt(i);
    const count = lentCount(load<u32>(job, JOB_LENGTH_OFFSET), textCounter);
    if (count > room) break;
    writeCounterBlocks(block, job + JOB_NONCE_OFFSET, count);
    room -= count;
    block += 16 * count;
  }
  if (i == first) return first;
  if (cryptLent(place, lentBlocks(), LENT_BLOCK_COUNT - room)) return i;
  wipeLent();
  return first;
}

/** How many blocks of key stream a text has, from counter 1 on. */
export function lentCount(length: u32, textCounter: u32): u32 {
  return textCounter - 1 + (length + 15) / 16;
}

/** Destination = source ^ key stream, whose block of counter 1 is at `lent`. */
export function xorLent(job: usize, lent: usize, textCounter: u32): void {
  xorText(
    load<u32>(job, JOB_DESTINATION_OFFSET),
    load<u32>(job, JOB_SOURCE_OFFSET),
    lent + 16 * (textCounter - 1),
    load<u32>(job, JOB_LENGTH_OFFSET),
  );
}

/** Nonce | counter, in the order of a block: counters are big-endian and stay below 65536 here. */
function writeCounterBlocks(to: usize, nonce: usize, count: u32): void {
  const block = i32x4.replace_lane(v128.load64_zero(nonce), 2, load<i32>(nonce, 8));
  for (let counter: u32 = 1; counter <= count; ++counter) {
    v128.store(to, i32x4.replace_lane(block, 3, bswap<u32>(counter)));
    to += 16;
  }
}
