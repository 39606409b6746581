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

/** The system's monotonic clock. performance.now() counts from the start of its thread and allocates nothing; a look at hrtime() joins the two. */
export function createMonotonicClock(): Clock {
  let best = lookAtBoth();
  for (let i = 0; i < MOST_LOOKS && best.spread > CLOSE_MS; i++) {
    const next = lookAtBoth();
    if (next.spread < best.spread) best = next;
  }
  const { offset } = best;
  return { now: () => performance.now() + offset };
}

const MOST_LOOKS = 20;
const CLOSE_MS = 0.05;

/** Between the looks at the two clocks a thread may lose its processor: `spread` says how far off the offset may be. */
function lookAtBoth(): { readonly offset: number; readonly spread: number } {
  const before = performance.now();
  const [seconds, nanoseconds] = process.hrtime();
  const after = performance.now();
  return { offset: seconds * 1000 + nanoseconds / 1e6 - before, spread: after - before };
}
