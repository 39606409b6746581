import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PlatformError } from "../../errors/index.ts";

/** A program that somebody has to install, and the Debian package that brings it. */
export interface Needed {
  readonly program: string;
  readonly package: string;
}

/** System programs are not on everybody's PATH. */
const SYSTEM_FOLDERS = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin"] as const;

/** Absolute paths of the programs, in their order. Throws PlatformError that names what is missing, and how to get it. */
export function findPrograms(needed: readonly Needed[]): readonly string[] {
  const found = needed.map(({ program }) => locate(program));
  const missing = needed.filter((_, index) => found[index] === undefined);
  if (missing.length > 0) {
    const names = missing.map(({ program }) => program).join(", ");
    const packages = [...new Set(missing.map((each) => each.package))].join(" ");
    throw new PlatformError(`${names} not found: apt-get install ${packages}`, { code: "ENOENT" });
  }
  return found as readonly string[];
}

function locate(program: string): string | undefined {
  if (program.includes("/")) return isExecutable(program) ? program : undefined;
  const folders = [...(process.env.PATH ?? "").split(":").filter((each) => each !== ""), ...SYSTEM_FOLDERS];
  return folders.map((folder) => join(folder, program)).find(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export interface CommandResult {
  /** null when a signal ended it. */
  readonly code: number | null;
  readonly out: string;
  readonly error: string;
}

/** Of a daemon that runs on and on only the latest words are kept. */
const KEPT_LENGTH = 32 * 1024 * 1024;

/** A program that runs, with what it has written. */
export class RunningProgram {
  readonly name: string;
  readonly ended: Promise<CommandResult>;
  /** By `performance.now()`. */
  readonly startedAtMs = performance.now();
  readonly #child: ChildProcess;
  #out = "";
  #error = "";
  #end: CommandResult | undefined;

  /** `name`: how errors call it. */
  constructor(
    name: string,
    [program, ...args]: readonly string[],
    environment: Readonly<Record<string, string>> = {},
  ) {
    this.name = name;
    this.#child = spawn(program!, args, {
      stdio: ["ignore", "pipe", "pipe"],
      // Ctrl-C on the terminal is for us: we end what we started, in order.
      detached: true,
      env: { ...process.env, ...environment },
    });
    if (this.#child.pid !== undefined) shareWeight(this.#child.pid);
    this.#child.stdout!.setEncoding("utf8").on("data", (text: string) => {
      this.#out = (this.#out + text).slice(-KEPT_LENGTH);
    });
    this.#child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      this.#error = (this.#error + text).slice(-KEPT_LENGTH);
    });
    this.ended = new Promise((resolve) => {
      const end = (code: number | null, why = ""): void => {
        this.#end ??= { code, out: this.#out, error: this.#error + why };
        resolve(this.#end);
      };
      this.#child.once("error", (error) => end(-1, error.message));
      this.#child.once("close", (code) => end(code));
    });
  }

  /** Undefined when it could not be started. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  get out(): string {
    return this.#out;
  }

  get error(): string {
    return this.#error;
  }

  get hasEnded(): boolean {
    return this.#end !== undefined;
  }

  /** What it said last, for an error message. */
  get lastWords(): string {
    const lines = `${this.#out}\n${this.#error}`.split("\n").filter((line) => line.trim() !== "");
    return lines.slice(-LAST_LINE_COUNT).join("\n");
  }

  /** Ends it whatever it does, and settles when it is gone. */
  async kill(): Promise<void> {
    if (this.hasEnded || this.#child.pid === undefined) return;
    const gone = this.#child.exitCode !== null || this.#child.signalCode !== null;
    if (gone) return;
    const exit = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await exit;
  }
}

const LAST_LINE_COUNT = 8;

/**
 * The scheduler weighs sessions (sched(7), autogroups), and each of our programs is one of its own: it gets what somebody gave to
 * ours, so that all of a run stands against the rest of the machine with the same weight.
 */
function shareWeight(pid: number): void {
  try {
    const nice = /nice (-?\d+)/.exec(readFileSync("/proc/self/autogroup", "utf8"))?.[1] ?? "0";
    if (nice !== "0") writeFileSync(`/proc/${pid}/autogroup`, nice);
  } catch {
    // No autogroups here, or no right to change them; or the program has ended.
  }
}
