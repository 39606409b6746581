import type { Config } from "../config/config.ts";
import { loadConfig } from "../config/load.ts";
import { ConfigError } from "../config/problem.ts";
import { ExitCode } from "./exit-code.ts";
import type { Terminal } from "./terminal.ts";

export interface ConfigCheckCommand {
  readonly configFile: string;
  readonly json: boolean;
  readonly terminal: Terminal;
}

/** Says that the file is right, and what deserves a look; or throws what is wrong with it (as JSON: prints it). */
export function runConfigCheck({ configFile, json, terminal }: ConfigCheckCommand): ExitCode {
  try {
    const config = loadConfig(configFile);
    if (json)
      terminal.out(
        `${JSON.stringify({ file: config.file, ok: true, problems: [], warnings: config.warnings })}\n`,
      );
    else report(config, terminal);
    return ExitCode.DONE;
  } catch (error) {
    if (!json || !(error instanceof ConfigError)) throw error;
    const { file, problems } = error;
    terminal.out(`${JSON.stringify({ file, ok: false, problems, warnings: [] })}\n`);
    return ExitCode.CONFIGURATION;
  }
}

function report({ file, connections, warnings }: Config, terminal: Terminal): void {
  for (const message of warnings) terminal.error(`warning: ${message}\n`);
  const names = connections.map(({ name }) => name).join(", ");
  const count = connections.length === 1 ? "1 connection" : `${connections.length} connections`;
  terminal.out(`${file} is right: ${count} (${names})\n`);
}
