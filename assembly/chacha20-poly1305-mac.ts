// What ChaCha20-Poly1305 authenticates, RFC 8439 section 2.8:
//
//   AAD | zeros to 16 | ciphertext | zeros to 16 | length of AAD (8) | length of ciphertext (8)
//
// Four jobs at a time, one in each lane of poly1305.ts. Whole blocks are read where they lie; what has to be padded is
// copied to the lane's ends first. Never fed with lengths that are secret.

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
const LANES: u32 = 4;
const ZEROS = memory.data(16, 16);
/** From 16 - n on: n octets to keep, then octets to clear. */
const KEEP = memory.data<u8>(
  [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  ],
  16,
);

// The record: Poly1305's, then for each lane its ends and its runs.
//
//   0               16                   32        48            52
//   | end of AAD    | end of ciphertext  | lengths | current run | (from, step, block count) x 5 |
const AAD_END_OFFSET = 0;
const END_OFFSET = 16;
/** u32: address of the run that the lane is in. */
const RUN_OFFSET = 48;
const RUNS_OFFSET = 52;
const RUN_FROM_OFFSET = 0;
const RUN_STEP_OFFSET = 4;
const RUN_COUNT_OFFSET = 8;
const RUN_SIZE = 12;
const LANE_SIZE = 128;
export const AEAD_MAC_SIZE = MAC_SIZE + LANE_SIZE * 4;

/**
 * Leaves the tags of four jobs in the record. `quad` holds the jobs' addresses; their Poly1305 keys lie `keySize` apart;
 * `ciphertextOffset` names the field of the job that says where the ciphertext is.
 */
export function authenticateJobs(
  mac: usize,
  quad: usize,
  keys: usize,
  keySize: u32,
  ciphertextOffset: usize,
): void {
  for (let lane: u32 = 0; lane < LANES; lane++) {
    store<u32>(macLane(mac, lane), keys + lane * keySize, MAC_KEY_OFFSET);
    const job = jobOf(quad, lane);
    copyEnds(endsOf(mac, lane), job, load<usize>(job + ciphertextOffset));
  }
  macStart(mac);
  if (areAlike(quad)) {
    absorbTogether(mac, quad, ciphertextOffset);
  } else {
    absorbApart(mac, quad, ciphertextOffset);
  }
  macFinish(mac);
}

/** Pads the last octets of the AAD and of the ciphertext, and writes the lengths. */
function copyEnds(ends: usize, job: usize, ciphertext: usize): void {
  const aadLength = load<u32>(job, JOB_AAD_LENGTH_OFFSET);
  const length = load<u32>(job, JOB_LENGTH_OFFSET);
  const aad = load<usize>(job, JOB_AAD_OFFSET);
  v128.store(ends, loadPadded(aad + aadLength - (aadLength % BLOCK), aadLength % BLOCK), AAD_END_OFFSET);
  v128.store(ends, loadPadded(ciphertext + length - (length % BLOCK), length % BLOCK), END_OFFSET);
  store<u64>(ends, aadLength, END_OFFSET + 16);
  store<u64>(ends, length, END_OFFSET + 24);
}

/** 0 to 15 octets, then zeros. Reads 16. */
function loadPadded(from: usize, length: u32): v128 {
  return v128.and(v128.load(from), v128.load(KEEP + BLOCK - length));
}

function areAlike(quad: usize): bool {
  const first = jobOf(quad, 0);
  for (let lane: u32 = 1; lane < LANES; lane++) {
    const job = jobOf(quad, lane);
    if (load<u32>(job, JOB_LENGTH_OFFSET) !== load<u32>(first, JOB_LENGTH_OFFSET)) return false;
    if (load<u32>(job, JOB_AAD_LENGTH_OFFSET) !== load<u32>(first, JOB_AAD_LENGTH_OFFSET)) return false;
  }
  return true;
}

/** Four jobs of one shape: every lane is at the same place all the time. */
function absorbTogether(mac: usize, quad: usize, ciphertextOffset: usize): void {
  const aadLength = load<u32>(jobOf(quad, 0), JOB_AAD_LENGTH_OFFSET);
  const length = load<u32>(jobOf(quad, 0), JOB_LENGTH_OFFSET);
  for (let lane: u32 = 0; lane < LANES; lane++) {
    setHigh(mac, lane, MAC_HIGH_BIT);
    setFrom(mac, lane, load<usize>(jobOf(quad, lane), JOB_AAD_OFFSET), BLOCK);
  }
  macAbsorb(mac, aadLength / BLOCK);
  if (aadLength % BLOCK !== 0) {
    for (let lane: u32 = 0; lane < LANES; lane++)
      setFrom(mac, lane, endsOf(mac, lane) + AAD_END_OFFSET, BLOCK);
    macAbsorb(mac, 1);
  }
  for (let lane: u32 = 0; lane < LANES; lane++) {
    setFrom(mac, lane, load<usize>(jobOf(quad, lane) + ciphertextOffset), BLOCK);
  }
  macAbsorb(mac, length / BLOCK);
  const endBlocks: u32 = length % BLOCK !== 0 ? 2 : 1;
  for (let lane: u32 = 0; lane < LANES; lane++) {
    setFrom(mac, lane, endsOf(mac, lane) + END_OFFSET + 32 - endBlocks * BLOCK, BLOCK);
  }
  macAbsorb(mac, endBlocks);
}

/**
 * Jobs of any shape. Each lane has five runs of blocks: nothing, AAD, its end, ciphertext, its end with the lengths. All
 * lanes end together, so the first run is as long as the lane has less to do than the longest; during it the lane absorbs
 * zeros without the high bit, which keeps h at a multiple of p.
 */
function absorbApart(mac: usize, quad: usize, ciphertextOffset: usize): void {
  let total: u32 = 0;
  for (let lane: u32 = 0; lane < LANES; lane++) {
    const job = jobOf(quad, lane);
    total = max(total, setRuns(endsOf(mac, lane), job, load<usize>(job + ciphertextOffset)));
  }
  for (let lane: u32 = 0; lane < LANES; lane++) {
    const ends = endsOf(mac, lane);
    const run = ends + RUNS_OFFSET;
    store<u32>(ends, run, RUN_OFFSET);
    store<u32>(run, total - load<u32>(run, RUN_COUNT_OFFSET), RUN_COUNT_OFFSET);
    setHigh(mac, lane, 0);
    setFrom(mac, lane, ZEROS, 0);
  }
  while (total > 0) {
    let count = total;
    for (let lane: u32 = 0; lane < LANES; lane++) count = min(count, currentRun(mac, lane));
    macAbsorb(mac, count);
    for (let lane: u32 = 0; lane < LANES; lane++) shortenRun(endsOf(mac, lane), count);
    total -= count;
  }
}

/** Sets the runs of a lane; the first one, whose length is not known yet, is given the sum of the others, which is returned. */
function setRuns(ends: usize, job: usize, ciphertext: usize): u32 {
  const aadLength = load<u32>(job, JOB_AAD_LENGTH_OFFSET);
  const length = load<u32>(job, JOB_LENGTH_OFFSET);
  const aadEndBlocks: u32 = aadLength % BLOCK !== 0 ? 1 : 0;
  const endBlocks: u32 = length % BLOCK !== 0 ? 2 : 1;
  const sum = aadLength / BLOCK + aadEndBlocks + length / BLOCK + endBlocks;
  setRun(ends, 0, ZEROS, 0, sum);
  setRun(ends, 1, load<usize>(job, JOB_AAD_OFFSET), BLOCK, aadLength / BLOCK);
  setRun(ends, 2, ends + AAD_END_OFFSET, BLOCK, aadEndBlocks);
  setRun(ends, 3, ciphertext, BLOCK, length / BLOCK);
  setRun(ends, 4, ends + END_OFFSET + 32 - endBlocks * BLOCK, BLOCK, endBlocks);
  return sum;
}

function setRun(ends: usize, number: u32, from: usize, step: u32, count: u32): void {
  const run = ends + RUNS_OFFSET + RUN_SIZE * number;
  store<u32>(run, from, RUN_FROM_OFFSET);
  store<u32>(run, step, RUN_STEP_OFFSET);
  store<u32>(run, count, RUN_COUNT_OFFSET);
}

/** How many blocks the lane's run still has. When one is used up, the lane is set to the next that is not empty. */
function currentRun(mac: usize, lane: u32): u32 {
  const ends = endsOf(mac, lane);
  let run = load<usize>(ends, RUN_OFFSET);
  if (load<u32>(run, RUN_COUNT_OFFSET) === 0) {
    while (load<u32>(run, RUN_COUNT_OFFSET) === 0) run += RUN_SIZE;
    store<u32>(ends, run, RUN_OFFSET);
    setHigh(mac, lane, MAC_HIGH_BIT);
    setFrom(mac, lane, load<usize>(run, RUN_FROM_OFFSET), load<u32>(run, RUN_STEP_OFFSET));
  }
  return load<u32>(run, RUN_COUNT_OFFSET);
}

function shortenRun(ends: usize, count: u32): void {
  const run = load<usize>(ends, RUN_OFFSET);
  store<u32>(run, load<u32>(run, RUN_COUNT_OFFSET) - count, RUN_COUNT_OFFSET);
}

function jobOf(quad: usize, lane: u32): usize {
  return load<usize>(quad + 4 * lane);
}

function endsOf(mac: usize, lane: u32): usize {
  return mac + MAC_SIZE + LANE_SIZE * lane;
}

function macLane(mac: usize, lane: u32): usize {
  return mac + MAC_LANES_OFFSET + MAC_LANE_SIZE * lane;
}

function setFrom(mac: usize, lane: u32, from: usize, step: u32): void {
  store<u32>(macLane(mac, lane), from, MAC_FROM_OFFSET);
  store<u32>(macLane(mac, lane), step, MAC_STEP_OFFSET);
}

function setHigh(mac: usize, lane: u32, high: u32): void {
  store<u32>(mac + 4 * lane, high, MAC_HIGH_OFFSET);
}
