import type { ControlClient } from "../control/client.ts";
import type { Outcome } from "../engine/control-surface.ts";
import { PlatformError } from "../errors/index.ts";
import { type ExitCode, exitCodeOf } from "./exit-code.ts";
import type { Terminal } from "./terminal.ts";

/** Longer than the daemon itself takes to give up. */
const STOP_TIMEOUT_MS = 20_000;
const STOP_POLL_MS = 50;

export interface ClientCommand {
  readonly client: ControlClient;
  readonly json: boolean;
  readonly terminal: Terminal;
}

export async function runConnectionUp(options: ClientCommand & { readonly name: string }): Promise<ExitCode> {
  return report(await options.client.up(options.name), options);
}

export async function runConnectionDown(
  options: ClientCommand & { readonly name: string },
): Promise<ExitCode> {
  return report(await options.client.down(options.name), options);
}

export async function runRekey(
  options: ClientCommand & { readonly name: string; readonly what: "children" | "ike" },
): Promise<ExitCode> {
  return report(await options.client.rekey(options.name, options.what), options);
}

export async function runDisconnect(options: ClientCommand & { readonly user: string }): Promise<ExitCode> {
  return report(await options.client.disconnect(options.user), options);
}

export async function runRedirect(
  options: ClientCommand & { readonly name: string; readonly host: string },
): Promise<ExitCode> {
  return report(await options.client.redirect(options.name, options.host), options);
}

export async function runReload(options: ClientCommand): Promise<ExitCode> {
  return report(await options.client.reload(), options);
}

/** Stops the daemon and returns when it is gone. Throws PlatformError ETIMEDOUT when it does not go. */
export async function runStop(options: ClientCommand): Promise<ExitCode> {
  const outcome = await options.client.stop();
  if (outcome.kind === "failed") return report(outcome, options);
  const giveUpAt = performance.now() + STOP_TIMEOUT_MS;
  while (await isAnswering(options.client)) {
    if (performance.now() > giveUpAt)
      throw new PlatformError("ikebana has not stopped yet", { code: "ETIMEDOUT" });
    await new Promise((resolve) => setTimeout(resolve, STOP_POLL_MS));
  }
  return report({ kind: "done", message: "ikebana has stopped" }, options);
}

async function isAnswering(client: ControlClient): Promise<boolean> {
  try {
    await client.status();
    return true;
  } catch (error) {
    // Broken off in the middle of an answer: going, not gone.
    return !(error instanceof PlatformError && error.code === "NOT_RUNNING");
  }
}

function report(outcome: Outcome, { json, terminal }: ClientCommand): ExitCode {
  if (json) terminal.out(`${JSON.stringify(outcome)}\n`);
  else if (outcome.kind === "done") terminal.out(`${outcome.message}\n`);
  else terminal.error(`ikebana: ${outcome.message}\n`);
  return exitCodeOf(outcome);
}
