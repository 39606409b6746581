import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { areShutters, ClientNetwork } from "../../src/engine/client-network.ts";
import type { KeptSession } from "../../src/engine/kept-session.ts";
import { TunnelRoutes } from "../../src/engine/routes.ts";
import { PlatformError } from "../../src/errors/index.ts";
import { BorrowedSettings, isBorrowed } from "../../src/platform/kernel-settings/borrowed-settings.ts";
import { MemoryKernelSettings } from "../../src/platform/kernel-settings/memory-kernel-settings.ts";
import { MemoryNetwork } from "../../src/platform/network/memory-network.ts";
import { MemoryResolver } from "../../src/platform/resolver/memory-resolver.ts";
import { StateFile } from "../../src/platform/state-file.ts";
import type { ConnectionPolicy } from "../../src/policy/connection.ts";
import type { InternalConfiguration } from "../../src/policy/internal-configuration/configuration.ts";
import { selectorsFromPrefixes } from "../../src/policy/traffic-selectors.ts";
import { initiatorPolicy } from "../support/simulator/policies.ts";

const GIVEN: InternalConfiguration = {
  addresses: ["10.77.0.5", "fd77::5"],
  dns: ["10.77.0.1"],
  subnets: [],
  domains: [],
};
const GATEWAY = "198.51.100.1";
const EVERYTHING = ["0.0.0.0/0", "::/0"];

let directory: string;
let network: MemoryNetwork;
let kernel: MemoryKernelSettings;
let resolver: MemoryResolver;
let warnings: string[];
let before: unknown;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "ikebana-client-"));
  network = new MemoryNetwork();
  for (const link of ["eth0", "ikebana0"]) {
    network.addLink(link);
    network.setLinkUp(link);
  }
  network.addAddress("eth0", "192.0.2.1/24");
  network.addRoute({ destination: "0.0.0.0/0", gateway: "192.0.2.254", link: "eth0" });
  kernel = new MemoryKernelSettings({
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/eth0/rp_filter": "1",
  });
  resolver = new MemoryResolver();
  warnings = [];
  before = state();
});
afterEach(() => rmSync(directory, { recursive: true }));

function state(): unknown {
  return {
    addresses: network.addresses(),
    routes: network.routes(),
    rules: network.rules(),
    kernel: Object.fromEntries(kernel.values),
    resolver: resolver.settings,
  };
}

/** A machine with connections, in one of its lives. */
function machine(policies: readonly ConnectionPolicy[], keptSession?: KeptSession) {
  const routes = new TunnelRoutes(network, "ikebana0", keptSession?.peer);
  const room = new ClientNetwork({
    network,
    link: "ikebana0",
    resolver,
    borrowed: new BorrowedSettings(kernel, new StateFile(join(directory, "settings.json"), isBorrowed)),
    ruleFile: new StateFile(join(directory, "rules.json"), areShutters),
    keptSession,
    onWarning: (message) => warnings.push(message),
  });
  const replace = (): void => routes.replace(room.routed(policies));
  replace();
  return {
    room,
    /** What the machine says when an attempt succeeds. */
    connect: (name: string, configuration: InternalConfiguration, remote: readonly string[]): void => {
      room.configure(name, configuration);
      room.lead(name, { remote: selectorsFromPrefixes(remote), gateway: GATEWAY }, replace);
    },
    withdraw: (name: string): void => room.withdraw(name, replace),
    stop: async (): Promise<void> => {
      routes.removeAll();
      await room.remove();
    },
  };
}

const home = client("home");

function client(name: string): ConnectionPolicy {
  const policy = initiatorPolicy({ name, local: [], remote: EVERYTHING, remoteAddress: GATEWAY });
  return { ...policy, asks: { ipv4: true, ipv6: true } };
}

function routesInto(): readonly string[] {
  return network
    .routes()
    .filter(({ link }) => link === "ikebana0")
    .map(({ destination, source, table }) => `${destination} from ${source} in ${table ?? "main"}`)
    .sort();
}

/** The resolver is told a moment later. */
const settled = (room: ClientNetwork): Promise<void> => room.settled();

describe("a client", () => {
  test("leads nothing into the tunnel before it knows its address, then everything, and is as before afterwards", async () => {
    const { room, connect, withdraw, stop } = machine([home]);
    expect(routesInto()).toEqual([]);
    connect("home", GIVEN, EVERYTHING);
    await settled(room);
    expect(network.addresses().filter(({ link }) => link === "ikebana0")).toEqual([
      { link: "ikebana0", address: "10.77.0.5", prefixLength: 32 },
      { link: "ikebana0", address: "fd77::5", prefixLength: 128 },
    ]);
    expect(routesInto()).toEqual(["0.0.0.0/0 from 10.77.0.5 in 7296000", "::/0 from fd77::5 in 7296000"]);
    expect(resolver.settings).toEqual({ link: "ikebana0", servers: ["10.77.0.1"], domains: [] });
    expect(kernel.read("net/ipv4/conf/eth0/rp_filter")).toBe("2");
    withdraw("home");
    await settled(room);
    expect(state()).toEqual(before);
    connect("home", GIVEN, EVERYTHING);
    await stop();
    expect(state()).toEqual(before);
  });

  test("leaves the answers of a login that is kept outside, by a rule that the next life takes back", async () => {
    const session = { address: "192.0.2.1", port: 22, peer: "203.0.113.5" };
    const rule = {
      ...{ family: 4, priority: 7_295, table: 254, source: "192.0.2.1/32", protocol: 6, sourcePort: 22 },
    };
    const { room, connect, withdraw, stop } = machine([home], session);
    expect(network.rules()).not.toContainEqual(rule);
    connect("home", GIVEN, EVERYTHING);
    expect(network.rules()).toContainEqual(rule);
    withdraw("home");
    await settled(room);
    expect(state()).toEqual(before);
    // Where a network of the tunnel's has the peer in it, its route would stand in the way of the main table's.
    connect("home", GIVEN, ["203.0.113.0/24", "10.0.0.0/8"]);
    expect(routesInto()).toEqual([
      "10.0.0.0/8 from 10.77.0.5 in main",
      "203.0.113.0/24 from 10.77.0.5 in 7296024",
    ]);
    await stop();
    expect(state()).toEqual(before);
    const killed = machine([home], session);
    killed.connect("home", GIVEN, EVERYTHING);
    await settled(killed.room);
    await machine([]).room.clean();
    expect(network.rules()).not.toContainEqual(rule);
  });

  test("leads only what the gateway takes, or of it what the gateway names", () => {
    const { connect } = machine([home]);
    connect("home", GIVEN, ["10.0.0.0/8", "fd00::/8"]);
    expect(routesInto()).toEqual(["10.0.0.0/8 from 10.77.0.5 in main", "fd00::/8 from fd77::5 in main"]);
    connect("home", { ...GIVEN, subnets: ["10.1.0.0/16", "192.168.0.0/16"] }, ["10.0.0.0/8"]);
    expect(routesInto()).toEqual(["10.1.0.0/16 from 10.77.0.5 in main"]);
    expect(kernel.read("net/ipv4/conf/eth0/rp_filter")).toBe("1");
  });

  test("moves to another address without a moment in which its packets take another way", () => {
    const { connect } = machine([home]);
    connect("home", GIVEN, ["10.0.0.0/8"]);
    const gaps: string[] = [];
    for (const verb of ["addRoute", "removeRoute", "removeAddress"] as const) {
      const original = network[verb].bind(network) as (...args: unknown[]) => void;
      (network as unknown as Record<string, unknown>)[verb] = (...args: unknown[]) => {
        original(...args);
        if (!network.routes().some(({ destination }) => destination === "10.0.0.0/8")) gaps.push(verb);
      };
    }
    connect("home", { ...GIVEN, addresses: ["10.77.0.6"] }, ["10.0.0.0/8"]);
    expect(gaps).toEqual([]);
    expect(routesInto()).toEqual(["10.0.0.0/8 from 10.77.0.6 in main"]);
    expect(network.addresses().map(({ address }) => address)).toEqual(["192.0.2.1", "10.77.0.6"]);
  });

  test("with everything of one family in the tunnel keeps the other one from going past it", async () => {
    const { connect, stop } = machine([home]);
    connect("home", { ...GIVEN, addresses: ["10.77.0.5"] }, ["0.0.0.0/0"]);
    expect(network.rules().filter(({ priority }) => priority === 7560 || priority === 7561)).toEqual([
      { family: 6, priority: 7560, table: 254, suppressPrefixLength: 0 },
      { family: 6, priority: 7561, table: "prohibit", mark: 0x696b6562, isInverted: true },
    ]);
    connect("home", { ...GIVEN, addresses: ["10.77.0.5"] }, ["10.0.0.0/8"]);
    expect(network.rules().some(({ table }) => table === "prohibit")).toBe(false);
    await stop();
    expect(state()).toEqual(before);
  });

  test("asks about domains only, unless another connection has all names asked about", async () => {
    const { room, connect, withdraw } = machine([home, client("office")]);
    const domains = [{ name: "corp.example.org", trustAnchors: [] }];
    connect("office", { addresses: ["10.78.0.5"], dns: ["10.78.0.1"], subnets: [], domains }, ["10.0.0.0/8"]);
    await settled(room);
    expect(resolver.settings).toMatchObject({ servers: ["10.78.0.1"], domains: ["corp.example.org"] });
    connect("home", GIVEN, ["192.168.0.0/16"]);
    await settled(room);
    expect(resolver.settings).toMatchObject({ servers: ["10.78.0.1", "10.77.0.1"], domains: [] });
    withdraw("home");
    await settled(room);
    expect(resolver.settings).toMatchObject({ servers: ["10.78.0.1"], domains: ["corp.example.org"] });
  });

  test("goes on without names where the resolver refuses, and says so", async () => {
    resolver.set = () =>
      Promise.reject(new PlatformError("write /etc/resolv.conf: EROFS", { code: "EROFS" }));
    const { room, connect } = machine([home]);
    connect("home", GIVEN, EVERYTHING);
    await settled(room);
    expect(routesInto()).toHaveLength(2);
    expect(warnings).toEqual(["DNS is as it was: write /etc/resolv.conf: EROFS"]);
  });

  test("that was killed is cleaned up after by its next life", async () => {
    const killed = machine([home]);
    killed.connect("home", { ...GIVEN, addresses: ["10.77.0.5"] }, ["0.0.0.0/0"]);
    await settled(killed.room);
    network.deleteLink("ikebana0"); // its addresses and routes go with it
    const { room } = machine([]);
    const others = { family: 6, priority: 7561, table: 254 } as const;
    network.addRule(others);
    await room.clean();
    expect(network.rules()).toContainEqual(others);
    network.removeRule(others);
    expect(state()).toEqual(before);
  });

  test("leaves connections without virtual addresses as they are, and those that wait for a packet", () => {
    machine([initiatorPolicy({ remoteAddress: GATEWAY }), home]);
    expect(routesInto()).toEqual(["10.2.0.0/16 from undefined in main"]);
    machine([{ ...home, start: "trap" }]);
    expect(routesInto()).toContain("0.0.0.0/0 from undefined in 7296000");
  });
});
