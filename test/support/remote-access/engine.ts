import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Outcome } from "../../../src/engine/control-surface.ts";
import type { EngineStatus } from "../../../src/engine/status.ts";
import { LineProcess } from "../line-process.ts";
import type { TestHost } from "../namespace.ts";
import type { RemoteAccessArgument, RemoteAccessCommand } from "./process.ts";

const PROCESS = fileURLToPath(
  new URL("../../../dist/test/support/remote-access/process.js", import.meta.url),
);

/** An engine for remote access on a test host. */
export interface RemoteAccess {
  /** What it has reported, a line for each event. */
  readonly log: string;
  up(): Promise<Outcome>;
  down(): Promise<Outcome>;
  status(): Promise<EngineStatus>;
  stop(): Promise<void>;
}

/** Settles when it is ready. */
export async function startRemoteAccess(
  host: TestHost,
  argument: RemoteAccessArgument,
): Promise<RemoteAccess> {
  const process = new LineProcess(host, [globalThis.process.execPath, PROCESS, JSON.stringify(argument)]);
  const ask = (command: RemoteAccessCommand): Promise<unknown> => process.ask(command);
  const log = join(argument.directory, "events.log");
  try {
    await process.read();
  } catch (error) {
    await process.stop();
    throw error;
  }
  return {
    get log() {
      return existsSync(log) ? readFileSync(log, "utf8") : "";
    },
    up: () => ask({ kind: "up" }) as Promise<Outcome>,
    down: () => ask({ kind: "down" }) as Promise<Outcome>,
    status: () => ask({ kind: "status" }) as Promise<EngineStatus>,
    stop: () => process.stop(),
  };
}
