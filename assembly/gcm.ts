// AES-GCM, SP 800-38D and RFC 4106: nonces of 12 octets, tags of 16.
//
// A batch is put in order by key and goes through windows of jobs under one key:
//   1 lay the counter blocks of short packets and of packet ends side by side   2 encrypt them in one go
//   3 for each packet: the rest of its key stream, XOR, GHASH; to open, GHASH and the tag come first
// Keys with tables whose AES the host lends (processor-aes.ts) go through 1 and 2 with all of their blocks.
//
// Constant time in keys and plaintext: see aes.ts, ghash.ts and ghash-product.ts. Lengths, addresses, nonces, AAD,
// ciphertext and the verdict are public.

import { PLANES_SIZE, runRounds } from "./aes";
import { roundKey, rounds, setNumber } from "./aes-context";
import { expandRoundKeys } from "./aes-key-schedule";
import { transpose } from "./aes-planes";
import {
  jobOrder,
  jobOrderWork,
  keyStream,
  lentBlocks,
  packedBlocks,
  planes,
  wipe,
  wipeLent,
  zeros,
} from "./aes-scratch";
import { beginKeyStream, endOfKey, jobAt, packedCount, packWindow, xorKeyStream } from "./ctr-window";
import { ghash } from "./ghash";
import { writeRowsOfH } from "./ghash-table";
import { ORDER_COUNT, orderByContext } from "./job-order";
import { counterRounds, FOR_GCM, forgetKey, placeOf, tablesFor } from "./key-tables";
import {
  JOB_AAD_LENGTH_OFFSET,
  JOB_AAD_OFFSET,
  JOB_AUTHENTIC,
  JOB_CONTEXT_OFFSET,
  JOB_DESTINATION_OFFSET,
  JOB_FORGED,
  JOB_LENGTH_OFFSET,
  JOB_SIZE,
  JOB_SOURCE_OFFSET,
  JOB_TAG_OFFSET,
  JOB_VERDICT_OFFSET,
} from "./layout";
import { lentCount, makeLentKeyStream, xorLent } from "./lent-key-stream";
import { isAesLent } from "./processor-aes";

/** The counter of a text's first block; counter 1 masks the tag. */
const TEXT_COUNTER: u32 = 2;

/** Up to so many keys in a batch, the processor's cache holds all 16 powers of each. */
const FEW_KEYS: u32 = 4;

/** Expands a key of 16, 24 or 32 octets into AEAD_CONTEXT_SIZE octets. `number` is the SA slot that the context is in. */
export function gcmExpandKey(context: usize, number: u32, key: usize, keyLength: u32): void {
  setNumber(context, number);
  forgetKey(number);
  expandRoundKeys(context, key, keyLength);
  memory.fill(zeros(), 0, PLANES_SIZE);
  // H = E(K, 0), SP 800-38D section 7.1.
  const h = planes();
  runRounds(
    roundKey(context, 1),
    roundKey(context, rounds(context)),
    0,
    h,
    zeros(),
    0,
    roundKey(context, 0),
    0,
    1,
  );
  transpose(h, 1);
  writeRowsOfH(context, v128.load(h), keyStream());
  wipe();
}

/** Seals the jobs, in any order. */
export function gcmSealBatch(jobs: usize, count: u32): void {
  takeBatch(jobs, count, false);
}

/** Opens the jobs, in any order, and leaves a verdict in each. */
export function gcmOpenBatch(jobs: usize, count: u32): void {
  takeBatch(jobs, count, true);
}

function takeBatch(jobs: usize, count: u32, isOpening: bool): void {
  while (count != 0) {
    const ordered = min(count, ORDER_COUNT);
    const keyCount = orderByContext(jobOrder(), jobOrderWork(), jobs, ordered);
    const powers: u32 = keyCount > FEW_KEYS ? 8 : 16;
    for (let i: u32 = 0; i < ordered; ) {
      const keyEnd = endOfKey(i, ordered);
      const tables = tablesFor(i, keyEnd, FOR_GCM);
      while (i != keyEnd) {
        const lentEnd = tables != 0 && isAesLent() ? takeLent(i, keyEnd, tables, powers, isOpening) : i;
        i = lentEnd != i ? lentEnd : takeWindow(i, keyEnd, tables, powers, isOpening);
      }
    }
    jobs += JOB_SIZE * ordered;
    count -= ordered;
  }
  wipe();
  if (isAesLent()) wipeLent();
}

/** Takes as many jobs from `first` on as fit a window; gives the end of them. */
function takeWindow(first: u32, end: u32, tables: usize, powers: u32, isOpening: bool): u32 {
  const windowEnd = packWindow(first, end, TEXT_COUNTER);
  let packed = packedBlocks();
  for (let i = first; i != windowEnd; ++i) {
    const job = jobAt(i);
    if (isOpening) open(job, packed, tables, powers);
    else seal(job, packed, tables, powers);
    packed += 16 * packedCount(load<u32>(job, JOB_LENGTH_OFFSET), TEXT_COUNTER);
  }
  return windowEnd;
}

/** The same with AES that is lent; gives `first` where that does not do it. */
function takeLent(first: u32, end: u32, tables: usize, powers: u32, isOpening: bool): u32 {
  const lentEnd = makeLentKeyStream(placeOf(tables), first, end, TEXT_COUNTER);
  let lent = lentBlocks();
  for (let i = first; i != lentEnd; ++i) {
    const job = jobAt(i);
    const mask = v128.load(lent);
    if (isOpening) {
      if (judge(job, v128.xor(mask, hash(job, tables, powers, JOB_SOURCE_OFFSET))))
        xorLent(job, lent, TEXT_COUNTER);
    } else {
      xorLent(job, lent, TEXT_COUNTER);
      const sum = hash(job, tables, powers, JOB_DESTINATION_OFFSET);
      v128.store(load<u32>(job, JOB_TAG_OFFSET), v128.xor(mask, sum));
    }
    lent += 16 * lentCount(load<u32>(job, JOB_LENGTH_OFFSET), TEXT_COUNTER);
  }
  return lentEnd;
}

function seal(job: usize, packed: usize, tables: usize, powers: u32): void {
  const mask = beginKeyStream(job, packed, TEXT_COUNTER, counterRounds(tables));
  xorKeyStream(job, packed, TEXT_COUNTER, counterRounds(tables));
  const sum = hash(job, tables, powers, JOB_DESTINATION_OFFSET);
  v128.store(load<u32>(job, JOB_TAG_OFFSET), v128.xor(mask, sum));
}

function open(job: usize, packed: usize, tables: usize, powers: u32): void {
  const sum = hash(job, tables, powers, JOB_SOURCE_OFFSET);
  const tag = v128.xor(sum, beginKeyStream(job, packed, TEXT_COUNTER, counterRounds(tables)));
  if (judge(job, tag)) xorKeyStream(job, packed, TEXT_COUNTER, counterRounds(tables));
}

/** Leaves the verdict on a job whose tag should be `tag`; a forged one's destination is zeroed. */
function judge(job: usize, tag: v128): bool {
  const isForged = v128.any_true(v128.xor(tag, v128.load(load<u32>(job, JOB_TAG_OFFSET))));
  if (isForged) memory.fill(load<u32>(job, JOB_DESTINATION_OFFSET), 0, load<u32>(job, JOB_LENGTH_OFFSET));
  store<u32>(job, isForged ? JOB_FORGED : JOB_AUTHENTIC, JOB_VERDICT_OFFSET);
  return !isForged;
}

/** GHASH over the AAD and the ciphertext, which is the source or the destination. */
function hash(job: usize, tables: usize, powers: u32, textOffset: usize): v128 {
  return ghash(
    load<u32>(job, JOB_CONTEXT_OFFSET),
    tables,
    powers,
    load<u32>(job, JOB_AAD_OFFSET),
    load<u32>(job, JOB_AAD_LENGTH_OFFSET),
    load<u32>(job + textOffset),
    load<u32>(job, JOB_LENGTH_OFFSET),
  );
}
