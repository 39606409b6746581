import { readFileSync } from "node:fs";

let cpuinfo: string | undefined;

/** Whether the processor has AES instructions: x86 and ARM both call them "aes" in /proc/cpuinfo. */
export function hasAesInstructions(): boolean {
  return has("aes");
}

/** Whether the processor has vectors of at least 256 bits: AVX2. */
export function hasWideVectors(): boolean {
  return has("avx2");
}

function has(flag: string): boolean {
  cpuinfo ??= read();
  return new RegExp(`^(flags|Features)\\s*:.*\\b${flag}\\b`, "m").test(cpuinfo);
}

function read(): string {
  try {
    return readFileSync("/proc/cpuinfo", "utf8");
  } catch {
    return "";
  }
}
