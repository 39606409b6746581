#!/usr/bin/env node
import type { StartEngine } from "./daemon.ts";
import { type RunDemo, runProgram } from "./program.ts";
import { keepHeapSmall } from "./small-heap.ts";
import { processTerminal } from "./terminal.ts";

// The engine brings the kernel, system calls and key exchanges along: only who runs one waits for them.
const startEngine: StartEngine = async ({ config, onEvent }) => {
  const [{ Engine }, { createLinuxHost }, { impairHost }] = await Promise.all([
    import("../engine/engine.ts"),
    import("../engine/linux-host.ts"),
    import("../engine/impairment.ts"),
  ]);
  const host = createLinuxHost({ onThreadStart: keepHeapSmall });
  const faults = process.env.IKEBANA_IMPAIR ?? "";
  return Engine.start({ config, host: faults === "" ? host : impairHost(host, faults), onEvent });
};
const runDemo: RunDemo = async (options) => (await import("../demo/run.ts")).runDemo(options);

const code = await runProgram(process.argv.slice(2), { terminal: processTerminal(), startEngine, runDemo });
// What a slow reader has not taken yet would be lost.
for (const stream of [process.stdout, process.stderr]) {
  await new Promise<void>((resolve) => stream.write("", () => resolve()));
}
process.exit(code);
