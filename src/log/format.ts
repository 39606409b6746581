import type { LogLevel, LogRecord } from "./record.ts";
import { presentable, printable } from "./redact.ts";

const COLOUR: Readonly<Record<LogLevel, string>> = {
  debug: "\x1b[2m",
  info: "\x1b[36m",
  warning: "\x1b[33m",
  error: "\x1b[31m",
};
const DIM = "\x1b[2m";
const RESET = "\x1b[0m";

/** Facts that a line for people does without. */
const FOR_PROGRAMS: ReadonlySet<string> = new Set([
  "role",
  "initiatorSpi",
  "responderSpi",
  "inboundSpi",
  "outboundSpi",
  "local",
  "localIdentity",
]);

/** A record as one JSON object on one line, without the line break. */
export function formatJson(record: LogRecord): string {
  const { time, level, name, connection, message, facts } = record;
  return JSON.stringify({
    time,
    level,
    name,
    connection: connection === undefined ? undefined : printable(connection),
    message: printable(message),
    facts: presentable(facts),
  });
}

/**
 * A record as one line for people:
 *
 *   2026-01-02 14:32:33.120 warning office: peer 192.0.2.2 does not answer (retransmission 3 of 5)  messageId=1
 *
 * Facts that the message already says are left out, and those that tell one SA from another: they are in the JSON lines and in status.
 */
export function formatHuman(record: LogRecord, options: { readonly colour: boolean }): string {
  const paint = (text: string, style: string) => (options.colour ? `${style}${text}${RESET}` : text);
  const message = printable(record.message);
  const words = [
    paint(localTime(record.time), DIM),
    paint(record.level.padEnd(7), COLOUR[record.level]),
    ...(record.connection === undefined ? [] : [`${printable(record.connection)}:`]),
    message,
  ];
  const facts = unsaidFacts(record, message);
  return facts === "" ? words.join(" ") : `${words.join(" ")}  ${paint(facts, DIM)}`;
}

/** Date and time where the reader is; records and JSON lines keep UTC. */
function localTime(time: string): string {
  const moment = new Date(time);
  const local = new Date(moment.getTime() - moment.getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 23).replace("T", " ");
}

function unsaidFacts(record: LogRecord, message: string): string {
  return Object.entries(presentable(record.facts) as Record<string, unknown>)
    .map(([name, value]) => ({ name, text: factText(value) }))
    .filter(
      ({ name, text }) => text !== "" && text !== "false" && !FOR_PROGRAMS.has(name) && !says(message, text),
    )
    .map(({ name, text }) => `${name}=${/[\s"=]/.test(text) ? JSON.stringify(text) : text}`)
    .join(" ");
}

function factText(value: unknown): string {
  if (value === undefined || value === null) return "";
  if (Array.isArray(value)) return value.map(factText).join(",");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** Whether the message holds the text as a word of its own: "1" is not said by "192.0.2.1". */
function says(message: string, text: string): boolean {
  for (let at = message.indexOf(text); at !== -1; at = message.indexOf(text, at + 1)) {
    if (
      /(^|[\s("'[])$/.test(message.slice(0, at)) &&
      /^($|[\s)"'\];]|[.,:]($|\s))/.test(message.slice(at + text.length))
    ) {
      return true;
    }
  }
  return false;
}
