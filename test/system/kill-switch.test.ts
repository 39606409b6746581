import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createAuthority, generateKeys, issue } from "../../src/pki/authority.ts";
import { writePem } from "../../src/pki/pem.ts";
import { joinNamespaces } from "../../src/platform/namespaces.ts";
import { LinuxNetwork } from "../../src/platform/network/linux-network.ts";
import { describeFrame } from "../../src/platform/packet-kind.ts";
import { createLinuxSystemCalls } from "../../src/platform/system-calls/linux-system-calls.ts";
import { createSites, LEFT_INSIDE, ping, RIGHT_INSIDE, type Sites } from "../interop/sites.ts";
import { HostProcess } from "../support/host-process.ts";
import { type IkebanaDaemon, runIkebana, startIkebana } from "../support/ikebana.ts";
import { createHost, requireRoot, type TestHost } from "../support/namespace.ts";
import { openPacketSocket } from "../support/packet-socket.ts";
import { command } from "../support/routed-tunnel.ts";
import { routerAdvertisement } from "../support/router-advertisement.ts";
import { until } from "../support/waiting.ts";

// A client sends everything into the tunnel to its gateway, which is its default router too, and forwards for a phone:
//
//   [ phone ] lan0 ---- lan0 [ client ] wire0 ==== wire0 [ gateway ]
//
// Probers on it and on the phone send all the time what must not be seen on the outer wire, to places behind the gateway, to the gateway
// itself, and to resolvers. Somebody in the network of the wire gives the client routes that are more specific than those into the tunnel.

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
const FORWARDED = ["forwarded4 udp 203.0.113.9 9000 -", "forwarded6 udp 2001:db8:99::9 9000 -"] as const;
/** Those that pass whatever is on: a lease is kept, in IPv4 and IPv6. */
const LEASES = ["dhcp4 udp 192.0.2.2 67 - 68", "dhcp6 udp ff02::1:2%wire0 547 - 546"] as const;
const namesOf = (probes: readonly string[]): readonly string[] =>
  probes.map((probe) => probe.split(" ", 1)[0]!).sort();
const NAMES = namesOf([...PROBES, ...FORWARDED]);
const OPEN = namesOf(LEASES);
/** Of what the prober says: some hundred rounds. */
const TAIL_LENGTH = 4_000;
/** Those that a route for their destination in the main table leads past the tunnel. */
const MORE_SPECIFIC = [
  "inner4",
  "inner6",
  "outer4",
  "outer6",
  "dns4",
  "dns6",
  "tcp",
  "forwarded4",
  "forwarded6",
];
/** By which somebody in the network leads what is for behind the gateway past the tunnel. */
const ROGUE_ROUTES = ["128.0.0.0/1", "203.0.113.0/24"];
/** A session with us by SSH, as sshd tells of it. */
const SSH_CONNECTION = "203.0.113.5 50000 192.0.2.1 22";

const mayRun = requireRoot("the kill switch");

describe.skipIf(!mayRun)("the kill switch", () => {
  if (!mayRun) return;
  let sites: Sites;
  let phone: TestHost;
  let probers: readonly HostProcess[];
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
    phone = await createPhone(sites.left);
    // As machines have it that take part in RFC 4191; one that forwards has to be told twice.
    for (const setting of ["accept_ra=2", "accept_ra_rt_info_max_plen=64"])
      command(sites.left, "sysctl", ["-qw", `net.ipv6.conf.wire0.${setting}`]);
    await writeCertificates(directory);
    probers = [
      new HostProcess(sites.left, [process.execPath, PROBER, ...PROBES, ...LEASES]),
      new HostProcess(phone, [process.execPath, PROBER, ...FORWARDED]),
    ];
    await rounds(1);
  });

  afterAll(async () => {
    for (const daemon of [client, gateway]) await daemon?.stop("SIGKILL");
    await phone?.close();
    await sites?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  /** Waits until the probers have sent everything so many times more. Lines of earlier rounds may still have to be read. */
  function rounds(count: number): Promise<void> {
    const from = process.hrtime.bigint();
    const begunSince = ({ out }: HostProcess) =>
      out
        .slice(-TAIL_LENGTH)
        .split("\n")
        .filter((line) => BigInt(line) >= from).length;
    return until("the probers go round", () => probers.every((prober) => begunSince(prober) >= count), {
      describe: () => probers.map(({ error }) => error).join(),
    });
  }

  /** Names of the probes that pass the wire while the probers go round ten times and `meanwhile` takes place; what else is in clear, too. */
  async function seen(meanwhile: () => Promise<unknown> = async () => {}): Promise<readonly string[]> {
    const names = new Set<string>();
    const capture = sites.watch((frame) => {
      const { kind, source, destination } = describeFrame(frame);
      const text = Buffer.from(frame.buffer, frame.byteOffset, frame.length).toString("latin1");
      const name = /probe:([a-z0-9-]+)\./.exec(text)?.[1];
      if (name !== undefined) names.add(name);
      else if (destination === "203.0.113.8") names.add("tcp");
      else if (kind === "other" && source !== undefined && OURS.includes(source))
        names.add(`to ${destination}`);
    });
    await meanwhile();
    await rounds(10);
    capture.close();
    expect(capture.missed).toBe(0);
    return [...names].sort();
  }

  /** Those of them that leak, be it on or off. The others have to be there. */
  async function leaks(meanwhile?: () => Promise<unknown>): Promise<readonly string[]> {
    const names = await seen(meanwhile);
    expect(names).toEqual(expect.arrayContaining([...OPEN]));
    return names.filter((name) => !OPEN.includes(name));
  }

  /** The same while somebody in the network injects routes, once more in each state. */
  const leaksUnderAttack = (meanwhile: () => Promise<unknown> = async () => {}): Promise<readonly string[]> =>
    leaks(async () => {
      await injectRoutes();
      await meanwhile();
    });

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
    const all = [...NAMES, ...OPEN].sort().join();
    await until("everything has been seen", async () => (await seen()).join() === all);
    expect(await status()).toMatchObject({ state: "off", isLoadedAtBoot: false });
  });

  test("on, nothing leaves from the start of the machine to the tunnel and through its life, and without it something would", {
    timeout: 240_000,
  }, async () => {
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
    expect(await leaksUnderAttack()).toEqual([]);
    expect(await status()).toMatchObject({ state: "on", isLoadedAtBoot: true });
    // What is loaded takes the place of what holds, and nothing slips through between the two.
    expect(await leaks(async () => startMachine())).toEqual([]);
    expect(await leaks(() => killSwitch("on", "--yes"))).toEqual([]);

    // Connecting: nobody answers yet.
    client = await startClient();
    expect(await leaksUnderAttack()).toEqual([]);
    expect((await client.connection()).state).toBe("connecting");
    gateway = await startIkebana(sites.right, GATEWAY);
    expect(await leaksUnderAttack(isUp)).toEqual([]);

    const echo = { from: LEFT_INSIDE[0], to: RIGHT_INSIDE[0], count: 5 };
    const echo6 = { from: LEFT_INSIDE[1], to: RIGHT_INSIDE[1], count: 5 };
    expect(await leaksUnderAttack(async () => expect(await ping(sites.left, echo)).toEqual([]))).toEqual([]);
    expect(await ping(sites.left, echo6)).toEqual([]);

    for (const what of ["children", "ike"] as const) {
      const rekeying = async (): Promise<void> =>
        expect(await client!.client.rekey("gateway", what)).toMatchObject({ kind: "done" });
      expect(await leaksUnderAttack(rekeying)).toEqual([]);
    }

    client.signal("SIGSTOP");
    expect(await leaksUnderAttack()).toEqual([]);
    client.signal("SIGCONT");
    await isUp();

    const { droppedPackets } = await status();
    expect(droppedPackets).toBeGreaterThan(100);

    // The tunnel stands, and its routes are not the most specific any more.
    await killSwitch("off");
    expect(await leaks()).toEqual(expect.arrayContaining(MORE_SPECIFIC));
    expect(await status()).toMatchObject({ state: "off", isLoadedAtBoot: false });
    await killSwitch("on", "--yes");
    expect(await leaks()).toEqual([]);

    // The peer is dead, and then the client knows that it is; the daemon is killed.
    await gateway.stop("SIGKILL");
    expect(await leaksUnderAttack()).toEqual([]);
    const { client: control } = client;
    const isKnownToBeDead = async (): Promise<void> => {
      await control.liveness("gateway");
      await client!.logged("does not answer");
    };
    expect(await leaksUnderAttack(isKnownToBeDead)).toEqual([]);
    expect(await leaks()).toEqual([]);
    client.signal("SIGKILL");
    expect(await leaksUnderAttack(() => client!.waitForEnd())).toEqual([]);

    // The gateway's certificate has expired.
    gateway = await startIkebana(sites.right, withCertificate(GATEWAY, directory, "gateway"));
    client = await startClient(withCertificate(CLIENT, directory, "client"));
    const refused = client;
    expect(await leaksUnderAttack(() => refused.logged("expired"))).toEqual([]);
    command(sites.left, "nft", ["flush", "ruleset"]);
    await client.client.reload();
    await client.logged("the kill switch is switched on, but its rules are gone");
    startMachine();
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

  test("what machine and link need of themselves goes on: the loopback link, neighbors, multicast listeners", async () => {
    await killSwitch("on", "--yes");
    for (const address of ["127.0.0.1", "::1", LEFT_INSIDE[1]])
      command(sites.left, "ping", ["-q", "-c", "1", "-W", "5", address]);
    const [link] = JSON.parse(command(sites.left, "ip", ["-j", "link", "show", "dev", "wire0"]));
    const types = new Set<number | undefined>();
    const capture = sites.watch((frame) => {
      const mac = [...frame.subarray(6, 12)].map((octet) => octet.toString(16).padStart(2, "0")).join(":");
      if (mac === link.address) types.add(icmpv6TypeOf(frame));
    });
    // Whose address is it, and who listens; then somebody asks us.
    command(sites.left, "ip", ["addr", "add", "2001:db8::77/64", "dev", "wire0"]);
    command(sites.right, "ip", ["-6", "neigh", "flush", "dev", "wire0"]);
    const asking = new HostProcess(sites.right, ["ping", "-i", "0.2", "2001:db8::1"]);
    await until("all of it has been seen", () => HOUSEKEEPING.every((type) => types.has(type)), {
      describe: () => [...types].join(),
    });
    await asking.stop("SIGINT");
    capture.close();
    // The echo itself is none of it.
    expect(types).not.toContain(ECHO_REPLY);
    await killSwitch("off");
  });

  test("whoever is cut off by it is told so before, and keeps it by saying yes", async () => {
    const kept = await answer("yes");
    expect(kept).toEqual({
      code: 0,
      text: expect.stringContaining(
        "you are here by SSH from 203.0.113.5, and not through the tunnel: this cuts your session off until it goes back by itself, in 20 s",
      ),
    });
    expect(await leaks()).toEqual([]);
    expect(await status()).toMatchObject({ state: "on", isLoadedAtBoot: true });
    const open = await answer("no", { flags: ["--lan"], connection: "192.168.7.8 50000 192.0.2.1 22" });
    expect(open.text).not.toContain("SSH");
    expect([open.code, open.text]).toEqual([6, expect.stringContaining("everything is as it was")]);
    expect(await leaks()).toEqual([]);
    await killSwitch("off");
    expect(ruleset()).toBe("");
  });

  /** What the command says to somebody at a terminal in an SSH session, who answers once the rules hold, and how it ends. */
  async function answer(
    line: string,
    {
      flags = [],
      connection = SSH_CONNECTION,
    }: { readonly flags?: readonly string[]; readonly connection?: string } = {},
  ): Promise<{ readonly code: number | null; readonly text: string }> {
    const child = atTerminal(["--within", "20", ...flags], { SSH_CONNECTION: connection });
    let text = "";
    child.stdout!.setEncoding("utf8").on("data", (more: string) => {
      text += more;
    });
    const ended = once(child, "exit");
    await until("it asks", () => text.includes("Type yes within"), { describe: () => text });
    child.stdin!.write(`${line}\n`);
    const [code] = await ended;
    return { code, text };
  }

  /** Switches it on at a terminal. */
  function atTerminal(
    flags: readonly string[],
    environment: Readonly<Record<string, string>> = {},
  ): ChildProcess {
    const words = ["on", ...flags, "-c", join(directory, "ikebana.yaml"), "--units", units];
    const line = [process.execPath, MAIN, "killswitch", ...words].join(" ");
    return sites.left.start("script", ["-qec", line, "/dev/null"], {
      stdio: ["pipe", "pipe", "ignore"],
      env: { ...process.env, ...environment },
    });
  }

  /** At a terminal where nobody types. Returns when the rules hold. */
  function startTrial(): ChildProcess {
    const child = atTerminal(["--within", "4"]);
    child.stdout!.resume();
    const end = performance.now() + 20_000;
    while (!ruleset().includes("set trial")) if (performance.now() > end) throw new Error("no trial began");
    return child;
  }

  function ruleset(): string {
    return command(sites.left, "nft", ["list", "ruleset"]);
  }

  /** As a rogue server in the network does: routes that are more specific than those into the tunnel, by DHCP and by router advertisement. */
  async function injectRoutes(): Promise<void> {
    for (const prefix of ROGUE_ROUTES)
      command(sites.left, "ip", ["route", "replace", prefix, "via", "192.0.2.2", "dev", "wire0"]);
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

/** A host that reaches the world through the client, which forwards for it. */
async function createPhone(client: TestHost): Promise<TestHost> {
  const phone = await createHost();
  joinNamespaces(
    createLinuxSystemCalls(),
    { pid: client.pid, link: "lan0", prefixes: ["198.51.100.1/24", "fd88::1/64"] },
    { pid: phone.pid, link: "lan0", prefixes: ["198.51.100.2/24", "fd88::2/64"] },
  );
  for (const gateway of ["198.51.100.1", "fd88::1"])
    command(phone, "ip", ["route", "add", "default", "via", gateway]);
  for (const setting of ["ipv4.ip_forward", "ipv6.conf.all.forwarding"])
    command(client, "sysctl", ["-qw", `net.${setting}=1`]);
  return phone;
}

/** RFC 4861 and RFC 3810: neighbor solicitation and advertisement, and a report of who listens to what. */
const HOUSEKEEPING = [135, 136, 143];
const ECHO_REPLY = 129;

/** Also behind the option for routers that reports bear. */
function icmpv6TypeOf(frame: Uint8Array): number | undefined {
  const [ETHERNET, IPV6, HOP_BY_HOP] = [14, 40, 8];
  if (frame[12] !== 0x86 || frame[13] !== 0xdd) return undefined;
  const next = frame[ETHERNET + 6];
  if (next === 58) return frame[ETHERNET + IPV6];
  return next === 0 ? frame[ETHERNET + IPV6 + HOP_BY_HOP] : undefined;
}

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
    liveness: { timeout: 3s }
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
