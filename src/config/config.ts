import type { EngineConfig } from "../engine/engine-config.ts";
import type { LogLevel } from "../log/record.ts";

/** A configuration file that has been read, checked and understood: nothing in it is missing, in another unit, or relative. */
export interface Config extends EngineConfig {
  /** Absolute path of the file it came from. */
  readonly file: string;
  /** Absolute path of the control socket. */
  readonly socket: string;
  readonly log: LogConfig;
  /** What deserves a look and does not stop us, each a sentence with file:line:column. */
  readonly warnings: readonly string[];
}

interface LogConfig {
  readonly level: LogLevel;
  /** "human": a line for people. "json": one object per line. */
  readonly format: "human" | "json";
}
