import { readFileSync } from "node:fs";

let answer: boolean | undefined;

/** Whether the processor has AES instructions: x86 and ARM both call them "aes" in /proc/cpuinfo. */
export function hasAesInstructions(): boolean {
  answer ??= read();
  return answer;
}

function read(): boolean {
  try {
    return /^(flags|Features)\s*:.*\baes\b/m.test(readFileSync("/proc/cpuinfo", "utf8"));
  } catch {
    return false;
  }
}
