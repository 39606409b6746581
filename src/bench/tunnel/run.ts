import { spawnSync } from "node:child_process";
import { PlatformError } from "../../errors/index.ts";
import { describeMachine } from "../machine.ts";
import type { Contender, Tunnel } from "./contender.ts";
import type { Measure, Sample } from "./figures.ts";
import { type Cores, type Ground, INNER_MTU, layGround, withNetwork } from "./ground.ts";
import { LoadGenerator } from "./measures/load.ts";
import { measurePing } from "./measures/ping.ts";
import { measureTcp } from "./measures/tcp.ts";
import { measureUdp } from "./measures/udp.ts";
import { findPrograms } from "./program.ts";
import { proveEncryption } from "./proof.ts";
import type { ContenderFacts, ContenderRecord, RoundSample, TunnelRecord } from "./record.ts";

export interface TunnelBenchOptions {
  readonly contenders: readonly Contender[];
  readonly measures: readonly Measure[];
  readonly rounds: number;
  readonly seconds: number;
  readonly cores: Cores;
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
  /** Undefined until the first contender has shown how long one takes. */
  readonly remainingMs: number | undefined;
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
  #ground: Ground | undefined;
  #cellsDone = 0;
  #cellsMs = 0;

  constructor(options: TunnelBenchOptions, loadGenerator: string) {
    this.#options = options;
    this.#loadGenerator = loadGenerator;
    this.#entries = options.contenders.map((contender) => ({ contender, samples: [] }));
  }

  async run(): Promise<TunnelRecord> {
    const { signal, rounds } = this.#options;
    // Whatever waits for a process in there is told that it has ended.
    const breakOff = (): void => void this.#ground?.close();
    signal.addEventListener("abort", breakOff);
    try {
      for (let round = 1; round <= rounds; round++) {
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
  #isWorthwhile({ problem, samples }: Entry): boolean {
    return problem === undefined || samples.length > 0;
  }

  async #perform(entry: Entry, round: number): Promise<void> {
    const startedAt = performance.now();
    try {
      const figures = await this.#measure(entry, round);
      entry.samples.push({ round, figures });
      this.#cellsMs += performance.now() - startedAt;
      this.#cellsDone++;
    } catch (error) {
      if (this.#options.signal.aborted) return;
      entry.problem = messageOf(error);
    }
  }

  async #measure(entry: Entry, round: number): Promise<Sample> {
    const { contender } = entry;
    const { measures, seconds } = this.#options;
    const tell = (what: string): void => this.#tell(entry, round, what);
    tell("start");
    const ground = await layGround(this.#options.cores);
    this.#ground = ground;
    try {
      if (this.#options.signal.aborted) throw new PlatformError("broken off");
      const tunnel = await contender.start(ground);
      const proof = await proveEncryption(ground, contender, tunnel);
      entry.facts ??= { version: tunnel.version, cipher: tunnel.cipher, mtu: mtuOf(ground, tunnel), proof };
      const load = new LoadGenerator(ground);
      tell("warm up");
      await load.tcp(WARM_UP_S);
      const sample: Sample = {};
      for (const measure of measures) {
        tell(measure);
        Object.assign(sample, await this.#take(measure, { ground, load, tunnel, seconds }));
      }
      return sample;
    } finally {
      this.#ground = undefined;
      await ground.close();
    }
  }

  #take(
    measure: Measure,
    {
      ground,
      load,
      tunnel,
      seconds,
    }: {
      readonly ground: Ground;
      readonly load: LoadGenerator;
      readonly tunnel: Tunnel;
      readonly seconds: number;
    },
  ): Promise<Sample> {
    switch (measure) {
      case "tcp":
        return measureTcp(load, tunnel, seconds);
      case "udp200":
        return measureUdp(load);
      case "ping":
        return measurePing(ground, load, seconds);
    }
  }

  #tell({ contender }: Entry, round: number, what: string): void {
    const { rounds, onProgress } = this.#options;
    const position = this.#entries.findIndex((entry) => entry.contender === contender);
    const active = this.#entries.filter((entry) => this.#isWorthwhile(entry)).length;
    const leftInRound = this.#entries.slice(position).filter((entry) => this.#isWorthwhile(entry)).length;
    const left = leftInRound + (rounds - round) * active;
    onProgress({
      round,
      rounds,
      contender: contender.title,
      what,
      share: this.#cellsDone / (this.#cellsDone + left),
      remainingMs: this.#cellsDone === 0 ? undefined : (left * this.#cellsMs) / this.#cellsDone,
    });
  }

  #record(): TunnelRecord {
    const { command, rounds, seconds, cores, measures, signal } = this.#options;
    return {
      bench: "tunnel",
      date: this.#date,
      command,
      machine: this.#machine,
      loadGenerator: this.#loadGenerator,
      settings: { rounds, seconds, cores, measures, innerMtu: INNER_MTU },
      isComplete: !signal.aborted,
      contenders: this.#entries.map(toRecord),
    };
  }
}

function toRecord({ contender, samples, facts, problem }: Entry): ContenderRecord {
  const { name, title } = contender;
  return { name, title, ...(facts && { facts }), ...(problem !== undefined && { problem }), samples };
}

function mtuOf({ client, systemCalls }: Ground, { link }: Tunnel): number {
  const links = client.inside(() => withNetwork(systemCalls, (network) => network.links()));
  const mtu = links.find(({ name }) => name === link)?.mtu;
  if (mtu === undefined) throw new PlatformError(`there is no link ${link} on the client`);
  return mtu;
}

function firstLine(program: string, ...words: readonly string[]): string {
  return spawnSync(program, words, { encoding: "utf8" }).stdout?.split("\n", 1)[0]?.trim() ?? program;
}

/** Faults of ours keep their stack. */
function messageOf(error: unknown): string {
  if (error instanceof PlatformError) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
