import { createInterface } from "node:readline";
import { Writable } from "node:stream";
import { PlatformError, PolicyError } from "../errors/index.ts";

/** No password is longer; MS-CHAPv2 ends at 256 characters (RFC 2759 section 4). */
const LONGEST_PASSWORD = 256;

/** Asks at the terminal and returns the line that was typed, without showing it. Throws PolicyError where there is no terminal. */
export function askSecret(question: string): Promise<string> {
  if (process.stdin.isTTY !== true) throw new PolicyError("there is no terminal to ask at");
  // Questions go where they are seen even if somebody collects the output.
  process.stderr.write(question);
  const lines = createInterface({
    input: process.stdin,
    output: new Writable({ write: (_chunk, _encoding, done) => done() }),
    terminal: true,
    historySize: 0,
  });
  return new Promise((resolve, reject) => {
    lines.once("line", (line) => {
      process.stderr.write("\n");
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
