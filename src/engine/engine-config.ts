import type { ConnectionPolicy } from "../policy/connection.ts";
import type { AccountingPolicy } from "./client-sessions.ts";
import type { DisconnectPolicy } from "./disconnect-listener.ts";
import type { PoolPolicy } from "./gateway-addresses.ts";
import type { InsideNetwork } from "./gateway-network.ts";
import type { InformPolicy } from "./inform-answers.ts";
import type { KeptSession } from "./kept-session.ts";
import type { GatewayFinder } from "./locate-gateway.ts";

/** What the engine needs to run. `config/` makes it from the file; whoever embeds the engine may write it down directly. */
export interface EngineConfig {
  readonly connections: readonly ConnectionPolicy[];
  readonly listen: {
    /** Canonical local addresses; "0.0.0.0" and "::" are every address of the family. */
    readonly addresses: readonly string[];
    /** UDP ports: 500 and 4500 unless a test or a container says otherwise. */
    readonly port: number;
    readonly natTraversalPort: number;
    /** Where others may connect by TCP (RFC 9329); undefined: nowhere. */
    readonly tcpPort?: number;
  };
  readonly tun: {
    readonly name: string;
    /** Octets of an inner packet. */
    readonly mtu: number;
  };
  /** What clients find behind us that get their addresses from us; undefined: there are none. */
  readonly gateway?: InsideNetwork & PoolPolicy & InformPolicy;
  /** Who is told what clients use; undefined: nobody. */
  readonly accounting?: AccountingPolicy;
  /** Who may end what clients have; undefined: nobody, and no port is open for it. */
  readonly disconnect?: DisconnectPolicy;
  /** Where gateways are that we are sent to; undefined: names are looked up, and any address will do. */
  readonly gatewayFinder?: GatewayFinder;
  /** A login by which somebody works on this machine: a client's tunnel leaves it alone. */
  readonly keptSession?: KeptSession;
  /** "auto" (the default): whatever the kernel has of segmentation and coalescing. "off": packet by packet. */
  readonly offloads?: "auto" | "off";
  /** "auto" (the default): the processor's AES instructions for child SAs that carry much, where it has them. "off": WebAssembly's for all. */
  readonly nativeCiphers?: "auto" | "off";
  /** How long a data worker goes on looking for more before it sleeps. Default 0. */
  readonly spinMicroseconds?: number;
  /** Data workers, 1 (the default) to WORKER_LIMIT. */
  readonly workers?: number;
  /** Whether a secret is kept there by which peers can tell that we were started again (RFC 6290). Default false. */
  readonly showsRestarts?: boolean;
  /** Whether tickets, and the keys that they are sealed with, are kept there for our next life (RFC 5723). Default false. */
  readonly keepsTickets?: boolean;
  /** Absolute path of a directory that outlives us: what the next start must clean up. */
  readonly stateDirectory: string;
}
