import { WORKER_BASE, WORKER_SCRATCH_OFFSET, WORKER_SIZE } from "./layout";

// Each thread has an instance of its own, and so a copy of this global of its own: two instances never share scratch.
let base: usize = WORKER_BASE + WORKER_SCRATCH_OFFSET;

/** Ties this instance to the region of `worker` (0 is the host). */
export function configure(worker: u32): void {
  base = WORKER_BASE + worker * WORKER_SIZE + WORKER_SCRATCH_OFFSET;
}

/** Address of WORKER_SCRATCH_SIZE octets that only this instance touches. */
export function scratch(): usize {
  return base;
}
