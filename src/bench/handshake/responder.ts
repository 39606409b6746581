import type { Ground } from "../tunnel/ground.ts";
import type { GroupName } from "./groups.ts";
import type { Peer } from "./peers.ts";

/** Somebody who answers. */
export interface Responder {
  /** As it is chosen on the command line: "strongswan". */
  readonly name: string;
  readonly title: string;
  /** Starts it on the gateway's side; it ends with the ground. Throws PlatformError with the reason why it cannot. */
  start(ground: Ground, callers: Callers): Promise<RunningResponder>;
}

/** Who may connect, and how. */
export interface Callers {
  readonly peers: readonly Peer[];
  readonly groups: readonly GroupName[];
  /** The pre-shared key of all, as hex digits. */
  readonly psk: string;
}

interface RunningResponder {
  /** Name and version of the program. */
  readonly version: string;
  /** The process that does all of its work. */
  readonly pid: number;
}
