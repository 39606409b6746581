import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { toHex } from "../../bytes/hex.ts";
import { PlatformError } from "../../errors/index.ts";
import { systemRandom } from "../../platform/random.ts";
import { describeMachine } from "../machine.ts";
import { quantile } from "../statistics.ts";
import { type Ground, layGround } from "../tunnel/ground.ts";
import { findPrograms } from "../tunnel/program.ts";
import type { Caller } from "./caller.ts";
import type { InitiatorOrder, InitiatorReport } from "./initiator.ts";
import { peersOf } from "./peers.ts";
import type { HandshakeRecord, HandshakeSample, HandshakeSettings, ResponderRecord } from "./record.ts";
import type { Responder } from "./responder.ts";

export interface HandshakeBenchOptions {
  /** Each of these calls each of the others. */
  readonly initiators: readonly Caller[];
  readonly responders: readonly Responder[];
  readonly settings: HandshakeSettings;
  /** As it was given, for the record. */
  readonly command: string;
  /** Before each first phase. Default: as long as it takes just-in-time compilers to have done the most. */
  readonly warmUpMs?: number;
  /** What starts the process of the initiator. */
  readonly initiatorCommand?: readonly string[];
  /** Breaks the run off: what was measured until then is returned, and everything is cleaned up. */
  readonly signal: AbortSignal;
  readonly onProgress: (progress: {
    readonly round: number;
    readonly initiator: string;
    readonly responder: string;
  }) => void;
}

interface Entry {
  readonly caller: Caller;
  readonly responder: Responder;
  readonly samples: HandshakeSample[];
  version?: string;
  callerVersion?: string;
  problem?: string;
}

const WARM_UP_MS = 5_000;
/** What a process is warm for already is not done again. */
const FURTHER_WARM_UP = 0.3;
const PSK_LENGTH = 32;

/**
 * Sets up IKE SAs with one responder after the other, in rounds A B A B, each with fresh processes on fresh ground. One that fails is a row
 * with its reason. Throws PlatformError when nothing can run at all.
 */
export async function runHandshakeBench(options: HandshakeBenchOptions): Promise<HandshakeRecord> {
  const { initiators, responders, settings, command, signal, onProgress } = options;
  findPrograms([
    { program: "nsenter", package: "util-linux" },
    { program: "taskset", package: "util-linux" },
  ]);
  const [machine, date] = [describeMachine(), new Date().toISOString()];
  const entries: Entry[] = initiators.flatMap((caller) =>
    responders.map((responder) => ({ caller, responder, samples: [] })),
  );
  for (let round = 1; round <= settings.rounds; round++) {
    for (const entry of entries) {
      const isWorthwhile = entry.problem === undefined || entry.samples.length > 0;
      if (signal.aborted || !isWorthwhile) continue;
      onProgress({ round, initiator: entry.caller.title, responder: entry.responder.title });
      try {
        await perform(entry, round, options);
      } catch (error) {
        if (!signal.aborted) entry.problem = messageOf(error);
      }
    }
  }
  const isComplete = !signal.aborted;
  return {
    bench: "handshake",
    date,
    command,
    machine,
    settings,
    isComplete,
    responders: entries.map(toRecord),
  };
}

async function perform(
  entry: Entry,
  round: number,
  { settings, signal, warmUpMs = WARM_UP_MS, initiatorCommand = OWN_INITIATOR }: HandshakeBenchOptions,
): Promise<void> {
  const ground = await layGround("split");
  const breakOff = (): void => void ground.close();
  signal.addEventListener("abort", breakOff);
  try {
    if (signal.aborted) return;
    const psk = toHex(systemRandom.bytes(PSK_LENGTH));
    const { groups, peers, connected, seconds } = settings;
    const everybody = { peers: peersOf(peers + connected), groups, psk };
    const running = await entry.responder.start(ground, everybody);
    const caller = await entry.caller.start(ground, everybody);
    entry.version ??= running.version;
    entry.callerVersion ??= caller.version;
    const order = { psk, peers, connected, phaseMs: seconds * 1000, responderPid: running.pid };
    const samples: HandshakeSample[] = [];
    for (const group of groups) {
      const share = samples.length === 0 ? 1 : FURTHER_WARM_UP;
      const report = await initiate(
        ground,
        { ...order, ...(await caller.prepare(group)), group, warmUpMs: share * warmUpMs },
        initiatorCommand,
      );
      samples.push({ round, group, ...figuresOf(report) });
    }
    entry.samples.push(...samples);
  } finally {
    signal.removeEventListener("abort", breakOff);
    await ground.close();
  }
}

async function initiate(
  { client, directory }: Ground,
  order: InitiatorOrder,
  command: readonly string[],
): Promise<InitiatorReport> {
  const file = join(directory, `initiator-${order.group}.json`);
  writeFileSync(file, JSON.stringify(order), { mode: 0o600 });
  const timeoutMs = order.warmUpMs + 3 * order.phaseMs + order.connected * SLOW_SET_UP_MS + PATIENCE_MS;
  const { out } = await client.run([...command, file], { timeoutMs });
  return JSON.parse(out) as InitiatorReport;
}

/** Beside what was asked for: a process starts, and the last set-ups come to their end. */
const PATIENCE_MS = 30_000;
const SLOW_SET_UP_MS = 20;

function figuresOf({
  idle,
  alone,
  together,
  responderMiB,
}: InitiatorReport): Omit<HandshakeSample, "round" | "group"> {
  if (alone.count === 0 || together.count === 0) throw new PlatformError("not one set-up came to its end");
  return {
    aloneCount: alone.count,
    count: together.count,
    perSecond: together.count / together.seconds,
    responderMs: (together.responderSeconds * 1000) / together.count,
    initiatorMs: (together.initiatorSeconds * 1000) / together.count,
    p50Ms: quantile(alone.setUpMs, 0.5),
    p99Ms: quantile(alone.setUpMs, 0.99),
    aloneResponderMs: (alone.responderSeconds * 1000) / alone.count,
    responderMiB,
    ...(together.datagrams !== undefined && { datagrams: together.datagrams / together.count }),
    ...(idle && {
      residentMiB: idle.residentMiB,
      idlePercent: (100 * idle.responderSeconds) / idle.seconds,
    }),
  };
}

function toRecord({ caller, responder, samples, version, callerVersion, problem }: Entry): ResponderRecord {
  const { name, title } = responder;
  return {
    name,
    title,
    initiator: { name: caller.name, title: callerVersion ?? caller.title },
    ...(version !== undefined && { version }),
    ...(problem !== undefined && { problem }),
    samples,
  };
}

/** Faults of ours keep their stack. */
function messageOf(error: unknown): string {
  if (error instanceof PlatformError) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** This file is beside the initiator's in src/ and in dist/ alike. */
const OWN_INITIATOR: readonly string[] = [
  process.execPath,
  fileURLToPath(new URL(import.meta.url.endsWith(".ts") ? "initiator.ts" : "initiator.js", import.meta.url)),
];
