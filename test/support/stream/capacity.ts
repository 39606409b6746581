import type { Streams } from "./streams.ts";

const FIRST_RATE = 5_000;
const STEP = 1.5;
const PROBE_SECONDS = 0.5;
const GRACE_MS = 200;
/** Less than this part of it arrives: it was more than the tunnel carries. */
const ENOUGH = 0.8;
/** So many steps in a row that are too much are no accident. */
const PATIENCE = 2;
const MOST_STEPS = 16;

/** Datagrams in a second that the streams carry each way when both are loaded: sends ever more until they do not arrive. */
export async function measureCapacity(streams: Streams): Promise<number> {
  const probe = async (rate: number, seconds: number) => {
    const results = await streams.run({ rates: [rate, rate], seconds, graceMs: GRACE_MS });
    return {
      perSecond: Math.min(
        ...results.map(({ received, slippedMs }) => received / (seconds + slippedMs / 1000)),
      ),
      isEnough: results.every(({ received, sent }) => received >= ENOUGH * sent),
    };
  };
  await probe(FIRST_RATE, 1); // what runs for the first time is slow
  let best = 0;
  let failures = 0;
  for (let step = 0; step < MOST_STEPS && failures < PATIENCE; step++) {
    const { perSecond, isEnough } = await probe(Math.round(FIRST_RATE * STEP ** step), PROBE_SECONDS);
    best = Math.max(best, perSecond);
    // A sender that does not come up to the rate has shown what this machine can do.
    failures = isEnough && perSecond > best / 2 ? 0 : failures + 1;
  }
  return best;
}
