import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createLinuxSystemCalls } from "../../src/platform/system-calls/linux-system-calls.ts";
import { openUdpSocket } from "../../src/platform/udp/open-udp-socket.ts";
import { Flood, type FloodFacts } from "../support/flood.ts";
import { HostProcess } from "../support/host-process.ts";
import { type IkebanaDaemon, startIkebana } from "../support/ikebana.ts";
import { requireRoot, type TestHost } from "../support/namespace.ts";
import { createSegment, type Segment } from "../support/segment.ts";
import { until } from "../support/waiting.ts";

// Four hosts on one segment. A stream of fixed pace runs through the tunnel of the first two while the third floods the gateway and
// the fourth logs in there:
//
//   10.1.0.1 [ gateway ] 192.0.2.1 ---+--- 192.0.2.2 [ branch ] 10.2.0.1
//                                     |
//   198.18.0.0/15 [ attacker ] .3 ----+---- .4 [ client ] 10.4.0.1
//
// The same flood at a port whose socket nobody reads is the control: what generator, segment and stream cost by themselves. A machine
// that does other things beside cannot tell shares apart, so they are compared with the goals by `npm run campaign:flood` only.

const WHAT = "floods of a gateway with a tunnel";
const IS_CAMPAIGN = process.env.IKEBANA_CAMPAIGN === "1";
const SECONDS = IS_CAMPAIGN ? 20 : 4;
const MEGABITS_PER_SECOND = IS_CAMPAIGN ? 200 : 10;
/** Of what the stream keeps in the control. */
const LEAST_SHARE = 0.3;
const MOST_GROWTH = 16 * 2 ** 20;
const DROPPED_PORT = 9;

const FLOODS: readonly (FloodFacts & { readonly title: string; readonly goal: number })[] = [
  { title: "20,000 forged IKE_SA_INIT in a second", kind: "requests", port: 500, rate: 20_000, goal: 0.9 },
  { title: "all garbage that fits onto port 4500", kind: "garbage", port: 4500, rate: 0, goal: 0.8 },
];

describe.skipIf(!requireRoot(WHAT))(WHAT, () => {
  let segment: Segment;
  let daemons: { readonly gateway: IkebanaDaemon; readonly branch: IkebanaDaemon };

  beforeAll(async () => {
    segment = await createSegment(["192.0.2.1/24", "192.0.2.2/24", "192.0.2.3/24", "192.0.2.4/24"]);
    const { gateway, branch, client } = hosts();
    for (const [host, inside] of [
      [gateway, "10.1.0.1/24"],
      [branch, "10.2.0.1/24"],
      [client, "10.4.0.1/24"],
    ] as const) {
      host.run("ip", ["addr", "add", inside, "dev", "lo"]);
    }
    // Answers to forged addresses leave like any others.
    gateway.run("ip", ["route", "add", "198.18.0.0/15", "via", "192.0.2.3"]);
    gateway.inside(() =>
      openUdpSocket(createLinuxSystemCalls(), { address: "192.0.2.1", port: DROPPED_PORT }),
    );
    daemons = {
      gateway: await startIkebana(gateway, GATEWAY),
      branch: await startIkebana(branch, peer("branch", "192.0.2.2", "10.2.0.0/24")),
    };
    await untilUp(daemons.branch);
  });

  afterAll(async () => {
    for (const daemon of Object.values(daemons ?? {})) await daemon.stop("SIGKILL");
    await segment?.close();
  });

  test.each(FLOODS)(
    "$title: the tunnel carries on, a client logs in, memory and log stay small",
    { timeout: (2 * SECONDS + 60) * 1000 },
    async (facts) => {
      const { gateway } = daemons;
      const control = await flooded({ ...facts, port: DROPPED_PORT });

      const before = {
        octets: residentOctets(gateway),
        lines: linesOf(gateway),
        ...(await countsOf(gateway)),
      };
      let peak = 0;
      const look = setInterval(() => {
        peak = Math.max(peak, residentOctets(gateway));
      }, 100);
      const result = await flooded(facts, logIn).finally(() => clearInterval(look));
      const after = await countsOf(gateway);

      const share = result.share / control.share;
      const growth = peak - before.octets;
      const lines = linesOf(gateway) - before.lines;
      const told = { goal: facts.goal, control, result, growth, lines };
      if (IS_CAMPAIGN) console.log(facts.title, told);
      expect(share, JSON.stringify(told)).toBeGreaterThan(IS_CAMPAIGN ? facts.goal : LEAST_SHARE);
      expect(growth, JSON.stringify(told)).toBeLessThanOrEqual(MOST_GROWTH);
      // The client's own, and a few a second at most.
      expect(lines, gateway.log).toBeLessThan(40 + 30 * (SECONDS + 5));
      // The flood was one, and arrived: sockets have no room for all of what is as fast as it can be.
      expect(result.perSecond).toBeGreaterThan(1000);
      expect(after.seen - before.seen).toBeGreaterThan(500 * SECONDS);
      expect((await gateway.connection("branch")).state).toBe("established");
    },
  );

  function hosts(): Record<"gateway" | "branch" | "attacker" | "client", TestHost> {
    const [gateway, branch, attacker, client] = segment.hosts as [TestHost, TestHost, TestHost, TestHost];
    return { gateway, branch, attacker, client };
  }

  /** A client comes up from nothing and leaves again. */
  async function logIn(): Promise<void> {
    const client = await startIkebana(hosts().client, peer("client", "192.0.2.4", "10.4.0.0/24"));
    try {
      await untilUp(client);
    } finally {
      await client.stop();
    }
  }

  /** Which share of the stream arrived while the flood ran, and how many datagrams of it left in a second. */
  async function flooded(
    facts: FloodFacts,
    meanwhile: () => Promise<void> = async () => {},
  ): Promise<{ readonly share: number; readonly perSecond: number }> {
    const { gateway, branch, attacker } = hosts();
    const listener = new HostProcess(gateway, ["iperf3", "-s", "-B", "10.1.0.1", "-1", "-i", "1", "-J"]);
    try {
      await until("iperf3 listens", () => isListening(gateway));
      const stream = new HostProcess(branch, [
        "iperf3",
        ...["-c", "10.1.0.1", "-B", "10.2.0.1", "-t", String(SECONDS + 2), "-J"],
        ...["-u", "-b", `${MEGABITS_PER_SECOND}M`, "-l", "1200"],
      ]);
      await sleep(1000);
      const flood = await Flood.start(attacker, { host: gateway, address: "192.0.2.1" }, facts);
      let perSecond: number;
      try {
        await Promise.all([meanwhile(), sleep(SECONDS * 1000)]);
      } finally {
        perSecond = await flood.stop();
      }
      await Promise.all([stream.ended, listener.ended]);
      const { intervals } = JSON.parse(listener.out);
      // The first two seconds are before the flood, or half in it.
      const rates = intervals.map(({ sum }: Interval) => sum.bits_per_second).slice(2, 1 + SECONDS);
      const mean = rates.reduce((total: number, rate: number) => total + rate, 0) / rates.length;
      return { share: mean / (MEGABITS_PER_SECOND * 1e6), perSecond: Math.round(perSecond) };
    } finally {
      await listener.stop("SIGKILL");
    }
  }
});

interface Interval {
  readonly sum: { readonly bits_per_second: number };
}

async function untilUp(daemon: IkebanaDaemon): Promise<void> {
  const isUp = async (): Promise<boolean> => (await daemon.connection()).state === "established";
  await until("the client is in", isUp, { timeoutMs: 30_000, describe: () => daemon.log });
}

function isListening(host: TestHost): boolean {
  return host.run("ss", ["-Htln", "sport", "=", "5201"]).stdout.includes("5201");
}

/** IKE datagrams and garbage that the daemon has seen. */
async function countsOf(daemon: IkebanaDaemon): Promise<{ readonly seen: number }> {
  const { ike, dataPlane } = await daemon.status();
  return { seen: ike.received + Object.values(dataPlane.drops).reduce((sum, count) => sum + count, 0) };
}

function linesOf({ log }: IkebanaDaemon): number {
  return log.split("\n").length;
}

function residentOctets({ pid }: IkebanaDaemon): number {
  const [, kilobytes] = /^VmRSS:\s*(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))!;
  return Number(kilobytes) * 1024;
}

const GATEWAY = `
socket: ikebana.sock
state: state
connections:
${connectionOfGateway("branch", "10.2.0.0/24")}
${connectionOfGateway("client", "10.4.0.0/24")}
`;

function connectionOfGateway(name: string, network: string): string {
  return `
  ${name}:
    local: { address: 192.0.2.1, id: gateway.example.org, psk: "a secret of the test" }
    remote: { id: ${name}.example.org }
    children:
      lan: { local: [10.1.0.0/24], remote: [${network}] }
`;
}

function peer(name: string, address: string, network: string): string {
  return `
socket: ikebana.sock
state: state
connections:
  gateway:
    local: { address: ${address}, id: ${name}.example.org, psk: "a secret of the test" }
    remote: { address: 192.0.2.1, id: gateway.example.org }
    children:
      lan: { local: [${network}], remote: [10.1.0.0/24] }
`;
}
