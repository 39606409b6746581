import { MEMORY_SIZE } from "../../assembly/layout.ts";
import type { SharedMemory } from "../../src/platform/system-calls/system-calls.ts";

/** A memory of the full layout without a kernel in it. Reserved, not filled. */
export function sharedMemory(): SharedMemory {
  return { buffer: new SharedArrayBuffer(MEMORY_SIZE) };
}
