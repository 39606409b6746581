import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { Engine } from "../../src/engine/engine.ts";
import type { EngineConfig } from "../../src/engine/engine-config.ts";
import { createMemoryHost } from "../../src/engine/memory-host.ts";
import type { DataPlane } from "../../src/esp/index.ts";
import type { IkeEvent } from "../../src/ike/io.ts";
import type { MemoryNetwork } from "../../src/platform/network/memory-network.ts";
import type { MemoryResolver } from "../../src/platform/resolver/memory-resolver.ts";
import type { MemoryTun } from "../../src/platform/tun/memory-tun.ts";
import { MemoryWire } from "../../src/platform/udp/memory-udp.ts";
import type { ConnectionPolicy } from "../../src/policy/connection.ts";
import { parseIdentity } from "../../src/policy/identity.ts";
import { parseEspProposal, parseIkeProposal } from "../../src/policy/keywords.ts";
import { selectorsFromPrefixes } from "../../src/policy/traffic-selectors.ts";

/** An engine on a machine in memory, and what it did. */
export interface MemoryPeer {
  readonly engine: Engine;
  readonly config: EngineConfig;
  readonly tun: MemoryTun;
  readonly dataPlane: DataPlane;
  readonly network: MemoryNetwork;
  readonly resolver: MemoryResolver;
  readonly events: readonly IkeEvent[];
  /** The next packet that came out of the tunnel. */
  nextPacket(): Promise<Uint8Array>;
  /** Lets everything that is under way happen. */
  settle(): Promise<void>;
}

export interface PairOptions {
  readonly gatewayKey?: string;
  readonly clientEsp?: string;
  readonly gatewayEsp?: string;
  /** What the client's connection has beside the rest. */
  readonly clientPolicy?: Partial<ConnectionPolicy>;
  /** Data workers of either. */
  readonly workers?: number;
  readonly gatewayPolicy?: Partial<ConnectionPolicy>;
  /** What the gateway has for clients. */
  readonly inside?: EngineConfig["gateway"];
  readonly stateDirectory?: string;
  /** Who is told what the gateway's clients use. */
  readonly accounting?: EngineConfig["accounting"];
}

/** A client (10.1.0.0/24, fd01::/64) and a gateway (10.2.0.0/24, fd02::/64) that share one wire. Neither initiates by itself. */
export async function pairOfEngines(
  options: PairOptions,
): Promise<{ readonly client: MemoryPeer; readonly gateway: MemoryPeer; readonly wire: MemoryWire }> {
  const wire = new MemoryWire();
  const key = "a secret of the test";
  const client = await startPeer(wire, {
    address: "192.0.2.1",
    peer: "192.0.2.2",
    key,
    esp: options.clientEsp ?? "aes256gcm16",
    number: 1,
    workers: options.workers,
    ...(options.stateDirectory && { stateDirectory: join(options.stateDirectory, "client") }),
    ...(options.clientPolicy && { policy: options.clientPolicy }),
  });
  const gateway = await startPeer(wire, {
    address: "192.0.2.2",
    peer: "192.0.2.1",
    key: options.gatewayKey ?? key,
    esp: options.gatewayEsp ?? "aes256gcm16",
    number: 2,
    workers: options.workers,
    ...(options.stateDirectory && { stateDirectory: join(options.stateDirectory, "gateway") }),
    ...(options.gatewayPolicy && { policy: options.gatewayPolicy }),
    ...(options.inside && { inside: options.inside }),
    ...(options.accounting && { accounting: options.accounting }),
  });
  return { client, gateway, wire };
}

async function startPeer(
  wire: MemoryWire,
  facts: {
    readonly address: string;
    readonly peer: string;
    readonly key: string;
    readonly esp: string;
    readonly number: 1 | 2;
    readonly policy?: Partial<ConnectionPolicy>;
    readonly workers: number | undefined;
    readonly inside?: EngineConfig["gateway"];
    readonly accounting?: EngineConfig["accounting"];
    readonly stateDirectory?: string;
  },
): Promise<MemoryPeer> {
  const host = createMemoryHost(wire.host([facts.address]));
  const config = configOf(facts);
  const events: IkeEvent[] = [];
  let dataPlane!: DataPlane;
  const engine = await Engine.start({
    config,
    host: {
      ...host,
      open: async (...facts) => {
        const open = await host.open(...facts);
        dataPlane = open.dataPlane;
        return open;
      },
    },
    onEvent: (event) => events.push(event),
  });
  const tun = host.tun!;
  return {
    engine,
    config,
    tun,
    dataPlane,
    network: host.network,
    resolver: host.resolver,
    events,
    nextPacket: async () => {
      const packets: Uint8Array[] = [];
      for (let turns = 0; turns < 1000 && packets.length === 0; turns++) {
        await turn();
        packets.push(...tun.drain());
      }
      return packets[0]!;
    },
    settle: async () => {
      for (let turns = 0; turns < 20; turns++) await turn();
    },
  };
}

/** What a peer of `pairOfEngines` runs with. */
export function configOf(facts: {
  readonly address: string;
  readonly peer: string;
  readonly key: string;
  readonly esp: string;
  readonly number: 1 | 2;
  readonly policy?: Partial<ConnectionPolicy>;
  readonly workers?: number | undefined;
  readonly inside?: EngineConfig["gateway"];
  readonly accounting?: EngineConfig["accounting"];
  readonly stateDirectory?: string;
}): EngineConfig {
  const other = 3 - facts.number;
  const presharedKey = { kind: "psk", key: new TextEncoder().encode(facts.key) } as const;
  return {
    connections: [
      {
        name: "site",
        start: "respond",
        local: {
          address: facts.address,
          identity: parseIdentity(`host${facts.number}.example.org`),
          authentication: presharedKey,
        },
        remote: {
          address: facts.peer,
          port: 500,
          identity: parseIdentity(`host${other}.example.org`),
          authentication: [presharedKey],
        },
        ikeProposals: [parseIkeProposal("aes256gcm16-prfsha384-x25519")],
        children: [
          {
            name: "lan",
            local: selectorsFromPrefixes([`10.${facts.number}.0.0/24`, `fd0${facts.number}::/64`]),
            remote: selectorsFromPrefixes([`10.${other}.0.0/24`, `fd0${other}::/64`]),
            espProposals: [parseEspProposal(facts.esp)],
            replayWindowPackets: 1024,
          },
        ],
        ...facts.policy,
      },
    ],
    listen: { addresses: ["0.0.0.0"], port: 500, natTraversalPort: 4500 },
    tun: { name: "ikebana0", mtu: 1400 },
    workers: facts.workers ?? 1,
    stateDirectory: facts.stateDirectory ?? "/nonexistent",
    ...(facts.inside && { gateway: facts.inside }),
    ...(facts.accounting && { accounting: facts.accounting }),
  };
}
