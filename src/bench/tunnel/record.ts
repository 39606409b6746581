import { readFileSync, writeFileSync } from "node:fs";
import type { Machine } from "../machine.ts";
import { type Summary, summarize } from "../statistics.ts";
import { FIGURES, type FigureName, type Measure, type Sample } from "./figures.ts";
import type { Cores } from "./ground.ts";
import type { OthersLoad } from "./others.ts";
import type { Proof } from "./proof.ts";

/** One run of the tunnel bench. */
export interface TunnelRecord {
  readonly bench: "tunnel";
  readonly date: string;
  readonly command: string;
  readonly machine: Machine;
  /** Where `machine` is a guest. */
  readonly guest?: GuestGround;
  /** The load generator and its version. */
  readonly loadGenerator: string;
  readonly settings: Settings;
  /** Of several runs that were put together, each one; what `settings` says of rounds and seconds is the first one's. */
  readonly pieces?: readonly Piece[];
  /** False when the run was broken off: what was measured until then is here. */
  readonly isComplete: boolean;
  /** Measures that this machine cannot take, and why. */
  readonly unavailable?: readonly Unavailable[];
  readonly contenders: readonly ContenderRecord[];
}

/** The machine that a run had to itself was another one's guest. */
interface GuestGround {
  /** "a user-mode Linux". */
  readonly kernel: string;
  /** The machine that it ran on. */
  readonly host: Machine;
  /** What is not as on a machine of its own, and so what the figures cannot say. */
  readonly distorts: string;
}

export interface Unavailable {
  readonly measure: Measure;
  readonly reason: string;
}

interface Settings {
  /** Those that were begun: fewer than asked for when time was up. */
  readonly rounds: number;
  /** Of each TCP transfer and each series of pings. */
  readonly seconds: number;
  /** Which processors each side had. */
  readonly cores: Cores;
  readonly measures: readonly Measure[];
  /** MTU inside the tunnels. */
  readonly innerMtu: number;
}

/** One run, as part of several. */
export interface Piece extends Pick<Settings, "rounds" | "seconds" | "measures"> {
  readonly date: string;
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
  /** While all this was measured. */
  readonly others?: OthersLoad;
  /** Every single round trip. */
  readonly series?: Readonly<Record<SeriesName, PingSeries>>;
}

const SERIES = ["pingIdle", "pingLoaded"] as const;
export type SeriesName = (typeof SERIES)[number];

/** Answers in their order: when each came, in milliseconds after the first, and how long it took. */
export interface PingSeries {
  readonly atMs: readonly number[];
  readonly rttUs: readonly number[];
}

/** What was made sure of before its first timing. */
export interface ContenderFacts {
  readonly version: string;
  readonly cipher: string;
  readonly mtu: number;
  /** Of the link into the tunnel: "TSO, GSO, GRO". */
  readonly offloads?: string;
  /** On the cable, while pings with a known text went through. */
  readonly proof: Proof;
}

/** The runs that the record is made of. */
export function piecesOf({ pieces, date, settings }: TunnelRecord): readonly Piece[] {
  const { rounds, seconds, measures } = settings;
  return pieces ?? [{ date, rounds, seconds, measures }];
}

/** "5 rounds, transfers of 2 s", and of several runs what each measured. */
export function describeRounds(record: TunnelRecord): string {
  const pieces = piecesOf(record);
  return pieces
    .map(({ rounds, seconds, measures }) => {
      const what = pieces.length === 1 ? "" : ` (${measures.join(", ")})`;
      return `${rounds} ${rounds === 1 ? "round" : "rounds"}, transfers of ${seconds} s${what}`;
    })
    .join("; then ");
}

/** Undefined when there is not one sample of the figure. */
export function summaryOf(contender: ContenderRecord | undefined, figure: FigureName): Summary | undefined {
  const samples = samplesOf(contender, figure);
  return samples.length === 0 ? undefined : summarize(samples);
}

export function samplesOf(contender: ContenderRecord | undefined, figure: FigureName): readonly number[] {
  return contender?.samples.flatMap(({ figures }) => figures[figure] ?? []) ?? [];
}

/** Pairs of what two gave in the rounds in which both ran. */
export function pairsOf(
  ours: ContenderRecord,
  theirs: ContenderRecord,
  figure: FigureName,
): readonly (readonly [ours: number, theirs: number])[] {
  const others = new Map(theirs.samples.map(({ round, figures }) => [round, figures[figure]]));
  return ours.samples.flatMap(({ round, figures }) => {
    const own = figures[figure];
    const other = others.get(round);
    return own === undefined || other === undefined ? [] : [[own, other] as const];
  });
}

/** Writes the record, and beside the samples what they come to: n, median, extremes and confidence interval of every figure. */
export function writeTunnelRecord(file: string, record: TunnelRecord): void {
  writeFileSync(file, formatTunnelRecord(record));
}

export function formatTunnelRecord(record: TunnelRecord): string {
  const contenders = record.contenders.map(({ samples, ...facts }) => ({
    ...facts,
    summaries: summariesOf({ ...facts, samples }),
    samples,
  }));
  const text = JSON.stringify({ ...record, contenders }, undefined, 1);
  // Thousands of round-trip times are not worth a line each.
  return `${text.replaceAll(/\[\n[-+\d.eE,\s]+\]/g, (list) => list.replaceAll(/\s+/g, ""))}\n`;
}

function summariesOf(contender: ContenderRecord): Partial<Record<FigureName, Summary>> {
  const names = Object.keys(FIGURES) as FigureName[];
  return Object.fromEntries(
    names.flatMap((name) => {
      const summary = summaryOf(contender, name);
      return summary === undefined ? [] : [[name, summary]];
    }),
  );
}

/** Reads a record, or the one inside of a report. Throws TypeError when the file holds something else. What its samples come to is reckoned anew. */
export function readTunnelRecord(file: string): TunnelRecord {
  const text = readFileSync(file, "utf8");
  const record: TunnelRecord = JSON.parse(text.startsWith("<") ? recordTextIn(text) : text);
  if (record.bench !== "tunnel") throw new TypeError(`${file} is not a record of the tunnel bench`);
  const contenders: readonly (ContenderRecord & { readonly summaries?: unknown })[] = record.contenders;
  return { ...record, contenders: contenders.map(({ summaries: _, ...contender }) => contender) };
}

/** The element of a report that holds its record. */
export const DATA_ID = "record";

function recordTextIn(html: string): string {
  const begin = `<script type="application/json" id="${DATA_ID}">\n`;
  const from = html.indexOf(begin);
  const to = html.indexOf("</script>", from);
  return from < 0 || to < 0 ? "{}" : html.slice(from + begin.length, to);
}
