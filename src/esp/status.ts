import { EVENT_COUNT, STATUS_COUNT, STATUS_OK } from "../../assembly/layout.ts";
import { u64At } from "./words.ts";

/** Names of STATUS_*, in their order. */
const STATUS_NAMES = [
  "ok",
  "runt",
  "noPolicy",
  "noSa",
  "sequenceExhausted",
  "limitReached",
  "replayed",
  "tooOld",
  "integrityFailed",
  "malformed",
  "selectorMismatch",
  "dummy",
  "tooLong",
  "deviceRefused",
  "mailboxFull",
  "ceOnNotEct",
  "trapped",
  "shed",
  "tooBig",
  "otherWorker",
] as const;

export type StatusName = (typeof STATUS_NAMES)[number];

/** Names of EVENT_*, in their order. */
const EVENT_NAMES = ["mssClamped", "fragmented", "fragmentedOutside"] as const;

/** What was done to packets that went on, only what happened at all. */
export type SaEvents = Partial<Record<(typeof EVENT_NAMES)[number], number>>;

/** Drops by cause, only those above zero. */
export type Drops = Partial<Record<StatusName, number>>;

/** What became of a packet, as its counter is called. Throws RangeError for a number that is no STATUS_*. */
export function statusName(status: number): StatusName {
  const name = STATUS_NAMES[status];
  if (name === undefined) throw new RangeError(`${status} is no packet status`);
  return name;
}

/** Reads an array of u64 counters, one for each status: all that are above zero, except those of packets that went well. */
export function dropsAt(words: Uint32Array, address: number): Drops {
  const drops: Drops = {};
  for (let status = STATUS_OK + 1; status < STATUS_COUNT; status++) {
    const count = u64At(words, address + 8 * status);
    if (count > 0) drops[statusName(status)] = count;
  }
  return drops;
}

/** Adds up drops by cause. */
export function sumOfDrops(parts: readonly Drops[]): Drops {
  const sum: Drops = {};
  for (const part of parts) {
    for (const [name, count] of Object.entries(part) as [StatusName, number][]) {
      sum[name] = (sum[name] ?? 0) + count;
    }
  }
  return sum;
}

/** Reads an array of u64 counters, one for each event: all that are above zero. */
export function eventsAt(words: Uint32Array, address: number): SaEvents {
  const events: SaEvents = {};
  for (let event = 0; event < EVENT_COUNT; event++) {
    const count = u64At(words, address + 8 * event);
    if (count > 0) events[EVENT_NAMES[event]!] = count;
  }
  return events;
}
