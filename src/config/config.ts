import type { EngineConfig } from "../engine/engine-config.ts";
import type { PoolPolicy } from "../engine/gateway-addresses.ts";
import type { LogLevel } from "../log/record.ts";
import type { NamedHost } from "./connections.ts";
import type { GatewayConfig } from "./gateway.ts";
import type { GatewayLogins } from "./gateway-logins.ts";

/** A configuration file that has been read, checked and understood: nothing in it is missing, in another unit, or relative. */
export interface Config extends EngineConfig {
  readonly gateway?: GatewayConfig & PoolPolicy;
  /** Who may log in with name and password; undefined where nobody may. */
  readonly logins?: GatewayLogins;
  /** Connections whose peer is known by name: their `remote.address` is undefined until `resolveHosts` has looked it up. */
  readonly hosts: readonly NamedHost[];
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
