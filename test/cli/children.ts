import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../../dist/src/cli/main.js", import.meta.url));
/** The command line over a fake engine. */
export const FAKE = fileURLToPath(new URL("fake-ikebana.mjs", import.meta.url));

export interface Result {
  readonly code: number | null;
  readonly out: string;
  readonly error: string;
}

export type Environment = Readonly<Record<string, string>>;

/** The command as users have it. */
export function ikebana(...words: readonly string[]): Promise<Result> {
  return start(MAIN, words).ended;
}

/** The command without root's right to pass any door. */
export function bounded(...words: readonly string[]): Promise<Result> {
  if (process.getuid?.() !== 0) return ikebana(...words);
  return start(MAIN, words, {}, ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]).ended;
}

export function fakeIkebana(...words: readonly string[]): Promise<Result> {
  return start(FAKE, words).ended;
}

export function startFakeIkebana(words: readonly string[], environment: Environment = {}): Child {
  return start(FAKE, words, environment);
}

export interface Child {
  readonly process: ChildProcess;
  readonly ended: Promise<Result>;
  /** What it has written to standard output so far. */
  out(): string;
}

function start(
  script: string,
  words: readonly string[],
  environment: Environment = {},
  wrapper: readonly string[] = [],
): Child {
  const [program, ...args] = [...wrapper, process.execPath, script, ...words];
  const child = spawn(program!, args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, IKEBANA_SOCKET: "/nonexistent/ikebana.sock", ...environment },
  });
  let out = "";
  let error = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    error += text;
  });
  const ended = new Promise<Result>((resolve) => {
    child.once("close", (code) => resolve({ code, out, error }));
  });
  return { process: child, ended, out: () => out };
}

export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10));
}
