import type { EngineConfig } from "./engine-config.ts";
import type { EngineStatus } from "./status.ts";

/** What the control socket and the command line ask of a running engine. The engine implements it; tests put a twin in its place. */
export interface EngineControl {
  status(): EngineStatus;
  /** Initiates the connection and settles when it is established or has failed. */
  up(name: string): Promise<Outcome>;
  /** Deletes the connection's SAs and keeps it down until `up` or a reload; without a name, every connection. */
  down(name?: string): Promise<Outcome>;
  /** Ends everything that somebody who has logged in has with us; who may still log in can come back. */
  disconnect(user: string): Promise<Outcome>;
  /**
   * Tells the clients of a connection, or those that somebody has logged in with, to go to the gateway `host`, an address or a name. Settles
   * at once: who goes, and when, is up to them.
   */
  redirect(name: string, host: string): Promise<Outcome>;
  /** Takes over a new configuration; SAs of connections that did not change stay. */
  reload(config: EngineConfig): Promise<Outcome>;
  /** Replaces the connection's child SAs, or its IKE SA, and settles when they are replaced or cannot be. */
  rekey(name: string, what: "children" | "ike"): Promise<Outcome>;
  /** One liveness check (RFC 7296 section 2.4): an empty INFORMATIONAL exchange and its round trip. */
  liveness(name: string): Promise<LivenessOutcome>;
}

export type Outcome = { readonly kind: "done"; readonly message: string } | Failure;

export type LivenessOutcome = { readonly kind: "alive"; readonly rttMs: number } | Failure;

interface Failure {
  readonly kind: "failed";
  readonly reason: FailureReason;
  /** A whole sentence. */
  readonly message: string;
}

/** Each is an exit code of the command line (`cli/exit-code.ts`). */
export type FailureReason =
  | "unknown-connection"
  | "not-established"
  | "configuration"
  | "authentication-failed"
  | "certificate"
  | "no-proposal-chosen"
  | "timeout"
  | "permission"
  | "other";
