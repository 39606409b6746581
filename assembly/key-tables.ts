// Tables that make an AES key faster, for the keys of the moment: an SA has a small context that always works, and a worker
// has TABLES_COUNT places for tables beside. Each instance has its own; nothing here is shared.
//
// A key gets tables when it has carried BUSY_OCTETS without any, which costs less than a tenth of what carrying them did, so that
// keys which take turns never spend their time on tables. The key that was used least recently gives up its place.
//
// Tables are secret and are wiped when their SA is gone or another key takes the place. Which keys have some is public: it
// depends on lengths and moments only.

import { number } from "./aes-context";
import { COUNTER_ROUNDS_SIZE, writeCounterRounds } from "./ctr";
import { jobAt } from "./ctr-window";
import { GHASH_TABLES_END, writeGhashTables } from "./ghash-table";
import {
  JOB_CONTEXT_OFFSET,
  JOB_LENGTH_OFFSET,
  SA_ACTIVE,
  SA_BASE,
  SA_SLOT_SIZE,
  SA_STATE_OFFSET,
  TABLE_OWNER_SIZE,
  TABLES_BUILT,
  TABLES_COUNT,
  TABLES_SIZE,
  WORKER_TABLE_OWNERS_OFFSET,
  WORKER_TABLE_WORDS_OFFSET,
  WORKER_TABLES_OFFSET,
} from "./layout";
import { lendKey, takeKeyBack } from "./processor-aes";
import { region } from "./scratch";

const BUSY_OCTETS: u32 = 65536;
const COUNTER_ROUNDS_OFFSET: u32 = GHASH_TABLES_END;
const LAST_USED_OFFSET: usize = 4;
const USE_OFFSET: usize = 8;

if (COUNTER_ROUNDS_OFFSET + COUNTER_ROUNDS_SIZE > <u32>TABLES_SIZE)
  ERROR("The tables of a key do not fit their place in layout.ts");

/** Raised with each use. When it passes 2^32, the order of the old ones is lost for once. */
let turn: u32 = 0;

/** What a key's tables are for. */
export const FOR_GCM: u32 = 0;
export const FOR_CTR: u32 = 1;
/** CBC has no tables: a key has a place for the AES that is lent to it alone. */
export const FOR_CBC_SEALING: u32 = 2;
export const FOR_CBC_OPENING: u32 = 3;

/** The tables of the key of the jobs in order from `first` to `end` - 1, or 0. They hold until tables are asked for again. */
export function tablesFor(first: u32, end: u32, use: u32): usize {
  const context: usize = load<u32>(jobAt(first), JOB_CONTEXT_OFFSET);
  const word = wordOf(number(context));
  const state = load<u32>(word);
  let carried = state;
  if ((state & <u32>TABLES_BUILT) != 0) {
    const place = state ^ <u32>TABLES_BUILT;
    if (load<u32>(ownerAt(place), USE_OFFSET) == use) return turnTo(place);
    // No SA uses its key for two things; this keeps the kernel right if one does.
    release(place);
    carried = 0;
  }
  for (let i = first; i < end; ++i) carried += load<u32>(jobAt(i), JOB_LENGTH_OFFSET);
  store<u32>(word, carried);
  if (carried < BUSY_OCTETS) return 0;
  const place = takePlace();
  const tables = tablesAt(place);
  if (use == FOR_GCM) writeGhashTables(tables, context);
  if (use <= FOR_CTR) writeCounterRounds(tables + COUNTER_ROUNDS_OFFSET, context);
  lendKey(place, context, use == FOR_CBC_OPENING);
  store<u32>(ownerAt(place), number(context) + 1);
  store<u32>(ownerAt(place), use, USE_OFFSET);
  store<u32>(word, place | <u32>TABLES_BUILT);
  return turnTo(place);
}

/** The place of tables that `tablesFor` gave: the number of their key with who lends AES. */
export function placeOf(tables: usize): u32 {
  return <u32>(tables - tablesAt(0)) / TABLES_SIZE;
}

/** Round 1 of the counters in a key's tables; 0 when there are none. */
export function counterRounds(tables: usize): usize {
  return tables == 0 ? 0 : tables + COUNTER_ROUNDS_OFFSET;
}

/** A key gets another value: what was made of the old one goes. */
export function forgetKey(number: u32): void {
  const word = wordOf(number);
  const state = load<u32>(word);
  if ((state & <u32>TABLES_BUILT) != 0) release(state ^ <u32>TABLES_BUILT);
  store<u32>(word, 0);
}

/** Wipes the tables of SAs that are gone. */
export function releaseTables(): void {
  for (let place: u32 = 0; place < <u32>TABLES_COUNT; ++place) {
    const owner = load<u32>(ownerAt(place));
    if (owner == 0) continue;
    const state = atomic.load<u32>(SA_BASE + SA_STATE_OFFSET + (owner - 1) * SA_SLOT_SIZE);
    if (state != SA_ACTIVE) release(place);
  }
}

function turnTo(place: u32): usize {
  store<u32>(ownerAt(place), ++turn, LAST_USED_OFFSET);
  return tablesAt(place);
}

/** A free place, or the one that was used least recently. */
function takePlace(): u32 {
  let oldest: u32 = 0;
  let age: u32 = 0;
  for (let place: u32 = 0; place < <u32>TABLES_COUNT; ++place) {
    if (load<u32>(ownerAt(place)) == 0) return place;
    const unused = turn - load<u32>(ownerAt(place), LAST_USED_OFFSET);
    if (unused > age) {
      age = unused;
      oldest = place;
    }
  }
  release(oldest);
  return oldest;
}

function release(place: u32): void {
  takeKeyBack(place);
  store<u32>(wordOf(load<u32>(ownerAt(place)) - 1), 0);
  memory.fill(tablesAt(place), 0, TABLES_SIZE);
  store<u32>(ownerAt(place), 0);
}

function wordOf(number: u32): usize {
  return region() + WORKER_TABLE_WORDS_OFFSET + ((<usize>number) << 2);
}

function ownerAt(place: u32): usize {
  return region() + WORKER_TABLE_OWNERS_OFFSET + place * TABLE_OWNER_SIZE;
}

function tablesAt(place: u32): usize {
  return region() + WORKER_TABLES_OFFSET + place * TABLES_SIZE;
}
