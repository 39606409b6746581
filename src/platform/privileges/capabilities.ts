import { readFileSync } from "node:fs";

/** Whether each of these capabilities is ambient: handed on to the program that takes this one's place. */
export function areAmbient(capabilities: readonly number[], status = "/proc/thread-self/status"): boolean {
  const [, ambient = "0"] = /^CapAmb:\s*([0-9a-f]+)$/m.exec(readFileSync(status, "utf8")) ?? [];
  const set = BigInt(`0x${ambient}`);
  return capabilities.every((capability) => ((set >> BigInt(capability)) & 1n) === 1n);
}
