import { describe, expect, test } from "vitest";
import { requireRoot } from "../support/namespace.ts";
import { requireStrongswan } from "../support/strongswan.ts";
import { until } from "../support/waiting.ts";
import { bothSaid, untilUp, withGateways } from "./gateways.ts";
import { loadSteps } from "./scenario.ts";
import { LEFT_INSIDE, ping, pingBothWays, RIGHT_INSIDE } from "./sites.ts";

const WHAT = "traps with strongSwan";

describe.skipIf(!requireRoot(WHAT) || !requireStrongswan(WHAT))("a trap", () => {
  test("brings the tunnel up by the first ping, which is answered, and nothing leaves in clear", () => {
    const scenario = loadSteps("trap");
    return withGateways(scenario, async (gateways) => {
      const { sites, ikebana } = gateways;
      expect((await ikebana.connection()).state).toBe("trap");
      const strangers = sites.countStrangers();
      const pings = { from: LEFT_INSIDE[0], to: RIGHT_INSIDE[0], count: 1 };
      expect(await ping(sites.left, pings)).toEqual([]);
      await untilUp(gateways);
      expect(await pingBothWays(sites)).toEqual([]);
      expect(strangers()).toBe(0);
      expect((await ikebana.status()).dataPlane.drops).toEqual({});
      const { local, remote } = (await ikebana.connection()).ikeSa!.children[0]!;
      expect({ local, remote }).toEqual({
        local: ["10.1.0.0/24", "fd01::/64"],
        remote: ["10.2.0.0/24", "fd02::/64"],
      });
      await bothSaid(scenario, gateways);
    });
  });

  test("is set again when strongSwan deletes the tunnel, and springs again", () => {
    const scenario = loadSteps("trap");
    return withGateways(scenario, async (gateways) => {
      const { sites, ikebana, strongswan } = gateways;
      const pings = { from: LEFT_INSIDE[1], to: RIGHT_INSIDE[1], count: 3 };
      // IPv6 on strongSwan's side may take a moment behind its answer: its TUN device is new.
      await until("pings pass", async () => (await ping(sites.left, pings)).length === 0);
      expect((await strongswan.terminate({ ike: "ikebana" })).code).toBe(0);
      await until("the trap is set", async () => (await ikebana.connection()).state === "trap");
      // A second passes before the next attempt; three seconds is what a packet waits.
      await until("pings pass again", async () => (await ping(sites.left, pings)).length === 0);
    });
  });
});
