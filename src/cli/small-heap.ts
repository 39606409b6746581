import { setFlagsFromString } from "node:v8";

/**
 * Keeps the young generation of every thread as small as it begins. A daemon lives long and keeps little of what it allocates:
 * left alone, V8 grows this part to 48 MB in the first flood of datagrams, and it stays so. V8 goes back to its default whenever
 * a thread begins, so this is called behind each.
 */
export function keepHeapSmall(): void {
  setFlagsFromString("--semi-space-growth-factor=1");
}
