import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { joinNamespaces } from "../../src/platform/namespaces.ts";
import { createLinuxSystemCalls } from "../../src/platform/system-calls/linux-system-calls.ts";
import type { HostProcess } from "../support/host-process.ts";
import { type IkebanaDaemon, startIkebana } from "../support/ikebana.ts";
import { startMachine } from "../support/machine.ts";
import { createHost, requireRoot, type TestHost } from "../support/namespace.ts";
import { command } from "../support/routed-tunnel.ts";
import { until } from "../support/waiting.ts";

// One machine with two gateways, which have a TUN device, an address and a state each:
//
//   10.77.0.2 [ anna ] 192.0.2.1 ---- 192.0.2.254 a    [ vpn0    ]
//                                                      [ machine ] out 198.51.100.254 ---- 198.51.100.1 [ server ]
//   10.78.0.2 [ bert ] 203.0.113.1 -- 203.0.113.254 b  [ vpn1    ]
//
// The clients send everything into their tunnels, and the machine leaves under its own address.

const SIDES = {
  anna: { tun: "vpn0", link: "a", outside: "192.0.2.1", gateway: "192.0.2.254", pool: "10.77.0.0/24" },
  bert: { tun: "vpn1", link: "b", outside: "203.0.113.1", gateway: "203.0.113.254", pool: "10.78.0.0/24" },
} as const;
type Side = keyof typeof SIDES;
const NAMES = ["anna", "bert"] as const;
const insideOf = (side: Side): string => SIDES[side].pool.replace("0/24", "2");

const WHAT = "two gateways on one machine";
const mayRun = requireRoot(WHAT);

describe.skipIf(!mayRun)(WHAT, () => {
  if (!mayRun) return;
  let directory: string;
  let hosts: Record<Side | "machine" | "server", TestHost>;
  const gateways: Partial<Record<Side, HostProcess>> = {};
  const clients: Partial<Record<Side, IkebanaDaemon>> = {};

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "ikebana-gateways-"));
    const [anna, bert, machine, server] = await Promise.all([1, 2, 3, 4].map(() => createHost()));
    hosts = { anna: anna!, bert: bert!, machine: machine!, server: server! };
    for (const name of NAMES) {
      const { link, outside, gateway } = SIDES[name];
      connect(hosts[name], { link, ours: `${outside}/24`, machines: `${gateway}/24` });
      command(hosts[name], "ip", ["addr", "add", insideOf(name), "dev", "lo"]);
      command(hosts[name], "ip", ["route", "add", "default", "via", gateway]);
    }
    connect(hosts.server, { link: "out", ours: "198.51.100.1/24", machines: "198.51.100.254/24" });
    command(hosts.server, "ip", ["route", "add", "192.0.2.0/24", "via", "198.51.100.254"]);
  });

  afterAll(async () => {
    for (const daemon of Object.values(clients)) await daemon.stop("SIGKILL");
    for (const gateway of Object.values(gateways)) await gateway.stop("SIGKILL");
    await Promise.all(Object.values(hosts).map((host) => host.close()));
    rmSync(directory, { recursive: true });
  });

  function connect(
    host: TestHost,
    { link, ours, machines }: { readonly link: string; readonly ours: string; readonly machines: string },
  ): void {
    joinNamespaces(
      createLinuxSystemCalls(),
      { pid: host.pid, link: "wire0", prefixes: [ours] },
      { pid: hosts.machine.pid, link, prefixes: [machines] },
    );
  }

  async function startGateway(side: Side): Promise<void> {
    gateways[side] = await startMachine(hosts.machine, {
      directory,
      name: SIDES[side].tun,
      configuration: gatewayConfiguration(side),
      additions: { gateway: { pools: [SIDES[side].pool], masquerades: true, reachEachOther: false } },
    });
  }

  async function endGateway(side: Side, signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    await gateways[side]!.stop(signal);
    delete gateways[side];
  }

  async function connectClient(side: Side): Promise<void> {
    await clients[side]?.stop("SIGKILL");
    const client = await startIkebana(hosts[side], clientConfiguration(side));
    clients[side] = client;
    const isUp = async (): Promise<boolean> => (await client.connection()).ikeSa?.children[0] !== undefined;
    await until(`${side} is connected`, isUp, { describe: () => client.log });
  }

  /** How many of three pings to the server are answered, within `wait`. */
  function pings(from: TestHost, to: string, wait: readonly string[]): number {
    const { stdout } = from.run("ping", ["-c", "3", "-i", "0.02", ...wait, to]);
    return Number(/(\d+) received/.exec(stdout)?.[1]);
  }

  function expectForwarded(side: Side): void {
    expect({ side, answered: pings(hosts[side], "198.51.100.1", ["-w", "10"]) }).toEqual({
      side,
      answered: 3,
    });
  }

  /** Nobody but the gateways wanted the machine to forward. */
  function expectNoRouter(): void {
    expect(pings(hosts.server, "192.0.2.1", ["-W", "0.2"])).toBe(0);
  }

  function machineState(): unknown {
    const run = (...[program, ...args]: readonly [string, ...string[]]): string =>
      hosts.machine.run(program, args).stdout;
    return {
      tables: run("nft", "list", "ruleset"),
      rules: run("ip", "rule"),
      links: run("ip", "-o", "link").split("\n").length,
      forwarding: run("sysctl", "net.ipv4.ip_forward"),
    };
  }

  test("both forward for their clients and for nobody else, whichever is killed, comes again or ends", async () => {
    const before = machineState();
    await startGateway("anna");
    await startGateway("bert");
    await Promise.all(NAMES.map(connectClient));
    for (const side of NAMES) expectForwarded(side);
    expectNoRouter();

    await endGateway("anna", "SIGTERM");
    expectForwarded("bert");
    expectNoRouter();

    await startGateway("anna");
    await endGateway("anna", "SIGKILL");
    expectForwarded("bert");
    await startGateway("anna");
    await connectClient("anna");
    for (const side of NAMES) expectForwarded(side);
    expectNoRouter();

    await endGateway("bert", "SIGTERM");
    expectForwarded("anna");
    expectNoRouter();
    await endGateway("anna", "SIGTERM");
    expect(machineState()).toEqual(before);
  });

  test("that end at once, or of which one is killed before the other ends, leave nothing behind but what the next life takes back", async () => {
    const before = machineState();
    await Promise.all(NAMES.map(startGateway));
    await Promise.all(NAMES.map((side) => endGateway(side, "SIGTERM")));
    expect(machineState()).toEqual(before);

    await Promise.all(NAMES.map(startGateway));
    await endGateway("anna", "SIGKILL");
    await endGateway("bert", "SIGTERM");
    expect(hosts.machine.run("sysctl", ["-n", "net.ipv4.ip_forward"]).stdout).toBe("0\n");
    await startGateway("anna");
    await endGateway("anna", "SIGTERM");
    expect(machineState()).toEqual(before);
  });
});

function clientConfiguration(side: Side): string {
  const { outside, gateway } = SIDES[side];
  return `
socket: ikebana.sock
state: state
connections:
  gateway:
    local: { address: ${outside}, id: ${side}.example.org, psk: "a secret of the test" }
    remote: { address: ${gateway}, id: gateway.example.org }
    children: { all: { local: ${insideOf(side)}, remote: 0.0.0.0/0 } }
`;
}

function gatewayConfiguration(side: Side): string {
  const { tun, outside, gateway } = SIDES[side];
  return `
socket: ${tun}.sock
state: ${tun}-state
tun: ${tun}
listen: ${gateway}
connections:
  ${side}:
    local: { address: ${gateway}, id: gateway.example.org, psk: "a secret of the test" }
    remote: { address: ${outside}, id: ${side}.example.org }
    start: respond
    children: { all: { local: 0.0.0.0/0, remote: ${insideOf(side)} } }
`;
}
