import { closeSync, openSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import type { GuestKind } from "../bench/guest/kinds.ts";
import { allContenders, chooseContenders } from "../bench/tunnel/catalogue.ts";
import type { Contender } from "../bench/tunnel/contender.ts";
import { expectedMs } from "../bench/tunnel/estimate.ts";
import type { Measure } from "../bench/tunnel/figures.ts";
import type { Cores } from "../bench/tunnel/ground.ts";
import { mergeRecords } from "../bench/tunnel/merge.ts";
import { PRESETS, type Preset } from "../bench/tunnel/presets.ts";
import { readTunnelRecord, type TunnelRecord, writeTunnelRecord } from "../bench/tunnel/record.ts";
import { toHtml } from "../bench/tunnel/report/page.ts";
import { type Progress, runTunnelBench, type TunnelBenchOptions } from "../bench/tunnel/run.ts";
import { changesToMarkdown, toMarkdown } from "../bench/tunnel/table.ts";
import { PlatformError, PolicyError } from "../errors/index.ts";
import { benchInGuest } from "./bench-guest.ts";
import { ExitCode } from "./exit-code.ts";
import { commandOf, runMeasuring, thisProgram } from "./measuring.ts";
import { formatDuration } from "./quantities.ts";
import type { Terminal } from "./terminal.ts";

export interface BenchTunnelFlags {
  readonly quick?: true;
  readonly all?: true;
  readonly rounds?: number;
  readonly seconds?: number;
  readonly limit?: number;
  readonly contenders?: readonly string[];
  readonly measures?: readonly Measure[];
  readonly cores: Cores;
  readonly json: string;
  readonly html: string;
  readonly compare?: string;
  readonly wireguardDeb?: string;
  readonly guest?: GuestKind;
  readonly guestKernel?: string;
}

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
  const plan = planOf(flags);
  if (flags.guestKernel !== undefined && flags.guest !== "qemu") {
    throw new PolicyError("--guest-kernel is for --guest qemu");
  }
  const before = flags.compare === undefined ? undefined : readRecord(flags.compare);
  // Not after half an hour of measuring.
  for (const file of [flags.json, flags.html]) requireWritable(file);
  return runMeasuring(words, async (signal) => {
    const line = new ProgressLine(terminal);
    try {
      const record = await measure(signal, line);
      line.clear();
      terminal.out(`${toMarkdown(record)}\n`);
      if (before !== undefined) terminal.out(`\n${changesToMarkdown(record, before)}\n`);
      writeTunnelRecord(flags.json, record);
      writeFileSync(flags.html, toHtml(record, before));
      terminal.error(`${flags.html} and ${flags.json} have it all\n`);
    } finally {
      line.clear();
    }
  });

  function measure(signal: AbortSignal, line: ProgressLine): Promise<TunnelRecord> {
    if (flags.guest !== undefined) {
      return benchInGuest({
        kind: flags.guest,
        kernelFolder: flags.guestKernel,
        words,
        signal,
        onLine: (text) => terminal.error(`${text}\n`),
      });
    }
    terminal.error(`${announce(plan)}\n`);
    return runTunnelBench({
      ...plan,
      cores: flags.cores,
      command: commandOf(words),
      signal,
      onProgress: (progress) => line.show(progress),
    });
  }
}

/** `ikebana bench report FILE...`: one or several records as one report. */
export function runBenchReport({
  files,
  html,
  compare,
  terminal,
}: {
  readonly files: readonly string[];
  readonly html: string;
  /** An earlier record. */
  readonly compare?: string;
  readonly terminal: Terminal;
}): number {
  try {
    const record = mergeRecords(files.map(readTunnelRecord));
    const before = compare === undefined ? undefined : readTunnelRecord(compare);
    terminal.out(`${toMarkdown(record)}\n`);
    if (before !== undefined) terminal.out(`\n${changesToMarkdown(record, before)}\n`);
    writeFileSync(html, toHtml(record, before));
    return ExitCode.DONE;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    terminal.error(`ikebana: ${error.message}\n`);
    return ExitCode.WRONG_USE;
  }
}

/** Throws PolicyError where there is none. */
function readRecord(file: string): TunnelRecord {
  try {
    return readTunnelRecord(file);
  } catch (error) {
    throw new PolicyError((error as Error).message);
  }
}

function requireWritable(file: string): void {
  try {
    closeSync(openSync(file, "a"));
  } catch (cause) {
    const { code = "PLATFORM" } = cause as NodeJS.ErrnoException;
    throw new PlatformError(`the report cannot be written to ${file}: ${code}`, { code, cause });
  }
}

type Plan = Omit<TunnelBenchOptions, "cores" | "command" | "signal" | "onProgress">;

/** What a preset says, and what somebody would rather have. */
function planOf(flags: BenchTunnelFlags): Plan {
  if (flags.quick && flags.all) throw new PolicyError("--quick and --all are two different runs");
  const preset: Preset = flags.quick ? PRESETS.quick : flags.all ? PRESETS.all : PRESETS.default;
  const limitMs = flags.limit ?? preset.limitMs;
  return {
    contenders: choose(flags, preset.contenders),
    measures: flags.measures ?? preset.measures,
    rounds: flags.rounds ?? preset.rounds,
    seconds: flags.seconds ?? preset.seconds,
    ...(limitMs !== undefined && { limitMs }),
    ...(preset.substitutes !== undefined && { substitutes: preset.substitutes }),
  };
}

/** What is to come, and how long it will probably take. */
function announce({ contenders, measures, rounds, seconds, limitMs }: Plan): string {
  const whole = rounds * contenders.reduce((sum, each) => sum + expectedMs(each, { measures, seconds }), 0);
  const count = `${rounds} ${rounds === 1 ? "round" : "rounds"} of ${contenders.length} contenders, ${measures.length} measures each`;
  const limit = limitMs !== undefined && whole > limitMs ? `, ended after ${formatDuration(limitMs)}` : "";
  return `${count}: about ${formatDuration(whole)}${limit}, less for each contender that cannot run here`;
}

function choose(
  { contenders: names, wireguardDeb }: BenchTunnelFlags,
  otherwise: Preset["contenders"],
): readonly Contender[] {
  const all = allContenders({
    ikebanaCommand: thisProgram(),
    ...(wireguardDeb !== undefined && { wireguardPackage: resolve(wireguardDeb) }),
  });
  const chosen = names ?? otherwise;
  if (chosen === "all") return all;
  try {
    return chooseContenders(all, chosen === "default" ? undefined : chosen);
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

  show({ round, rounds, contender, what, share, runsLeft, remainingMs }: Progress): void {
    const left = `; ${runsLeft} ${runsLeft === 1 ? "run" : "runs"}, ${formatDuration(remainingMs)} left`;
    const place = `round ${round} of ${rounds}: ${contender}`;
    if (this.#terminal.outIsTty) {
      const line = `${Math.round(share * 100)} %${left}; ${place}, ${what}`;
      // A line that is longer than the terminal is wide could not be drawn over.
      this.#terminal.error(`\r\x1b[K${line.slice(0, (process.stderr.columns ?? 80) - 1)}`);
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
