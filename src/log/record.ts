/** One thing that happened, as the log keeps it. An IkeEvent with a time is one; the engine and the daemon add names of their own. */
export interface LogRecord extends LogEvent {
  /** ISO 8601 in UTC with milliseconds. */
  readonly time: string;
}

export interface LogEvent {
  readonly name: string;
  readonly level: LogLevel;
  readonly connection: string | undefined;
  /** A whole sentence. */
  readonly message: string;
  /** The same as fields. */
  readonly facts: Readonly<Record<string, unknown>>;
  /** Anybody can cause it, as often as they like. */
  readonly isUnverified?: boolean;
}

export type LogLevel = "debug" | "info" | "warning" | "error";

const LEVELS: readonly LogLevel[] = ["debug", "info", "warning", "error"];

export function isAtLeast(level: LogLevel, threshold: LogLevel): boolean {
  return LEVELS.indexOf(level) >= LEVELS.indexOf(threshold);
}
