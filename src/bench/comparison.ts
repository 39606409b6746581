import { CONFIDENCE, type Interval, mean, meanInterval, variance } from "./statistics.ts";
import { studentT } from "./student-t.ts";

/** How two figures stand to each other. */
export interface Comparison {
  /** "ratio": ours divided by theirs. "difference": ours less theirs, since where a sample is 0 a ratio says nothing. */
  readonly scale: "ratio" | "difference";
  readonly value: number;
  /** Where the value lies with the confidence asked for. Undefined where there are too few samples to know the noise. */
  readonly interval: Interval | undefined;
  /** Whether the interval leaves equality out. What could be noise is not called a difference. */
  readonly isDifferent: boolean;
}

/**
 * Compares two that ran in turns: each pair is one round, in which both met the same machine, so that what slows a whole round down
 * takes no part. Student's t on the rounds' ratios. Throws RangeError without a pair.
 */
export function comparePairs(
  pairs: readonly (readonly [ours: number, theirs: number])[],
  confidence = CONFIDENCE,
): Comparison {
  if (pairs.length === 0) throw new RangeError("no pairs");
  const scale = scaleOf(pairs.flat());
  const differences = pairs.map(([ours, theirs]) => scale.of(ours) - scale.of(theirs));
  return scale.toComparison(mean(differences), meanInterval(differences, confidence));
}

/** Compares two that did not run in turns, by Welch's test: their noise need not be the same. Throws RangeError without samples of both. */
export function compareSamples(
  ours: readonly number[],
  theirs: readonly number[],
  confidence = CONFIDENCE,
): Comparison {
  if (ours.length === 0 || theirs.length === 0) throw new RangeError("no samples");
  const scale = scaleOf([...ours, ...theirs]);
  const [own, other] = [ours.map(scale.of), theirs.map(scale.of)];
  const value = mean(own) - mean(other);
  if (own.length < 2 || other.length < 2) return scale.toComparison(value, undefined);
  const [ownShare, otherShare] = [variance(own) / own.length, variance(other) / other.length];
  const error = Math.sqrt(ownShare + otherShare);
  // Welch and Satterthwaite; without any spread there is nothing to estimate.
  const degrees =
    error === 0
      ? own.length + other.length - 2
      : error ** 4 / (ownShare ** 2 / (own.length - 1) + otherShare ** 2 / (other.length - 1));
  const half = studentT(confidence, Math.max(1, degrees)) * error;
  return scale.toComparison(value, { low: value - half, high: value + half });
}

/** Whether ours is more than theirs, be it noise or not. */
export function isMore({ scale, value }: Pick<Comparison, "scale" | "value">): boolean {
  return value > (scale === "ratio" ? 1 : 0);
}

interface Scale {
  of(sample: number): number;
  toComparison(difference: number, interval: Interval | undefined): Comparison;
}

function scaleOf(samples: readonly number[]): Scale {
  return samples.every((sample) => sample > 0) ? LOGARITHMIC : PLAIN;
}

function leavesOutZero(interval: Interval | undefined): boolean {
  return interval !== undefined && (interval.low > 0 || interval.high < 0);
}

const LOGARITHMIC: Scale = {
  of: Math.log,
  toComparison: (difference, interval) => ({
    scale: "ratio",
    value: Math.exp(difference),
    interval: interval && { low: Math.exp(interval.low), high: Math.exp(interval.high) },
    isDifferent: leavesOutZero(interval),
  }),
};

const PLAIN: Scale = {
  of: (sample) => sample,
  toComparison: (value, interval) => ({
    scale: "difference",
    value,
    interval,
    isDifferent: leavesOutZero(interval),
  }),
};
