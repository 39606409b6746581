import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, describe, expect, test } from "vitest";
import { CAMPAIGN, printTable, progress } from "../support/campaign.ts";
import type { Faults } from "../support/faults.ts";
import { requireRoot } from "../support/namespace.ts";
import type { RelayCounts } from "../support/relay/counts.ts";
import { requireStrongswan } from "../support/strongswan.ts";
import { until } from "../support/waiting.ts";
import { type Gateways, type RelayedGateways, untilUp, withRelayedGateways } from "./gateways.ts";
import { loadSteps } from "./scenario.ts";
import { pingBothWays } from "./sites.ts";

const WHAT = "rekeying through a bad network with strongSwan";

const SETTINGS: readonly { readonly name: string; readonly faults: Faults }[] = [
  { name: "1 % loss", faults: { loss: 0.01 } },
  { name: "5 % loss", faults: { loss: 0.05 } },
  { name: "10 % loss", faults: { loss: 0.1 } },
  { name: "5 % reordering", faults: { reordering: 0.05 } },
  { name: "2 % duplicates", faults: { duplication: 0.02 } },
  { name: "20 ms delay", faults: { delayMs: [20, 20] } },
  { name: "100 ms delay", faults: { delayMs: [100, 100] } },
  { name: "300 ms delay", faults: { delayMs: [300, 300] } },
];

/** What is rekeyed by turns: child SAs three times as often as IKE SAs. */
const TURNS = ["children", "children", "ike", "children"] as const;
/** Of each setting and role and side that begins: twenty in the long form. */
const COUNT = CAMPAIGN ? 20 : 4;
/** Enough for seven losses in a row. */
const PATIENCE_MS = 60_000;

const figures: Record<string, string | number>[] = [];

describe.skipIf(!requireRoot(WHAT) || !requireStrongswan(WHAT))(
  "every rekeying succeeds, whatever the path does",
  () => {
    for (const { role, scenario } of [
      { role: "we made the IKE SA", scenario: "relay-initiator" },
      { role: "strongSwan made the IKE SA", scenario: "relay-responder" },
    ]) {
      // Side by side, since they mostly wait.
      test(role, { timeout: CAMPAIGN ? 3_600_000 : 240_000, concurrent: true }, () =>
        withRelayedGateways(loadSteps(scenario), async (gateways) => {
          const { sites, ikebana, strongswan } = gateways;
          if (scenario === "relay-responder") await strongswan.initiate("lan");
          await untilUp(gateways);
          for (const [seed, { name, faults }] of SETTINGS.entries()) {
            for (const side of ["us", "strongSwan"] as const) {
              await gateways.relay.impair(seed, faults);
              const before = await gateways.relay.counts();
              let longestMs = 0;
              for (let i = 0; i < COUNT; i++) {
                const tookMs = await rekey(gateways, { what: TURNS[i % TURNS.length]!, side });
                longestMs = Math.max(longestMs, tookMs);
              }
              const hits = hitsSince(before, await gateways.relay.counts());
              figures.push({
                role,
                path: name,
                by: side,
                rekeyed: COUNT,
                longestMs: Math.round(longestMs),
                ...hits,
              });
              progress(`${role}, ${name}, by ${side}: ${COUNT} of ${COUNT} rekeyed, ${JSON.stringify(hits)}`);
            }
          }
          await gateways.relay.impair(0, {});
          // What is still on its way arrives late, the last Delete among it.
          await sleep(1000);
          expect(await pingBothWays(sites)).toEqual([]);
          await until("there is one of each", () => isSettled(gateways), { describe: () => strongswan.log });
          const counts = await gateways.relay.counts();
          expect(counts.map(({ overflowed }) => overflowed)).toEqual([0, 0]);
          expect(ikebana.log).not.toMatch(/ error /);
        }),
      );
    }

    afterAll(() => {
      if (CAMPAIGN) printTable(figures);
    });
  },
);

/** What the relay did to how many messages meanwhile. */
function hitsSince(before: RelayCounts, after: RelayCounts) {
  const both = (name: "received" | "lost" | "duplicated"): number =>
    after[0][name] + after[1][name] - before[0][name] - before[1][name];
  return { messages: both("received"), lost: both("lost"), twice: both("duplicated") };
}

/** Rekeys once and waits until both sides have the new one and nothing else. Returns how long that took. */
async function rekey(
  gateways: RelayedGateways,
  { what, side }: { readonly what: "children" | "ike"; readonly side: "us" | "strongSwan" },
): Promise<number> {
  const { ikebana, strongswan } = gateways;
  const before = await spiOf(gateways, what);
  const begin = performance.now();
  if (side === "us") await ikebana.client.rekey("office", what);
  else await strongswan.rekey(what === "ike" ? { ike: "ikebana" } : { child: "lan" });
  await until(
    `both sides have new ${what === "ike" ? "IKE SA" : "child SA"} and no old one`,
    async () => (await spiOf(gateways, what)) !== before && (await isSettled(gateways)),
    { timeoutMs: PATIENCE_MS, describe: () => `${ikebana.log}\n${strongswan.log}` },
  );
  return performance.now() - begin;
}

async function spiOf({ ikebana }: Gateways, what: "children" | "ike"): Promise<string | undefined> {
  const { ikeSa } = await ikebana.connection();
  return what === "ike" ? ikeSa?.initiatorSpi : ikeSa?.children[0]?.inboundSpi;
}

/** One IKE SA and one child SA on both sides, with the same SPIs. */
async function isSettled({ ikebana, strongswan }: Gateways): Promise<boolean> {
  const { ikeSa } = await ikebana.connection();
  if (ikeSa === undefined || ikeSa.children.length !== 1) return false;
  const [child] = ikeSa.children;
  const list = await strongswan.listSas();
  const count = (text: string): number => list.split(text).length - 1;
  return (
    count("ESTABLISHED") === 1 &&
    count("INSTALLED") === 1 &&
    count("REKEYED") === 0 && // what is DELETED opens late packets for five seconds more
    list.includes(child!.inboundSpi) &&
    list.includes(child!.outboundSpi) &&
    list.includes(ikeSa.initiatorSpi)
  );
}
