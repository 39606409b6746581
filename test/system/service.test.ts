import { chownSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ControlClient } from "../../src/control/client.ts";
import { createAuthority, generateKeys, issue } from "../../src/pki/authority.ts";
import { writePem } from "../../src/pki/pem.ts";
import { serviceUnit } from "../../src/setup/service-unit.ts";
import { createSites, pingBothWays, type Sites } from "../interop/sites.ts";
import { HostProcess } from "../support/host-process.ts";
import { requireRoot, type TestHost } from "../support/namespace.ts";
import { NotifySocket } from "../support/notify-socket.ts";
import { command } from "../support/routed-tunnel.ts";
import { until } from "../support/waiting.ts";

// Two daemons as a service manager starts them: with the user and the capabilities of our unit, and a socket that they report to. The left
// one is a gateway for clients beside its tunnel to the right one, so that it needs everything that a daemon may need.

const MAIN = fileURLToPath(new URL("../../dist/src/cli/main.js", import.meta.url));
/** Where the daemons see the program: the way to it may be closed to others than root. */
const MOUNT = "/mnt";
const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** Nobody else's. */
const USER = 64_296;
const CAP_NET_ADMIN = 1n << 12n;
/** A sign of life every 200 ms. */
const WATCHDOG_USEC = 600_000;

/** Each starts twice. */
const PATIENCE_MS = 60_000;

const mayRun = requireRoot("a service without root");

interface Service {
  readonly process: HostProcess;
  readonly client: ControlClient;
  readonly manager: NotifySocket;
}

describe.skipIf(!mayRun)("a service without root", () => {
  if (!mayRun) return;
  let sites: Sites;
  let directory: string;
  const services: Service[] = [];

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "ikebana-service-"));
    await writeGatewayCertificate(directory);
    sites = await createSites();
    for (const host of [sites.left, sites.right]) command(host, "mount", ["--bind", ROOT, MOUNT]);
  });

  afterAll(async () => {
    for (const { process, manager } of services) {
      if (process.ending === undefined) await process.stop("SIGKILL");
      manager.close();
    }
    await sites.close();
    rmSync(directory, { recursive: true, force: true });
  });

  /** `path`: of the manager's socket. */
  function start(host: TestHost, name: string, configuration: string, path: string): Service {
    const file = join(directory, `${name}.yaml`);
    writeFileSync(file, configuration, { mode: 0o600 });
    for (const each of ["", ...readdirSync(directory)]) chownSync(join(directory, each), USER, USER);
    const manager = host.inside(() => new NotifySocket(path));
    const program = join(MOUNT, MAIN.slice(ROOT.length));
    const words = [...asUnit(), process.execPath, program, "up", "-c", file] as const;
    const environment = { NOTIFY_SOCKET: path, WATCHDOG_USEC: String(WATCHDOG_USEC) };
    const service: Service = {
      process: new HostProcess(host, ["setpriv", ...words], environment),
      client: new ControlClient(join(directory, `${name}.sock`)),
      manager,
    };
    services.push(service);
    return service;
  }

  test("does all that a daemon does, tells the manager how it is, and has no right left that it does not need", async () => {
    const before = machine(sites.left);
    const right = start(sites.right, "right", configuration("right"), join(directory, "manager"));
    const left = start(sites.left, "left", configuration("left") + GATEWAY, "@ikebana-test-manager");
    const describe = (): string => [left, right].map(({ process }) => process.out + process.error).join("\n");
    for (const { manager, client, tcp } of [
      { ...right, tcp: [] },
      { ...left, tcp: ["0.0.0.0:443/tcp", "[::]:443/tcp"] },
    ]) {
      await until("it is ready", () => manager.messages.length > 0, {
        timeoutMs: PATIENCE_MS,
        describe,
      });
      expect(manager.messages[0]).toMatch(/^READY=1\nSTATUS=ready: connections? /);
      const { listen } = await client.status();
      expect(listen.filter((place) => place.endsWith("/tcp"))).toEqual(tcp);
      expect(listen).toHaveLength(4 + tcp.length);
    }
    for (const { process } of [left, right]) {
      await until("it says so in its log", () => process.out.includes("ready: connection"), { describe });
      expect(process.out.match(/ready: connections? /g)).toHaveLength(1);
      expect(process.out + process.error).not.toMatch(/ (warning|error) /);
    }

    for (const { process } of [left, right]) expect(new Set(rightsOf(process.pid))).toEqual(new Set([LEAST]));
    // Of both: IKE on port 500, raw ESP, routes and addresses. Of the gateway: forwarding, source NAT, and port 67 for Windows.
    const isUp = async ({ client }: Service): Promise<boolean> =>
      (await client.status()).connections.some(({ ikeSa }) => ikeSa?.children.length === 1);
    await until("the tunnel is up", async () => (await isUp(left)) && (await isUp(right)), {
      timeoutMs: PATIENCE_MS,
      describe,
    });
    expect(await pingBothWays(sites)).toEqual([]);
    const during = machine(sites.left);
    expect(during).toMatchObject({ forwarding: "1", ports: expect.arrayContaining([67, 500, 4500]) });
    expect(during.rules).toContain("masquerade");

    await left.manager.oneMore("WATCHDOG=1");
    left.process.signal("SIGSTOP");
    await until("it is stopped", () => isStopped(left.process.pid));
    const stopped = left.manager.count("WATCHDOG=1");
    for (let i = 0; i < 5; i++) await right.manager.oneMore("WATCHDOG=1");
    expect(left.manager.count("WATCHDOG=1")).toBe(stopped);
    left.process.signal("SIGCONT");
    await left.manager.oneMore("WATCHDOG=1");

    const beforeReload = microseconds();
    left.process.signal("SIGHUP");
    await left.manager.oneMore("READY=1");
    const reloads = left.manager.messages.filter((message) => message.startsWith("RELOADING=1\n"));
    expect(reloads).toEqual([expect.stringMatching(/^RELOADING=1\nMONOTONIC_USEC=\d+$/)]);
    const reloadedAt = Number(reloads[0]!.split("=")[2]);
    expect([beforeReload <= reloadedAt, reloadedAt <= microseconds()]).toEqual([true, true]);

    for (const { process, manager } of [left, right]) {
      process.signal("SIGTERM");
      expect(await process.ended).toEqual({ code: 0, signal: null });
      expect(manager.messages.some((message) => message.startsWith("STOPPING=1\n"))).toBe(true);
    }
    expect(machine(sites.left)).toEqual(before);
  });
});

/** Of the clock that systemd compares with. */
function microseconds(): number {
  return Number(process.hrtime.bigint() / 1000n);
}

/** What systemd does by the unit, as words of setpriv. */
function asUnit(): readonly string[] {
  const unit = serviceUnit({ node: "", program: "", config: "" });
  const [, names = ""] = /^AmbientCapabilities=(.*)$/m.exec(unit)!;
  const set = ["-all", ...names.split(" ").map((name) => name.replace("CAP_", "+").toLowerCase())].join(",");
  return [
    ...["--reuid", String(USER), "--regid", String(USER), "--clear-groups", "--no-new-privs"],
    ...["--inh-caps", set, "--ambient-caps", set, "--bounding-set", set, "--"],
  ];
}

const LEAST = JSON.stringify({
  uid: String(USER),
  permitted: true,
  effective: true,
  ambient: true,
  noNewPrivileges: "1",
});

/** Of each thread: whether its capabilities are CAP_NET_ADMIN alone. */
function rightsOf(pid: number): readonly string[] {
  return readdirSync(`/proc/${pid}/task`).map((thread) => {
    const text = readFileSync(`/proc/${pid}/task/${thread}/status`, "utf8");
    const value = (name: string): string => new RegExp(`^${name}:\\s*(\\w+)`, "m").exec(text)![1]!;
    const isLeast = (name: string): boolean => BigInt(`0x${value(name)}`) === CAP_NET_ADMIN;
    return JSON.stringify({
      uid: value("Uid"),
      permitted: isLeast("CapPrm"),
      effective: isLeast("CapEff"),
      ambient: isLeast("CapAmb"),
      noNewPrivileges: value("NoNewPrivs"),
    });
  });
}

/** Each of its threads. */
function isStopped(pid: number): boolean {
  const stateOf = (thread: string): string => readFileSync(`/proc/${pid}/task/${thread}/stat`, "utf8");
  return readdirSync(`/proc/${pid}/task`).every((thread) => /\) T /.test(stateOf(thread)));
}

function machine(host: TestHost): {
  forwarding: string;
  rules: string;
  ports: readonly number[];
  links: string;
} {
  const table = command(host, "cat", ["/proc/net/udp"]);
  const ports = [...table.matchAll(/^\s*\d+: [0-9A-F]{8}:([0-9A-F]{4})/gm)].map(([, port]) =>
    Number.parseInt(port!, 16),
  );
  return {
    forwarding: command(host, "cat", ["/proc/sys/net/ipv4/ip_forward"]).trim(),
    rules: command(host, "nft", ["list", "ruleset"]),
    ports: [...new Set(ports)].sort((a, b) => a - b),
    links: command(host, "ip", ["-br", "link"]).replaceAll(/@\S+/g, ""),
  };
}

const GATEWAY = `
listen: { tcp: 443 }
gateway:
  domain: vpn.example.org
  certificate: gateway.pem
  key: gateway.key
  auth: certificate
  ca: ca.pem
  pool: [10.77.0.0/24, "fd77::/64"]
  nat: true
`;

function configuration(side: "left" | "right"): string {
  const [ours, theirs] = side === "left" ? [SIDES.left, SIDES.right] : [SIDES.right, SIDES.left];
  return `
socket: ${side}.sock
state: ${side}-state
connections:
  site:
    local: { address: ${ours.address}, id: ${ours.id}, psk: "a secret of the test, long enough" }
    remote: { address: ${theirs.address}, id: ${theirs.id} }
    start: ${side === "left" ? "start" : "respond"}
    encapsulation: raw
    children:
      lan: { local: ${ours.inside}, remote: ${theirs.inside} }
`;
}

const SIDES = {
  left: { address: "192.0.2.1", id: "a.example.org", inside: '[10.1.0.0/24, "fd01::/64"]' },
  right: { address: "192.0.2.2", id: "b.example.org", inside: '[10.2.0.0/24, "fd02::/64"]' },
} as const;

async function writeGatewayCertificate(directory: string): Promise<void> {
  const nowMs = Date.now();
  const authority = createAuthority({ name: "CN=CA", keys: await generateKeys("p256"), nowMs });
  const { certificate, privateKey } = issue(authority, {
    purpose: "server",
    name: "CN=vpn.example.org",
    altNames: ["vpn.example.org"],
    keys: await generateKeys("p256"),
    nowMs,
  });
  const key = privateKey.export({ type: "pkcs8", format: "pem" });
  writeFileSync(join(directory, "ca.pem"), writePem("CERTIFICATE", authority.certificate));
  writeFileSync(join(directory, "gateway.pem"), writePem("CERTIFICATE", certificate));
  writeFileSync(join(directory, "gateway.key"), key, { mode: 0o600 });
}
