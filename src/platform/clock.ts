import { uptime } from "node:os";
import { performance } from "node:perf_hooks";

/**
 * A monotonic clock, in milliseconds. All threads of a machine count from the same moment. It stands still while the machine
 * sleeps, and no change of the date moves it.
 */
export interface Clock {
  now(): number;
}

/** Milliseconds since the machine was switched on, those that it slept included; as exact as a hundredth of a second. */
export type Uptime = () => number;

/** What /proc/uptime says, which counts as CLOCK_BOOTTIME does. */
export const systemUptime: Uptime = () => uptime() * 1000;

/** The system's monotonic clock. performance.now() counts from the start of its thread and allocates nothing; one look at hrtime() joins the two. */
export function createMonotonicClock(): Clock {
  const [seconds, nanoseconds] = process.hrtime();
  const offset = seconds * 1000 + nanoseconds / 1e6 - performance.now();
  return { now: () => performance.now() + offset };
}
