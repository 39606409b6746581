import { describe, expect, test } from "vitest";
import { requireRoot } from "../support/namespace.ts";
import { requireStrongswan } from "../support/strongswan.ts";
import { until } from "../support/waiting.ts";
import { type Gateways, untilDown, untilUp, withTunnel } from "./gateways.ts";
import { loadSteps } from "./scenario.ts";
import { LEFT_INSIDE, pingBothWays, pingInVain, RIGHT_INSIDE } from "./sites.ts";

const WHAT = "deletes with strongSwan";

describe.skipIf(!requireRoot(WHAT) || !requireStrongswan(WHAT))("a delete with strongSwan", () => {
  test("of the IKE SA by us leaves nothing on either side, until we bring the tunnel up again", () =>
    withTunnel(loadSteps("delete-ike-sa-by-us"), async (gateways) => {
      const { ikebana, strongswan } = gateways;
      expect(await ikebana.client.down("office")).toEqual({ kind: "done", message: "office is down" });
      await untilDown(gateways);
      await nothingPasses(gateways);
      expect((await strongswan.initiate("lan")).code).not.toBe(0);
      expect((await ikebana.client.up("office")).kind).toBe("done");
      await untilUp(gateways);
      expect(await pingBothWays(gateways.sites), strongswan.log).toEqual([]);
    }));

  test("of the IKE SA by strongSwan leaves nothing on either side, and it can begin anew", () =>
    withTunnel(loadSteps("delete-ike-sa-by-strongswan"), async (gateways) => {
      const { strongswan } = gateways;
      expect((await strongswan.terminate({ ike: "ikebana" })).code).toBe(0);
      await untilDown(gateways);
      await nothingPasses(gateways);
      expect((await strongswan.initiate("lan")).code).toBe(0);
      await untilUp(gateways);
      expect(await pingBothWays(gateways.sites)).toEqual([]);
    }));

  test("of the child SA by strongSwan removes both halves and keeps the IKE SA", () =>
    withTunnel(loadSteps("delete-child-sa-by-strongswan"), async (gateways) => {
      const { ikebana, strongswan } = gateways;
      expect((await strongswan.terminate({ child: "lan" })).code).toBe(0);
      await until("we have no child SA", async () => {
        const { ikeSa } = await ikebana.connection();
        return ikeSa?.children.length === 0;
      });
      await until(
        "strongSwan has none either",
        async () => !(await strongswan.listSas()).includes("INSTALLED"),
      );
      expect(await strongswan.listSas()).toContain("ESTABLISHED");
      await nothingPasses(gateways);
    }));
});

/** What matches no SA any more is dropped, and counted. */
async function nothingPasses({ sites, ikebana }: Gateways): Promise<void> {
  const before = (await ikebana.status()).dataPlane.drops.noSa ?? 0;
  const capture = sites.watch();
  for (const family of [0, 1] as const) {
    const pings = { from: LEFT_INSIDE[family], to: RIGHT_INSIDE[family], count: 3 };
    expect(await pingInVain(sites.left, pings)).toBe(0);
  }
  capture.close();
  expect({ ...capture.counts, ike: 0, neighbors: 0 }).toMatchObject({ other: 0, "esp-in-udp": 0 });
  await until(
    "all are counted",
    async () => ((await ikebana.status()).dataPlane.drops.noSa ?? 0) >= before + 6,
  );
}
