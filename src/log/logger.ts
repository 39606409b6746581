import { RateLimit } from "./rate-limit.ts";
import { isAtLeast, type LogEvent, type LogLevel, type LogRecord } from "./record.ts";
import { presentable, printable } from "./redact.ts";
import { Ring } from "./ring.ts";

const RING_CAPACITY = 1000;

/**
 * Where every event of a daemon passes: level, rate limit, redaction, then the ring that `ikebana logs` reads and whoever listens.
 * What it keeps and hands on is already fit to be shown.
 */
export class Logger {
  readonly #ring = new Ring<LogRecord>(RING_CAPACITY);
  readonly #listeners = new Set<(record: LogRecord) => void>();
  readonly #limit: RateLimit;
  readonly #clock: LogClock;
  #level: LogLevel;

  constructor({ level, clock = systemClock, limit = new RateLimit() }: LoggerOptions) {
    this.#level = level;
    this.#clock = clock;
    this.#limit = limit;
  }

  setLevel(level: LogLevel): void {
    this.#level = level;
  }

  log(event: LogEvent): void {
    if (!isAtLeast(event.level, this.#level)) return;
    const { name, isUnverified = false } = event;
    if (this.#limit.admits({ name, source: sourceOf(event), isUnverified }, this.#clock.monotonicMs()))
      this.#publish(event);
  }

  /** Logs what we did ourselves and nobody outside can provoke, such as warnings about the configuration: without the rate limit. */
  announce(event: LogEvent): void {
    if (isAtLeast(event.level, this.#level)) this.#publish(event);
  }

  /** Tells how many lines the rate limit has left out since the last call. */
  flush(): void {
    for (const [name, count] of this.#limit.takeSuppressed()) {
      this.#publish({
        name: "lines-left-out",
        level: "info",
        connection: undefined,
        message: `${count} more ${name} ${count === 1 ? "line was" : "lines were"} left out`,
        facts: { event: name, count },
      });
    }
  }

  /** The last 1000 records, oldest first. */
  recent(): readonly LogRecord[] {
    return this.#ring.toArray();
  }

  /** Calls the listener for every record from now on. Returns what ends it. */
  subscribe(listener: (record: LogRecord) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #publish(event: LogEvent): void {
    const record: LogRecord = {
      time: new Date(this.#clock.wallMs()).toISOString(),
      level: event.level,
      name: printable(event.name),
      connection: event.connection === undefined ? undefined : printable(event.connection),
      message: printable(event.message),
      facts: presentable(event.facts) as Readonly<Record<string, unknown>>,
    };
    this.#ring.push(record);
    for (const listener of this.#listeners) listener(record);
  }
}

export interface LoggerOptions {
  readonly level: LogLevel;
  readonly clock?: LogClock;
  readonly limit?: RateLimit;
}

export interface LogClock {
  monotonicMs(): number;
  /** Milliseconds since 1970. */
  wallMs(): number;
}

const systemClock: LogClock = { monotonicMs: () => performance.now(), wallMs: () => Date.now() };

/** Who caused the event: a peer's address where there is one. Its port does not count, since it costs nothing to change. */
function sourceOf(event: LogEvent): string {
  const { source, remote, peer } = event.facts;
  const end = [source, remote, peer].find((fact) => typeof fact === "string");
  return end === undefined ? (event.connection ?? "") : withoutPort(end);
}

/** "192.0.2.1:500" and "[2001:db8::1]:500" without their port. */
function withoutPort(end: string): string {
  return /^([^:]*|\[.*\]):\d+$/.exec(end)?.[1] ?? end;
}
