import { expect, test } from "vitest";
import { expectLossless, streamWhileRekeying } from "../interop/rekeyed-streams.ts";
import { withTwoOfUs } from "../interop/two-of-us.ts";
import { CAMPAIGN } from "../support/campaign.ts";
import { requireRoot } from "../support/namespace.ts";
import { until } from "../support/waiting.ts";

test.skipIf(!requireRoot("rekeying under load between two of us"))(
  "of numbered streams at half of the tunnel's capacity rekeying loses nothing between two of us, by either and by both at once",
  { timeout: CAMPAIGN ? 900_000 : 180_000 },
  () =>
    withTwoOfUs(async ({ sites, left, right }) => {
      const ends = [left, right];
      const log = (): string => ends.map((end) => end.log).join("\n");
      const runs = await streamWhileRekeying(
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
      );
      expectLossless(runs, log());
      const seconds = runs.reduce((sum, run) => sum + (run.by === "nobody" ? 0 : run.seconds), 0);
      for (const end of ends) {
        const { shed: _, ...drops } = (await end.status()).dataPlane.drops;
        expect(drops, log()).toEqual({});
        expect(end.log.split("child SA lan rekeyed").length - 1).toBeGreaterThanOrEqual((seconds * 2) / 3);
        await until(
          "one child SA is left",
          async () => (await end.connection()).ikeSa?.children.length === 1,
          { describe: log },
        );
      }
    }),
);
