import type { ClientCommand } from "./commands.ts";
import { ExitCode, exitCodeOf } from "./exit-code.ts";

export interface PingCommand extends ClientCommand {
  readonly name: string;
  readonly count: number;
  readonly intervalMs: number;
}

/** Asks `count` times and ends at the first question that is not answered: IKE has retransmitted it long enough by then. */
export async function runPing({
  client,
  name,
  count,
  intervalMs,
  json,
  terminal,
}: PingCommand): Promise<ExitCode> {
  const rttsMs: number[] = [];
  for (let turn = 1; turn <= count; turn += 1) {
    if (turn > 1) await new Promise((resolve) => setTimeout(resolve, intervalMs));
    const outcome = await client.liveness(name);
    if (outcome.kind === "failed") {
      if (json) terminal.out(`${JSON.stringify({ connection: name, rttsMs, failure: outcome })}\n`);
      else terminal.error(`ikebana: ${outcome.message}\n`);
      return exitCodeOf(outcome);
    }
    rttsMs.push(outcome.rttMs);
    if (!json) terminal.out(`${name} answered in ${milliseconds(outcome.rttMs)} (${turn} of ${count})\n`);
  }
  if (json) terminal.out(`${JSON.stringify({ connection: name, rttsMs })}\n`);
  else if (count > 1) terminal.out(`round trip: ${summary(rttsMs)}\n`);
  return ExitCode.DONE;
}

function summary(rttsMs: readonly number[]): string {
  const mean = rttsMs.reduce((sum, rtt) => sum + rtt, 0) / rttsMs.length;
  const [least, most] = [Math.min(...rttsMs), Math.max(...rttsMs)];
  return `least ${milliseconds(least)}, mean ${milliseconds(mean)}, most ${milliseconds(most)}`;
}

function milliseconds(rtt: number): string {
  return `${rtt < 10 ? rtt.toFixed(2) : rtt.toFixed(1)} ms`;
}
