import { spawn } from "node:child_process";
import { once } from "node:events";
import { constants } from "node:os";
import { basename, resolve } from "node:path";
import { PlatformError } from "../errors/index.ts";
import { asSupervisor, type NamespaceAccess, namespaceAccess, WITH_US } from "../platform/namespaces.ts";
import { ExitCode } from "./exit-code.ts";

// What commands that measure share: they make namespaces, and Ctrl-C leaves a report.

const ENDING_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Runs what makes namespaces, or, where we may not, the same command line (`words`) as "root" of a user namespace of our own; settles with
 * the exit code. SIGINT, SIGTERM and SIGHUP abort the signal; a second one ends at once. Throws PlatformError where nobody may make namespaces.
 */
export async function runMeasuring(
  words: readonly string[],
  run: (signal: AbortSignal) => Promise<void>,
): Promise<number> {
  if (whoMayMeasure() === "user-namespace")
    return runAgain(asSupervisor("user-namespace", [...WITH_US, ...thisProgram(), ...words]));
  const controller = new AbortController();
  let exitCode: number = ExitCode.DONE;
  const interrupt = (name: NodeJS.Signals): void => {
    if (controller.signal.aborted) process.exit(exitCode);
    exitCode = 128 + constants.signals[name];
    controller.abort();
  };
  for (const name of ENDING_SIGNALS) process.on(name, interrupt);
  try {
    await run(controller.signal);
    return exitCode;
  } finally {
    for (const name of ENDING_SIGNALS) process.off(name, interrupt);
  }
}

/** The command line as records have it. Where somebody keeps his files is nobody's business. */
export function commandOf(words: readonly string[]): string {
  return ["ikebana", ...words.map((word) => (word.includes("/") ? basename(word) : word))].join(" ");
}

/** Node and our main file. */
export function thisProgram(): readonly string[] {
  return [process.execPath, resolve(process.argv[1]!)];
}

/** Throws PlatformError where nobody may make namespaces. */
function whoMayMeasure(): Exclude<NamespaceAccess, "none"> {
  const access = namespaceAccess();
  if (access !== "none") return access;
  throw new PlatformError("this machine lets us make neither network nor user namespaces: run it as root", {
    code: "EPERM",
  });
}

/** Runs the same command line as "root" of a user namespace of our own, and lets it answer the signals. */
async function runAgain([program, ...args]: readonly string[]): Promise<number> {
  // A terminal's Ctrl-C reaches us alone, and so it gets there once.
  const child = spawn(program!, args, { stdio: "inherit", detached: true });
  const pass = (name: NodeJS.Signals): void => void child.kill(name);
  for (const name of ENDING_SIGNALS) process.on(name, pass);
  try {
    const [code, signal] = await once(child, "exit");
    return code ?? 128 + constants.signals[signal as NodeJS.Signals];
  } finally {
    for (const name of ENDING_SIGNALS) process.off(name, pass);
  }
}
