import { spawn } from "node:child_process";
import { once } from "node:events";
import { constants } from "node:os";
import { basename, resolve } from "node:path";
import { allContenders, chooseContenders } from "../bench/tunnel/catalogue.ts";
import type { Contender } from "../bench/tunnel/contender.ts";
import type { Measure } from "../bench/tunnel/figures.ts";
import type { Cores } from "../bench/tunnel/ground.ts";
import { mergeRecords } from "../bench/tunnel/merge.ts";
import { readTunnelRecord, writeTunnelRecord } from "../bench/tunnel/record.ts";
import { type Progress, runTunnelBench } from "../bench/tunnel/run.ts";
import { toMarkdown } from "../bench/tunnel/table.ts";
import { PlatformError, PolicyError } from "../errors/index.ts";
import { asSupervisor, namespaceAccess } from "../platform/namespaces.ts";
import { ExitCode } from "./exit-code.ts";
import { formatDuration } from "./quantities.ts";
import type { Terminal } from "./terminal.ts";

export interface BenchTunnelFlags {
  readonly rounds: number;
  readonly seconds: number;
  readonly contenders?: readonly string[];
  readonly measures: readonly Measure[];
  readonly cores: Cores;
  readonly json?: string;
  readonly wireguardDeb?: string;
}

/** It ends when we do, however that is. */
const WITH_US = ["setpriv", "--pdeathsig", "KILL", "--"] as const;

const ENDING_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * `ikebana bench tunnel`. Progress goes to the error output, the report to the output. SIGINT, SIGTERM and SIGHUP break the run off
 * and leave a report of what was measured; a second one ends at once.
 */
export async function runBenchTunnel({
  flags,
  terminal,
  words,
}: {
  readonly flags: BenchTunnelFlags;
  readonly terminal: Terminal;
  /** The command line, for the record. */
  readonly words: readonly string[];
}): Promise<number> {
  const contenders = choose(flags);
  const access = namespaceAccess();
  if (access === "none") {
    throw new PlatformError("this machine lets us make neither network nor user namespaces: run it as root", {
      code: "EPERM",
    });
  }
  if (access === "user-namespace")
    return runAgain(asSupervisor(access, [...WITH_US, ...thisProgram(), ...words]));
  const controller = new AbortController();
  let exitCode: number = ExitCode.DONE;
  const interrupt = (name: NodeJS.Signals): void => {
    if (controller.signal.aborted) process.exit(exitCode);
    exitCode = 128 + constants.signals[name];
    controller.abort();
  };
  for (const name of ENDING_SIGNALS) process.on(name, interrupt);
  const line = new ProgressLine(terminal);
  try {
    const record = await runTunnelBench({
      contenders,
      measures: flags.measures,
      rounds: flags.rounds,
      seconds: flags.seconds,
      cores: flags.cores,
      // Where somebody keeps his files is nobody's business.
      command: ["ikebana", ...words.map((word) => (word.includes("/") ? basename(word) : word))].join(" "),
      signal: controller.signal,
      onProgress: (progress) => line.show(progress),
    });
    line.clear();
    if (flags.json !== undefined) writeTunnelRecord(flags.json, record);
    terminal.out(`${toMarkdown(record)}\n`);
    return exitCode;
  } finally {
    line.clear();
    for (const name of ENDING_SIGNALS) process.off(name, interrupt);
  }
}

/** `ikebana bench report FILE...`: one or several records as one table. */
export function runBenchReport({
  files,
  terminal,
}: {
  readonly files: readonly string[];
  readonly terminal: Terminal;
}): number {
  try {
    terminal.out(`${toMarkdown(mergeRecords(files.map(readTunnelRecord)))}\n`);
    return ExitCode.DONE;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    terminal.error(`ikebana: ${error.message}\n`);
    return ExitCode.WRONG_USE;
  }
}

/** Node and our main file. */
function thisProgram(): readonly string[] {
  return [process.execPath, resolve(process.argv[1]!)];
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

function choose({ contenders: names, wireguardDeb }: BenchTunnelFlags): readonly Contender[] {
  const all = allContenders({
    ikebanaCommand: thisProgram(),
    ...(wireguardDeb !== undefined && { wireguardPackage: resolve(wireguardDeb) }),
  });
  try {
    return chooseContenders(all, names);
  } catch (error) {
    if (error instanceof RangeError) throw new PolicyError(error.message);
    throw error;
  }
}

/** One line that is drawn again and again on a terminal; elsewhere a line for each contender of each round. */
class ProgressLine {
  readonly #terminal: Terminal;
  #last = "";

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  show({ round, rounds, contender, what, share, remainingMs }: Progress): void {
    const left = remainingMs === undefined ? "" : `, ${formatDuration(remainingMs)} left`;
    const place = `round ${round} of ${rounds}: ${contender}`;
    if (this.#terminal.outIsTty) {
      this.#terminal.error(`\r\x1b[K${Math.round(share * 100)} %  ${place}, ${what}${left}`);
    } else if (place !== this.#last) {
      this.#terminal.error(`${place}${left}\n`);
    }
    this.#last = place;
  }

  clear(): void {
    if (this.#terminal.outIsTty && this.#last !== "") this.#terminal.error("\r\x1b[K");
    this.#last = "";
  }
}
