import type { Caller } from "../bench/handshake/caller.ts";
import { GROUPS, type GroupName } from "../bench/handshake/groups.ts";
import { ikebanaCaller } from "../bench/handshake/initiators/ikebana.ts";
import { strongswanCaller } from "../bench/handshake/initiators/strongswan.ts";
import { PEER_LIMIT, SIDE_BY_SIDE_LIMIT } from "../bench/handshake/peers.ts";
import { writeHandshakeRecord } from "../bench/handshake/record.ts";
import type { Responder } from "../bench/handshake/responder.ts";
import { ikebanaResponder } from "../bench/handshake/responders/ikebana.ts";
import { strongswanResponder } from "../bench/handshake/responders/strongswan.ts";
import { runHandshakeBench } from "../bench/handshake/run.ts";
import { toMarkdown } from "../bench/handshake/table.ts";
import { PolicyError } from "../errors/index.ts";
import { commandOf, runMeasuring, thisProgram } from "./measuring.ts";
import type { Terminal } from "./terminal.ts";

export interface BenchHandshakeFlags {
  readonly rounds: number;
  readonly seconds: number;
  readonly peers: number;
  readonly connected: number;
  readonly groups: readonly string[];
  readonly initiators: readonly string[];
  readonly responders: readonly string[];
  readonly json?: string;
}

/**
 * `ikebana bench handshake`. Progress goes to the error output, the report to the output. SIGINT, SIGTERM and SIGHUP break the run off
 * and leave a report of what was measured; a second one ends at once.
 */
export async function runBenchHandshake({
  flags,
  terminal,
  words,
}: {
  readonly flags: BenchHandshakeFlags;
  readonly terminal: Terminal;
  /** The command line, for the record. */
  readonly words: readonly string[];
}): Promise<number> {
  const { rounds, seconds, peers, connected } = flags;
  const responders = named<Responder>(
    "responder",
    [ikebanaResponder(thisProgram()), strongswanResponder].map((each) => [each.name, each] as const),
    flags.responders,
  );
  const initiators = named<Caller>(
    "initiator",
    [ikebanaCaller, strongswanCaller].map((each) => [each.name, each] as const),
    flags.initiators,
  );
  const groups = named<GroupName>(
    "group",
    GROUPS.map((group) => [group, group] as const),
    flags.groups,
  );
  if (peers > SIDE_BY_SIDE_LIMIT || peers + connected > PEER_LIMIT) {
    throw new PolicyError(
      `${peers} peers side by side and ${connected} others: ${SIDE_BY_SIDE_LIMIT} and ${PEER_LIMIT - SIDE_BY_SIDE_LIMIT} are the most`,
    );
  }
  return runMeasuring(words, async (signal) => {
    const record = await runHandshakeBench({
      initiators,
      responders,
      settings: { rounds, seconds, peers, connected, groups },
      command: commandOf(words),
      signal,
      onProgress: ({ round, initiator, responder }) =>
        terminal.error(`round ${round} of ${rounds}: ${initiator} calls ${responder}\n`),
    });
    if (flags.json !== undefined) writeHandshakeRecord(flags.json, record);
    terminal.out(`${toMarkdown(record)}\n`);
  });
}

/** Those of these names, in this order. Throws PolicyError for a name that nothing has. */
function named<T>(
  what: string,
  all: readonly (readonly [string, T])[],
  names: readonly string[],
): readonly T[] {
  const known = new Map(all);
  return names.map((name) => {
    const found = known.get(name);
    if (found !== undefined) return found;
    throw new PolicyError(`no ${what} ${name}; there are ${[...known.keys()].join(", ")}`);
  });
}
