import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { InsideNetwork } from "../../src/engine/gateway-network.ts";
import { joinNamespaces } from "../../src/platform/namespaces.ts";
import { createLinuxSystemCalls } from "../../src/platform/system-calls/linux-system-calls.ts";
import { echoRequests } from "../support/carried.ts";
import type { HostProcess } from "../support/host-process.ts";
import { type IkebanaDaemon, startIkebana } from "../support/ikebana.ts";
import { startMachine } from "../support/machine.ts";
import { createHost, requireRoot, type TestHost } from "../support/namespace.ts";
import { command } from "../support/routed-tunnel.ts";
import { until } from "../support/waiting.ts";

// 10.77.0.2  [ anna ] 192.0.2.1 ------- a [         ]
// fd77::2                                  [ gateway ] out 198.51.100.254 ------- 198.51.100.1 [ server ]
// 10.77.0.3  [ bert ] 203.0.113.1 ----- b [         ]     2001:db8::fe           2001:db8::1
// fd77::3
//
// The clients send everything into their tunnels. The server knows no way back to 10.77.0.0/24 and fd77::/64.

const POOLS = ["10.77.0.0/24", "fd77::/64"];
const CLIENTS = {
  anna: { outside: "192.0.2.1", gateway: "192.0.2.254", inside: ["10.77.0.2", "fd77::2"] },
  bert: { outside: "203.0.113.1", gateway: "203.0.113.254", inside: ["10.77.0.3", "fd77::3"] },
} as const;
type Client = keyof typeof CLIENTS;

const mayRun = requireRoot("a gateway's network");

describe.skipIf(!mayRun)("a gateway's network", () => {
  if (!mayRun) return;
  let directory: string;
  let hosts: Record<Client | "gateway" | "server", TestHost>;
  let daemons: IkebanaDaemon[] = [];

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "ikebana-gateway-"));
    const [anna, bert, gateway, server] = await Promise.all([
      createHost(),
      createHost(),
      createHost(),
      createHost(),
    ]);
    hosts = { anna, bert, gateway, server };
    connect(anna, "a", ["192.0.2.1/24"], ["192.0.2.254/24"]);
    connect(bert, "b", ["203.0.113.1/24"], ["203.0.113.254/24"]);
    connect(server, "out", ["198.51.100.1/24", "2001:db8::1/64"], ["198.51.100.254/24", "2001:db8::fe/64"]);
    for (const name of ["anna", "bert"] as const) {
      for (const address of CLIENTS[name].inside)
        command(hosts[name], "ip", ["addr", "add", address, "dev", "lo"]);
      command(hosts[name], "ip", ["route", "add", "default", "via", CLIENTS[name].gateway]);
    }
    server.start(process.execPath, ["-e", TELLS_WHO_CALLS], { stdio: "ignore" });
  });

  afterAll(async () => {
    for (const daemon of daemons) await daemon.stop("SIGKILL");
    await Promise.all(Object.values(hosts).map((host) => host.close()));
    rmSync(directory, { recursive: true });
  });

  function connect(host: TestHost, link: string, ours: readonly string[], gateways: readonly string[]): void {
    joinNamespaces(
      createLinuxSystemCalls(),
      { pid: host.pid, link: "wire0", prefixes: ours },
      { pid: hosts.gateway.pid, link, prefixes: gateways },
    );
  }

  const startGateway = (inside: InsideNetwork): Promise<HostProcess> =>
    startMachine(hosts.gateway, {
      directory,
      name: "gateway",
      configuration: gatewayConfiguration(),
      additions: { gateway: inside },
    });

  async function connectClients(): Promise<void> {
    for (const daemon of daemons) await daemon.stop("SIGKILL");
    daemons = await Promise.all(
      (["anna", "bert"] as const).map((name) => startIkebana(hosts[name], clientConfiguration(name))),
    );
    for (const daemon of daemons) {
      await until(
        "a client is connected",
        async () => (await daemon.connection()).ikeSa?.children[0] !== undefined,
      );
    }
  }

  /** What the server says to anna's question who she is. */
  async function askServer(address: string): Promise<string> {
    let answer = "";
    await until("the server answers", () => {
      answer = hosts.anna.run(process.execPath, ["-e", ASKS, address]).stdout;
      return answer !== "";
    });
    return answer;
  }

  /** Pings until three are answered. */
  function pings(from: TestHost, to: string): number {
    return answered(from, ["-w", "10", to]);
  }

  /** Three pings that nobody should answer. */
  function pingsInVain(from: TestHost, to: string): number {
    return answered(from, ["-W", "0.2", to]);
  }

  function answered(from: TestHost, words: readonly string[]): number {
    const { stdout } = from.run("ping", ["-c", "3", "-i", "0.02", ...words]);
    return Number(/(\d+) received/.exec(stdout)?.[1]);
  }

  /** Echo requests that anna's host has received. */
  const echoesAtAnna = (): number => echoRequests(hosts.anna);

  function gatewayState(): unknown {
    const run = (...[program, ...args]: readonly [string, ...string[]]): string =>
      hosts.gateway.run(program, args).stdout;
    return {
      tables: run("nft", "list", "ruleset"),
      rules: run("ip", "rule") + run("ip", "-6", "rule"),
      forwarding: run(
        "sysctl",
        "net.ipv4.ip_forward",
        "net.ipv6.conf.all.forwarding",
        "net.ipv6.conf.out.accept_ra",
      ),
    };
  }

  test("hides its clients behind its own addresses, keeps them apart, and is as it was after kill -9 and another life", async () => {
    const before = gatewayState();
    const first = await startGateway({ pools: POOLS, masquerades: true, reachEachOther: false });
    await connectClients();
    expect(await askServer("198.51.100.1")).toBe("198.51.100.254");
    expect(await askServer("2001:db8::1")).toBe("2001:db8::fe");
    for (const own of ["10.77.0.1", "fd77::1"]) expect(pings(hosts.anna, own)).toBe(3);
    // Nobody outside begins to talk to a client, or has the gateway forward what is not for us.
    for (const route of ["10.77.0.0/24", "192.0.2.0/24"])
      command(hosts.server, "ip", ["route", "add", route, "via", "198.51.100.254"]);
    command(hosts.server, "ip", ["route", "add", "fd77::/64", "via", "2001:db8::fe"]);
    const echoes = echoesAtAnna();
    for (const address of ["10.77.0.2", "192.0.2.1", "fd77::2"])
      expect(pingsInVain(hosts.server, address)).toBe(0);
    for (const address of CLIENTS.anna.inside) expect(pingsInVain(hosts.bert, address)).toBe(0);
    expect(echoesAtAnna()).toBe(echoes);

    await first.stop("SIGKILL");
    expect(gatewayState()).not.toEqual(before);
    const second = await startGateway({ pools: POOLS, masquerades: false, reachEachOther: true });
    await connectClients();
    expect(JSON.stringify(gatewayState())).not.toContain("masquerade");
    for (const address of CLIENTS.anna.inside) expect(pings(hosts.bert, address)).toBe(3);
    expect(echoesAtAnna()).toBeGreaterThanOrEqual(echoes + 6);
    // Without NAT the server sees who it is, and knows the way back by now.
    expect(await askServer("198.51.100.1")).toBe("10.77.0.2");
    expect(pingsInVain(hosts.server, "192.0.2.1")).toBe(0);

    await second.stop();
    expect(gatewayState()).toEqual(before);
    const third = await startGateway({ pools: POOLS, masquerades: true, reachEachOther: false });
    await third.stop("SIGKILL");
    // Nor does it need to be a gateway again to clean up.
    const daemon = await startIkebana(hosts.gateway, gatewayConfiguration(), {
      directory,
      keepDirectory: true,
    });
    await daemon.stop();
    expect(gatewayState()).toEqual(before);
  });
});

const TELLS_WHO_CALLS = `require("node:net").createServer((call) => call.end(call.remoteAddress.replace("::ffff:", ""))).listen(7000, "::")`;
const ASKS = `const call = require("node:net").connect(7000, process.argv[1]); call.pipe(process.stdout);
call.on("error", () => {}); setTimeout(() => process.exit(), 3000).unref();`;

function clientConfiguration(name: Client): string {
  const { outside, gateway, inside } = CLIENTS[name];
  return `
socket: ikebana.sock
state: state
connections:
  gateway:
    local: { address: ${outside}, id: ${name}.example.org, psk: "a secret of the test" }
    remote: { address: ${gateway}, id: gateway.example.org }
    children: { all: { local: [${inside.map((address) => `"${address}"`).join(", ")}], remote: ["0.0.0.0/0", "::/0"] } }
`;
}

function gatewayConfiguration(): string {
  const connections = Object.entries(CLIENTS).map(
    ([name, { outside, gateway, inside }]) => `
  ${name}:
    local: { address: ${gateway}, id: gateway.example.org, psk: "a secret of the test" }
    remote: { address: ${outside}, id: ${name}.example.org }
    start: respond
    children: { all: { local: ["0.0.0.0/0", "::/0"], remote: [${inside.map((address) => `"${address}"`).join(", ")}] } }
`,
  );
  return `
socket: ikebana.sock
state: state
connections:${connections.join("")}`;
}
