import type { LivenessOutcome, Outcome } from "../engine/control-surface.ts";
import type { EngineStatus } from "../engine/status.ts";
import type { LogRecord } from "../log/record.ts";

/** What the control socket offers: the engine's verbs, and those of the process around it. */
export interface Daemon {
  status(): EngineStatus;
  up(name: string): Promise<Outcome>;
  down(name: string): Promise<Outcome>;
  liveness(name: string): Promise<LivenessOutcome>;
  rekey(name: string, what: "children" | "ike"): Promise<Outcome>;
  disconnect(user: string): Promise<Outcome>;
  redirect(name: string, host: string): Promise<Outcome>;
  /** Reads the configuration file again. A bad one changes nothing. */
  reload(): Promise<Outcome>;
  /** Begins to stop and returns at once. */
  stop(): void;
  /** The last records of the log, oldest first. */
  recentLog(): readonly LogRecord[];
  /** Calls the listener for every record from now on. Returns what ends it. */
  followLog(listener: (record: LogRecord) => void): () => void;
}
