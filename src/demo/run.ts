import { constants } from "node:os";
import { version } from "../engine/version.ts";
import { PlatformError } from "../errors/index.ts";
import { JsonTeller } from "./json-teller.ts";
import { runMemoryDemo } from "./memory-demo.ts";
import { chooseMode, type ModeChoice } from "./mode.ts";
import type { DemoFacts, DemoMode, News, Teller } from "./story.ts";
import { styleOf } from "./style.ts";
import { runSupervised } from "./supervised.ts";
import { TerminalTeller } from "./terminal-teller.ts";
import { problemsOf } from "./verdict.ts";

const ENDING_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Refusals that say no more than that this machine does not allow what we tried. */
const NOT_ALLOWED: readonly string[] = ["EPERM", "EACCES", "ENOENT", "ENODEV", "EOPNOTSUPP", "EAFNOSUPPORT"];

/**
 * A gateway and a client on this machine, a tunnel between them, and real packets through it, told on the terminal or as one
 * JSON object. Resolves with the exit code: 0 only when everything was as it should be. Without a `mode` the most real one
 * that the machine allows. SIGINT, SIGTERM and SIGHUP end it and leave nothing behind.
 */
export async function runDemo({
  json,
  mode,
}: {
  readonly json: boolean;
  readonly mode?: DemoMode;
}): Promise<number> {
  const startedAt = performance.now();
  const teller = createTeller(json);
  const interruption = new Interruption();
  try {
    const run = new Run(teller, interruption.signal);
    const chosen = await run.perform(mode);
    if (interruption.exitCode !== undefined) {
      teller.breakOff();
      return interruption.exitCode;
    }
    const problems = run.problems;
    teller.finish({
      version: version(),
      node: process.versions.node,
      mode: chosen.mode,
      modeReason: chosen.reason,
      isGood: problems.length === 0,
      problems,
      ms: Math.round(performance.now() - startedAt),
      ...run.facts,
    });
    return problems.length === 0 ? 0 : 1;
  } finally {
    interruption.release();
  }
}

/** One attempt, or two when the machine allows less than it seemed. */
class Run {
  facts: Partial<DemoFacts> = {};
  readonly #teller: Teller;
  readonly #signal: AbortSignal;
  #failure: string | undefined;

  constructor(teller: Teller, signal: AbortSignal) {
    this.#teller = teller;
    this.#signal = signal;
  }

  get problems(): readonly string[] {
    return this.#failure === undefined ? problemsOf(this.facts) : [this.#failure];
  }

  async perform(mode: DemoMode | undefined): Promise<ModeChoice> {
    const choice: ModeChoice = mode === undefined ? chooseMode() : { mode, reason: "asked for" };
    try {
      await this.#perform(choice);
    } catch (error) {
      const isOutOfReach =
        mode === undefined &&
        this.facts.scene === undefined &&
        choice.mode !== "memory" &&
        isNotAllowed(error);
      if (!isOutOfReach) {
        this.#fail(error);
        return choice;
      }
      const instead: ModeChoice = {
        mode: "memory",
        reason: `namespaces do not suffice here: ${messageOf(error)}`,
      };
      this.facts = {};
      await this.#perform(instead).catch((failure) => this.#fail(failure));
      return instead;
    }
    return choice;
  }

  async #perform({ mode, reason }: ModeChoice): Promise<void> {
    const tell = (news: News): void => {
      if (this.#signal.aborted) return;
      if (news.kind === "facts") this.facts = { ...this.facts, ...news.facts };
      this.#teller.hear(news);
    };
    tell({ kind: "mode", mode, reason });
    if (mode !== "memory") return runSupervised(mode, { tell, signal: this.#signal });
    const aborted = new Promise<void>((resolve) => {
      this.#signal.addEventListener("abort", () => resolve(), { once: true });
    });
    // Devices in memory need nobody to clean up after them.
    await Promise.race([runMemoryDemo(tell), aborted]);
  }

  #fail(error: unknown): void {
    this.#failure = messageOf(error);
  }
}

/** Turns the signals that end a program into an abort, and remembers which it was. */
class Interruption {
  exitCode: number | undefined;
  readonly #controller = new AbortController();

  constructor() {
    for (const name of ENDING_SIGNALS) process.on(name, this.#interrupt);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  release(): void {
    for (const name of ENDING_SIGNALS) process.off(name, this.#interrupt);
  }

  readonly #interrupt = (name: NodeJS.Signals): void => {
    this.exitCode ??= 128 + constants.signals[name];
    this.#controller.abort();
  };
}

function createTeller(json: boolean): Teller {
  const write = (text: string): void => void process.stdout.write(text);
  if (!json)
    return new TerminalTeller({ write, style: styleOf(process.stdout, process.env), version: version() });
  const writeError = (text: string): void => void process.stderr.write(text);
  return new JsonTeller({ write, writeError, errorStyle: styleOf(process.stderr, process.env) });
}

/** Faults of ours keep their stack. */
function messageOf(error: unknown): string {
  if (error instanceof PlatformError) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

function isNotAllowed(error: unknown): boolean {
  return error instanceof PlatformError && NOT_ALLOWED.includes(error.code);
}
