import { describe, expect, test } from "vitest";
import type { PacketCapture } from "../../src/platform/packet-capture.ts";
import { requireRoot } from "../support/namespace.ts";
import { requireStrongswan, strongswanVersion } from "../support/strongswan.ts";
import { until } from "../support/waiting.ts";
import { bothSaid, type Gateways, withGateways } from "./gateways.ts";
import { measureLoad } from "./iperf.ts";
import { loadScenarios, type Scenario } from "./scenario.ts";
import { LEFT_INSIDE, PING_PATTERN, pingBothWays, RIGHT_INSIDE, type Sites } from "./sites.ts";

const WHAT = "interoperability with strongSwan";

describe.skipIf(!requireRoot(WHAT) || !requireStrongswan(WHAT))("with strongSwan", () => {
  const version = strongswanVersion();
  for (const scenario of loadScenarios()) {
    const { strongswan: least = 0 } = scenario.plan;
    // No test that is skipped: the peer that is required has no part in it.
    if (version < least)
      console.log(`not played: ${scenario.name} (needs strongSwan ${least}, this is ${version})`);
    else test(`${scenario.name}: ${scenario.title}`, () => run(scenario));
  }
});

async function run(scenario: Scenario): Promise<void> {
  const { plan } = scenario;
  let sawPlaintext = 0;
  let capture: PacketCapture | undefined;
  let strangers = (): number => Number.NaN;
  const watch = (sites: Sites): void => {
    strangers = sites.countStrangers();
    capture = sites.watch((frame) => {
      if (Buffer.from(frame.buffer, frame.byteOffset, frame.length).includes(PING_PATTERN)) sawPlaintext++;
    });
  };
  const play = async (gateways: Gateways): Promise<void> => {
    const { sites, ikebana, strongswan } = gateways;
    if (plan.initiator === "strongswan") {
      const { code } = await strongswan.initiate("lan");
      expect(code === 0, strongswan.log).toBe(plan.outcome === "established");
    }
    await bothSaid(scenario, gateways);
    if (plan.outcome === "established") await useTunnel(scenario, gateways);
    else await showNoTunnel(gateways);

    capture!.close();
    const { ike, other, fragment, esp } = capture!.counts;
    const isSeen = sawPlaintext > 0;
    expect({ other, fragment, esp, isSeen, missed: capture!.missed }).toEqual({
      ...{ other: 0, fragment: 0, esp: 0, isSeen: plan.isInClear === true, missed: 0 },
    });
    expect(ike).toBeGreaterThan(0);
    if (plan.outcome === "established") expect(capture!.counts["esp-in-udp"]).toBeGreaterThan(0);

    // Under load we would not see every packet; the kernel counts them all.
    if (plan.load === true) await loadTunnel(scenario, gateways);
    expect(strangers()).toBe(0);

    expect(await ikebana.stop()).toEqual({ code: 0, signal: null });
    await until("strongSwan has no SA any more", async () => (await strongswan.listSas()) === "");
    expect(sites.leftLinks()).not.toContain("ikebana0");
    expect(sites.leftRoutes("ikebana0")).toEqual([]);
  };
  try {
    await withGateways(scenario, play, watch);
  } finally {
    capture?.close();
  }
}

async function useTunnel({ plan }: Scenario, { sites, ikebana, strongswan }: Gateways): Promise<void> {
  const { ikeSa, state } = await ikebana.connection();
  expect(state).toBe("established");
  const [child] = ikeSa!.children;
  if (plan.selectors !== undefined) {
    expect({ local: child!.local, remote: child!.remote }).toEqual(plan.selectors);
  }
  if (plan.routes !== undefined) {
    expect(plan.routes.filter((route) => !sites.leftRoutes("ikebana0").includes(route))).toEqual([]);
  }

  expect(await pingBothWays(sites, plan.pings)).toEqual([]);
  const after = await ikebana.connection();
  const used = after.ikeSa!.children[0]!;
  expect(used.inbound.packets).toBeGreaterThan(0);
  expect({ in: used.inbound.drops, out: used.outbound.drops }).toEqual({ in: {}, out: {} });
  if (plan.dummies === true) {
    const { dummies = 0 } = used.outbound;
    await until("more dummy packets go out", async () => {
      const { outbound } = (await ikebana.connection()).ikeSa!.children[0]!;
      return (outbound.dummies ?? 0) > dummies + 5;
    });
    expect(await pingBothWays(sites, plan.pings)).toEqual([]);
  }
  expect(ikebana.log).not.toMatch(/ (warning|error) /);
  expect(await strongswan.listSas()).toContain("INSTALLED, TUNNEL");
}

/** TCP both ways and UDP. What is lost is shown and not judged: under load, the queues of both daemons overflow. */
async function loadTunnel({ name }: Scenario, { sites, ikebana }: Gateways): Promise<void> {
  const results = await measureLoad(
    { host: sites.left, address: LEFT_INSIDE[0] },
    { host: sites.right, address: RIGHT_INSIDE[0] },
  );
  for (const { what, megabitsPerSecond, lost, received } of results) {
    console.log(`${name}: ${what}: ${megabitsPerSecond} Mbit/s, ${lost} lost`);
    expect(received, what).toBeGreaterThan(0);
  }
  const { inbound, outbound } = (await ikebana.connection()).ikeSa!.children[0]!;
  expect({ in: inbound.drops, out: outbound.drops }).toEqual({ in: {}, out: {} });
  expect(await pingBothWays(sites)).toEqual([]);
}

async function showNoTunnel({ ikebana, strongswan }: Gateways): Promise<void> {
  const { ikeSa } = await ikebana.connection();
  expect(ikeSa?.children ?? []).toEqual([]);
  expect(await strongswan.listSas()).not.toContain("INSTALLED");
}
