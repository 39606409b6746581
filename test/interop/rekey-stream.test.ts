import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { requireRoot } from "../support/namespace.ts";
import { requireStrongswan } from "../support/strongswan.ts";
import { type Gateways, untilUp, withGateways } from "./gateways.ts";
import { streamUdp } from "./iperf-stream.ts";
import { loadSteps } from "./scenario.ts";
import { LEFT_INSIDE, RIGHT_INSIDE } from "./sites.ts";

const WHAT = "rekeying under load with strongSwan";

/** 15 s by default; two minutes each by IKEBANA_STREAM_SECONDS=120. */
const SECONDS = Number(process.env.IKEBANA_STREAM_SECONDS ?? 15);
const IKE_EVERY = 5;
/**
 * So slow that nothing overflows while the machine is busy with other things for half a second; a quiet machine takes half of
 * the tunnel's capacity by IKEBANA_STREAM_MEGABITS.
 */
const MEGABITS_PER_SECOND = Number(process.env.IKEBANA_STREAM_MEGABITS ?? 2);

describe.skipIf(!requireRoot(WHAT) || !requireStrongswan(WHAT))(
  "of a numbered stream each way nothing is lost while a child SA is rekeyed every second and the IKE SA every five",
  () => {
    for (const { title, byUs, byThem } of [
      { title: "by us", byUs: true, byThem: false },
      { title: "by strongSwan", byUs: false, byThem: true },
      { title: "by both at once", byUs: true, byThem: true },
    ]) {
      test(title, { timeout: (SECONDS + 45) * 1000 }, () =>
        withGateways(loadSteps("rekey-child-sa-with-pfs-by-strongswan"), async (gateways) => {
          const { sites, ikebana, strongswan } = gateways;
          await strongswan.initiate("lan");
          await untilUp(gateways);
          const left = { host: sites.left, address: LEFT_INSIDE[0] };
          const right = { host: sites.right, address: RIGHT_INSIDE[0] };
          const stream = { seconds: SECONDS, megabitsPerSecond: MEGABITS_PER_SECOND };
          const streams = Promise.all([
            streamUdp({ ...stream, from: left, to: right, port: 5201 }),
            streamUdp({ ...stream, from: right, to: left, port: 5202 }),
          ]);
          for (let second = 1; second < SECONDS - 1; second++) {
            await sleep(1000);
            await rekey(gateways, { isIke: second % IKE_EVERY === 0, byUs, byThem });
          }
          const log = `${ikebana.log}\n${strongswan.log}`;
          const results = await streams;
          expect(
            results.map(({ lost }) => lost),
            log,
          ).toEqual([0, 0]);
          for (const { sent } of results) {
            expect(sent).toBeGreaterThan((SECONDS * MEGABITS_PER_SECOND * 1e6 * 0.9) / 9600);
          }
          expect((await ikebana.status()).dataPlane.drops, log).toEqual({});
          const count = (text: string): number => ikebana.log.split(text).length - 1;
          expect(count("child SA lan rekeyed"), log).toBeGreaterThanOrEqual((SECONDS * 2) / 3 - 2);
          expect(count("IKE SA with b.example.org rekeyed"), log).toBeGreaterThanOrEqual(
            Math.floor((SECONDS - 2) / IKE_EVERY),
          );
          const { ikeSa } = await ikebana.connection();
          expect(ikeSa?.children.length, log).toBe(1);
        }),
      );
    }
  },
);

async function rekey(
  { ikebana, strongswan }: Gateways,
  facts: { readonly isIke: boolean; readonly byUs: boolean; readonly byThem: boolean },
): Promise<void> {
  const { isIke, byUs, byThem } = facts;
  await Promise.all([
    ...(byUs ? [ikebana.client.rekey("office", isIke ? "ike" : "children")] : []),
    ...(byThem ? [strongswan.rekey(isIke ? { ike: "ikebana" } : { child: "lan" })] : []),
  ]);
}
