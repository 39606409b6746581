import { describe, expect, test } from "vitest";
import { requireRoot } from "../support/namespace.ts";
import { requireStrongswan } from "../support/strongswan.ts";
import { until } from "../support/waiting.ts";
import { untilUp, withTunnel } from "./gateways.ts";
import { loadSteps } from "./scenario.ts";
import { LEFT_INSIDE, ping, pingBothWays, RIGHT_INSIDE } from "./sites.ts";

const WHAT = "rekeying by strongSwan";

describe.skipIf(!requireRoot(WHAT) || !requireStrongswan(WHAT))("strongSwan rekeys", () => {
  for (const what of ["child", "ike"] as const) {
    test(`the ${what} SA: it is refused, makes a new one, and the tunnel stands again`, () =>
      withTunnel(loadSteps(`rekey-${what}-sa-by-strongswan`), async (gateways) => {
        const { sites, ikebana, strongswan } = gateways;
        const before = (await ikebana.connection()).ikeSa!.initiatorSpi;
        const through = { from: LEFT_INSIDE[0], to: RIGHT_INSIDE[0] };
        expect(await ping(sites.left, { ...through, count: 50 })).toEqual([]);
        const across = ping(sites.left, { ...through, count: 300 });
        await until(
          "there is another IKE SA with a child SA",
          async () => {
            const { ikeSa } = await ikebana.connection();
            return ikeSa !== undefined && ikeSa.initiatorSpi !== before && ikeSa.children.length === 1;
          },
          { describe: () => `${ikebana.log}\n${strongswan.log}` },
        );
        await untilUp(gateways);
        expect(await pingBothWays(sites)).toEqual([]);
        expect(ikebana.log).not.toContain(" error ");
        console.log(`rekey of the ${what} SA refused: ${(await across).length} of 300 pings lost on the way`);
      }));
  }
});
