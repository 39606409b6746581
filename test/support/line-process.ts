import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { TestHost } from "./namespace.ts";

/** A program on a test host that answers each line on its standard input by one on its standard output. */
export class LineProcess {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  #error = "";
  /** Questions wait for the answers to those before them. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(host: TestHost, command: readonly [string, ...string[]]) {
    const [program, ...args] = command;
    this.#child = host.start(program, args, { stdio: ["pipe", "pipe", "pipe"] });
    this.#child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      this.#error += text;
    });
    this.#child.stdin!.on("error", () => {}); // it has ended; reading says so
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** The next line. Throws when the program ends first. */
  async read(): Promise<string> {
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error(`${this.#child.spawnargs.join(" ")} ended\n${this.#error}`);
    return value;
  }

  write(value: unknown): void {
    this.#child.stdin!.write(`${JSON.stringify(value)}\n`);
  }

  ask(question: unknown): Promise<unknown> {
    const answer = this.#last.then(async () => {
      this.write(question);
      return JSON.parse(await this.read());
    });
    this.#last = answer.catch(() => {});
    return answer;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, "exit");
    this.#child.stdin!.end();
    this.#child.kill("SIGKILL");
    await ended;
  }
}
