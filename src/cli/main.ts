#!/usr/bin/env node
import type { EngineConfig } from "../engine/engine-config.ts";
import type { StartEngine } from "./daemon.ts";
import { type RunDemo, runProgram } from "./program.ts";
import { keepHeapSmall } from "./small-heap.ts";
import { processTerminal } from "./terminal.ts";

// The engine brings the kernel, system calls and key exchanges along: only who runs one waits for them.
const startEngine: StartEngine = async ({ config, onEvent }) => {
  const [
    { Engine },
    { createLinuxHost },
    { impairHost },
    { claimDirectory },
    { InheritedSockets },
    { createLinuxSystemCalls },
  ] = await Promise.all([
    import("../engine/engine.ts"),
    import("../engine/linux-host.ts"),
    import("../engine/impairment.ts"),
    import("../platform/directory-claim.ts"),
    import("../platform/privileges/inherited-sockets.ts"),
    import("../platform/system-calls/linux-system-calls.ts"),
  ]);
  // Before anything is put back that a former life has left there: it may live.
  claimDirectory(createLinuxSystemCalls(), config.stateDirectory);
  const inherited = InheritedSockets.take(process.env, createLinuxSystemCalls);
  const host = createLinuxHost({ onThreadStart: keepHeapSmall, inherited });
  const faults = process.env.IKEBANA_IMPAIR ?? "";
  return Engine.start({ config, host: faults === "" ? host : impairHost(host, faults), onEvent });
};
const shedPrivileges = async (config: EngineConfig): Promise<void> => {
  const [{ shedPrivileges: shed }, { createLinuxSystemCalls }] = await Promise.all([
    import("../engine/shed-privileges.ts"),
    import("../platform/system-calls/linux-system-calls.ts"),
  ]);
  shed(config, { systemCalls: createLinuxSystemCalls, words: process.argv.slice(1) });
};
const runDemo: RunDemo = async (options) => (await import("../demo/run.ts")).runDemo(options);

const code = await runProgram(process.argv.slice(2), {
  terminal: processTerminal(),
  startEngine,
  shedPrivileges,
  runDemo,
});
// What a slow reader has not taken yet would be lost.
for (const stream of [process.stdout, process.stderr]) {
  await new Promise<void>((resolve) => stream.write("", () => resolve()));
}
process.exit(code);
