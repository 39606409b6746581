import { readFileSync } from "node:fs";

// proc_stat(5): user nice system idle iowait irq softirq steal ..., in clock ticks. Guest time is in user time already.
const IDLE = [3, 4];
/** What a hypervisor gave to others is not our work: "steal" and what follows do not count. */
const COUNTED = 7;
/** What Linux tells programs, whatever its own clock does. */
const TICKS_PER_SECOND = 100;

/** Seconds that the processors of the whole machine were at work since it started: programs, kernel and interrupts alike. */
export function busySeconds(text: string = readFileSync("/proc/stat", "utf8")): number {
  const ticks = text
    .split("\n", 1)[0]!
    .trim()
    .split(/\s+/)
    .slice(1, 1 + COUNTED)
    .map(Number);
  const busy = ticks.reduce((sum, each, index) => (IDLE.includes(index) ? sum : sum + each), 0);
  return busy / TICKS_PER_SECOND;
}
