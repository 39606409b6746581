import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ControlClient } from "../../src/control/client.ts";
import type { ConnectionStatus, EngineStatus } from "../../src/engine/status.ts";
import { type Ending, HostProcess, runOn } from "./host-process.ts";
import type { TestHost } from "./namespace.ts";
import { until } from "./waiting.ts";

const MAIN = fileURLToPath(new URL("../../dist/src/cli/main.js", import.meta.url));

/** `ikebana up` as users run it, on a test host. */
export interface IkebanaDaemon {
  readonly pid: number;
  /** Configuration, socket and state are here. */
  readonly directory: string;
  readonly socket: string;
  /** The log, as it is printed. */
  readonly log: string;
  readonly ending: Ending | undefined;
  readonly client: ControlClient;
  status(): Promise<EngineStatus>;
  /** The status of the one connection, or of the named one. */
  connection(name?: string): Promise<ConnectionStatus>;
  /** Waits until the log holds the text. */
  logged(text: string, timeoutMs?: number): Promise<void>;
  signal(signal: NodeJS.Signals): void;
  waitForEnd(): Promise<Ending>;
  /** Ends the daemon, in order unless another signal is given, and removes its directory. */
  stop(signal?: NodeJS.Signals): Promise<Ending>;
}

/**
 * Starts a daemon with the configuration text. Paths in it are relative to a directory of its own; "socket: ikebana.sock" is
 * what the tests expect. Settles when the daemon is ready. `directory`: that of an earlier daemon, to start in what it left.
 * `keepDirectory`: somebody else removes it. `impair`: the faults it shall have (`src/engine/impairment.ts`).
 * `environment`: further variables.
 */
export async function startIkebana(
  host: Pick<TestHost, "start">,
  configuration: string,
  {
    directory = mkdtempSync(join(tmpdir(), "ikebana-")),
    keepDirectory = false,
    impair = "",
    environment = {},
  }: {
    readonly directory?: string;
    readonly keepDirectory?: boolean;
    readonly impair?: string;
    readonly environment?: Readonly<Record<string, string>>;
  } = {},
): Promise<IkebanaDaemon> {
  const file = join(directory, "ikebana.yaml");
  const socket = join(directory, "ikebana.sock");
  writeFileSync(file, configuration, { mode: 0o600 });
  const process = new HostProcess(host, [globalThis.process.execPath, MAIN, "up", "-c", file], {
    ...(impair !== "" && { IKEBANA_IMPAIR: impair }),
    ...environment,
  });
  const client = new ControlClient(socket);
  const describe = (): string => `${process.out}${process.error}`;
  const daemon: IkebanaDaemon = {
    pid: process.pid,
    directory,
    socket,
    get log() {
      return process.out;
    },
    get ending() {
      return process.ending;
    },
    client,
    status: () => client.status(),
    connection: async (name) => {
      const { connections } = await client.status();
      const found = connections.find((connection) => name === undefined || connection.name === name);
      if (found === undefined) throw new Error(`no connection ${name ?? ""} in the status`);
      return found;
    },
    logged: (text, timeoutMs) =>
      until(`ikebana logs "${text}"`, () => process.out.includes(text), {
        ...(timeoutMs !== undefined && { timeoutMs }),
        describe,
      }),
    signal: (signal) => process.signal(signal),
    waitForEnd: () => process.ended,
    stop: async (signal) => {
      try {
        return process.ending ?? (await process.stop(signal));
      } finally {
        if (!keepDirectory) rmSync(directory, { recursive: true, force: true });
      }
    },
  };
  try {
    const isReady = (): boolean => process.ending !== undefined || process.out.includes("ready: connection");
    await until("ikebana is ready", isReady, { describe });
    if (process.ending !== undefined) throw new Error(`ikebana ended while it started\n${describe()}`);
    return daemon;
  } catch (error) {
    await daemon.stop("SIGKILL");
    throw error;
  }
}

/** Runs the command line to its end: `ikebana status --json` and the like. */
export function runIkebana(host: TestHost, ...words: readonly string[]): ReturnType<typeof runOn> {
  return runOn(host, [process.execPath, MAIN, ...words]);
}
