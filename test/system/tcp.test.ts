import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describeFrame } from "../../src/platform/packet-kind.ts";
import { createSites, LEFT_INSIDE, pingBothWays, RIGHT_INSIDE, type Sites } from "../interop/sites.ts";
import { carryStream } from "../support/carried.ts";
import { type IkebanaDaemon, runIkebana, startIkebana } from "../support/ikebana.ts";
import { requireRoot, type TestHost } from "../support/namespace.ts";
import { command } from "../support/routed-tunnel.ts";
import { until } from "../support/waiting.ts";

// Two of us, and a firewall of the right one's that lets no UDP through, or no TCP (RFC 9329).

const PORT = 443;
const OCTETS = 2_000_000;
const EVERYTHING = '["0.0.0.0/0", "::/0"]';
const LEFT_NETWORKS = '[10.1.0.0/24, "fd01::/64"]';

function client({ tcp, remote = '[10.2.0.0/24, "fd02::/64"]' }: { tcp: string; remote?: string }): string {
  return `
socket: ikebana.sock
state: state
connections:
  office:
    local: { id: a.example.org, psk: "correct horse battery staple" }
    remote: { address: 192.0.2.2, tcpPort: ${PORT}, id: b.example.org }
    tcp: ${tcp}
    children: { lan: { local: ${LEFT_NETWORKS}, remote: ${remote} } }
`;
}

function gateway(workers = 1, local = '[10.2.0.0/24, "fd02::/64"]'): string {
  return `
socket: ikebana.sock
state: state
workers: ${workers}
listen: { addresses: 0.0.0.0, tcp: ${PORT} }
connections:
  office:
    local: { id: b.example.org, psk: "correct horse battery staple" }
    remote: { id: a.example.org }
    children: { lan: { local: ${local}, remote: ${LEFT_NETWORKS} } }
`;
}

const WHAT = "a tunnel in TCP";
const mayRun = requireRoot(WHAT);

describe.skipIf(!mayRun)(WHAT, () => {
  if (!mayRun) return;
  let sites: Sites;
  const daemons = new Set<IkebanaDaemon>();
  let right: IkebanaDaemon;
  let left: IkebanaDaemon;

  beforeAll(async () => {
    sites = await createSites();
  });
  afterAll(async () => {
    for (const daemon of daemons) await daemon.stop("SIGKILL");
    await sites.close();
  });

  const log = (): string => [...daemons].map((daemon) => daemon.log).join("\n----\n");

  async function start(host: TestHost, configuration: string, directory?: string): Promise<IkebanaDaemon> {
    const daemon = await startIkebana(host, configuration, directory === undefined ? {} : { directory });
    daemons.add(daemon);
    return daemon;
  }

  async function end(...gone: readonly IkebanaDaemon[]): Promise<void> {
    for (const daemon of gone) {
      await daemon.stop("SIGKILL");
      daemons.delete(daemon);
    }
  }

  /** What comes to the right site and is not let in. */
  function firewall(...rules: readonly string[]): void {
    const input = ["type filter hook input priority 0;", ...rules].join("\n");
    const chain = `chain input {\n${input}\n}`;
    const text = `table inet blocked {}\ndelete table inet blocked\ntable inet blocked {\n${chain}\n}\n`;
    command(sites.right, "nft", ["-f", "-"], text);
  }
  const NO_UDP = "meta l4proto udp drop";

  const isUp = (): Promise<void> =>
    until("the tunnel is up", async () => (await left.connection()).ikeSa?.children.length === 1, {
      describe: log,
      timeoutMs: 60_000,
    });
  const arePinged = (): Promise<void> =>
    until("pings pass both ways", async () => (await pingBothWays(sites)).length === 0, {
      describe: log,
      timeoutMs: 60_000,
    });
  const spis = async (): Promise<readonly string[]> => {
    const { ikeSa } = await left.connection();
    return [ikeSa!.initiatorSpi, ...ikeSa!.children.map(({ inboundSpi }) => inboundSpi)];
  };

  test("where UDP alone gets through, it is UDP", async () => {
    firewall(`tcp dport ${PORT} drop`);
    right = await start(sites.right, gateway());
    left = await start(sites.left, client({ tcp: "auto" }));
    await isUp();
    await arePinged();
    expect((await left.connection()).ikeSa).not.toHaveProperty("tcp");
    await end(left);
  });

  test("where UDP does not, it comes up by itself, and carries everything intact", async () => {
    firewall(NO_UDP);
    left = await start(sites.left, client({ tcp: "auto" }));
    await isUp();
    for (const daemon of [left, right]) {
      const { ikeSa } = await daemon.connection();
      expect(ikeSa).toMatchObject({ tcp: true });
      expect([ikeSa!.local.port, ikeSa!.remote.port]).toContain(PORT);
    }
    expect((await runIkebana(sites.left, "status", "-s", left.socket)).out).toContain(", ESP in TCP");
    await arePinged();
    for (const [source, destination] of [
      [LEFT_INSIDE[0], RIGHT_INSIDE[0]],
      [LEFT_INSIDE[1], RIGHT_INSIDE[1]],
    ] as const) {
      const there = { from: sites.left, to: sites.right, source, destination };
      const back = { from: sites.right, to: sites.left, source: destination, destination: source };
      for (const way of [there, back]) {
        const { sent, arrived } = await carryStream(way, OCTETS);
        expect(sent).not.toBe("");
        expect(arrived, log()).toBe(sent);
      }
    }
    expect((await right.status()).streams).toMatchObject({ connections: 1, strangers: 0, lostInbound: 0 });
  });

  test("child SAs and the IKE SA are rekeyed in it, from either side", async () => {
    for (const daemon of [left, right]) {
      for (const what of ["children", "ike"] as const) {
        const before = await spis();
        expect(await daemon.client.rekey("office", what)).toMatchObject({ kind: "done" });
        const isNew = (now: readonly string[]): boolean =>
          now.length === 2 && now[what === "ike" ? 0 : 1] !== before[what === "ike" ? 0 : 1];
        await until("the new SAs alone are there", async () => isNew(await spis()), {
          describe: log,
          timeoutMs: 60_000,
        });
        await arePinged();
      }
    }
    expect((await left.status()).streams).toMatchObject({ connections: 1 });
  });

  test("UDP that opens under a tunnel in TCP is taken with the same SAs, and left again when it is shut", async () => {
    const before = await spis();
    const areBoth = async (isTcp: boolean): Promise<boolean> => {
      const ikeSas = [(await left.connection()).ikeSa, (await right.connection()).ikeSa];
      return ikeSas.every((ikeSa) => ikeSa !== undefined && (ikeSa.tcp === true) === isTcp);
    };
    const waits = { describe: log, timeoutMs: 60_000 };
    firewall();
    // Something in our network has changed: whether UDP gets through is asked at once.
    command(sites.left, "ip", ["addr", "add", "198.51.100.77/32", "dev", "lo"]);
    await until("both have gone over to UDP", () => areBoth(false), waits);
    await arePinged();
    expect(await spis()).toEqual(before);

    firewall(NO_UDP);
    const asked = left.client.liveness("office");
    await until("both have gone over to TCP", () => areBoth(true), waits);
    await asked;
    await arePinged();
    const [source, destination] = [LEFT_INSIDE[0], RIGHT_INSIDE[0]];
    const way = { from: sites.left, to: sites.right, source, destination };
    const { sent, arrived } = await carryStream(way, OCTETS);
    expect(arrived, log()).toBe(sent);
    expect(await spis(), log()).toEqual(before);
    await until(
      "one connection is left",
      async () => (await left.status()).streams?.connections === 1,
      waits,
    );
  });

  test("a connection that is cut comes again, with the same SAs", async () => {
    const before = await spis();
    firewall(NO_UDP, `tcp dport ${PORT} reject with tcp reset`);
    await until(
      "it is cut, and refused",
      async () => {
        await pingBothWays(sites, [[LEFT_INSIDE[0], RIGHT_INSIDE[0]]], 1).catch(() => {});
        return ((await left.status()).streams?.connections ?? 0) === 0;
      },
      { describe: log, timeoutMs: 60_000 },
    );
    firewall(NO_UDP);
    await arePinged();
    expect(await spis()).toEqual(before);
    expect((await left.connection()).ikeSa).toMatchObject({ tcp: true });
  });

  test("a gateway that is killed and started again, with several data workers, is called again, with a ticket", async () => {
    const { directory } = right;
    right.signal("SIGKILL");
    await right.waitForEnd();
    daemons.delete(right);
    right = await start(sites.right, gateway(4), directory);
    await arePinged();
    expect((await right.connection()).ikeSa).toMatchObject({ tcp: true });
    expect(left.log).toContain("resumed over TCP");
    const way = {
      from: sites.left,
      to: sites.right,
      source: LEFT_INSIDE[0],
      destination: RIGHT_INSIDE[0],
    };
    const { sent, arrived } = await carryStream(way, OCTETS);
    expect(arrived, log()).toBe(sent);
    await end(left, right);
  });

  test("a tunnel for everything does not swallow its own connection, and a kill switch lets that alone through", async () => {
    const directory = mkdtempSync(join(tmpdir(), "ikebana-tcp-"));
    const configuration = client({ tcp: "always", remote: EVERYTHING });
    const others: string[] = [];
    const capture = sites.watch((frame) => {
      const { kind, source, destination } = describeFrame(frame, { ike: 500, natTraversal: PORT });
      if (kind === "other") others.push(`${source} to ${destination}`);
    });
    try {
      right = await start(sites.right, gateway(2, EVERYTHING));
      left = await startIkebana(sites.left, configuration, { directory, keepDirectory: true });
      daemons.add(left);
      const flags = ["-c", join(directory, "ikebana.yaml"), "--units", join(directory, "none")];
      const on = await runIkebana(sites.left, "killswitch", "on", "--yes", ...flags);
      expect(on.out).toContain(`192.0.2.2: TCP ${PORT}, from ikebana alone`);
      await isUp();
      await arePinged();
      const [source, destination] = [LEFT_INSIDE[0], RIGHT_INSIDE[0]];
      const { sent, arrived } = await carryStream(
        { from: sites.left, to: sites.right, source, destination },
        OCTETS,
      );
      expect(arrived, log()).toBe(sent);
      capture.poll();
      expect(others).toEqual([]);
      expect((await runIkebana(sites.left, "killswitch", "off", ...flags)).code).toBe(0);
    } finally {
      capture.close();
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
