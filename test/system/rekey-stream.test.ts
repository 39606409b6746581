import { expect, test } from "vitest";
import { expectLossless, leastRekeyings, PACE, streamWhileRekeying } from "../interop/rekeyed-streams.ts";
import { withTwoOfUs } from "../interop/two-of-us.ts";
import { CAMPAIGN } from "../support/campaign.ts";
import { requireRoot } from "../support/namespace.ts";
import { until } from "../support/waiting.ts";

/** Those with strongSwan are as long as they can be; here each leg has as many of its IKE SA, and fewer of the child SA. */
const OUR_PACE = CAMPAIGN ? PACE : { seconds: 8, ikeEvery: 5 };

test.skipIf(!requireRoot("rekeying under load between two of us"))(
  "of numbered streams at half of the tunnel's capacity rekeying loses nothing between two of us, by either and by both at once",
  { timeout: CAMPAIGN ? 900_000 : 180_000 },
  () =>
    withTwoOfUs(async ({ sites, left, right }) => {
      const ends = [left, right];
      const log = (): string => ends.map((end) => end.log).join("\n");
      const { runs } = await streamWhileRekeying(
        {
          left: sites.left,
          right: sites.right,
          rekeyByLeft: (what) => left.client.rekey("office", what),
          rekeyByRight: (what) => right.client.rekey("office", what),
          ours: ["left", "right"],
          ownDrops: async () => [
            (await left.status()).dataPlane.drops,
            (await right.status()).dataPlane.drops,
          ],
        },
        "two of us",
        { pace: OUR_PACE },
      );
      expectLossless(runs, log());
      for (const end of ends) {
        const { shed: _, ...drops } = (await end.status()).dataPlane.drops;
        expect(drops, log()).toEqual({});
        expect(end.log.split("child SA lan rekeyed").length - 1).toBeGreaterThanOrEqual(leastRekeyings(runs));
        await until(
          "one child SA is left",
          async () => (await end.connection()).ikeSa?.children.length === 1,
          { describe: log },
        );
      }
    }),
);
