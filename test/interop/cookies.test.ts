import { describe, expect, test } from "vitest";
import { halfOpenRequest } from "../support/half-open.ts";
import { requireRoot } from "../support/namespace.ts";
import { requireStrongswan } from "../support/strongswan.ts";
import { openUdpSender } from "../support/udp-sender.ts";
import { until } from "../support/waiting.ts";
import { bothSaid, untilUp, withGateways } from "./gateways.ts";
import { loadSteps } from "./scenario.ts";
import { pingBothWays } from "./sites.ts";

const WHAT = "cookies with strongSwan";

describe.skipIf(!requireRoot(WHAT) || !requireStrongswan(WHAT))("a cookie", () => {
  test("that strongSwan demands is sent back, and the tunnel comes up", () => {
    const scenario = loadSteps("cookie-of-strongswan");
    return withGateways(scenario, async (gateways) => {
      const { sites, ikebana, strongswan } = gateways;
      const stranger = openUdpSender(sites.left, "192.0.2.1", { address: "192.0.2.2", port: 500 });
      stranger.send(halfOpenRequest());
      await strongswan.logged("generating IKE_SA_INIT response 0 [ SA KE No");
      expect((await ikebana.client.up("office")).kind).toBe("done");
      await untilUp(gateways);
      expect(await pingBothWays(sites)).toEqual([]);
      await bothSaid(scenario, gateways);
      stranger.close();
    });
  });

  test("that we demand is sent back by strongSwan, and the tunnel comes up", () => {
    const scenario = loadSteps("cookie-of-ours");
    return withGateways(scenario, async (gateways) => {
      const { sites, ikebana, strongswan } = gateways;
      const stranger = openUdpSender(sites.right, "192.0.2.2", { address: "192.0.2.1", port: 500 });
      for (let i = 0; i < 4; i++) stranger.send(halfOpenRequest());
      const halfOpens = (): number => ikebana.log.split(" negotiated: ").length - 1;
      await until("we have four half-open SAs", () => halfOpens() === 4, { describe: () => ikebana.log });
      expect((await strongswan.initiate("lan")).code, strongswan.log).toBe(0);
      await untilUp(gateways);
      expect(await pingBothWays(sites)).toEqual([]);
      await bothSaid(scenario, gateways);
      stranger.close();
    });
  });
});
