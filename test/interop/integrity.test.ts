import { describe, test } from "vitest";
import { CAMPAIGN } from "../support/campaign.ts";
import { BAD_PATH, expectIntegrity } from "../support/integrity/carry.ts";
import { requireRoot } from "../support/namespace.ts";
import { requireStrongswan } from "../support/strongswan.ts";
import { untilUp, withRelayedGateways } from "./gateways.ts";
import { loadSteps } from "./scenario.ts";
import { LEFT_INSIDE, RIGHT_INSIDE } from "./sites.ts";

const WHAT = "integrity with strongSwan";
/** Behind those of the tunnels between two of us. */
const FIRST_NUMBER = 4;

describe.skipIf(!requireRoot(WHAT) || !requireStrongswan(WHAT))("with strongSwan", () => {
  for (const [i, { initiator, offloads, workers, faults }] of (
    [
      { initiator: "us", offloads: "auto", workers: 2, faults: {} },
      { initiator: "us", offloads: "off", workers: 1, faults: BAD_PATH },
      { initiator: "strongSwan", offloads: "auto", workers: 1, faults: BAD_PATH },
      { initiator: "strongSwan", offloads: "off", workers: 2, faults: {} },
    ] as const
  ).entries()) {
    const path = faults === BAD_PATH ? "with loss and reordering" : "without faults";
    const what = `initiated by ${initiator}, offloads ${offloads}, workers ${workers}, ${path}`;
    test(`TCP in random pieces and UDP of all sizes arrive intact: ${what}`, {
      timeout: CAMPAIGN ? 1_800_000 : 120_000,
    }, async () => {
      const scenario = loadSteps(initiator === "us" ? "relay-initiator" : "relay-responder");
      const configured = {
        ...scenario,
        ikebana: `offloads: ${offloads}\nworkers: ${workers}\n${scenario.ikebana}`,
      };
      await withRelayedGateways(configured, async (gateways) => {
        const { sites, ikebana, strongswan, relay } = gateways;
        if (initiator === "strongSwan") await strongswan.initiate("lan");
        await untilUp(gateways);
        await expectIntegrity({
          number: FIRST_NUMBER + i,
          what: `strongSwan, ${what}`,
          left: sites.left,
          right: sites.right,
          relay,
          faults,
          inside: { left: LEFT_INSIDE, right: RIGHT_INSIDE },
          ownDrops: async () => [(await ikebana.status()).dataPlane.drops, {}],
        });
      });
    });
  }
});
