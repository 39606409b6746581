import { spawn } from "node:child_process";
import { PlatformError } from "../errors/index.ts";

/** More than any of the programs needs; then something is wrong with it. */
const TIMEOUT_MS = 10_000;

/**
 * Runs a program of the machine's to its end with `input` on its standard input. Throws PlatformError with the first line of what it
 * complained about, or, where there is no such program, with `ifMissing` and the code "ENOENT".
 */
export async function runProgram(
  [program, ...args]: readonly [string, ...string[]],
  { input = "", ifMissing }: { readonly input?: string; readonly ifMissing?: string } = {},
): Promise<string> {
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"], timeout: TIMEOUT_MS });
  let out = "";
  let complaint = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    complaint += text;
  });
  // One that ends without reading is told of by its exit code.
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", (cause: NodeJS.ErrnoException) => {
      const isMissing = cause.code === "ENOENT";
      const message = isMissing && ifMissing !== undefined ? ifMissing : `run ${program}: ${cause.message}`;
      reject(new PlatformError(message, { code: cause.code ?? "PLATFORM", cause }));
    });
    child.once("close", (status) => resolve(status));
  });
  if (code === 0) return out;
  const [line = ""] = complaint.trim().split("\n", 1);
  const reason = line === "" ? (code === null ? "it took too long" : `exit code ${code}`) : line;
  throw new PlatformError(`${program}: ${reason}`, {
    code: /not permitted|permission denied/i.test(line) ? "EPERM" : "PLATFORM",
  });
}
