// What ChaCha20-Poly1305 authenticates, RFC 8439 section 2.8:
//
//   AAD | zeros to 16 | ciphertext | zeros to 16 | length of AAD (8) | length of ciphertext (8)
//
// Four jobs at a time, one in each lane of poly1305.ts. All lanes end together: a lane with less to do begins later, and
// until then it absorbs zeros without the high bit, which leaves its h at 0.

import { JOB_AAD_LENGTH_OFFSET, JOB_AAD_OFFSET, JOB_LENGTH_OFFSET } from "./layout";
import {
  MAC_FROM_OFFSET,
  MAC_HIGH_BIT,
  MAC_HIGH_OFFSET,
  MAC_KEY_OFFSET,
  MAC_LANE_SIZE,
  MAC_LANES_OFFSET,
  MAC_SIZE,
  MAC_STEP_OFFSET,
  macAbsorb,
  macFinish,
  macStart,
} from "./poly1305";

const BLOCK: u32 = 16;
const ZEROS = memory.data(32, 16);
/** From 16 - n on: n octets to keep, then octets to clear. */
const KEEP = memory.data<u8>(
  [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  ],
  16,
);

// A lane's plan: five runs of blocks, one after another, and the octets that had to be copied for them.
//
//   0                                            60  64         80
//   | (from, step, block count) x 5              |   | AAD end  | ciphertext end, lengths |
const RUN_FROM_OFFSET = 0;
const RUN_STEP_OFFSET = 4;
const RUN_COUNT_OFFSET = 8;
const RUN_SIZE = 12;
const PLAN_AAD_END_OFFSET = 64;
const PLAN_END_OFFSET = 80;
const PLAN_SIZE = 128;

// The record: Poly1305's, then the plans, then for each lane the number of its current run.
const PLANS_OFFSET = MAC_SIZE;
const RUNS_OFFSET = MAC_SIZE + PLAN_SIZE * 4;
export const AEAD_MAC_SIZE = RUNS_OFFSET + 16;

/** Sets lane `lane` to authenticate `length` octets of ciphertext of `job`; returns how many blocks that takes. */
export function planJob(mac: usize, lane: u32, job: usize, ciphertext: usize, key: usize): u32 {
  store<u32>(mac + MAC_LANE_SIZE * lane, key, MAC_LANES_OFFSET + MAC_KEY_OFFSET);
  const plan = mac + PLANS_OFFSET + PLAN_SIZE * lane;
  const aad: usize = load<usize>(job, JOB_AAD_OFFSET);
  const aadLength = load<u32>(job, JOB_AAD_LENGTH_OFFSET);
  const aadBlocks = aadLength / BLOCK;
  const aadRest = aadLength % BLOCK;
  const length = load<u32>(job, JOB_LENGTH_OFFSET);
  const blocks = length / BLOCK;
  const rest = length % BLOCK;

  setRun(plan, 1, aad, BLOCK, aadBlocks);
  setRun(plan, 2, plan + PLAN_AAD_END_OFFSET, BLOCK, aadRest > 0 ? 1 : 0);
  v128.store(plan, loadPadded(aad + aadBlocks * BLOCK, aadRest), PLAN_AAD_END_OFFSET);

  setRun(plan, 3, ciphertext, BLOCK, blocks);
  let end = plan + PLAN_END_OFFSET;
  setRun(plan, 4, end, BLOCK, rest > 0 ? 2 : 1);
  if (rest > 0) {
    v128.store(end, loadPadded(ciphertext + blocks * BLOCK, rest));
    end += BLOCK;
  }
  store<u64>(end, aadLength);
  store<u64>(end, length, 8);
  return aadBlocks + blocks + (aadRest > 0 ? 1 : 0) + (rest > 0 ? 2 : 1);
}

/** Sets a lane that has no job. */
export function planNothing(mac: usize, lane: u32): void {
  store<u32>(mac + MAC_LANE_SIZE * lane, ZEROS, MAC_LANES_OFFSET + MAC_KEY_OFFSET);
  const plan = mac + PLANS_OFFSET + PLAN_SIZE * lane;
  for (let run: u32 = 1; run < 5; run++) setRun(plan, run, ZEROS, 0, 0);
}

/** Lane `lane` begins `blocks` blocks late. */
export function delayLane(mac: usize, lane: u32, blocks: u32): void {
  setRun(mac + PLANS_OFFSET + PLAN_SIZE * lane, 0, ZEROS, 0, blocks);
}

/** Carries out the four plans, `total` blocks long each; the tags are left in the record. */
export function authenticateLanes(mac: usize, total: u32): void {
  macStart(mac);
  memory.fill(mac + RUNS_OFFSET, 0, 16);
  for (let lane: u32 = 0; lane < 4; lane++) beginRun(mac, lane, 0);
  while (total > 0) {
    let count = total;
    for (let lane: u32 = 0; lane < 4; lane++) {
      const left = nextRun(mac, lane);
      if (left < count) count = left;
    }
    macAbsorb(mac, count);
    total -= count;
    for (let lane: u32 = 0; lane < 4; lane++) {
      const run = currentRun(mac, lane);
      store<u32>(run, load<u32>(run, RUN_COUNT_OFFSET) - count, RUN_COUNT_OFFSET);
    }
  }
  macFinish(mac);
}

/** Moves on to the next run with blocks in it; returns how many. */
function nextRun(mac: usize, lane: u32): u32 {
  let left = load<u32>(currentRun(mac, lane), RUN_COUNT_OFFSET);
  while (left === 0) {
    const number = load<u32>(mac + RUNS_OFFSET + 4 * lane) + 1;
    store<u32>(mac + RUNS_OFFSET + 4 * lane, number);
    beginRun(mac, lane, number);
    left = load<u32>(currentRun(mac, lane), RUN_COUNT_OFFSET);
  }
  return left;
}

function beginRun(mac: usize, lane: u32, number: u32): void {
  const run = currentRun(mac, lane);
  const state = mac + MAC_LANES_OFFSET + MAC_LANE_SIZE * lane;
  store<u32>(state, load<u32>(run, RUN_FROM_OFFSET), MAC_FROM_OFFSET);
  store<u32>(state, load<u32>(run, RUN_STEP_OFFSET), MAC_STEP_OFFSET);
  store<u32>(mac + 4 * lane, number === 0 ? 0 : MAC_HIGH_BIT, MAC_HIGH_OFFSET);
}

function currentRun(mac: usize, lane: u32): usize {
  return mac + PLANS_OFFSET + PLAN_SIZE * lane + RUN_SIZE * load<u32>(mac + RUNS_OFFSET + 4 * lane);
}

function setRun(plan: usize, number: u32, from: usize, step: u32, count: u32): void {
  const run = plan + RUN_SIZE * number;
  store<u32>(run, from, RUN_FROM_OFFSET);
  store<u32>(run, step, RUN_STEP_OFFSET);
  store<u32>(run, count, RUN_COUNT_OFFSET);
}

/** 0 to 15 octets, then zeros. Reads 16. */
function loadPadded(from: usize, length: u32): v128 {
  return v128.and(v128.load(from), v128.load(KEEP + BLOCK - length));
}
