import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";

const LAST_WORDS_LENGTH = 2000;

/** Path of a module in the same folder, in src/ and in dist/ alike. */
export function fileBeside(here: string, name: string): string {
  return fileURLToPath(new URL(here.endsWith(".ts") ? `${name}.ts` : `${name}.js`, here));
}

/** Keeps the end of what a process says on its error output, for when it ends without another explanation. */
export function lastWords(stream: Readable): () => string {
  let words = "";
  stream.setEncoding("utf8").on("data", (text: string) => {
    words = (words + text).slice(-LAST_WORDS_LENGTH);
  });
  return () => words.trim();
}
