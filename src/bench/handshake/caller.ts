import type { Ground } from "../tunnel/ground.ts";
import type { GroupName } from "./groups.ts";
import type { InitiatorOrder } from "./initiator.ts";
import type { Callers } from "./responder.ts";

/** Somebody who calls, in the name of all peers. */
export interface Caller {
  /** As it is chosen on the command line: "strongswan". */
  readonly name: string;
  readonly title: string;
  /** Starts what it needs on the client's side; that ends with the ground. Throws PlatformError with the reason why it cannot. */
  start(ground: Ground, callers: Callers): Promise<RunningCaller>;
}

interface RunningCaller {
  /** Name and version of the program. */
  readonly version: string;
  /** Makes it ready for a key exchange; settles with what the process that drives it has to know. */
  prepare(group: GroupName): Promise<Pick<InitiatorOrder, "daemon">>;
}
