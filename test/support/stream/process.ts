import { writeSync } from "node:fs";
import { withNamespaceOf } from "../../../src/platform/namespaces.ts";
import { LinuxPoller } from "../../../src/platform/poller/linux-poller.ts";
import { createLinuxSystemCalls } from "../../../src/platform/system-calls/linux-system-calls.ts";
import { Commands, STDIN } from "../commands.ts";
import { Flow, memoryLength } from "./flow.ts";
import type { FlowResult } from "./results.ts";

// Sends numbered streams between two hosts and looks at what arrives, in a process of its own. It runs in the network of the left
// host. Its one argument is JSON; commands are lines of JSON on standard input, and each is answered by a line.

export interface StreamArgument {
  /** A process in the network of the right host. */
  readonly right: number;
  readonly flows: readonly {
    readonly from: "left" | "right";
    readonly source: string;
    readonly destination: string;
    readonly port: number;
  }[];
}

/** Runs all flows at once. The answer is one FlowResult for each. */
export interface StreamCommand {
  /** Datagrams in a second, of each flow. */
  readonly rates: readonly number[];
  readonly seconds: number;
  /** How long the last may be on their way. */
  readonly graceMs: number;
}

/** How long copies of what has arrived may be on their way. */
const COPIES_MS = 250;

const argument: StreamArgument = JSON.parse(process.argv[2]!);
const systemCalls = createLinuxSystemCalls({
  buffer: new SharedArrayBuffer(memoryLength(argument.flows.length)),
});
const flows = argument.flows.map(({ from, source, destination, port }, index) => {
  const isThere = (end: "from" | "to"): boolean => (from === "left") === (end === "from");
  return new Flow(systemCalls, {
    index,
    from: { address: source, port },
    to: { address: destination, port },
    inNetworkOf: (end, action) =>
      isThere(end) ? action() : withNamespaceOf(systemCalls, argument.right, action),
  });
});
const poller = new LinuxPoller(systemCalls, {
  worker: 0,
  descriptors: [STDIN, ...flows.map(({ receiver }) => receiver.descriptor)],
  wakeUp: undefined,
});
const commands = new Commands(systemCalls);
writeSync(1, "ready\n");
while (!commands.isOver) {
  poller.wait(1000);
  for (const flow of flows) flow.receive();
  for (let line = commands.next(); line !== undefined; line = commands.next()) {
    writeSync(1, `${JSON.stringify(run(JSON.parse(line)))}\n`);
  }
}

function run({ rates, seconds, graceMs }: StreamCommand): readonly FlowResult[] {
  const begin = performance.now();
  for (const [i, flow] of flows.entries()) flow.start({ rate: rates[i]!, seconds, now: begin });
  let quietAt = Number.POSITIVE_INFINITY;
  for (let now = begin; now < quietAt; now = performance.now()) {
    for (const flow of flows) flow.send(now);
    let hasReceived = false;
    for (const flow of flows) hasReceived = flow.receive() || hasReceived;
    const isSent = flows.every((flow) => flow.isSent);
    if (isSent && (hasReceived || quietAt === Number.POSITIVE_INFINITY)) {
      quietAt = now + (flows.every((flow) => flow.isComplete) ? Math.min(graceMs, COPIES_MS) : graceMs);
    }
    poller.wait(1);
  }
  return flows.map((flow) => flow.result());
}
