import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { LEFT_INSIDE, pingBothWays, RIGHT_INSIDE } from "../interop/sites.ts";
import { withRelayedTwoOfUs } from "../interop/two-of-us.ts";
import { CAMPAIGN, progress } from "../support/campaign.ts";
import { requireRoot } from "../support/namespace.ts";
import { longestOutageMs } from "../support/roaming.ts";
import { openStreams } from "../support/stream/streams.ts";
import { until } from "../support/waiting.ts";

const EVERY_MS = CAMPAIGN ? 5_000 : 1_000;
const TIMES = CAMPAIGN ? 24 : 4;
const RATE = CAMPAIGN ? 4_000 : 1_000;

test.skipIf(!requireRoot("a NAT that rebinds under a tunnel"))(
  "a NAT that gives the initiator other ports ends no tunnel: the peer follows with the next sign of life, or the next packet",
  { timeout: CAMPAIGN ? 600_000 : 240_000 },
  async () => {
    await withRelayedTwoOfUs(async ({ sites, left, right, relay }) => {
      const portOf = async (): Promise<number> => (await right.connection()).ikeSa!.remote.port;
      expect(await pingBothWays(sites)).toEqual([]);
      const ports = [await portOf()];
      for (let time = 1; time <= 3; time++) {
        await relay.rebind();
        await left.client.liveness("office");
        const before = ports.at(-1);
        await until("the peer has followed", async () => (await portOf()) !== before, {
          describe: () => `${left.log}\n${right.log}`,
        });
        expect(await pingBothWays(sites), `${left.log}\n${right.log}`).toEqual([]);
        ports.push(await portOf());
      }
      expect(ports[0]).toBe(4500);
      expect(new Set(ports).size).toBe(4);
      await right.client.rekey("office", "ike");
      await right.client.rekey("office", "children");
      expect(await pingBothWays(sites), `${left.log}\n${right.log}`).toEqual([]);

      // Under load, ESP alone shows where the peer is.
      const streams = await openStreams(sites, [
        { from: "left", source: LEFT_INSIDE[0], destination: RIGHT_INSIDE[0], port: 5201 },
        { from: "right", source: RIGHT_INSIDE[0], destination: LEFT_INSIDE[0], port: 5202 },
      ]);
      try {
        const run = streams.run({ rates: [RATE, RATE], seconds: ((TIMES + 1) * EVERY_MS) / 1000 });
        for (let time = 0; time < TIMES; time++) {
          await sleep(EVERY_MS);
          await relay.rebind();
        }
        const outages = (await run).map((result) => Math.round(longestOutageMs(result, RATE)));
        progress(`a NAT that rebinds: ${outages[0]} ms out, ${outages[1]} ms in`);
        for (const outageMs of outages) expect(outageMs, `${left.log}\n${right.log}`).toBeLessThan(1_000);
      } finally {
        await streams.close();
      }
    });
  },
);
