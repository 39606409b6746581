import { randomBytes } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { defaultEspProposals } from "../config/default-esp.ts";
import type { EngineConfig } from "../engine/engine-config.ts";
import type { ConnectionPolicy } from "../policy/connection.ts";
import { DEFAULT_IKE_PROPOSALS } from "../policy/default-proposals.ts";
import { parseIdentity } from "../policy/identity.ts";
import { selectorsFromPrefixes } from "../policy/traffic-selectors.ts";

// The stage: who has which addresses, and what the two machines are configured with.
//
//   10.77.2.1, fd77:2::1   client  192.0.2.2 ======== 192.0.2.1  gateway   10.77.1.1, fd77:1::1

export type Role = "client" | "gateway";

export interface Machine {
  readonly role: Role;
  readonly identity: string;
  /** Outer address (RFC 5737) and its prefix length. */
  readonly outerAddress: string;
  readonly outerPrefixLength: number;
  /** IPv4, then IPv6: of the machine itself, inside the networks behind it. */
  readonly innerAddresses: readonly [string, string];
  readonly innerPrefixes: readonly string[];
}

export const MACHINES: Readonly<Record<Role, Machine>> = {
  client: {
    role: "client",
    identity: "client.example",
    outerAddress: "192.0.2.2",
    outerPrefixLength: 24,
    innerAddresses: ["10.77.2.1", "fd77:2::1"],
    innerPrefixes: ["10.77.2.0/24", "fd77:2::/64"],
  },
  gateway: {
    role: "gateway",
    identity: "gateway.example",
    outerAddress: "192.0.2.1",
    outerPrefixLength: 24,
    innerAddresses: ["10.77.1.1", "fd77:1::1"],
    innerPrefixes: ["10.77.1.0/24", "fd77:1::/64"],
  },
};

/** The veth in each namespace; the TUN device is there too. */
export const OUTER_LINK = "wan0";
const TUN_NAME = "ikebana0";

/** IPv4, UDP and ESP with the longest trailer around it stay below the 1500 octets of an Ethernet. */
export const INNER_MTU = 1400;

export const PING_COUNT = 20;
export const PING_INTERVAL_MS = 40;
export const TRANSFER_MS = 4000;

function otherThan(role: Role): Role {
  return role === "client" ? "gateway" : "client";
}

/** The name of the one connection of a machine: whom it leads to. */
export function connectionOf(role: Role): string {
  return otherThan(role);
}

/** Configures one machine. Neither starts by itself: the demo says when. */
export function configurationOf(role: Role, key: Uint8Array): EngineConfig {
  const own = MACHINES[role];
  const peer = MACHINES[otherThan(role)];
  const presharedKey = { kind: "psk", key } as const;
  const connection: ConnectionPolicy = {
    name: connectionOf(role),
    start: "respond",
    local: {
      address: own.outerAddress,
      identity: parseIdentity(own.identity),
      authentication: presharedKey,
    },
    remote: {
      address: peer.outerAddress,
      port: 500,
      identity: parseIdentity(peer.identity),
      authentication: [presharedKey],
    },
    ikeProposals: DEFAULT_IKE_PROPOSALS,
    children: [
      {
        name: "demo",
        local: selectorsFromPrefixes(own.innerPrefixes),
        remote: selectorsFromPrefixes(peer.innerPrefixes),
        espProposals: defaultEspProposals(),
        replayWindowPackets: 1024,
      },
    ],
  };
  return {
    connections: [connection],
    listen: { addresses: ["0.0.0.0", "::"], port: 500, natTraversalPort: 4500 },
    tun: { name: TUN_NAME, mtu: INNER_MTU },
    nativeCiphers: "auto",
    // Nothing of a demo outlives it, so nothing has to be remembered; the folder does not exist.
    stateDirectory: join(tmpdir(), `ikebana-demo-${process.pid}`),
  };
}

/** Who talks to whom inside the tunnel: IPv4, then IPv6. */
export const INNER_PAIRS: readonly (readonly [string, string])[] = [0, 1].map((family) => [
  MACHINES.client.innerAddresses[family]!,
  MACHINES.gateway.innerAddresses[family]!,
]);

/** Text that is in every payload of a run and nowhere else, so that it is recognised wherever it shows up in clear. */
export function createMarker(): Uint8Array {
  return new TextEncoder().encode(`ikebana demo payload ${randomBytes(9).toString("hex")};`);
}
