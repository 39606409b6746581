// AES-GCM, SP 800-38D and RFC 4106: nonces of 12 octets, tags of 16.
//
// A batch is put in order by key and goes through windows of jobs under one key:
//   1 lay the counter blocks of short packets and of packet ends side by side   2 encrypt them in one go
//   3 for each packet: the rest of its key stream, XOR, GHASH; to open, GHASH and the tag come first
//
// Constant time in keys and plaintext: see aes.ts, ghash.ts and ghash-table.ts. Lengths, addresses, nonces, AAD,
// ciphertext and the verdict are public.

import { PLANES_SIZE, runRounds } from "./aes";
import { expandRoundKeys } from "./aes-key-schedule";
import { transpose } from "./aes-planes";
import {
  counterBlock,
  encryptPacked,
  encryptRun,
  expandCounterRounds,
  GROUPS_PER_RUN,
  packBlocks,
} from "./ctr";
import { roundKey, rounds } from "./gcm-context";
import {
  jobOrder,
  jobOrderWork,
  keyStream,
  PACKED_BLOCK_COUNT,
  packedBlocks,
  planes,
  wipe,
  zeros,
} from "./gcm-scratch";
import { ghash } from "./ghash";
import { expandGhashTable } from "./ghash-table";
import { ORDER_COUNT, orderByContext } from "./job-order";
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
import { xorText } from "./xor-text";

/** Packets below this many whole groups of counters are packed with others altogether. */
const FEWEST_GROUPS: u32 = 2;

/** Up to so many keys in a batch, the processor's cache holds all 16 powers of each. */
const FEW_KEYS: u32 = 4;

/** Expands a key of 16, 24 or 32 octets into AEAD_CONTEXT_SIZE octets and a table of GHASH_TABLE_SIZE. */
export function gcmExpandKey(context: usize, table: usize, key: usize, keyLength: u32): void {
  expandRoundKeys(context, key, keyLength);
  expandCounterRounds(context);
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
  expandGhashTable(context, table, v128.load(h));
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
      const windowEnd = packWindow(i, ordered);
      let packed = packedBlocks();
      for (; i != windowEnd; ++i) {
        const job = jobAt(i);
        if (isOpening) open(job, packed, powers);
        else seal(job, packed, powers);
        packed += 16 * packedCount(load<u32>(job, JOB_LENGTH_OFFSET));
      }
    }
    jobs += JOB_SIZE * ordered;
    count -= ordered;
  }
  wipe();
}

/** Packs and encrypts the single blocks of as many jobs from `first` on as share a key and fit; gives the end of them. */
function packWindow(first: u32, end: u32): u32 {
  const context = load<u32>(jobAt(first), JOB_CONTEXT_OFFSET);
  let packed: u32 = 0;
  let i = first;
  for (; i != end; ++i) {
    const job = jobAt(i);
    if (load<u32>(job, JOB_CONTEXT_OFFSET) != context) break;
    const length = load<u32>(job, JOB_LENGTH_OFFSET);
    const count = packedCount(length);
    if (packed + count > PACKED_BLOCK_COUNT) break;
    const counter = max<u32>(1, 8 * groupCount(length));
    packBlocks(packedBlocks() + 16 * packed, counterBlock(job + JOB_NONCE_OFFSET), counter, count);
    packed += count;
  }
  encryptPacked(context, packedBlocks(), packed);
  return i;
}

function jobAt(place: u32): usize {
  return load<u32>(jobOrder() + 4 * place);
}

function seal(job: usize, packed: usize, powers: u32): void {
  const mask = beginKeyStream(job, packed);
  xorKeyStream(job, packed);
  v128.store(load<u32>(job, JOB_TAG_OFFSET), v128.xor(mask, hash(job, powers, JOB_DESTINATION_OFFSET)));
}

function open(job: usize, packed: usize, powers: u32): void {
  const sum = hash(job, powers, JOB_SOURCE_OFFSET);
  const tag = v128.xor(sum, beginKeyStream(job, packed));
  if (v128.any_true(v128.xor(tag, v128.load(load<u32>(job, JOB_TAG_OFFSET))))) {
    memory.fill(load<u32>(job, JOB_DESTINATION_OFFSET), 0, load<u32>(job, JOB_LENGTH_OFFSET));
    store<u32>(job, JOB_FORGED, JOB_VERDICT_OFFSET);
  } else {
    xorKeyStream(job, packed);
    store<u32>(job, JOB_AUTHENTIC, JOB_VERDICT_OFFSET);
  }
}

/** GHASH over the AAD and the ciphertext, which is the source or the destination. */
function hash(job: usize, powers: u32, textOffset: usize): v128 {
  return ghash(
    load<u32>(job, JOB_CONTEXT_OFFSET),
    powers,
    load<u32>(job, JOB_AAD_OFFSET),
    load<u32>(job, JOB_AAD_LENGTH_OFFSET),
    load<u32>(job + textOffset),
    load<u32>(job, JOB_LENGTH_OFFSET),
  );
}

/** Makes the first run of key stream and gives the block that masks the tag, that of counter 1. */
function beginKeyStream(job: usize, packed: usize): v128 {
  const groups = groupCount(load<u32>(job, JOB_LENGTH_OFFSET));
  if (groups == 0) return v128.load(packed);
  const block = counterBlock(job + JOB_NONCE_OFFSET);
  encryptRun(load<u32>(job, JOB_CONTEXT_OFFSET), keyStream(), block, 0, min(groups, GROUPS_PER_RUN));
  return v128.load(keyStream(), 16);
}

/** Destination = source ^ key stream, of which the first run is made. */
function xorKeyStream(job: usize, packed: usize): void {
  const context: usize = load<u32>(job, JOB_CONTEXT_OFFSET);
  let source: usize = load<u32>(job, JOB_SOURCE_OFFSET);
  let destination: usize = load<u32>(job, JOB_DESTINATION_OFFSET);
  let left = load<u32>(job, JOB_LENGTH_OFFSET);
  let groups = groupCount(left);
  if (groups == 0) {
    xorText(destination, source, packed + 16, left);
    return;
  }
  let run: u32 = 0;
  let skipped: u32 = 32; // counters 0 and 1
  while (true) {
    const runGroups = min(groups, GROUPS_PER_RUN);
    const size = min<u32>(left, PLANES_SIZE * runGroups - skipped);
    xorText(destination, source, keyStream() + skipped, size);
    destination += size;
    source += size;
    left -= size;
    groups -= runGroups;
    if (groups == 0) break;
    skipped = 0;
    ++run;
    const block = counterBlock(job + JOB_NONCE_OFFSET);
    encryptRun(context, keyStream(), block, run, min(groups, GROUPS_PER_RUN));
  }
  xorText(destination, source, packed, left);
}

/** How many aligned groups of eight counters a text of `length` octets has to itself. */
function groupCount(length: u32): u32 {
  // Counters 0 to n + 1 for n blocks; a last group of seven is not worth packing.
  const groups = ((length + 15) / 16 + 3) / 8;
  return groups < FEWEST_GROUPS ? 0 : groups;
}

/** How many blocks of its key stream are packed. */
function packedCount(length: u32): u32 {
  const counterEnd = (length + 15) / 16 + 2;
  const first = max<u32>(1, 8 * groupCount(length));
  return first < counterEnd ? counterEnd - first : 0;
}
