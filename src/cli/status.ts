import type { ControlClient } from "../control/client.ts";
import type { EngineStatus } from "../engine/status.ts";
import { ExitCode } from "./exit-code.ts";
import { formatStatus } from "./format-status.ts";
import type { Terminal } from "./terminal.ts";

export interface StatusCommand {
  readonly client: ControlClient;
  readonly json: boolean;
  /** Undefined shows the status once. */
  readonly watchMs: number | undefined;
  readonly terminal: Terminal;
}

/** Home, then clear what is below: a redraw that does not flicker. */
const HOME = "\x1b[H";
const CLEAR_LINE = "\x1b[K";
const CLEAR_BELOW = "\x1b[J";

export async function runStatus({ client, json, watchMs, terminal }: StatusCommand): Promise<ExitCode> {
  let earlier: EngineStatus | undefined;
  const render = async () => {
    const status = await client.status();
    const text = json
      ? `${JSON.stringify(status, undefined, watchMs === undefined ? 2 : undefined)}\n`
      : formatStatus(status, { colour: terminal.outHasColour, earlier });
    earlier = status;
    return text;
  };
  if (watchMs === undefined) {
    terminal.out(await render());
    return ExitCode.DONE;
  }
  const redraws = terminal.outIsTty && !json;
  for (;;) {
    const text = await render();
    terminal.out(redraws ? `${HOME}${text.replaceAll("\n", `${CLEAR_LINE}\n`)}${CLEAR_BELOW}` : text);
    await new Promise((resolve) => setTimeout(resolve, watchMs));
  }
}
