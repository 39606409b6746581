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

/** The command in another environment. */
export function startIkebanaWith(environment: Environment, words: readonly string[]): Child {
  return start(MAIN, words, environment);
}

/** The command without root's right to pass any door. */
export function bounded(...words: readonly string[]): Promise<Result> {
  if (process.getuid?.() !== 0) return ikebana(...words);
  return start(MAIN, words, {}, ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]).ended;
}

export function fakeIkebana(...words: readonly string[]): Promise<Result> {
  return start(FAKE, words).ended;
}

/** The command, with a standard input that ends behind the text. */
export function ikebanaWithInput(text: string, ...words: readonly string[]): Promise<Result> {
  const child = launch([process.execPath, MAIN, ...words], { input: "pipe" });
  child.process.stdin?.end(text);
  return child.ended;
}

/**
 * The command at a terminal of its own, by the `script` of bsdutils: each answer is typed when its question is there. What comes
 * back as `out` is what the screen shows.
 */
export async function ikebanaAtTerminal(
  words: readonly string[],
  answers: readonly (readonly [question: string, answer: string])[],
): Promise<Result> {
  const line = [process.execPath, MAIN, ...words]
    .map((word) => `'${word.replaceAll("'", "'\\''")}'`)
    .join(" ");
  const child = launch(["script", "-qec", line, "/dev/null"], { input: "pipe" });
  let seen = 0;
  for (const [question, answer] of answers) {
    await until(() => child.out().indexOf(question, seen) >= 0 || child.process.exitCode !== null);
    seen = child.out().length;
    child.process.stdin?.write(`${answer}\n`);
  }
  return child.ended;
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
  return launch([...wrapper, process.execPath, script, ...words], { environment });
}

function launch(
  [program, ...args]: readonly string[],
  {
    environment = {},
    input = "ignore",
  }: { readonly environment?: Environment; readonly input?: "ignore" | "pipe" },
): Child {
  const child = spawn(program!, args, {
    stdio: [input, "pipe", "pipe"],
    env: { ...process.env, IKEBANA_SOCKET: "/nonexistent/ikebana.sock", ...environment },
  });
  let out = "";
  let error = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    out += text;
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
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
