import { spawnSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { PlatformError } from "../../errors/index.ts";
import { describeMachine } from "../machine.ts";
import type { Contender, Tunnel } from "./contender.ts";
import { expectedMs } from "./estimate.ts";
import type { Measure, Sample } from "./figures.ts";
import { watchFirstPacket } from "./first-packet.ts";
import { type Cores, type Ground, INNER_MTU, layGround, withNetwork } from "./ground.ts";
import { linkOffloads } from "./link-offloads.ts";
import { LoadGenerator } from "./measures/load.ts";
import { take } from "./measures/take.ts";
import { watchOthers } from "./others.ts";
import { findPrograms } from "./program.ts";
import { proveEncryption } from "./proof.ts";
import type { ContenderFacts, ContenderRecord, RoundSample, TunnelRecord, Unavailable } from "./record.ts";
import { throttleObstacle } from "./throttle.ts";

export interface TunnelBenchOptions {
  readonly contenders: readonly Contender[];
  readonly measures: readonly Measure[];
  readonly rounds: number;
  readonly seconds: number;
  readonly cores: Cores;
  /** From the beginning: after the first round, none is begun that would not end by then. */
  readonly limitMs?: number;
  /** Names of contenders that are left out (keys) as soon as somebody else (values) has run. */
  readonly substitutes?: Readonly<Record<string, string>>;
  /** As it was given, for the record. */
  readonly command: string;
  /** Breaks the run off: what was measured until then is returned, and everything is cleaned up. */
  readonly signal: AbortSignal;
  readonly onProgress: (progress: Progress) => void;
}

/** What the bench is about to do. */
export interface Progress {
  /** From 1. */
  readonly round: number;
  readonly rounds: number;
  readonly contender: string;
  /** "start", "warm up" or a measure. */
  readonly what: string;
  /** Of the whole run: 0 to 1. */
  readonly share: number;
  /** How often a contender is still to run, this time included. */
  readonly runsLeft: number;
  /** An estimate, which what has run so far corrects. */
  readonly remainingMs: number;
}

const WARM_UP_S = 1;

/**
 * Lets one contender after the other run on fresh ground, in rounds A B C A B C, so that what drifts hits all alike. One that
 * fails is a row with its reason. Throws PlatformError when nothing can run at all.
 */
export async function runTunnelBench(options: TunnelBenchOptions): Promise<TunnelRecord> {
  const [iperf3] = findPrograms([
    { program: "iperf3", package: "iperf3" },
    { program: "ping", package: "iputils-ping" },
    { program: "nsenter", package: "util-linux" },
    { program: "taskset", package: "util-linux" },
  ]);
  return new TunnelBench(options, firstLine(iperf3!, "--version")).run();
}

/** A contender with what has become of it so far. */
interface Entry {
  readonly contender: Contender;
  readonly expectedMs: number;
  readonly samples: RoundSample[];
  facts?: ContenderFacts;
  problem?: string;
}

class TunnelBench {
  readonly #options: TunnelBenchOptions;
  readonly #loadGenerator: string;
  readonly #entries: readonly Entry[];
  readonly #machine = describeMachine();
  readonly #date = new Date().toISOString();
  readonly #startedAtMs = performance.now();
  readonly #measures: readonly Measure[];
  readonly #unavailable: readonly Unavailable[];
  #ground: Ground | undefined;
  #roundsBegun = 0;
  /** Of contenders that have run: what was expected and what it took. */
  #doneMs = { expected: 0, actual: 0 };

  constructor(options: TunnelBenchOptions, loadGenerator: string) {
    this.#options = options;
    this.#loadGenerator = loadGenerator;
    this.#unavailable = findUnavailable(options.measures);
    this.#measures = options.measures.filter(
      (measure) => !this.#unavailable.some((each) => each.measure === measure),
    );
    this.#entries = options.contenders.map((contender) => ({
      contender,
      expectedMs: expectedMs(contender, { ...options, measures: this.#measures }),
      samples: [],
    }));
  }

  async run(): Promise<TunnelRecord> {
    const { signal, rounds } = this.#options;
    // Whatever waits for a process in there is told that it has ended.
    const breakOff = (): void => void this.#ground?.close();
    signal.addEventListener("abort", breakOff);
    try {
      for (let round = 1; round <= rounds && this.#hasTimeFor(round); round++) {
        this.#roundsBegun = round;
        for (const entry of this.#entries) {
          if (signal.aborted) return this.#record();
          if (this.#isWorthwhile(entry)) await this.#perform(entry, round);
        }
      }
      return this.#record();
    } finally {
      signal.removeEventListener("abort", breakOff);
    }
  }

  /** Who failed from the start would fail again. */
  #isWorthwhile(entry: Entry): boolean {
    if (entry.samples.length > 0) return true;
    const substitute = this.#options.substitutes?.[entry.contender.name];
    const other = this.#entries.find(({ contender }) => contender.name === substitute);
    if (other !== undefined && other.samples.length > 0) {
      entry.problem = `left out: ${other.contender.title} runs here`;
    }
    return entry.problem === undefined;
  }

  /** Whether a round ends before time is up. The first one is run in any case: less would be nothing. */
  #hasTimeFor(round: number): boolean {
    const { limitMs } = this.#options;
    if (limitMs === undefined || round === 1) return true;
    const next = this.#entries.filter((each) => this.#isWorthwhile(each));
    const needed = this.#correct(next.reduce((sum, each) => sum + each.expectedMs, 0));
    return performance.now() - this.#startedAtMs + needed < limitMs;
  }

  /** An expectation, in the light of what has run. */
  #correct(expected: number): number {
    const { expected: before, actual } = this.#doneMs;
    return before === 0 ? expected : (expected * actual) / before;
  }

  async #perform(entry: Entry, round: number): Promise<void> {
    const startedAt = performance.now();
    try {
      await this.#measure(entry, round);
      this.#doneMs.actual += performance.now() - startedAt;
      this.#doneMs.expected += entry.expectedMs;
    } catch (error) {
      if (this.#options.signal.aborted) return;
      entry.problem = messageOf(error);
    }
  }

  async #measure(entry: Entry, round: number): Promise<void> {
    const { contender } = entry;
    const tell = (what: string): void => this.#tell(entry, round, what);
    tell("start");
    const ground = await layGround(this.#options.cores);
    this.#ground = ground;
    try {
      if (this.#options.signal.aborted) throw new PlatformError("broken off");
      const { tunnel, firstPacketMs } = await startAndTime(contender, ground);
      const proof = await proveEncryption(ground, contender, tunnel);
      entry.facts ??= { ...factsOf(ground, tunnel), proof };
      const load = new LoadGenerator(ground);
      if (this.#measures.length > 0) {
        tell("warm up");
        await load.tcp(WARM_UP_S);
      }
      await this.#takeAll(entry, round, { ground, load, tunnel, firstPacketMs });
    } finally {
      this.#ground = undefined;
      await ground.close();
    }
  }

  /** What has been measured when something goes wrong stays. */
  async #takeAll(
    entry: Entry,
    round: number,
    means: {
      readonly ground: Ground;
      readonly load: LoadGenerator;
      readonly tunnel: Tunnel;
      readonly firstPacketMs: number | undefined;
    },
  ): Promise<void> {
    const { seconds } = this.#options;
    const earlier = entry.samples.at(-1)?.figures;
    const askOthers = watchOthers(means.ground.holds);
    let figures: Sample = {};
    let series: RoundSample["series"];
    let isWhole = this.#measures.length === 0;
    try {
      for (const measure of this.#measures) {
        this.#tell(entry, round, measure);
        const taken = await take(measure, { ...means, seconds, earlier });
        figures = { ...figures, ...taken.figures };
        series = taken.series ?? series;
      }
      isWhole = true;
    } finally {
      if (isWhole || Object.keys(figures).length > 0) {
        entry.samples.push({ round, figures, others: askOthers(), ...(series && { series }) });
      }
    }
  }

  #tell(entry: Entry, round: number, what: string): void {
    const { rounds, onProgress, limitMs = Number.POSITIVE_INFINITY } = this.#options;
    const position = this.#entries.indexOf(entry);
    const active = this.#entries.filter((each) => this.#isWorthwhile(each));
    const leftInRound = this.#entries.slice(position).filter((each) => active.includes(each));
    const sum = (entries: readonly Entry[]): number => entries.reduce((ms, each) => ms + each.expectedMs, 0);
    const left = this.#correct(sum(leftInRound) + (rounds - round) * sum(active));
    const elapsed = performance.now() - this.#startedAtMs;
    const remainingMs = Math.max(0, Math.min(left, limitMs - elapsed));
    onProgress({
      round,
      rounds,
      contender: entry.contender.title,
      what,
      share: elapsed / Math.max(1, elapsed + remainingMs),
      runsLeft: leftInRound.length + (rounds - round) * active.length,
      remainingMs,
    });
  }

  #record(): TunnelRecord {
    const { command, seconds, cores, signal } = this.#options;
    return {
      bench: "tunnel",
      date: this.#date,
      command,
      machine: this.#machine,
      loadGenerator: this.#loadGenerator,
      settings: {
        rounds: this.#roundsBegun,
        seconds,
        cores,
        measures: this.#measures,
        innerMtu: INNER_MTU,
      },
      isComplete: !signal.aborted,
      ...(this.#unavailable.length > 0 && { unavailable: this.#unavailable }),
      contenders: this.#entries.map(toRecord),
    };
  }
}

function findUnavailable(measures: readonly Measure[]): readonly Unavailable[] {
  const reason = measures.includes("throttled") ? throttleObstacle() : undefined;
  return reason === undefined ? [] : [{ measure: "throttled", reason }];
}

/**
 * `firstPacketMs`: from the start of the client's daemon, while the gateway's is there, until a packet had gone through and been answered.
 * Undefined where there are no daemons.
 */
async function startAndTime(
  contender: Contender,
  ground: Ground,
): Promise<{ readonly tunnel: Tunnel; readonly firstPacketMs: number | undefined }> {
  const watch = watchFirstPacket(ground);
  try {
    const tunnel = await contender.start(ground, watch.seenAtMs);
    if (!contender.encrypts) return { tunnel, firstPacketMs: undefined };
    const starts = tunnel.daemons.flatMap((pid) => ground.client.startedAtMs(pid) ?? []);
    const seenAtMs = await Promise.race([
      watch.seenAtMs,
      sleep(FIRST_PACKET_PATIENCE_MS, undefined, { ref: false }),
    ]);
    if (seenAtMs === undefined)
      throw new PlatformError("the tunnel is up, and no packet is answered through it");
    return { tunnel, firstPacketMs: starts.length === 0 ? undefined : seenAtMs - Math.min(...starts) };
  } finally {
    watch.close();
  }
}

/** Some wait for a while before they try again. */
const FIRST_PACKET_PATIENCE_MS = 10_000;

function toRecord({ contender, samples, facts, problem }: Entry): ContenderRecord {
  const { name, title } = contender;
  return { name, title, ...(facts && { facts }), ...(problem !== undefined && { problem }), samples };
}

function factsOf(
  { client, systemCalls }: Ground,
  { version, cipher, link, mtu }: Tunnel,
): Omit<ContenderFacts, "proof"> {
  return client.inside(() => {
    const links = withNetwork(systemCalls, (network) => network.links());
    const found = links.find(({ name }) => name === link);
    if (found === undefined) throw new PlatformError(`there is no link ${link} on the client`);
    return { version, cipher, mtu: mtu ?? found.mtu, offloads: linkOffloads(link) };
  });
}

function firstLine(program: string, ...words: readonly string[]): string {
  return spawnSync(program, words, { encoding: "utf8" }).stdout?.split("\n", 1)[0]?.trim() ?? program;
}

/** Faults of ours keep their stack. */
function messageOf(error: unknown): string {
  if (error instanceof PlatformError) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
