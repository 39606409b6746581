import { readFileSync } from "node:fs";

// proc_stat(5): user nice system idle iowait irq softirq steal ..., in clock ticks. Guest time is in user time already.
const IDLE = [3, 4];
/** What a hypervisor gave to others is not our work: "steal" and what follows do not count. */
const COUNTED = 7;
const STEAL = 7;
/** What Linux tells programs, whatever its own clock does. */
export const TICKS_PER_SECOND = 100;

/**
 * Seconds that the processors were at work since the machine started: programs, kernel and interrupts alike. Those of the whole
 * machine, or of the processors with these numbers.
 */
export function busySeconds(processors?: readonly number[], text: string = readStat()): number {
  if (processors === undefined) return busyTicks(text, "cpu") / TICKS_PER_SECOND;
  return processors.reduce((sum, each) => sum + busyTicks(text, `cpu${each}`), 0) / TICKS_PER_SECOND;
}

/** Seconds in which our processors had work to do and a hypervisor let others run. */
export function stolenSeconds(text: string = readStat()): number {
  return (ticksOf(text, "cpu")[STEAL] ?? 0) / TICKS_PER_SECOND;
}

function busyTicks(text: string, line: string): number {
  const ticks = ticksOf(text, line).slice(0, COUNTED);
  return ticks.reduce((sum, each, index) => (IDLE.includes(index) ? sum : sum + each), 0);
}

function ticksOf(text: string, name: string): readonly number[] {
  const found = text.split("\n").find((line) => line.startsWith(`${name} `));
  return found?.trim().split(/\s+/).slice(1).map(Number) ?? [];
}

function readStat(): string {
  return readFileSync("/proc/stat", "utf8");
}
