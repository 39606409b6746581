import { fileURLToPath } from "node:url";
import { LineProcess } from "../line-process.ts";
import type { TestHost } from "../namespace.ts";
import { DATAGRAM_LENGTH } from "./flow.ts";
import type { StreamArgument, StreamCommand } from "./process.ts";
import type { FlowResult } from "./results.ts";

const PROCESS = fileURLToPath(new URL("../../../dist/test/support/stream/process.js", import.meta.url));
/** More than a busy machine holds up whoever carries the last ones. */
const GRACE_MS = 1_500;

/** Numbered streams between two hosts. */
export interface Streams {
  /** Runs all flows for so long. `rates`: datagrams in a second of each. Says what became of each flow. */
  run(facts: {
    readonly rates: readonly number[];
    readonly seconds: number;
    readonly graceMs?: number;
  }): Promise<readonly FlowResult[]>;
  close(): Promise<void>;
}

export async function openStreams(
  { left, right }: { readonly left: TestHost; readonly right: TestHost },
  flows: StreamArgument["flows"],
): Promise<Streams> {
  const argument: StreamArgument = { right: right.pid, flows };
  const process = new LineProcess(left, [globalThis.process.execPath, PROCESS, JSON.stringify(argument)]);
  await process.read();
  return {
    run: async ({ graceMs = GRACE_MS, ...facts }) => {
      const command: StreamCommand = { ...facts, graceMs };
      return (await process.ask(command)) as readonly FlowResult[];
    },
    close: () => process.stop(),
  };
}

/** Megabits in a second that so many datagrams are, as payload. */
export function megabits(datagrams: number): number {
  return (datagrams * DATAGRAM_LENGTH * 8) / 1e6;
}
