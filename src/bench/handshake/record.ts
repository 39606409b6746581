import { readFileSync, writeFileSync } from "node:fs";
import type { Machine } from "../machine.ts";
import type { GroupName } from "./groups.ts";

/** One run of the handshake bench. */
export interface HandshakeRecord {
  readonly bench: "handshake";
  readonly date: string;
  readonly command: string;
  readonly machine: Machine;
  readonly settings: HandshakeSettings;
  /** False when the run was broken off. */
  readonly isComplete: boolean;
  readonly responders: readonly ResponderRecord[];
}

export interface HandshakeSettings {
  readonly rounds: number;
  /** Of each phase. */
  readonly seconds: number;
  /** Set-ups side by side. */
  readonly peers: number;
  /** Others that are connected all the while. */
  readonly connected: number;
  readonly groups: readonly GroupName[];
}

export interface ResponderRecord {
  readonly name: string;
  readonly title: string;
  /** Who called; our IKE machine where nothing is said. */
  readonly initiator?: { readonly name: string; readonly title: string };
  /** Undefined when it never ran. */
  readonly version?: string;
  /** Why a round, or all of them, did not work. */
  readonly problem?: string;
  readonly samples: readonly HandshakeSample[];
}

/** One round of one responder with one group. */
export interface HandshakeSample {
  /** From 1. */
  readonly round: number;
  readonly group: GroupName;
  /** Set-ups that were measured, deletes included: one at a time, and side by side. */
  readonly aloneCount: number;
  readonly count: number;
  /** Side by side: an IKE SA with a child SA, set up and deleted again. */
  readonly perSecond: number;
  readonly responderMs: number;
  readonly initiatorMs: number;
  /** One at a time: from the first message to the child SA at the initiator, without the delete. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Processor time of the responder for each, one at a time. */
  readonly aloneResponderMs: number;
  /** Memory of the responder after all set-ups; records of before have none. */
  readonly responderMiB?: number;
  /** With others connected: memory of the responder, and how much of one processor it takes while nobody does anything. */
  readonly residentMiB?: number;
  readonly idlePercent?: number;
  /** Datagrams of our initiator for each set-up: three, and one more where a cookie was asked for. */
  readonly datagrams?: number;
}

export function writeHandshakeRecord(file: string, record: HandshakeRecord): void {
  writeFileSync(file, `${JSON.stringify(record, undefined, 1)}\n`);
}

/** Throws TypeError when the file holds something else. */
export function readHandshakeRecord(file: string): HandshakeRecord {
  const record = JSON.parse(readFileSync(file, "utf8")) as HandshakeRecord;
  if (record.bench !== "handshake") throw new TypeError(`${file} is not a record of the handshake bench`);
  return record;
}
