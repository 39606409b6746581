import { performance } from "node:perf_hooks";

/** A monotonic clock, in milliseconds. All threads of a machine count from the same moment. */
export interface Clock {
  now(): number;
}

/** The system's monotonic clock. performance.now() counts from the start of its thread and allocates nothing; one look at hrtime() joins the two. */
export function createMonotonicClock(): Clock {
  const [seconds, nanoseconds] = process.hrtime();
  const offset = seconds * 1000 + nanoseconds / 1e6 - performance.now();
  return { now: () => performance.now() + offset };
}
