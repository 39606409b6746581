// A cipher without integrity of its own, and HMAC over its ciphertext (RFC 4303 section 3.3.2.1, "separate confidentiality and
// integrity algorithms"): AES-CBC, AES-CTR (RFC 3686) or NULL (RFC 2410), with HMAC-SHA1-96 or HMAC-SHA2.
//
// A job's AAD stands right before its ciphertext and ends with the IV, where there is one: the kernel needs the AAD's length
// only. Sealing encrypts a chunk of jobs, then authenticates it; opening does it the other way round and decrypts what is
// authentic alone, so that no forgery ever meets the cipher, let alone a check of its padding.
//
// Constant time: see aes.ts, aes-inverse.ts and the hashes. Lengths, addresses, ciphertext, ICVs and verdicts are public.

import { roundKey, rounds, setNumber } from "./aes-context";
import { expandRoundKeys } from "./aes-key-schedule";
import { jobOrder, jobOrderWork, lentBlocks, packedBlocks, wipe, wipeLent } from "./aes-scratch";
import { writeIvs } from "./cbc-iv";
import { flushCbc, pushCbc } from "./cbc-open";
import { sealCbc } from "./cbc-seal";
import { sealCbcLent } from "./cbc-seal-lent";
import { beginKeyStream, endOfKey, jobAt, packedCount, packWindow, xorKeyStream } from "./ctr-window";
import { cipher, hash, ivContext, setSuite } from "./etm-context";
import { CHUNK, list, part, wipeEtm } from "./etm-scratch";
import { digestLength } from "./hashes";
import { expandHmacKey, openHmac, sealHmac } from "./hmac";
import { orderByContext } from "./job-order";
import {
  counterRounds as counterRoundsOf,
  FOR_CBC_OPENING,
  FOR_CBC_SEALING,
  FOR_CTR,
  forgetKey,
  placeOf,
  tablesFor,
} from "./key-tables";
import {
  CIPHER_AES_CBC,
  CIPHER_AES_CTR,
  CIPHER_NULL,
  HASH_SHA1,
  HASH_SHA2_512,
  JOB_AUTHENTIC,
  JOB_CONTEXT_OFFSET,
  JOB_DESTINATION_OFFSET,
  JOB_LENGTH_OFFSET,
  JOB_SIZE,
  JOB_SOURCE_OFFSET,
  JOB_VERDICT_OFFSET,
} from "./layout";
import { lentCount, makeLentKeyStream, xorLent } from "./lent-key-stream";
import { isAesLent } from "./processor-aes";
import { sortJobs } from "./sort-jobs";

/** RFC 3686 section 4: counters begin with 1. */
const TEXT_COUNTER: u32 = 1;
/** What sealing puts into the verdict of a job in CBC whose text is encrypted. */
const SEALED: u32 = 1;
/** Octets of the key that makes IVs. */
const IV_KEY_LENGTH: u32 = 16;

/**
 * Expands keys into AEAD_CONTEXT_SIZE octets: at `key` the cipher's `keyLength` octets (16, 24 or 32; 0 for NULL), then the
 * integrity key, as long as the digest, as KEYMAT has them (RFC 7296 section 2.17). `number` is the SA slot that the context is in.
 */
export function etmExpandKey(
  context: usize,
  number: u32,
  cipher: u32,
  hash: u32,
  key: usize,
  keyLength: u32,
): void {
  setSuite(context, cipher, hash);
  setNumber(context, number);
  forgetKey(number);
  if (cipher != CIPHER_NULL) expandRoundKeys(context, key, keyLength);
  expandHmacKey(context, hash, key + keyLength, digestLength(hash));
  wipe();
  wipeEtm();
}

/** Expands the key of IV_KEY_LENGTH octets that makes the IVs of a CBC context. */
export function etmExpandIvKey(context: usize, key: usize): void {
  expandRoundKeys(ivContext(context), key, IV_KEY_LENGTH);
  wipe();
}

/**
 * Writes an IV before the destination of each job in CBC, which can be sealed with it then. Others are left alone. Octets 4 to 11
 * of a job's nonce hold its sequence number.
 */
export function etmWriteIvs(jobs: usize, count: u32): void {
  while (count != 0) {
    const n = min(count, CHUNK);
    orderByContext(jobOrder(), jobOrderWork(), jobs, n);
    for (let i: u32 = 0; i < n; ) {
      const context = contextOf(jobAt(i));
      const first = i;
      while (i < n && contextOf(jobAt(i)) == context) i++;
      if (cipher(context) == CIPHER_AES_CBC) writeIvs(context, jobOrder() + 4 * first, i - first);
    }
    jobs += JOB_SIZE * n;
    count -= n;
  }
}

/** Seals the jobs, in any order. IVs are in place: in the AAD, and for CTR in the nonce too. */
export function etmSealBatch(jobs: usize, count: u32): void {
  while (count != 0) {
    const n = min(count, CHUNK);
    sortJobs(list(), jobs, n);
    takeTexts(jobs, n, false);
    for (let rounds: u32 = 10; rounds <= 14; rounds += 2) {
      const partCount = collectCbc(rounds, n);
      if (partCount != 0) sealCbc(rounds, part(), partCount);
    }
    for (let hash: u32 = HASH_SHA1; hash <= <u32>HASH_SHA2_512; hash++) {
      const partCount = collectHash(hash, n);
      if (partCount != 0) sealHmac(hash, part(), partCount);
    }
    jobs += JOB_SIZE * n;
    count -= n;
  }
  wipeAll();
}

/** Opens the jobs, in any order, and leaves a verdict in each. A job in CBC has a length that is a multiple of 16. */
export function etmOpenBatch(jobs: usize, count: u32): void {
  while (count != 0) {
    const n = min(count, CHUNK);
    sortJobs(list(), jobs, n);
    for (let hash: u32 = HASH_SHA1; hash <= <u32>HASH_SHA2_512; hash++) {
      const partCount = collectHash(hash, n);
      if (partCount != 0) openHmac(hash, part(), partCount);
    }
    takeTexts(jobs, n, true);
    jobs += JOB_SIZE * n;
    count -= n;
  }
  wipeAll();
}

function wipeAll(): void {
  wipe();
  wipeEtm();
  if (isAesLent()) wipeLent();
}

/** Lists the jobs in CBC that are not sealed yet, have a text, and whose keys have so many rounds, longest packet first. */
function collectCbc(roundCount: u32, count: u32): u32 {
  let collected: u32 = 0;
  for (let i = count; i-- > 0; ) {
    const job: usize = load<u32>(list() + 4 * i);
    const context = contextOf(job);
    if (load<u32>(job, JOB_LENGTH_OFFSET) == 0 || load<u32>(job, JOB_VERDICT_OFFSET) == SEALED) continue;
    if (cipher(context) == CIPHER_AES_CBC && rounds(context) == roundCount) {
      store<u32>(part() + 4 * collected++, <u32>job);
    }
  }
  return collected;
}

/** Lists the jobs with that hash, longest packet first. */
function collectHash(kind: u32, count: u32): u32 {
  let collected: u32 = 0;
  for (let i = count; i-- > 0; ) {
    const job: usize = load<u32>(list() + 4 * i);
    if (hash(contextOf(job)) == kind) store<u32>(part() + 4 * collected++, <u32>job);
  }
  return collected;
}

/** Does what is done key by key: CTR and NULL both ways, the opening of CBC, and its sealing where AES is lent to the key. */
function takeTexts(jobs: usize, count: u32, isOpening: bool): void {
  orderByContext(jobOrder(), jobOrderWork(), jobs, count);
  for (let i: u32 = 0; i < count; ) {
    const kind = cipher(contextOf(jobAt(i)));
    if (kind == CIPHER_AES_CTR) {
      i = takeCtrRun(i, count, isOpening);
    } else if (kind == CIPHER_AES_CBC) {
      i = isOpening ? openCbcRun(i, count) : sealCbcRun(i, count);
    } else {
      if (kind == CIPHER_NULL) copyText(jobAt(i), isOpening);
      i++;
    }
  }
}

/** Decrypts the authentic jobs from `first` on that share its key; gives the end of all that do. */
function openCbcRun(first: u32, end: u32): u32 {
  const keyEnd = endOfKey(first, end);
  const tables = isAesLent() ? tablesFor(first, keyEnd, FOR_CBC_OPENING) : 0;
  for (let i = first; i < keyEnd; i++) {
    if (isAuthentic(jobAt(i))) pushCbc(jobAt(i), tables);
  }
  flushCbc(contextOf(jobAt(first)), tables);
  return keyEnd;
}

/** Encrypts the jobs from `first` on that share its key, if AES is lent to that, and says so in each; gives the end of them. */
function sealCbcRun(first: u32, end: u32): u32 {
  const keyEnd = endOfKey(first, end);
  const tables = isAesLent() ? tablesFor(first, keyEnd, FOR_CBC_SEALING) : 0;
  if (tables != 0) sealCbcLent(placeOf(tables), first, keyEnd);
  const verdict = tables != 0 ? SEALED : 0;
  for (let i = first; i < keyEnd; i++) store<u32>(jobAt(i), verdict, JOB_VERDICT_OFFSET);
  return keyEnd;
}

/** Takes the jobs from `first` on that share its key, which is in CTR; gives the end of them. */
function takeCtrRun(first: u32, end: u32, isOpening: bool): u32 {
  const keyEnd = endOfKey(first, end);
  const tables = tablesFor(first, keyEnd, FOR_CTR);
  for (let i = first; i != keyEnd; ) {
    const lentEnd = tables != 0 && isAesLent() ? takeLentCtr(i, keyEnd, placeOf(tables), isOpening) : i;
    i = lentEnd != i ? lentEnd : takeCtrWindow(i, keyEnd, counterRoundsOf(tables), isOpening);
  }
  return keyEnd;
}

/** Takes as many jobs from `first` on, which share a key, as fit; gives the end of them. */
function takeCtrWindow(first: u32, end: u32, counterRounds: usize, isOpening: bool): u32 {
  const windowEnd = packWindow(first, end, TEXT_COUNTER);
  let packed = packedBlocks();
  for (let i = first; i != windowEnd; i++) {
    const job = jobAt(i);
    if (!isOpening || isAuthentic(job)) {
      beginKeyStream(job, packed, TEXT_COUNTER, counterRounds);
      xorKeyStream(job, packed, TEXT_COUNTER, counterRounds);
    }
    packed += 16 * packedCount(load<u32>(job, JOB_LENGTH_OFFSET), TEXT_COUNTER);
  }
  return windowEnd;
}

/** The same with AES that is lent; gives `first` where that does not do it. */
function takeLentCtr(first: u32, end: u32, place: u32, isOpening: bool): u32 {
  const lentEnd = makeLentKeyStream(place, first, end, TEXT_COUNTER);
  let lent = lentBlocks();
  for (let i = first; i != lentEnd; i++) {
    const job = jobAt(i);
    if (!isOpening || isAuthentic(job)) xorLent(job, lent, TEXT_COUNTER);
    lent += 16 * lentCount(load<u32>(job, JOB_LENGTH_OFFSET), TEXT_COUNTER);
  }
  return lentEnd;
}

function copyText(job: usize, isOpening: bool): void {
  const source = load<u32>(job, JOB_SOURCE_OFFSET);
  const destination = load<u32>(job, JOB_DESTINATION_OFFSET);
  if (source == destination || (isOpening && !isAuthentic(job))) return;
  memory.copy(destination, source, load<u32>(job, JOB_LENGTH_OFFSET));
}

function contextOf(job: usize): usize {
  return load<u32>(job, JOB_CONTEXT_OFFSET);
}

function isAuthentic(job: usize): bool {
  return load<u32>(job, JOB_VERDICT_OFFSET) == JOB_AUTHENTIC;
}
