// The AEAD jobs of one batch: an array for each kernel, filled packet by packet and run in one call each.

import { chachaOpenBatch, chachaSealBatch } from "./chacha20-poly1305";
import { gcmOpenBatch, gcmSealBatch } from "./gcm";
import {
  AEAD_AES_GCM,
  JOB_SIZE,
  SA_FLAG_ESN,
  WORKER_CHACHA_JOBS_OFFSET,
  WORKER_GCM_JOBS_OFFSET,
} from "./layout";
import { Job, Sa } from "./records";
import { aeadContextOf } from "./sad";
import { region } from "./scratch";

let gcmCount: u32 = 0;
let chachaCount: u32 = 0;

export function beginJobs(): void {
  gcmCount = 0;
  chachaCount = 0;
}

/**
 * Adds the job of the ESP packet at `packet`, whose SPI and sequence number are written. The AAD is those 8 octets, or with
 * ESN the SPI and all 64 bits (RFC 4106 section 5, RFC 7634 section 2). The caller adds nonce, source, destination, length and tag.
 */
export function addJob(sa: Sa, packet: usize, sequence: u64): Job {
  const job =
    sa.algorithm == AEAD_AES_GCM
      ? changetype<Job>(region() + WORKER_GCM_JOBS_OFFSET + gcmCount++ * JOB_SIZE)
      : changetype<Job>(region() + WORKER_CHACHA_JOBS_OFFSET + chachaCount++ * JOB_SIZE);
  job.context = <u32>aeadContextOf(sa);
  if ((sa.flags & SA_FLAG_ESN) != 0) {
    job.room0 = load<u32>(packet);
    job.room1 = bswap<u32>(<u32>(sequence >> 32));
    job.room2 = bswap<u32>(<u32>sequence);
    job.aad = <u32>(changetype<usize>(job) + offsetof<Job>("room0"));
    job.aadLength = 12;
  } else {
    job.aad = <u32>packet;
    job.aadLength = 8;
  }
  return job;
}

export function sealJobs(): void {
  if (gcmCount != 0) gcmSealBatch(region() + WORKER_GCM_JOBS_OFFSET, gcmCount);
  if (chachaCount != 0) chachaSealBatch(region() + WORKER_CHACHA_JOBS_OFFSET, chachaCount);
}

export function openJobs(): void {
  if (gcmCount != 0) gcmOpenBatch(region() + WORKER_GCM_JOBS_OFFSET, gcmCount);
  if (chachaCount != 0) chachaOpenBatch(region() + WORKER_CHACHA_JOBS_OFFSET, chachaCount);
}
