import { readFileSync, writeFileSync } from "node:fs";
import type { Machine } from "./machine.ts";
import type { Sample } from "./sampler.ts";

/** One run of the micro bench. */
export interface MicroRecord {
  readonly bench: "micro";
  readonly date: string;
  readonly commit: string;
  readonly command: string;
  readonly machine: Machine;
  readonly subjects: readonly SubjectRecord[];
}

export interface SubjectRecord {
  readonly group: string;
  readonly name: string;
  /** In one run of a contender. */
  readonly operations: number;
  readonly octets: number;
  readonly contenders: readonly ContenderRecord[];
}

/** Nanoseconds for one run. */
export interface ContenderRecord {
  readonly name: string;
  readonly medianNs: number;
  /** Lower and upper quartile. */
  readonly quartilesNs: readonly [number, number];
  readonly samplesNs: readonly number[];
}

export function toContenderRecord({ name, medianNs, samplesNs }: Sample): ContenderRecord {
  const sorted = [...samplesNs].sort((a, b) => a - b);
  const quantile = (q: number): number => rounded(sorted[Math.round(q * (sorted.length - 1))]!);
  return {
    name,
    medianNs: rounded(medianNs),
    quartilesNs: [quantile(0.25), quantile(0.75)],
    samplesNs: samplesNs.map(rounded),
  };
}

/** Lists of numbers stay on one line each, so that a record can be read and compared. */
export function writeRecord(file: URL, record: MicroRecord): void {
  const text = JSON.stringify(record, undefined, 1);
  const compact = text.replace(/\[\s+(-?[\d.]+(?:,\s+-?[\d.]+)*)\s+\]/g, (_, list: string) => {
    return `[${list.replace(/\s+/g, " ")}]`;
  });
  writeFileSync(file, `${compact}\n`);
}

export function readRecord(file: URL): MicroRecord {
  const record = JSON.parse(readFileSync(file, "utf8")) as MicroRecord;
  if (record.bench !== "micro") throw new TypeError(`${file.pathname} is not a record of the micro bench`);
  return record;
}

/** Four digits are more than the machine can repeat. */
function rounded(ns: number): number {
  return Number(ns.toPrecision(5));
}
