import {
  WORKER_BASE,
  WORKER_GCM_JOBS_OFFSET,
  WORKER_SCRATCH_OFFSET,
  WORKER_SCRATCH_SIZE,
  WORKER_SIZE,
} from "./layout";

// Each thread has an instance of its own, and so a copy of these globals of its own: two instances never share scratch.
let number: u32 = 0;
let base: usize = WORKER_BASE;
/** Whether a batch was worked on since the last wipe. */
let isUsed = false;

/** Ties this instance to the region of `worker`. */
export function bind(worker: u32): void {
  number = worker;
  base = WORKER_BASE + worker * WORKER_SIZE;
}

/** Which worker this instance serves. */
export function worker(): u32 {
  return number;
}

/** Address of the worker's region, WORKER_SIZE octets. */
export function region(): usize {
  return base;
}

/** Address of WORKER_SCRATCH_SIZE octets that only this instance touches. */
export function scratch(): usize {
  return base + WORKER_SCRATCH_OFFSET;
}

/** A batch begins: jobs and scratch will hold something. */
export function noteBatch(): void {
  isUsed = true;
}

/** Zeroes the jobs and the scratch, unless they are as they were. What expands keys leaves nothing there. */
export function wipeScratch(): void {
  if (!isUsed) return;
  isUsed = false;
  const start = base + WORKER_GCM_JOBS_OFFSET;
  memory.fill(start, 0, scratch() + WORKER_SCRATCH_SIZE - start);
}
