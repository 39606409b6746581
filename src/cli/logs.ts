import { formatHuman, formatJson } from "../log/format.ts";
import type { LogRecord } from "../log/record.ts";
import type { ClientCommand } from "./commands.ts";
import { ExitCode } from "./exit-code.ts";

export interface LogsCommand extends ClientCommand {
  readonly follow: boolean;
  readonly lineCount: number;
}

export async function runLogs({ client, follow, lineCount, json, terminal }: LogsCommand): Promise<ExitCode> {
  const print = (record: LogRecord) => {
    terminal.out(`${json ? formatJson(record) : formatHuman(record, { colour: terminal.outHasColour })}\n`);
  };
  await client.logs({ lines: lineCount, follow, onRecord: print });
  return ExitCode.DONE;
}
