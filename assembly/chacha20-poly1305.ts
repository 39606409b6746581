// ChaCha20-Poly1305 in batches, RFC 8439 section 2.8, as ESP uses it (RFC 7634): each job has its own key, nonce, AAD
// and length (layout.ts, JOB_*).
//
// A chunk of jobs goes through in three passes: one ChaCha20 block each for the Poly1305 keys, the packets themselves,
// the tags. Opening checks the tags before it decrypts, so a forged packet is never turned into plaintext.

import { AEAD_MAC_SIZE, authenticateLanes, delayLane, planJob, planNothing } from "./chacha20-poly1305-mac";
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
import { MAC_TAGS_OFFSET } from "./poly1305";
import { scratch } from "./scratch";

// The context is the 32-octet key itself: ChaCha20 has no key schedule.

/** Jobs that go through together; their Poly1305 keys wait in scratch. */
const CHUNK: u32 = 64;

// Scratch, the second half of the instance's:
//
//   | stream | MAC | Poly1305 keys, 64 octets x CHUNK |
const KEY_SIZE = 64;
const STREAM_OFFSET = WORKER_SCRATCH_SIZE / 2;
const MAC_OFFSET = STREAM_OFFSET + STREAM_SIZE;
const KEYS_OFFSET = MAC_OFFSET + AEAD_MAC_SIZE;

export function chachaExpandKey(context: usize, key: usize): void {
  memory.copy(context, key, 32);
}

export function chachaSealBatch(jobs: usize, count: u32): void {
  const stream = scratch() + STREAM_OFFSET;
  for (let rest = count; rest > 0; ) {
    const n = min(rest, CHUNK);
    pushKeys(jobs, n);
    for (let i: u32 = 0; i < n; i++) pushPacket(stream, jobs + i * JOB_SIZE);
    flushStream(stream);
    for (let i: u32 = 0; i < n; i += 4) {
      const quad = jobs + i * JOB_SIZE;
      const lanes = min<u32>(4, n - i);
      authenticate(quad, i, lanes, JOB_DESTINATION_OFFSET);
      for (let lane: u32 = 0; lane < lanes; lane++) {
        v128.store(load<usize>(quad + lane * JOB_SIZE, JOB_TAG_OFFSET), v128.load(tag(lane)));
      }
    }
    jobs += n * JOB_SIZE;
    rest -= n;
  }
  wipe(count);
}

export function chachaOpenBatch(jobs: usize, count: u32): void {
  const stream = scratch() + STREAM_OFFSET;
  for (let rest = count; rest > 0; ) {
    const n = min(rest, CHUNK);
    pushKeys(jobs, n);
    flushStream(stream);
    for (let i: u32 = 0; i < n; i += 4) {
      const quad = jobs + i * JOB_SIZE;
      const lanes = min<u32>(4, n - i);
      authenticate(quad, i, lanes, JOB_SOURCE_OFFSET);
      for (let lane: u32 = 0; lane < lanes; lane++)
        openJob(stream, quad + lane * JOB_SIZE, v128.load(tag(lane)));
    }
    flushStream(stream);
    jobs += n * JOB_SIZE;
    rest -= n;
  }
  wipe(count);
}

function openJob(stream: usize, job: usize, expected: v128): void {
  const difference = v128.xor(expected, v128.load(load<usize>(job, JOB_TAG_OFFSET)));
  if (v128.any_true(difference)) {
    store<u32>(job, JOB_FORGED, JOB_VERDICT_OFFSET);
    memory.fill(load<usize>(job, JOB_DESTINATION_OFFSET), 0, load<u32>(job, JOB_LENGTH_OFFSET));
  } else {
    store<u32>(job, JOB_AUTHENTIC, JOB_VERDICT_OFFSET);
    pushPacket(stream, job);
  }
}

function pushKeys(jobs: usize, count: u32): void {
  const stream = scratch() + STREAM_OFFSET;
  for (let i: u32 = 0; i < count; i++) pushMacKey(stream, jobs + i * JOB_SIZE, macKey(i));
}

/** Computes the tags of up to four jobs, the first of which is number `first` in its chunk. */
function authenticate(quad: usize, first: u32, lanes: u32, ciphertextOffset: usize): void {
  const mac = scratch() + MAC_OFFSET;
  const blocks0 = planLane(mac, quad, first, 0, lanes, ciphertextOffset);
  const blocks1 = planLane(mac, quad, first, 1, lanes, ciphertextOffset);
  const blocks2 = planLane(mac, quad, first, 2, lanes, ciphertextOffset);
  const blocks3 = planLane(mac, quad, first, 3, lanes, ciphertextOffset);
  const total = max(max(blocks0, blocks1), max(blocks2, blocks3));
  delayLane(mac, 0, total - blocks0);
  delayLane(mac, 1, total - blocks1);
  delayLane(mac, 2, total - blocks2);
  delayLane(mac, 3, total - blocks3);
  authenticateLanes(mac, total);
}

function planLane(mac: usize, quad: usize, first: u32, lane: u32, lanes: u32, ciphertextOffset: usize): u32 {
  if (lane >= lanes) {
    planNothing(mac, lane);
    return 0;
  }
  const job = quad + lane * JOB_SIZE;
  return planJob(mac, lane, job, load<usize>(job + ciphertextOffset), macKey(first + lane));
}

function macKey(i: u32): usize {
  return scratch() + KEYS_OFFSET + i * KEY_SIZE;
}

function tag(lane: u32): usize {
  return scratch() + MAC_OFFSET + MAC_TAGS_OFFSET + lane * 16;
}

/** Key stream, Poly1305 keys and their multiples do not outlive the batch. */
function wipe(count: u32): void {
  memory.fill(scratch() + STREAM_OFFSET, 0, KEYS_OFFSET - STREAM_OFFSET + min(count, CHUNK) * KEY_SIZE);
}
