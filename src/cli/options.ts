import { InvalidArgumentError, Option } from "commander";
import { DEFAULT_CONFIG_FILE, DEFAULT_SOCKET } from "../config/defaults.ts";

/** Where units of the administrator are. */
const UNITS_FOLDER = "/etc/systemd/system";

/** Options that several commands share. */

export function socketOption(when = ""): Option {
  return new Option("-s, --socket <path>", `${when}control socket of the running ikebana`)
    .env("IKEBANA_SOCKET")
    .default(DEFAULT_SOCKET);
}

export function configOption(): Option {
  return new Option("-c, --config <file>", "configuration file").default(DEFAULT_CONFIG_FILE);
}

export function unitsOption(): Option {
  return new Option("--units <folder>", "where systemd looks for units of the administrator").default(
    UNITS_FOLDER,
  );
}

/** Below a command's help. */
export function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  $ ${line}`).join("\n")}`;
}

export function parseCount(text: string): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || count < 1 || count > 1_000_000)
    throw new InvalidArgumentError("a whole number from 1");
  return count;
}
