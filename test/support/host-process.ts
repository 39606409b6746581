import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import type { TestHost } from "./namespace.ts";
import { until } from "./waiting.ts";

export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A program that runs on a test host, with all that it has written. */
export class HostProcess {
  readonly #name: string;
  readonly #child: ChildProcess;
  #out = "";
  #error = "";
  #ending: Ending | undefined;
  readonly ended: Promise<Ending>;

  constructor(
    host: Pick<TestHost, "start">,
    command: readonly [string, ...string[]],
    environment: Readonly<Record<string, string>> = {},
  ) {
    const [program, ...args] = command;
    this.#name = program;
    this.#child = host.start(program, args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...environment },
    });
    this.#child.stdout!.setEncoding("utf8").on("data", (text: string) => {
      this.#out += text;
    });
    this.#child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      this.#error += text;
    });
    this.ended = once(this.#child, "close").then(([code, signal]) => {
      this.#ending = { code, signal };
      return this.#ending;
    });
  }

  /** The program's own: what enters the namespaces before it hands its process over. */
  get pid(): number {
    return this.#child.pid!;
  }

  get out(): string {
    return this.#out;
  }

  get error(): string {
    return this.#error;
  }

  get ending(): Ending | undefined {
    return this.#ending;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Asks the program to end and waits; one that does not is killed, and that is an error. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<Ending> {
    this.signal(signal);
    const end = until(`${this.#name} ends after ${signal}`, () => this.#ending !== undefined);
    try {
      await end;
    } catch (error) {
      this.signal("SIGKILL");
      await this.ended;
      throw error;
    }
    return this.ended;
  }
}

export interface CommandResult {
  readonly code: number | null;
  readonly out: string;
  readonly error: string;
}

/** Runs a program to its end without holding up this process: whatever else runs here goes on. */
export async function runOn(
  host: TestHost,
  command: readonly [string, ...string[]],
  { timeoutMs = 30_000 }: { readonly timeoutMs?: number } = {},
): Promise<CommandResult> {
  const process = new HostProcess(host, command);
  const limit = setTimeout(() => process.signal("SIGKILL"), timeoutMs);
  const { code } = await process.ended;
  clearTimeout(limit);
  return { code, out: process.out, error: process.error };
}
