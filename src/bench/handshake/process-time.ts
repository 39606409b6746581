import { readFileSync } from "node:fs";

/** What Linux tells programs, whatever its own clock does. */
const TICKS_PER_SECOND = 100;
/** proc_pid_stat(5): utime and stime, counted from behind the program's name, which may hold anything. */
const USER_TIME = 11;
const SYSTEM_TIME = 12;

/** Seconds that all threads of a process have had of the processors, in user mode and in the kernel, to a hundredth. */
export function processSeconds(pid: number): number {
  return secondsIn(readFileSync(`/proc/${pid}/stat`, "utf8"));
}

export function secondsIn(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[USER_TIME]) + Number(fields[SYSTEM_TIME])) / TICKS_PER_SECOND;
}
