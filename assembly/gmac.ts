// AES-GMAC as ESP uses it, RFC 4543: integrity without confidentiality. Keys are expanded by gcmExpandKey.
//
// All of it is AAD to GCM: SPI, sequence number, IV, and the text in clear (RFC 4543 section 3.3). The first 16 octets lie at
// the job's AAD; what the AAD has beyond them stands right before the text, which comes next.
//
// Constant time: see ghash.ts. Everything but the key goes over the wire in clear, so tables may be indexed by it.

import { jobOrder, jobOrderWork, PACKED_BLOCK_COUNT, packedBlocks, wipe } from "./aes-scratch";
import { counterBlock, encryptPacked, packBlocks } from "./ctr";
import { jobAt } from "./ctr-window";
import { ghashAad } from "./ghash";
import { ORDER_COUNT, orderByContext } from "./job-order";
import { FOR_GCM, tablesFor } from "./key-tables";
import {
  JOB_AAD_LENGTH_OFFSET,
  JOB_AAD_OFFSET,
  JOB_AUTHENTIC,
  JOB_CONTEXT_OFFSET,
  JOB_DESTINATION_OFFSET,
  JOB_FORGED,
  JOB_LENGTH_OFFSET,
  JOB_NONCE_OFFSET,
  JOB_SIZE,
  JOB_SOURCE_OFFSET,
  JOB_TAG_OFFSET,
  JOB_VERDICT_OFFSET,
} from "./layout";

/** Octets of the AAD's first piece. */
const FIRST_LENGTH: u32 = 16;

/** Up to so many keys in a batch, the processor's cache holds all 16 powers of each. */
const FEW_KEYS: u32 = 4;

/** Copies the jobs' texts and writes their tags. */
export function gmacSealBatch(jobs: usize, count: u32): void {
  takeBatch(jobs, count, false);
}

/** Checks the jobs' tags, leaves a verdict in each, and copies the texts that are authentic; zeroes the destination of the others. */
export function gmacOpenBatch(jobs: usize, count: u32): void {
  takeBatch(jobs, count, true);
}

function takeBatch(jobs: usize, count: u32, isOpening: bool): void {
  while (count != 0) {
    const ordered = min(count, ORDER_COUNT);
    const keyCount = orderByContext(jobOrder(), jobOrderWork(), jobs, ordered);
    const powers: u32 = keyCount > FEW_KEYS ? 8 : 16;
    for (let i: u32 = 0; i < ordered; ) {
      const windowEnd = makeMasks(i, ordered);
      const tables = tablesFor(i, windowEnd, FOR_GCM);
      for (let mask = packedBlocks(); i != windowEnd; ++i) {
        if (isOpening) open(jobAt(i), v128.load(mask), tables, powers);
        else seal(jobAt(i), v128.load(mask), tables, powers);
        mask += 16;
      }
    }
    jobs += JOB_SIZE * ordered;
    count -= ordered;
  }
  wipe();
}

/** Encrypts counter 1 of as many jobs in order from `first` on as share a key and fit; gives the end of them. */
function makeMasks(first: u32, end: u32): u32 {
  const context = load<u32>(jobAt(first), JOB_CONTEXT_OFFSET);
  let i = first;
  for (; i != end && i - first != PACKED_BLOCK_COUNT; ++i) {
    const job = jobAt(i);
    if (load<u32>(job, JOB_CONTEXT_OFFSET) != context) break;
    packBlocks(packedBlocks() + 16 * (i - first), counterBlock(job + JOB_NONCE_OFFSET), 1, 1);
  }
  encryptPacked(context, packedBlocks(), i - first);
  return i;
}

function seal(job: usize, mask: v128, tables: usize, powers: u32): void {
  copyText(job);
  const sum = hash(job, tables, powers, load<u32>(job, JOB_DESTINATION_OFFSET));
  v128.store(load<u32>(job, JOB_TAG_OFFSET), v128.xor(mask, sum));
}

function open(job: usize, mask: v128, tables: usize, powers: u32): void {
  const tag = v128.xor(mask, hash(job, tables, powers, load<u32>(job, JOB_SOURCE_OFFSET)));
  if (v128.any_true(v128.xor(tag, v128.load(load<u32>(job, JOB_TAG_OFFSET))))) {
    memory.fill(load<u32>(job, JOB_DESTINATION_OFFSET), 0, load<u32>(job, JOB_LENGTH_OFFSET));
    store<u32>(job, JOB_FORGED, JOB_VERDICT_OFFSET);
  } else {
    copyText(job);
    store<u32>(job, JOB_AUTHENTIC, JOB_VERDICT_OFFSET);
  }
}

/** GHASH over the AAD, whose rest and text are wherever the text is. */
function hash(job: usize, tables: usize, powers: u32, text: usize): v128 {
  const restLength = load<u32>(job, JOB_AAD_LENGTH_OFFSET) - FIRST_LENGTH;
  return ghashAad(
    load<u32>(job, JOB_CONTEXT_OFFSET),
    tables,
    powers,
    load<u32>(job, JOB_AAD_OFFSET),
    FIRST_LENGTH,
    text - restLength,
    restLength + load<u32>(job, JOB_LENGTH_OFFSET),
  );
}

function copyText(job: usize): void {
  const source = load<u32>(job, JOB_SOURCE_OFFSET);
  const destination = load<u32>(job, JOB_DESTINATION_OFFSET);
  if (source != destination) memory.copy(destination, source, load<u32>(job, JOB_LENGTH_OFFSET));
}
