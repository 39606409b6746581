import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { PlatformError } from "../errors/index.ts";
import { asSupervisor, WITH_US } from "../platform/namespaces.ts";
import { fileBeside, lastWords } from "./processes.ts";
import type { DemoMode, Tell } from "./story.ts";
import type { SupervisorMessage } from "./supervisor.ts";

/** The supervisor has nothing to wait for when we leave it. */
const PATIENCE_MS = 2000;

/**
 * Runs the demo between namespaces in a supervisor process. When `signal` aborts, or this process ends, everything the
 * supervisor made ends too. Throws PlatformError with what went wrong.
 */
export async function runSupervised(
  mode: Exclude<DemoMode, "memory">,
  { tell, signal }: { readonly tell: Tell; readonly signal: AbortSignal },
): Promise<void> {
  const access = mode === "root" ? "root" : "user-namespace";
  const supervisor = [process.execPath, fileBeside(import.meta.url, "supervisor")];
  const [program, ...args] = asSupervisor(access, [...WITH_US, ...supervisor]);
  const child = spawn(program!, args, {
    stdio: ["ignore", "ignore", "pipe", "ipc"],
    serialization: "advanced",
  });
  const words = lastWords(child.stderr!);
  const exited = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (code, exitSignal) => resolve(String(exitSignal ?? code)));
  });
  let end: Exclude<SupervisorMessage, { kind: "news" }> | undefined;
  child.on("message", (message: SupervisorMessage) => {
    if (message.kind === "news") tell(message.news);
    else end = message;
  });
  const aborted = signal.aborted ? Promise.resolve() : once(signal, "abort");
  await Promise.race([exited, aborted]);
  if (signal.aborted) {
    if (child.connected) child.disconnect();
    await Promise.race([exited, sleep(PATIENCE_MS)]);
    child.kill("SIGKILL");
    return;
  }
  if (end === undefined) {
    const why = words() || `it ended with ${await exited}`;
    throw new PlatformError(`cannot run the demo in mode ${mode}: ${why}`, { code: "EPERM" });
  }
  if (end.kind === "failure") throw new PlatformError(end.message, { code: end.code });
}
