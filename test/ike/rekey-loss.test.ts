import { describe, expect, test } from "vitest";
import { expectSettled } from "../support/simulator/expectations.ts";
import { establishedPair, type Pair, SeededRandom } from "../support/simulator/index.ts";
import { forEachSeed, seedCount } from "../support/simulator/seeds.ts";
import { Traffic } from "../support/simulator/traffic.ts";

// Ten thousand rekeyings at each rate of loss, in virtual time, with packets both ways.

const ONE_WAY = 10;
const RATES = [1, 5, 10];
const EACH = 50;

describe.each(RATES)("with %d %% of all messages lost and the rest out of order", (percent) => {
  test("of ten thousand rekeyings at least 99.9 % succeed, and no packet is lost over them", () => {
    const loss = percent / 100;
    let rekeyed = 0;
    let asked = 0;
    forEachSeed(Math.ceil(seedCount(600) / RATES.length), (seed) => {
      const pair = establishedPair({ seed, limits: { livenessMs: 3_600_000 } });
      const { initiator, responder, link } = pair;
      const random = new SeededRandom(seed);
      link.impair(seed, { loss, duplication: 0.02, delayMs: [5, 150] });
      const traffic = new Traffic(pair, () => 5 + random.fraction() * 145);
      for (let i = 0; i < EACH; i++) {
        asked++;
        const before = ends(pair);
        const what = random.fraction() < 0.3 ? "ike" : "children";
        const side = random.fraction();
        if (side < 0.6) initiator.rekey(what);
        if (side > 0.4) responder.rekey(what);
        // Long enough for four losses in a row, after 0.5, 1.5, 3.5 and 7.5 s.
        traffic.run({ until: link.now + 10_000 + random.fraction() * 10_000, everyMs: 250 });
        const after = ends(pair);
        const isReplaced = what === "ike" ? after.ike !== before.ike : after.child !== before.child;
        if (isReplaced && after.isUp) rekeyed++;
      }
      link.fate = () => [ONE_WAY];
      traffic.run({ until: link.now + 100_000, everyMs: 1_000 });
      traffic.finish();
      expect(traffic.lost).toEqual([]);
      expectSettled(pair);
    });
    expect(rekeyed / asked).toBeGreaterThanOrEqual(0.999);
  }, 600_000);
});

/** What both sides have: SPIs of the newest IKE SA and child SA, and whether each side can reach the other. */
function ends({ initiator, responder }: Pair) {
  const there = initiator.outboundSpi();
  const back = responder.outboundSpi();
  return {
    ike: initiator.ikeSas.filter(({ state }) => state === "established").at(-1)?.initiatorSpi,
    child: there,
    isUp:
      there !== undefined &&
      back !== undefined &&
      responder.installed.has(there) &&
      initiator.installed.has(back),
  };
}
