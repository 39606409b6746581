// Jobs under one key share groups of eight AES blocks, so a batch is taken key by key and not as it lies.

import { JOB_CONTEXT_OFFSET, JOB_SIZE } from "./layout";

/** Most jobs that are put in order at once. */
export const ORDER_COUNT: u32 = 1024;
/** Octets of `work` for that many. */
export const ORDER_WORK_SIZE: u32 = 24576;

// work: slots of a hash table (u32 context, u32 count, later the next place) | u32 slot of each job | u32 slot of each key
const SLOT_COUNT: u32 = 2 * ORDER_COUNT;
const SLOT_SIZE: u32 = 8;
const PLACE_OFFSET: u32 = 4;
const JOB_SLOTS_OFFSET: u32 = SLOT_COUNT * SLOT_SIZE;
const KEY_SLOTS_OFFSET: u32 = JOB_SLOTS_OFFSET + 4 * ORDER_COUNT;

if (KEY_SLOTS_OFFSET + 4 * ORDER_COUNT != ORDER_WORK_SIZE)
  ERROR("ORDER_WORK_SIZE is not what the order needs");

/**
 * Writes the addresses of 1 to ORDER_COUNT jobs to `order`: keys as they first appear, the jobs of each as they lie.
 * Gives the number of keys.
 */
export function orderByContext(order: usize, work: usize, jobs: usize, count: u32): u32 {
  if (haveOneContext(jobs, count)) {
    for (let i: u32 = 0; i < count; ++i) store<u32>(order + 4 * i, <u32>jobs + JOB_SIZE * i);
    return 1;
  }
  const jobSlots = work + JOB_SLOTS_OFFSET;
  const keySlots = work + KEY_SLOTS_OFFSET;
  // At least twice as many slots as jobs.
  const slotBits = 33 - clz<u32>(count - 1);
  memory.fill(work, 0, SLOT_SIZE << slotBits);
  let keyCount: u32 = 0;
  for (let i: u32 = 0; i < count; ++i) {
    const context = load<u32>(jobs + JOB_SIZE * i, JOB_CONTEXT_OFFSET);
    const slot = findSlot(work, slotBits, context);
    if (load<u32>(slot) == 0) {
      store<u32>(slot, context);
      store<u32>(keySlots + 4 * keyCount++, <u32>slot);
    }
    store<u32>(slot, load<u32>(slot, PLACE_OFFSET) + 1, PLACE_OFFSET);
    store<u32>(jobSlots + 4 * i, <u32>slot);
  }
  let place = order;
  for (let i: u32 = 0; i < keyCount; ++i) {
    const slot: usize = load<u32>(keySlots + 4 * i);
    const jobCount = load<u32>(slot, PLACE_OFFSET);
    store<u32>(slot, <u32>place, PLACE_OFFSET);
    place += 4 * jobCount;
  }
  for (let i: u32 = 0; i < count; ++i) {
    const slot: usize = load<u32>(jobSlots + 4 * i);
    const at = load<u32>(slot, PLACE_OFFSET);
    store<u32>(at, <u32>jobs + JOB_SIZE * i);
    store<u32>(slot, at + 4, PLACE_OFFSET);
  }
  return keyCount;
}

function haveOneContext(jobs: usize, count: u32): bool {
  const context = load<u32>(jobs, JOB_CONTEXT_OFFSET);
  for (let i: u32 = 1; i < count; ++i) {
    if (load<u32>(jobs + JOB_SIZE * i, JOB_CONTEXT_OFFSET) != context) return false;
  }
  return true;
}

/** The slot that holds the context, or the free one where it belongs. No context is at address 0. */
function findSlot(slots: usize, slotBits: u32, context: u32): usize {
  const mask = (1 << slotBits) - 1;
  let index = (context * 0x9e3779b1) >> (32 - slotBits);
  while (true) {
    const slot = slots + SLOT_SIZE * index;
    const found = load<u32>(slot);
    if (found == context || found == 0) return slot;
    index = (index + 1) & mask;
  }
}
