import { describe, test } from "vitest";
import { LEFT_INSIDE, RIGHT_INSIDE } from "../interop/sites.ts";
import { withRelayedTwoOfUs } from "../interop/two-of-us.ts";
import { CAMPAIGN } from "../support/campaign.ts";
import { BAD_PATH, expectIntegrity } from "../support/integrity/carry.ts";
import { requireRoot } from "../support/namespace.ts";

describe.skipIf(!requireRoot("integrity between two of us"))("between two of us", () => {
  for (const [number, { offloads, workers, faults }] of (
    [
      { offloads: ["auto", "auto"], workers: [1, 1], faults: {} },
      { offloads: ["auto", "off"], workers: [2, 4], faults: BAD_PATH },
      { offloads: ["off", "auto"], workers: [4, 2], faults: BAD_PATH },
      { offloads: ["off", "off"], workers: [2, 2], faults: {} },
    ] as const
  ).entries()) {
    const path = faults === BAD_PATH ? "with loss and reordering" : "without faults";
    const what = `offloads ${offloads.join(" and ")}, workers ${workers.join(" and ")}, ${path}`;
    test(
      `TCP in random pieces and UDP of all sizes arrive intact: ${what}`,
      { timeout: CAMPAIGN ? 1_800_000 : 120_000 },
      () =>
        withRelayedTwoOfUs(
          ({ sites, left, right, relay }) =>
            expectIntegrity({
              number,
              what: `two of us, ${what}`,
              left: sites.left,
              right: sites.right,
              relay,
              faults,
              inside: { left: LEFT_INSIDE, right: RIGHT_INSIDE },
              ownDrops: async () => [
                (await left.status()).dataPlane.drops,
                (await right.status()).dataPlane.drops,
              ],
            }),
          { offloads, workers },
        ),
    );
  }
});
