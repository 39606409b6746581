import { describe, expect, test } from "vitest";
import { requireRoot } from "../support/namespace.ts";
import { requireStrongswan } from "../support/strongswan.ts";
import { until } from "../support/waiting.ts";
import { untilDown, untilUp, withGateways } from "./gateways.ts";
import { loadSteps } from "./scenario.ts";
import { pingBothWays } from "./sites.ts";

const WHAT = "strongSwan beside a daemon that misbehaves";

// We misbehave on purpose (IKEBANA_IMPAIR), strongSwan does not: what it makes of it is what others would, and both end with one child.

describe.skipIf(!requireRoot(WHAT) || !requireStrongswan(WHAT))(WHAT, () => {
  test.each([
    "drop=IKE_AUTH-response:1 drop=CREATE_CHILD_SA-request:1 drop=INFORMATIONAL-response:1",
    "duplicate=IKE_SA_INIT duplicate=IKE_AUTH duplicate=CREATE_CHILD_SA duplicate=INFORMATIONAL",
    "replay=CREATE_CHILD_SA replay=INFORMATIONAL corrupt=CREATE_CHILD_SA-response:1",
    "collide",
  ])(
    "%s: rekeying by both ends with one tunnel, which carries, and goes when it is told to",
    { timeout: 90_000, concurrent: true }, // they mostly wait
    (impair) =>
      withGateways(
        loadSteps("rekey-child-sa-with-pfs-by-strongswan"),
        async (gateways) => {
          const { sites, ikebana, strongswan } = gateways;
          const describe = (): string => `${ikebana.log}\n${strongswan.log}`;
          await strongswan.initiate("lan");
          await untilUp(gateways);
          const first = (await ikebana.connection()).ikeSa?.children[0]?.inboundSpi;
          await strongswan.rekey({ child: "lan" });
          expect(await ikebana.client.rekey("office", "children")).toMatchObject({ kind: "done" });
          await until(
            "one other child SA on both sides",
            async () => {
              const { ikeSa } = await ikebana.connection();
              const theirs = (await strongswan.listSas()).split("INSTALLED, TUNNEL").length - 1;
              return ikeSa?.children.length === 1 && ikeSa.children[0]?.inboundSpi !== first && theirs === 1;
            },
            { timeoutMs: 30_000, describe },
          );
          expect(await pingBothWays(sites), describe()).toEqual([]);
          expect(await ikebana.client.down("office")).toMatchObject({ kind: "done" });
          await untilDown(gateways);
        },
        () => {},
        impair,
      ),
  );
});
