import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { MemoryWire } from "../../src/platform/udp/memory-udp.ts";
import type { ChildPolicy } from "../../src/policy/connection.ts";
import { parseEspProposal } from "../../src/policy/keywords.ts";
import { selectorsFromPrefixes } from "../../src/policy/traffic-selectors.ts";
import { type MemoryPeer, pairOfEngines } from "../support/engines.ts";
import { innerPacket } from "../support/inner-packets.ts";

const EVERYTHING = ["0.0.0.0/0", "::/0"];
const POOLS = ["10.77.0.0/24", "fd77::/64"];

let directory: string;
let client: MemoryPeer;
let gateway: MemoryPeer;
let wire: MemoryWire;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "ikebana-internal-"));
  ({ client, gateway, wire } = await pairOfEngines({
    stateDirectory: directory,
    clientPolicy: { asks: { ipv4: true, ipv6: true }, children: [child(EVERYTHING, EVERYTHING)] },
    gatewayPolicy: {
      gives: { dns: ["10.77.0.1"], subnets: [], domains: [] },
      children: [child(["10.2.0.0/24"], POOLS)],
    },
    inside: { pools: POOLS, masquerades: false, reachEachOther: false },
  }));
});

afterEach(async () => {
  await Promise.all([client, gateway].map(({ engine }) => engine.stop()));
  rmSync(directory, { recursive: true });
});

function child(local: readonly string[], remote: readonly string[]): ChildPolicy {
  return {
    name: "all",
    local: selectorsFromPrefixes(local),
    remote: selectorsFromPrefixes(remote),
    espProposals: [parseEspProposal("aes256gcm16")],
    replayWindowPackets: 1024,
  };
}

/** What the client's machine has for the tunnel. */
function clientMachine(): unknown {
  const isInside = ({ link }: { readonly link?: string }): boolean => link === "ikebana0";
  return {
    addresses: client.network
      .addresses()
      .filter(isInside)
      .map(({ address }) => address),
    routes: client.network
      .routes()
      .filter(isInside)
      .map(({ destination, source }) => `${destination} from ${source}`),
    names: client.resolver.settings?.servers,
  };
}

const NOTHING = { addresses: [], routes: [], names: undefined };
const GRANTED = {
  addresses: ["10.77.0.2", "fd77::2"],
  routes: ["10.2.0.0/24 from 10.77.0.2"],
  names: ["10.77.0.1"],
};

const toServer = (source: string): Uint8Array => innerPacket({ source, destination: "10.2.0.1" });

describe("a client that asks its gateway for addresses", () => {
  test("has them, and what lies behind, for as long as it wants to be connected", async () => {
    expect(clientMachine()).toEqual(NOTHING);
    expect(await client.engine.up("site")).toMatchObject({ kind: "done" });
    await client.settle();
    expect(clientMachine()).toEqual(GRANTED);
    expect(gateway.engine.status().pools).toEqual([
      { prefix: "10.77.0.0/24", inUse: 1, limit: 253 },
      { prefix: "fd77::/64", inUse: 1, limit: 16_777_214 },
    ]);
    expect(client.engine.status()).not.toHaveProperty("pools");
    client.tun.inject(toServer("10.77.0.2"));
    expect(await gateway.nextPacket()).toEqual(toServer("10.77.0.2"));
    await client.engine.down("site");
    await client.settle();
    expect(clientMachine()).toEqual(NOTHING);
    expect(gateway.engine.status().pools!.map(({ inUse }) => inUse)).toEqual([0, 0]);
    expect(await client.engine.up("site")).toMatchObject({ kind: "done" });
    await client.settle();
    expect(clientMachine()).toEqual(GRANTED);
    await gateway.engine.stop();
    const { leases } = JSON.parse(readFileSync(join(directory, "gateway/leases.json"), "utf8"));
    expect(leases).toMatchObject([{ addresses: ["10.77.0.2", "fd77::2"] }]);
  });

  test("sends nothing in clear when the gateway ends it, and nothing else takes its place", async () => {
    await client.engine.up("site");
    await gateway.engine.down("site");
    await client.settle();
    expect(client.engine.status().connections[0]!.ikeSa).toBeUndefined();
    expect(clientMachine()).toEqual(GRANTED);
    const seen: Uint8Array[] = [];
    wire.onDatagram = ({ octets }) => seen.push(octets.slice());
    client.tun.inject(toServer("10.77.0.2"));
    await client.settle();
    expect(seen).toEqual([]);
    expect(client.engine.status().dataPlane.drops).toMatchObject({ noSa: 1 });
    await client.engine.down("site");
    await client.settle();
    expect(clientMachine()).toEqual(NOTHING);
  });

  test("cannot take somebody else's address", async () => {
    await client.engine.up("site");
    client.tun.inject(toServer("10.77.0.3"));
    client.tun.inject(toServer("10.77.0.2"));
    expect(await gateway.nextPacket()).toEqual(toServer("10.77.0.2"));
  });
});
