import { readFileSync } from "node:fs";

/** Memory that the processes have in RAM now, together, in MiB. One that has ended has none. */
export function residentMiB(processes: readonly number[]): number {
  return processes.reduce((sum, id) => sum + residentKiB(id), 0) / 1024;
}

function residentKiB(id: number): number {
  try {
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${id}/status`, "utf8"))?.[1] ?? 0);
  } catch {
    return 0;
  }
}
