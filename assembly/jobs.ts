// The jobs of one batch: an array for each kernel, filled packet by packet and run in one call each.

import { chachaOpenBatch, chachaSealBatch } from "./chacha20-poly1305";
import { etmOpenBatch, etmSealBatch, etmWriteIvs } from "./encrypt-then-mac";
import { IV_OFFSET } from "./esp-header";
import { gcmOpenBatch, gcmSealBatch } from "./gcm";
import { gmacOpenBatch, gmacSealBatch } from "./gmac";
import {
  ALGORITHM_AES_GCM,
  ALGORITHM_AES_GMAC,
  ALGORITHM_CHACHA20_POLY1305,
  DESCRIPTOR_COUNT,
  JOB_SIZE,
  SA_FLAG_ESN,
  WORKER_CHACHA_JOBS_OFFSET,
  WORKER_ETM_JOBS_OFFSET,
  WORKER_GCM_JOBS_OFFSET,
  WORKER_GMAC_JOBS_OFFSET,
} from "./layout";
import { Job, Sa } from "./records";
import { aeadContextOf } from "./sad";
import { noteBatch, region } from "./scratch";

let gcmCount: u32 = 0;
let chachaCount: u32 = 0;
let gmacCount: u32 = 0;
let etmCount: u32 = 0;

export function beginJobs(): void {
  noteBatch();
  gcmCount = 0;
  chachaCount = 0;
  gmacCount = 0;
  etmCount = 0;
}

/** Whether an array may have no room for another job. */
export function isFull(): bool {
  return gcmCount + chachaCount + gmacCount + etmCount >= <u32>DESCRIPTOR_COUNT;
}

/**
 * Adds the job of the ESP packet at `packet`, whose SPI, sequence number and IV are written, as far as the caller makes one.
 * The caller adds nonce, source, destination, length and tag.
 */
export function addJob(sa: Sa, packet: usize, sequence: u64): Job {
  const job = takeJob(sa.algorithm);
  job.context = <u32>aeadContextOf(sa);
  const hasEsn = (sa.flags & SA_FLAG_ESN) != 0;
  if (sa.algorithm == ALGORITHM_AES_GCM || sa.algorithm == ALGORITHM_CHACHA20_POLY1305) {
    // RFC 4106 section 5, RFC 7634 section 2: SPI and sequence number; with ESN all 64 bits of it, which no packet holds.
    if (hasEsn) {
      writeExtendedHeader(job, packet, sequence);
      job.aadLength = 12;
    } else {
      job.aad = <u32>packet;
      job.aadLength = 8;
    }
  } else if (sa.algorithm == ALGORITHM_AES_GMAC) {
    // RFC 4543 section 3.3: the same, and the IV. Its second half stands before the text.
    if (hasEsn) {
      writeExtendedHeader(job, packet, sequence);
      job.room3 = load<u32>(packet + IV_OFFSET);
      job.aadLength = 20;
    } else {
      job.aad = <u32>packet;
      job.aadLength = 16;
    }
  } else {
    // RFC 4303 section 2.2.1: header and IV, which stand before the text; with ESN the high half goes behind it.
    job.aadLength = IV_OFFSET + sa.ivLength;
    job.room0 = bswap<u32>(<u32>(sequence >> 32));
    job.room1 = hasEsn ? 4 : 0;
  }
  return job;
}

function takeJob(algorithm: u32): Job {
  if (algorithm == ALGORITHM_AES_GCM) return jobAt(WORKER_GCM_JOBS_OFFSET, gcmCount++);
  if (algorithm == ALGORITHM_CHACHA20_POLY1305) return jobAt(WORKER_CHACHA_JOBS_OFFSET, chachaCount++);
  if (algorithm == ALGORITHM_AES_GMAC) return jobAt(WORKER_GMAC_JOBS_OFFSET, gmacCount++);
  return jobAt(WORKER_ETM_JOBS_OFFSET, etmCount++);
}

function jobAt(offset: usize, index: u32): Job {
  return changetype<Job>(region() + offset + index * JOB_SIZE);
}

/** SPI and all 64 bits of the sequence number, in the job's own room. */
function writeExtendedHeader(job: Job, packet: usize, sequence: u64): void {
  job.room0 = load<u32>(packet);
  job.room1 = bswap<u32>(<u32>(sequence >> 32));
  job.room2 = bswap<u32>(<u32>sequence);
  job.aad = <u32>(changetype<usize>(job) + offsetof<Job>("room0"));
}

export function sealJobs(): void {
  if (gcmCount != 0) gcmSealBatch(region() + WORKER_GCM_JOBS_OFFSET, gcmCount);
  if (chachaCount != 0) chachaSealBatch(region() + WORKER_CHACHA_JOBS_OFFSET, chachaCount);
  if (gmacCount != 0) gmacSealBatch(region() + WORKER_GMAC_JOBS_OFFSET, gmacCount);
  if (etmCount != 0) {
    etmWriteIvs(region() + WORKER_ETM_JOBS_OFFSET, etmCount);
    etmSealBatch(region() + WORKER_ETM_JOBS_OFFSET, etmCount);
  }
}

export function openJobs(): void {
  if (gcmCount != 0) gcmOpenBatch(region() + WORKER_GCM_JOBS_OFFSET, gcmCount);
  if (chachaCount != 0) chachaOpenBatch(region() + WORKER_CHACHA_JOBS_OFFSET, chachaCount);
  if (gmacCount != 0) gmacOpenBatch(region() + WORKER_GMAC_JOBS_OFFSET, gmacCount);
  if (etmCount != 0) etmOpenBatch(region() + WORKER_ETM_JOBS_OFFSET, etmCount);
}
