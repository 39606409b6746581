import { describe, expect, test } from "vitest";
import type { IkeSaStatus } from "../../src/engine/status.ts";
import { requireRoot } from "../support/namespace.ts";
import { requireStrongswan } from "../support/strongswan.ts";
import { until } from "../support/waiting.ts";
import { withTunnel } from "./gateways.ts";
import { loadSteps } from "./scenario.ts";
import { LEFT_INSIDE, ping, pingBothWays, RIGHT_INSIDE } from "./sites.ts";

const WHAT = "rekeying by strongSwan";

describe.skipIf(!requireRoot(WHAT) || !requireStrongswan(WHAT))(
  "not a packet is lost when strongSwan rekeys",
  () => {
    for (const { title, scenario, what, spiOf } of [
      {
        title: "a child SA",
        scenario: "rekey-child-sa-by-strongswan",
        what: { child: "lan" },
        spiOf: ({ children }: IkeSaStatus) => children[0]?.inboundSpi,
      },
      {
        title: "a child SA with a key exchange of its own",
        scenario: "rekey-child-sa-with-pfs-by-strongswan",
        what: { child: "lan" },
        spiOf: ({ children }: IkeSaStatus) => children[0]?.inboundSpi,
      },
      {
        title: "an IKE SA",
        scenario: "rekey-ike-sa-by-strongswan",
        what: { ike: "ikebana" },
        spiOf: ({ initiatorSpi }: IkeSaStatus) => initiatorSpi,
      },
    ]) {
      test(title, () =>
        withTunnel(loadSteps(scenario), async ({ sites, ikebana, strongswan }) => {
          const before = spiOf((await ikebana.connection()).ikeSa!);
          const across = Promise.all([
            ping(sites.left, { from: LEFT_INSIDE[0], to: RIGHT_INSIDE[0], count: 200 }),
            ping(sites.right, { from: RIGHT_INSIDE[1], to: LEFT_INSIDE[1], count: 200 }),
          ]);
          expect((await strongswan.rekey(what)).code).toBe(0);
          await until(
            "the new SA has taken the old one's place",
            async () => {
              const { ikeSa } = await ikebana.connection();
              return ikeSa !== undefined && ikeSa.children.length === 1 && spiOf(ikeSa) !== before;
            },
            { describe: () => `${ikebana.log}\n${strongswan.log}` },
          );
          expect(await across, `${ikebana.log}\n${strongswan.log}`).toEqual([[], []]);
          expect(await pingBothWays(sites)).toEqual([]);
          expect(ikebana.log).not.toMatch(/ (warning|error) /);
        }),
      );
    }
  },
);
