import { JOB_LENGTH_OFFSET, JOB_SIZE } from "./layout";

/**
 * Lists the addresses of `count` jobs in `order`, a u32 each, shortest packet first, so that those which go through a
 * kernel side by side have about the same to do. Insertion sort: a batch is short and mostly of one or two lengths.
 */
export function sortJobs(order: usize, jobs: usize, count: u32): void {
  for (let i: u32 = 0; i < count; i++) {
    const job = jobs + i * JOB_SIZE;
    const length = load<u32>(job, JOB_LENGTH_OFFSET);
    let place = order + 4 * i;
    while (place > order && load<u32>(load<usize>(place - 4), JOB_LENGTH_OFFSET) > length) {
      store<u32>(place, load<u32>(place - 4));
      place -= 4;
    }
    store<u32>(place, job);
  }
}
