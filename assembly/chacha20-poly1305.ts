// ChaCha20-Poly1305 in batches, RFC 8439 section 2.8, as ESP uses it (RFC 7634): each job has its own key, nonce, AAD
// and length (layout.ts, JOB_*).
//
// A burst of jobs goes through in three passes: one ChaCha20 block each for the Poly1305 keys, the packets themselves,
// the tags. Opening checks the tags before it decrypts, so a forged packet is never turned into plaintext.
//
// Constant time: branches and addresses depend on lengths and on the verdict, never on keys, plaintext or nonces.

import { AEAD_MAC_SIZE, authenticateJobs } from "./chacha20-poly1305-mac";
import { flushStream, pushMacKey, pushPacket, STREAM_SIZE } from "./chacha20-stream";
import {
  JOB_AUTHENTIC,
  JOB_DESTINATION_OFFSET,
  JOB_FORGED,
  JOB_LENGTH_OFFSET,
  JOB_SIZE,
  JOB_SOURCE_OFFSET,
  JOB_TAG_OFFSET,
  JOB_VERDICT_OFFSET,
  WORKER_SCRATCH_SIZE,
} from "./layout";
import { cryptLentPacket, isLentFor } from "./lent-chacha20";
import { MAC_TAGS_OFFSET } from "./poly1305";
import { scratch } from "./scratch";
import { sortJobs } from "./sort-jobs";

/** Jobs that are sorted together. */
const CHUNK: u32 = 64;
/** Jobs that go through together: at 1500 octets they fit the first-level cache, and no lane of ChaCha20 stays idle. */
const BURST: u32 = 16;

// Scratch, the second half of the instance's:
//
//   | stream | MAC | Poly1305 keys: 64 octets x BURST | counter block | order of the chunk: u32 x CHUNK, and three more |
const KEY_SIZE: u32 = 64;
const STREAM_OFFSET = WORKER_SCRATCH_SIZE / 2;
const MAC_OFFSET = STREAM_OFFSET + STREAM_SIZE;
const KEYS_OFFSET = MAC_OFFSET + AEAD_MAC_SIZE;
const COUNTER_OFFSET = KEYS_OFFSET + BURST * KEY_SIZE;
const ORDER_OFFSET = COUNTER_OFFSET + 16;

/** The context is the key itself, 32 octets: ChaCha20 has no key schedule. */
export function chachaExpandKey(context: usize, key: usize): void {
  memory.copy(context, key, 32);
}

/** Encrypts `count` jobs and writes their tags. */
export function chachaSealBatch(jobs: usize, count: u32): void {
  while (count > 0) {
    const n = min(count, CHUNK);
    listJobs(jobs, n);
    for (let i: u32 = 0; i < n; i += BURST) sealBurst(order(i), min(n - i, BURST));
    jobs += n * JOB_SIZE;
    count -= n;
  }
  wipe();
}

/** Checks the tags of `count` jobs; decrypts those that are authentic and zeroes the destination of the others. */
export function chachaOpenBatch(jobs: usize, count: u32): void {
  while (count > 0) {
    const n = min(count, CHUNK);
    listJobs(jobs, n);
    for (let i: u32 = 0; i < n; i += BURST) openBurst(order(i), min(n - i, BURST));
    jobs += n * JOB_SIZE;
    count -= n;
  }
  wipe();
}

function sealBurst(burst: usize, count: u32): void {
  const stream = scratch() + STREAM_OFFSET;
  for (let i: u32 = 0; i < count; i++) pushMacKey(stream, listed(burst, i), macKey(i));
  for (let i: u32 = 0; i < count; i++) cryptPacket(stream, listed(burst, i));
  flushStream(stream);
  for (let i: u32 = 0; i < count; i++) {
    if (i % 4 === 0) authenticateQuad(burst, i, JOB_DESTINATION_OFFSET);
    v128.store(load<usize>(listed(burst, i), JOB_TAG_OFFSET), tag(i));
  }
}

function openBurst(burst: usize, count: u32): void {
  const stream = scratch() + STREAM_OFFSET;
  for (let i: u32 = 0; i < count; i++) pushMacKey(stream, listed(burst, i), macKey(i));
  flushStream(stream);
  for (let i: u32 = 0; i < count; i++) {
    if (i % 4 === 0) authenticateQuad(burst, i, JOB_SOURCE_OFFSET);
    openJob(stream, listed(burst, i), tag(i));
  }
  flushStream(stream);
}

function openJob(stream: usize, job: usize, expected: v128): void {
  const difference = v128.xor(expected, v128.load(load<usize>(job, JOB_TAG_OFFSET)));
  if (v128.any_true(difference)) {
    store<u32>(job, JOB_FORGED, JOB_VERDICT_OFFSET);
    memory.fill(load<usize>(job, JOB_DESTINATION_OFFSET), 0, load<u32>(job, JOB_LENGTH_OFFSET));
  } else {
    store<u32>(job, JOB_AUTHENTIC, JOB_VERDICT_OFFSET);
    cryptPacket(stream, job);
  }
}

/** Now, where ChaCha20 is lent for it; otherwise when the stream is full or flushed. */
function cryptPacket(stream: usize, job: usize): void {
  if (isLentFor(job)) cryptLentPacket(job, scratch() + COUNTER_OFFSET);
  else pushPacket(stream, job);
}

/** Leaves the tags of jobs `first` to `first + 3` of the burst in the MAC's record. */
function authenticateQuad(burst: usize, first: u32, ciphertextOffset: usize): void {
  authenticateJobs(scratch() + MAC_OFFSET, burst + 4 * first, macKey(first), KEY_SIZE, ciphertextOffset);
}

/** Sorts a chunk. The last job is repeated, so that the last lanes of Poly1305 have something to do. */
function listJobs(jobs: usize, count: u32): void {
  sortJobs(order(0), jobs, count);
  const last = listed(order(0), count - 1);
  for (let i: u32 = 0; i < 3; i++) store<u32>(order(count + i), last);
}

function order(i: u32): usize {
  return scratch() + ORDER_OFFSET + 4 * i;
}

function listed(burst: usize, i: u32): usize {
  return load<usize>(burst + 4 * i);
}

function macKey(i: u32): usize {
  return scratch() + KEYS_OFFSET + i * KEY_SIZE;
}

function tag(i: u32): v128 {
  return v128.load(scratch() + MAC_OFFSET + MAC_TAGS_OFFSET + (i % 4) * 16);
}

/** Key stream, Poly1305 keys and their multiples do not outlive the batch. */
function wipe(): void {
  memory.fill(scratch() + STREAM_OFFSET, 0, ORDER_OFFSET - STREAM_OFFSET);
}
