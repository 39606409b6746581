import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createAuthority, generateKeys, issue } from "../../src/pki/authority.ts";
import { writePem } from "../../src/pki/pem.ts";
import { LinuxNetwork } from "../../src/platform/network/linux-network.ts";
import { describeFrame } from "../../src/platform/packet-kind.ts";
import { createLinuxSystemCalls } from "../../src/platform/system-calls/linux-system-calls.ts";
import { createSites, LEFT_INSIDE, ping, RIGHT_INSIDE, type Sites } from "../interop/sites.ts";
import { HostProcess } from "../support/host-process.ts";
import { type IkebanaDaemon, runIkebana, startIkebana } from "../support/ikebana.ts";
import { requireRoot } from "../support/namespace.ts";
import { openPacketSocket } from "../support/packet-socket.ts";
import { command } from "../support/routed-tunnel.ts";
import { routerAdvertisement } from "../support/router-advertisement.ts";
import { until } from "../support/waiting.ts";

// A client sends everything into the tunnel to its gateway, which is its default router too. A prober on it sends all the time what must
// not be seen on the wire, to places behind the gateway, to the gateway itself, and to resolvers.

const DAY_MS = 86_400_000;
const MAIN = fileURLToPath(new URL("../../dist/src/cli/main.js", import.meta.url));
const PROBER = fileURLToPath(new URL("../support/prober.mjs", import.meta.url));
const PROBES = [
  `inner4 udp 203.0.113.7 9000 ${LEFT_INSIDE[0]}`,
  `inner6 udp 2001:db8:99::7 9000 ${LEFT_INSIDE[1]}`,
  "outer4 udp 203.0.113.7 9000 -",
  "outer6 udp 2001:db8:99::7 9000 -",
  "dns4 udp 203.0.113.53 53 -",
  "dns6 udp 2001:db8:99::53 53 -",
  "dns-of-gateway udp 192.0.2.2 53 -",
  "gateway4 udp 192.0.2.2 9000 -",
  "gateway6 udp 2001:db8::2 9000 -",
  // As plain as the others, to the port that is open for ESP.
  "esp-port udp 192.0.2.2 4500 -",
  "ike-port udp 192.0.2.2 500 -",
  "lan udp 192.168.7.7 9000 -",
  "dns-in-lan udp 192.168.7.7 53 -",
  "tcp tcp 203.0.113.8 443 -",
] as const;
const NAMES = PROBES.map((probe) => probe.split(" ", 1)[0]!).sort();
/** Of what the prober says: some hundred rounds. */
const TAIL_LENGTH = 4_000;
/** Those that a route for their destination in the main table leads past the tunnel. */
const MORE_SPECIFIC = ["inner4", "inner6", "outer4", "outer6", "dns4", "dns6", "tcp"];

const mayRun = requireRoot("the kill switch");

describe.skipIf(!mayRun)("the kill switch", () => {
  if (!mayRun) return;
  let sites: Sites;
  let prober: HostProcess;
  let directory: string;
  let units: string;
  let client: IkebanaDaemon | undefined;
  let gateway: IkebanaDaemon | undefined;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "ikebana-killswitch-"));
    units = join(directory, "units");
    mkdirSync(units);
    writeFileSync(join(directory, "ikebana.yaml"), CLIENT, { mode: 0o600 });
    sites = await createSites();
    // As machines have it that take part in RFC 4191.
    command(sites.left, "sysctl", ["-qw", "net.ipv6.conf.wire0.accept_ra_rt_info_max_plen=64"]);
    await writeCertificates(directory);
    prober = new HostProcess(sites.left, [process.execPath, PROBER, ...PROBES]);
    await rounds(1);
  });

  afterAll(async () => {
    for (const daemon of [client, gateway]) await daemon?.stop("SIGKILL");
    await sites.close();
    rmSync(directory, { recursive: true, force: true });
  });

  /** Waits until the prober has sent everything so many times more. Lines of earlier rounds may still have to be read. */
  function rounds(count: number): Promise<void> {
    const from = process.hrtime.bigint();
    const begunSince = () =>
      prober.out
        .slice(-TAIL_LENGTH)
        .split("\n")
        .filter((line) => BigInt(line) >= from).length;
    return until("the prober goes round", () => begunSince() >= count, { describe: () => prober.error });
  }

  /** Names of the probes that pass the wire while the prober goes round ten times and `meanwhile` takes place; what else is in clear, too. */
  async function leaks(meanwhile: () => Promise<unknown> = async () => {}): Promise<readonly string[]> {
    const seen = new Set<string>();
    const capture = sites.watch((frame) => {
      const { kind, source, destination } = describeFrame(frame);
      const text = Buffer.from(frame.buffer, frame.byteOffset, frame.length).toString("latin1");
      const name = /probe:([a-z0-9-]+)\./.exec(text)?.[1];
      if (name !== undefined) seen.add(name);
      else if (destination === "203.0.113.8") seen.add("tcp");
      else if (kind === "other" && source !== undefined && OURS.includes(source))
        seen.add(`to ${destination}`);
    });
    await meanwhile();
    await rounds(10);
    capture.close();
    expect(capture.missed).toBe(0);
    return [...seen].sort();
  }

  async function killSwitch(...words: readonly string[]): Promise<string> {
    const flags = ["-c", join(directory, "ikebana.yaml"), "--units", units];
    const { code, out, error } = await runIkebana(sites.left, "killswitch", ...words, ...flags);
    expect({ code, error }).toEqual({ code: 0, error: "" });
    return out;
  }

  const status = async (): Promise<Record<string, unknown>> =>
    JSON.parse(await killSwitch("status", "--json"));

  const startClient = (configuration = CLIENT): Promise<IkebanaDaemon> =>
    startIkebana(sites.left, configuration, { directory, keepDirectory: true });

  const isUp = (): Promise<void> =>
    until("the tunnel is up", async () => (await client!.connection()).ikeSa?.children.length === 1, {
      describe: () => client!.log,
    });

  /** What the service manager does when the machine starts. */
  function startMachine(): void {
    const unit = readFileSync(join(units, "sysinit.target.wants/ikebana-killswitch.service"), "utf8");
    const [program, ...words] = /^ExecStart=(.*)$/m.exec(unit)![1]!.split(" ");
    command(sites.left, program!, words);
  }

  test("off, everything is seen: the sniffer works", async () => {
    // IPv6 waits until its addresses are known to be nobody else's.
    await until("everything has been seen", async () => (await leaks()).join() === NAMES.join());
    expect(await status()).toMatchObject({ state: "off", isLoadedAtBoot: false });
  });

  test("on, nothing leaves from the start of the machine to the tunnel and through its life, and without it something would", async () => {
    expect(await killSwitch("on", "--yes")).toContain("192.0.2.2: UDP 500 and 4500, TCP 4500, ESP");
    expect(statSync(join(directory, "killswitch.nft")).mode & 0o777).toBe(0o600);
    command(sites.left, "nft", ["flush", "ruleset"]);
    expect(await leaks()).toEqual(NAMES);
    const lost = await runIkebana(sites.left, "killswitch", "status", "-c", join(directory, "ikebana.yaml"));
    expect([lost.code, lost.out.split(":", 1)[0]]).toEqual([
      1,
      "switched on, but its rules are gone, and nothing is held back",
    ]);

    startMachine();
    expect(await leaks()).toEqual([]);
    expect(await status()).toMatchObject({ state: "on", isLoadedAtBoot: true });

    // Connecting: nobody answers yet.
    client = await startClient();
    expect(await leaks()).toEqual([]);
    expect((await client.connection()).state).toBe("connecting");
    gateway = await startIkebana(sites.right, GATEWAY);
    expect(await leaks(isUp)).toEqual([]);

    const echo = { from: LEFT_INSIDE[0], to: RIGHT_INSIDE[0], count: 5 };
    const echo6 = { from: LEFT_INSIDE[1], to: RIGHT_INSIDE[1], count: 5 };
    expect(await leaks(async () => expect(await ping(sites.left, echo)).toEqual([]))).toEqual([]);
    expect(await ping(sites.left, echo6)).toEqual([]);

    for (const what of ["children", "ike"] as const) {
      const rekeying = async (): Promise<void> =>
        expect(await client!.client.rekey("gateway", what)).toMatchObject({ kind: "done" });
      expect(await leaks(rekeying)).toEqual([]);
    }

    expect(await leaks(injectRoutes)).toEqual([]);
    const { droppedPackets } = await status();
    expect(droppedPackets).toBeGreaterThan(100);

    // The tunnel stands, and its routes are not the most specific any more.
    await killSwitch("off");
    expect(await leaks()).toEqual(expect.arrayContaining(MORE_SPECIFIC));
    expect(await status()).toMatchObject({ state: "off", isLoadedAtBoot: false });
    await killSwitch("on", "--yes");
    expect(await leaks()).toEqual([]);

    // The peer is dead, the daemon is stopped, the daemon is killed.
    await gateway.stop("SIGKILL");
    expect(await leaks()).toEqual([]);
    client.signal("SIGSTOP");
    expect(await leaks()).toEqual([]);
    client.signal("SIGKILL");
    expect(await leaks(() => client!.waitForEnd())).toEqual([]);

    // The gateway's certificate has expired.
    gateway = await startIkebana(sites.right, withCertificate(GATEWAY, directory, "gateway"));
    client = await startClient(withCertificate(CLIENT, directory, "client"));
    const refused = client;
    expect(await leaks(() => refused.logged("expired"))).toEqual([]);
    await client.stop();
    expect(await leaks()).toEqual([]);
  });

  test("a trial that nobody confirms ends by itself, even if the command is killed, and what held before holds again", async () => {
    await killSwitch("on", "--yes", "--lan");
    expect(await leaks()).toEqual(["lan"]);
    const killed = startTrial();
    expect(await leaks()).toEqual([]);
    killed.kill("SIGKILL");
    await until("the LAN is open again", async () => (await leaks()).includes("lan"));
    expect(await leaks()).toEqual(["lan"]);
    expect(await killSwitch("status")).toMatch(/^on\n/);
    await killSwitch("off");
    expect(ruleset()).toBe("");

    const unanswered = startTrial();
    const ended = once(unanswered, "exit");
    expect(await leaks()).toEqual([]);
    expect(await ended).toEqual([6, null]);
    expect(ruleset()).toBe("");
    expect(await leaks()).toEqual(NAMES);
  });

  /** At a terminal where nobody types. Returns when the rules hold. */
  function startTrial(): ChildProcess {
    const words = ["on", "--within", "4", "-c", join(directory, "ikebana.yaml"), "--units", units];
    const line = [process.execPath, MAIN, "killswitch", ...words].join(" ");
    const child = sites.left.start("script", ["-qec", line, "/dev/null"], {
      stdio: ["pipe", "ignore", "ignore"],
    });
    const end = performance.now() + 20_000;
    while (!ruleset().includes("set trial")) if (performance.now() > end) throw new Error("no trial began");
    return child;
  }

  function ruleset(): string {
    return command(sites.left, "nft", ["list", "ruleset"]);
  }

  /** As a rogue server in the network does: routes that are more specific than those into the tunnel, by DHCP and by router advertisement. */
  async function injectRoutes(): Promise<void> {
    for (const prefix of ["0.0.0.0/1", "203.0.113.0/24"])
      command(sites.left, "ip", ["route", "add", prefix, "via", "192.0.2.2", "dev", "wire0"]);
    const link = command(sites.right, "ip", ["addr", "show", "dev", "wire0"]);
    const source = /inet6 (fe80[0-9a-f:]+)\//.exec(link)![1]!;
    const mac = Buffer.from(/link\/ether (\S+)/.exec(link)![1]!.replaceAll(":", ""), "hex");
    sites.right.inside(() => {
      const systemCalls = createLinuxSystemCalls();
      const network = new LinuxNetwork(systemCalls);
      const socket = openPacketSocket(systemCalls, network.linkIndex("wire0")!);
      socket.send(routerAdvertisement({ mac, source, prefix: "2001:db8:99::", prefixLength: 64 }));
      socket.close();
      network.close();
    });
    const routes = (): string => command(sites.left, "ip", ["-6", "route"]);
    await until(
      "the advertisement is believed",
      () => /^2001:db8:99::\/64 .*wire0 proto ra/m.test(routes()),
      {
        describe: routes,
      },
    );
  }
});

/** Of the client. */
const OURS: readonly string[] = ["192.0.2.1", "2001:db8::1", ...LEFT_INSIDE];

const CLIENT = configuration({
  ours: ["192.0.2.1", "client.example.org"],
  theirs: ["192.0.2.2", "gateway.example.org"],
  name: "gateway",
  start: "start",
  selectors: ['local: [10.1.0.0/24, "fd01::/64"]', 'remote: ["0.0.0.0/0", "::/0"]'],
});
const GATEWAY = configuration({
  ours: ["192.0.2.2", "gateway.example.org"],
  theirs: ["192.0.2.1", "client.example.org"],
  name: "client",
  start: "respond",
  selectors: ['local: ["0.0.0.0/0", "::/0"]', 'remote: [10.1.0.0/24, "fd01::/64"]'],
});

function configuration({
  ours,
  theirs,
  name,
  start,
  selectors,
}: {
  readonly ours: readonly [address: string, id: string];
  readonly theirs: readonly [address: string, id: string];
  readonly name: string;
  readonly start: string;
  readonly selectors: readonly [string, string];
}): string {
  return `
socket: ikebana.sock
state: state
connections:
  ${name}:
    local: { address: ${ours[0]}, id: ${ours[1]}, psk: "a secret of the test, long enough" }
    remote: { address: ${theirs[0]}, id: ${theirs[1]} }
    start: ${start}
    children:
      all: { ${selectors.join(", ")} }
`;
}

/** The same with certificates in place of the key; `who` names the files of this side. */
function withCertificate(text: string, directory: string, who: string): string {
  const file = (name: string): string => join(directory, name);
  return text
    .replace(/psk: "[^"]*"/, `certificate: ${file(`${who}.pem`)}, key: ${file(`${who}.key`)}`)
    .replace(/(remote: \{ address: [^}]*) \}/, `$1, ca: ${file("ca.pem")} }`);
}

/** A CA, a client with a certificate that is good, and a gateway whose own has run out yesterday. */
async function writeCertificates(directory: string): Promise<void> {
  const nowMs = Date.now();
  const authority = createAuthority({ name: "CN=CA", keys: await generateKeys("p256"), nowMs });
  writeFileSync(join(directory, "ca.pem"), writePem("CERTIFICATE", authority.certificate));
  for (const [who, endsMs] of [
    ["client", nowMs + DAY_MS],
    ["gateway", nowMs - DAY_MS],
  ] as const) {
    const name = `${who}.example.org`;
    const { certificate, privateKey } = issue(authority, {
      purpose: "server",
      name: `CN=${name}`,
      altNames: [name],
      keys: await generateKeys("p256"),
      nowMs,
      validity: { notBeforeMs: nowMs - 30 * DAY_MS, notAfterMs: endsMs },
    });
    writeFileSync(join(directory, `${who}.pem`), writePem("CERTIFICATE", certificate));
    writeFileSync(join(directory, `${who}.key`), privateKey.export({ type: "pkcs8", format: "pem" }), {
      mode: 0o600,
    });
  }
}
