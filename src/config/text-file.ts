import { readFileSync } from "node:fs";
import { PolicyError } from "../errors/index.ts";

/** What a file that the configuration names holds. Throws PolicyError that says why it cannot be read. */
export function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new PolicyError(`cannot read ${path}: ${code}`, { cause });
  }
}
