import { expect, test } from "vitest";
import { requireRoot } from "../support/namespace.ts";
import { requireStrongswan } from "../support/strongswan.ts";
import { until } from "../support/waiting.ts";
import { withTunnel } from "./gateways.ts";
import { loadSteps } from "./scenario.ts";
import { pingBothWays } from "./sites.ts";

const WHAT = "AUTH_LIFETIME with strongSwan";

test.skipIf(!requireRoot(WHAT) || !requireStrongswan(WHAT))(
  "strongSwan hears for how long we believe it, and shows in time again who it is",
  () =>
    withTunnel(loadSteps("auth-lifetime-of-ours"), async ({ sites, ikebana, strongswan }) => {
      const log = (): string => `${ikebana.log}\n${strongswan.log}`;
      expect(await pingBothWays(sites), log()).toEqual([]);
      const spi = async () => (await ikebana.connection()).ikeSa?.initiatorSpi;
      const before = await spi();
      await until("another IKE SA is there", async () => ![undefined, before].includes(await spi()), {
        describe: log,
      });
      await until("it carries packets both ways", async () => (await pingBothWays(sites)).length === 0, {
        describe: log,
      });
      expect(ikebana.log).not.toContain("has not authenticated again in time");
    }),
);
