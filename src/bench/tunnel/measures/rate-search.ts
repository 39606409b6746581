/** What became of packets that were offered at some rate. */
export interface RateTrial {
  /** Received in a second. */
  readonly received: number;
  /** Share that was lost: 0 to 1. */
  readonly loss: number;
}

const MAX_LOSS = 0.01;
const FIRST_RATE = 10_000;
/** Each halves the uncertainty, which is a factor of two at first. */
const BISECTION_COUNT = 5;
/** A sender that falls so far behind has found its own limit, or the tunnel's that blocks it. */
const KEEPS_UP = 0.8;

/**
 * Searches for the highest rate of packets that are received while at most 1 % are lost: doubles until that no longer holds, then
 * halves the interval. A trial that fails gets a second chance, since others work on this machine too. `received` is 0 when no
 * rate at all will do.
 */
export async function highestRate(
  trial: (packetsPerSecond: number) => Promise<RateTrial>,
): Promise<RateTrial> {
  let best: RateTrial = { received: 0, loss: 1 };
  const isGood = async (rate: number): Promise<boolean> => {
    for (let attempt = 0; attempt < 2; attempt++) {
      const result = await trial(rate);
      if (result.loss > MAX_LOSS) continue;
      if (result.received > best.received) best = result;
      if (result.received >= KEEPS_UP * rate) return true;
    }
    return false;
  };
  let low = FIRST_RATE;
  while (!(await isGood(low))) {
    low /= 2;
    if (low < 100) return best;
  }
  let high = low * 2;
  if (low === FIRST_RATE) {
    while (await isGood(high)) {
      low = high;
      high *= 2;
    }
  }
  for (let step = 0; step < BISECTION_COUNT; step++) {
    const middle = Math.sqrt(low * high);
    if (await isGood(middle)) low = middle;
    else high = middle;
  }
  return best;
}
