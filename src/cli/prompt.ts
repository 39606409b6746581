import { createInterface } from "node:readline";
import { Writable } from "node:stream";
import { PlatformError, PolicyError } from "../errors/index.ts";

/** No password is longer; MS-CHAPv2 ends at 256 characters (RFC 2759 section 4). */
const LONGEST_PASSWORD = 256;

/** Asks at the terminal and returns the line that was typed, without showing it. Throws PolicyError where there is no terminal. */
export function askSecret(question: string): Promise<string> {
  return ask(question, { echo: false });
}

/** Asks at the terminal; an empty answer is `otherwise`. Throws PolicyError where there is no terminal. */
export async function askLine(question: string, otherwise = ""): Promise<string> {
  const answer = await ask(question, { echo: true });
  return answer.trim() === "" ? otherwise : answer.trim();
}

/** Asks at the terminal for so long; undefined when nobody has answered by then. Throws PolicyError where there is no terminal. */
export async function askWithin(question: string, limitMs: number): Promise<string | undefined> {
  const limit = AbortSignal.timeout(limitMs);
  try {
    return await ask(question, { echo: true, limit });
  } catch (error) {
    if (error instanceof PlatformError) return undefined;
    throw error;
  }
}

/** Asks for a password twice, until both are the same. */
export async function askNewPassword(whose: string): Promise<string> {
  for (;;) {
    const password = await askSecret(`New password for ${whose}: `);
    if (password === (await askSecret("The same once more: "))) return checkedPassword(password);
    process.stderr.write("They differ. Once again:\n");
  }
}

/** The first line of the standard input. Throws PolicyError when there is none. */
export async function passwordFromInput(): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of process.stdin) {
    chunks.push(chunk as Buffer);
    length += (chunk as Buffer).length;
    if (length > 16 * LONGEST_PASSWORD) break;
  }
  const [line = ""] = Buffer.concat(chunks).toString("utf8").split(/\r?\n/, 1);
  return checkedPassword(line);
}

function checkedPassword(password: string): string {
  if (password === "") throw new PolicyError("the password is empty");
  if (password.length > LONGEST_PASSWORD) {
    throw new PolicyError(`a password has at most ${LONGEST_PASSWORD} characters`);
  }
  return password;
}

function ask(
  question: string,
  { echo, limit }: { readonly echo: boolean; readonly limit?: AbortSignal },
): Promise<string> {
  if (process.stdin.isTTY !== true) throw new PolicyError("there is no terminal to ask at");
  const lines = createInterface({
    input: process.stdin,
    output: echo ? process.stderr : new Writable({ write: (_chunk, _encoding, done) => done() }),
    terminal: true,
    historySize: 0,
    ...(limit !== undefined && { signal: limit }),
  });
  // Where it is seen even if somebody collects the output, and once the terminal shows nothing by itself any more: the answer of
  // whoever types ahead is a secret too.
  process.stderr.write(question);
  return new Promise((resolve, reject) => {
    lines.once("line", (line) => {
      if (!echo) process.stderr.write("\n");
      lines.removeAllListeners("close");
      lines.close();
      resolve(line);
    });
    lines.once("SIGINT", () => {
      process.stderr.write("\n");
      lines.close();
    });
    lines.once("close", () => reject(new PlatformError("nobody answered", { code: "EINTR" })));
  });
}
