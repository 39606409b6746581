import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { joinNamespaces } from "../../src/platform/namespaces.ts";
import { LinuxNetwork } from "../../src/platform/network/linux-network.ts";
import { PacketCapture } from "../../src/platform/packet-capture.ts";
import { createLinuxSystemCalls } from "../../src/platform/system-calls/linux-system-calls.ts";
import type { ConnectionPolicy } from "../../src/policy/connection.ts";
import { echoRequests } from "../support/carried.ts";
import type { HostProcess } from "../support/host-process.ts";
import { type Additions, startMachine } from "../support/machine.ts";
import { createHost, requireRoot, type TestHost } from "../support/namespace.ts";
import { command } from "../support/routed-tunnel.ts";
import { until } from "../support/waiting.ts";

// [ client ] 192.0.2.1 ------- a [ gateway ] out 198.51.100.254 ------- 198.51.100.1 [ server ]
//                                                2001:db8::fe           2001:db8::1
//
// The client gets its addresses from the gateway and sends everything into the tunnel. The server's DNS answers each question with the
// address that it came from.

const NAMES_OF_OLD = "nameserver 192.0.2.254\noptions timeout:1 attempts:1\n";

const mayRun = requireRoot("a client's network");

describe.skipIf(!mayRun)("a client's network", () => {
  if (!mayRun) return;
  let directory: string;
  let client: TestHost;
  let gateway: TestHost;
  let server: TestHost;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "ikebana-client-"));
    [client, gateway, server] = await Promise.all([createHost(), createHost(), createHost()]);
    const join_ = (
      host: TestHost,
      link: string,
      ours: readonly string[],
      gateways: readonly string[],
    ): void =>
      joinNamespaces(
        createLinuxSystemCalls(),
        { pid: host.pid, link: "wire0", prefixes: ours },
        { pid: gateway.pid, link, prefixes: gateways },
      );
    join_(client, "a", ["192.0.2.1/24"], ["192.0.2.254/24"]);
    join_(server, "out", ["198.51.100.1/24", "2001:db8::1/64"], ["198.51.100.254/24", "2001:db8::fe/64"]);
    command(client, "ip", ["route", "add", "default", "via", "192.0.2.254"]);
    command(client, "sysctl", ["-qw", "net.ipv4.conf.wire0.rp_filter=1"]);
    // As in a container: the file is a mount, and another than that of this machine.
    writeFileSync(resolvConf(), NAMES_OF_OLD);
    command(client, "mount", ["--bind", resolvConf(), "/etc/resolv.conf"]);
    server.start(process.execPath, ["-e", ANSWERS_WITH_WHO_ASKS], { stdio: "ignore" });
  });

  afterAll(async () => {
    await Promise.all([client, gateway, server].map((host) => host.close()));
    rmSync(directory, { recursive: true });
  });

  function resolvConf(): string {
    return join(directory, "resolv.conf");
  }

  const start = (side: "client" | "gateway", additions: Additions): Promise<HostProcess> =>
    startMachine(side === "client" ? client : gateway, {
      directory,
      name: side,
      configuration: configuration(side),
      additions,
    });

  const startGateway = (): Promise<HostProcess> =>
    start("gateway", {
      gateway: {
        pools: ["10.77.0.0/24", "fd77::/64"],
        masquerades: true,
        reachEachOther: false,
        dns: ["198.51.100.1"],
        subnets: ["10.64.0.0/10", "198.51.100.0/24"],
      },
      connections: { client: { gives: { dns: ["198.51.100.1"], subnets: [], domains: [] } } },
    });

  const startClient = (more: Partial<ConnectionPolicy> = {}): Promise<HostProcess> =>
    start("client", { connections: { gateway: { asks: { ipv4: true, ipv6: true }, ...more } } });

  /** Whom the resolver of the client's choice sees. */
  async function whoAsksForNames(): Promise<string> {
    let seen = "";
    await until("the resolver answers", () => {
      seen = client.run(process.execPath, ["-e", ASKS_FOR_NAMES]).stdout;
      return seen !== "";
    });
    return seen;
  }

  function clientState(): unknown {
    const run = (...[program, ...args]: readonly [string, ...string[]]): string =>
      client.run(program, args).stdout;
    return {
      rules: run("ip", "rule") + run("ip", "-6", "rule"),
      routes: run("ip", "route") + run("ip", "-6", "route"),
      filter: run("sysctl", "net.ipv4.conf.wire0.rp_filter"),
      names: readFileSync(resolvConf(), "utf8"),
    };
  }

  /** Answered ones of three. `patience`: "-w" and for how long to go on until there are three, or "-W" and how long to wait for the first. */
  function pings(to: string, patience: readonly ["-w" | "-W", string]): number {
    const { stdout } = client.run("ping", ["-c", "3", "-i", "0.02", ...patience, to]);
    return Number(/(\d+) received/.exec(stdout)?.[1]);
  }

  const echoesAtServer = (): number => echoRequests(server);

  test("goes through the tunnel with everything, names among it, leaks nothing when the gateway dies, and is put back", async () => {
    const before = clientState();
    const link = gateway.inside(() => {
      const network = new LinuxNetwork(createLinuxSystemCalls());
      const index = network.linkIndex("a")!;
      network.close();
      return index;
    });
    const firstGateway = await startGateway();
    const first = await startClient();
    const isUp = (): boolean => readFileSync(resolvConf(), "utf8").includes("198.51.100.1");
    await until("the client is connected", isUp, { describe: () => `${first.out}\n${firstGateway.out}` });
    const capture = gateway.inside(() => new PacketCapture({ link }));
    try {
      expect(await whoAsksForNames()).toBe("198.51.100.254");
      for (const address of ["198.51.100.1", "2001:db8::1", "10.77.0.1", "fd77::1"])
        expect(pings(address, ["-w", "10"])).toBe(3);
      const { stdout: addresses } = client.run("ip", ["-br", "addr", "show", "dev", "ikebana0"]);
      expect(addresses).toContain("10.77.0.2/32 fd77::2/128");
      const routes = "0a0a400a4d000118c633640a4d0001"; // 10.64.0.0/10 and 198.51.100.0/24, both by 10.77.0.1
      expect(client.run(process.execPath, ["-e", INFORMS]).stdout).toContain(`f90f${routes}`);
      capture.poll();
      expect(capture.counts).toMatchObject({ other: 0 });
      expect(capture.counts["esp-in-udp"]).toBeGreaterThan(10);
    } finally {
      capture.close();
    }

    // Whom it asked for the way before the tunnel was there would forward what comes in clear.
    await firstGateway.stop("SIGKILL");
    const echoes = echoesAtServer();
    for (const address of ["198.51.100.1", "2001:db8::1"]) expect(pings(address, ["-W", "0.2"])).toBe(0);
    expect(echoesAtServer()).toBe(echoes);

    await first.stop("SIGKILL");
    expect(clientState()).not.toEqual(before);
    const second = await startClient({ start: "respond" });
    expect(clientState()).toEqual(before);
    await second.stop();
    expect(clientState()).toEqual(before);

    const again = await startGateway();
    const third = await startClient();
    await until("the client is connected again", isUp, { describe: () => third.out });
    expect(client.run("ip", ["-br", "addr", "show", "dev", "ikebana0"]).stdout).toContain("10.77.0.2/32");
    await third.stop();
    expect(clientState()).toEqual(before);
    await again.stop();
  });
});

const ANSWERS_WITH_WHO_ASKS = `const socket = require("node:dgram").createSocket("udp4");
socket.on("message", (query, { address, port }) => {
  const end = query.indexOf(0, 12) + 5;
  const header = Buffer.from([query[0], query[1], 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
  const answer = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, ...address.split(".").map(Number)]);
  socket.send(Buffer.concat([header, query.subarray(12, end), answer]), port, address);
}).bind(53, "198.51.100.1");`;

/** As Windows does, to every server within the tunnel; it prints the answer. */
const INFORMS = `const socket = require("node:dgram").createSocket("udp4");
const message = Buffer.alloc(240);
message.set([1, 8, 0, 0, 1, 2, 3, 4]);
message.set([10, 77, 0, 2], 12);
message.set([0x63, 0x82, 0x53, 0x63], 236);
socket.on("message", (answer, { address }) => process.stdout.write(address + " " + answer.toString("hex"), () => process.exit()));
socket.bind(68, "10.77.0.2", () => {
  socket.setBroadcast(true);
  socket.send(Buffer.concat([message, Buffer.from([53, 1, 8, 255])]), 67, "255.255.255.255");
});
setTimeout(() => process.exit(), 3000);`;

const ASKS_FOR_NAMES = `require("node:dns").promises.resolve4("www.example.org").then(([address]) => process.stdout.write(address), () => {})`;

function configuration(side: "client" | "gateway"): string {
  const [us, peer] = side === "client" ? ["192.0.2.1", "192.0.2.254"] : ["192.0.2.254", "192.0.2.1"];
  const other = side === "client" ? "gateway" : "client";
  const [local, remote] =
    side === "client"
      ? ['["0.0.0.0/0", "::/0"]', '["0.0.0.0/0", "::/0"]']
      : ['["0.0.0.0/0", "::/0"]', '["10.77.0.0/24", "fd77::/64"]'];
  return `
socket: ${side}.sock
state: ${side}
connections:
  ${other}:
    local: { address: ${us}, id: ${side}.example.org, psk: "a secret of the test" }
    remote: { address: ${peer}, id: ${other}.example.org }
    start: ${side === "client" ? "start" : "respond"}
    children: { all: { local: ${local}, remote: ${remote} } }
`;
}
