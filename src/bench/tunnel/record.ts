import { readFileSync, writeFileSync } from "node:fs";
import type { Machine } from "../machine.ts";
import { type Summary, summarize } from "../statistics.ts";
import type { FigureName, Measure, Sample } from "./figures.ts";
import type { Cores } from "./ground.ts";
import type { Proof } from "./proof.ts";

/** One run of the tunnel bench. */
export interface TunnelRecord {
  readonly bench: "tunnel";
  readonly date: string;
  readonly command: string;
  readonly machine: Machine;
  /** The load generator and its version. */
  readonly loadGenerator: string;
  readonly settings: Settings;
  /** False when the run was broken off: what was measured until then is here. */
  readonly isComplete: boolean;
  readonly contenders: readonly ContenderRecord[];
}

interface Settings {
  readonly rounds: number;
  /** Of each TCP transfer and each series of pings. */
  readonly seconds: number;
  /** Which processors each side had. */
  readonly cores: Cores;
  readonly measures: readonly Measure[];
  /** MTU inside the tunnels. */
  readonly innerMtu: number;
}

export interface ContenderRecord {
  readonly name: string;
  readonly title: string;
  /** Undefined when it never ran. */
  readonly facts?: ContenderFacts;
  /** Why a round, or all of them, did not work. */
  readonly problem?: string;
  /** One for each round that worked, in their order. */
  readonly samples: readonly RoundSample[];
}

export interface RoundSample {
  /** From 1. */
  readonly round: number;
  readonly figures: Sample;
}

/** What was made sure of before its first timing. */
export interface ContenderFacts {
  readonly version: string;
  readonly cipher: string;
  readonly mtu: number;
  /** On the cable, while pings with a known text went through. */
  readonly proof: Proof;
}

/** Undefined when there is not one sample of the figure. */
export function summaryOf(contender: ContenderRecord | undefined, figure: FigureName): Summary | undefined {
  const samples = contender?.samples.flatMap(({ figures }) => figures[figure] ?? []) ?? [];
  return samples.length === 0 ? undefined : summarize(samples);
}

export function writeTunnelRecord(file: string, record: TunnelRecord): void {
  writeFileSync(file, `${JSON.stringify(record, undefined, 1)}\n`);
}

/** Throws TypeError when the file holds something else. */
export function readTunnelRecord(file: string): TunnelRecord {
  const record = JSON.parse(readFileSync(file, "utf8")) as TunnelRecord;
  if (record.bench !== "tunnel") throw new TypeError(`${file} is not a record of the tunnel bench`);
  return record;
}
