import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { CAMPAIGN, printTable, progress } from "../support/campaign.ts";
import { type IkebanaDaemon, startIkebana } from "../support/ikebana.ts";
import { requireRoot } from "../support/namespace.ts";
import {
  createRoaming,
  GATEWAY_INSIDE,
  HOMES,
  longestOutageMs,
  OTHER_HOME,
  ROAMER_INSIDE,
} from "../support/roaming.ts";
import type { FlowResult } from "../support/stream/results.ts";
import { openStreams } from "../support/stream/streams.ts";
import { requireStrongswan, type Strongswan, startStrongswan } from "../support/strongswan.ts";
import { until } from "../support/waiting.ts";
import { loadSteps } from "./scenario.ts";

// strongSwan's user-space ESP cannot update an SA where it stands: it replaces the child SA at each move. How long that takes is shown,
// not judged.

const WHAT = "mobility with strongSwan";
const EVERY_MS = CAMPAIGN ? 5_000 : 2_500;
/** There and back again, so many times before the last two moves. */
const ROUNDS = CAMPAIGN ? 11 : 0;
const RATE = 500;
const [FIRST, SECOND] = HOMES;

describe.skipIf(!requireRoot(WHAT) || !requireStrongswan(WHAT))("with strongSwan", () => {
  test.each([
    { name: "mobility-initiator", what: "we call, and move" },
    { name: "mobility-responder", what: "it calls, and moves" },
  ])(
    "$name: $what: the IKE SA stays, and traffic comes back behind each move",
    { timeout: CAMPAIGN ? 300_000 : 120_000 },
    async ({ name }) => {
      const scenario = loadSteps(name);
      const weCall = scenario.plan.initiator === "ikebana";
      const roaming = await createRoaming();
      let ikebana: IkebanaDaemon | undefined;
      let strongswan: Strongswan | undefined;
      try {
        const [ours, theirs] = weCall ? [roaming.roamer, roaming.gateway] : [roaming.gateway, roaming.roamer];
        const { swanctl: configuration, settings } = scenario;
        strongswan = await startStrongswan(theirs, { configuration, settings });
        ikebana = await startIkebana(ours, scenario.ikebana);
        const [us, them] = [ikebana, strongswan];
        const log = (): string => `${us.log}\n${them.log}`;
        if (!weCall) await them.initiate("lan");
        await until("the tunnel is up", async () => (await us.connection()).ikeSa?.children.length === 1, {
          describe: log,
        });
        const { initiatorSpi } = (await us.connection()).ikeSa!;
        expect((await us.connection()).ikeSa!.mobike, log()).toBe(true);

        const takeOtherWay = (): void => {
          roaming.setRoute("wire1", true);
          roaming.setRoute("wire0", false);
        };
        const go = (): void => roaming.renumber(FIRST, SECOND);
        const comeBack = (): void => roaming.renumber(SECOND, FIRST);
        const rounds = Array.from({ length: ROUNDS }, () => [go, comeBack]).flat();
        // strongSwan stays at an address that it still has, whatever routes say.
        const moves = [...rounds, go, weCall ? takeOtherWay : comeBack];
        const streams = await openStreams({ left: roaming.roamer, right: roaming.gateway }, [
          { from: "left", source: ROAMER_INSIDE, destination: GATEWAY_INSIDE, port: 5201 },
          { from: "right", source: GATEWAY_INSIDE, destination: ROAMER_INSIDE, port: 5202 },
        ]);
        let results: readonly FlowResult[];
        try {
          const run = streams.run({ rates: [RATE, RATE], seconds: ((moves.length + 1) * EVERY_MS) / 1000 });
          for (const move of moves) {
            await sleep(EVERY_MS);
            move();
          }
          results = await run;
        } finally {
          await streams.close();
        }
        await until(
          "the path is where the caller is",
          async () => {
            const { local, remote } = (await us.connection()).ikeSa!;
            return weCall ? local.address === OTHER_HOME : remote.address === FIRST;
          },
          { describe: log },
        );
        expect((await us.connection()).ikeSa!.initiatorSpi, log()).toBe(initiatorSpi);
        const rows = (["out", "in"] as const).map((way, i) => ({
          scenario: name,
          way,
          moves: moves.length,
          sent: results[i]!.sent,
          lost: results[i]!.lost,
          "outage ms": Math.round(longestOutageMs(results[i]!, RATE)),
        }));
        if (CAMPAIGN) printTable(rows);
        else progress(rows.map((row) => `${name}, ${row.way}: ${row["outage ms"]} ms`).join("; "));
        // Each move was got over before the next.
        for (const row of rows) expect(row["outage ms"], `${row.way}\n${log()}`).toBeLessThan(EVERY_MS);
      } finally {
        await ikebana?.stop("SIGKILL");
        await strongswan?.stop();
        await roaming.close();
      }
    },
  );
});
