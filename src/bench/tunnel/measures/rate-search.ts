/** What became of packets that were offered at some rate. */
export interface RateTrial {
  /** Received in a second. */
  readonly received: number;
  /** Share that was lost: 0 to 1. */
  readonly loss: number;
}

const MAX_LOSS = 0.01;
const FIRST_RATE = 10_000;
/** A rate below which nothing is worth looking for. */
const LOWEST_RATE = 100;
/** A sender that falls so far behind has found its own limit, or the tunnel's that blocks it. */
const KEEPS_UP = 0.8;
/** Steps by which the rate is changed until one holds and the next does not, and how often that interval is then halved. */
const UNKNOWN = { factor: 2, bisectionCount: 4 };
const KNOWN = { factor: 1.3, bisectionCount: 2 };

/**
 * Searches for the highest rate of packets that are received while at most 1 % are lost: raises it until that no longer holds, or lowers
 * it until it does, and then halves the interval, down to 5 % or less. `expected`: where to begin, if somebody knows. A trial that fails gets
 * a second chance, since others work on this machine too. `received` is 0 when no rate at all will do.
 */
export async function highestRate(
  trial: (packetsPerSecond: number) => Promise<RateTrial>,
  expected?: number,
): Promise<RateTrial> {
  const isKnown = expected !== undefined && expected > LOWEST_RATE;
  const { factor, bisectionCount } = isKnown ? KNOWN : UNKNOWN;
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
  let low = isKnown ? expected : FIRST_RATE;
  let high: number;
  if (await isGood(low)) {
    high = low * factor;
    while (await isGood(high)) {
      low = high;
      high *= factor;
    }
  } else {
    do {
      high = low;
      low /= factor;
      if (low < LOWEST_RATE) return best;
    } while (!(await isGood(low)));
  }
  for (let step = 0; step < bisectionCount; step++) {
    const middle = Math.sqrt(low * high);
    if (await isGood(middle)) low = middle;
    else high = middle;
  }
  return best;
}
