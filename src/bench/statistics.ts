import { studentT } from "./student-t.ts";

/** What is left of many samples of one figure. */
export interface Summary {
  readonly n: number;
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /**
   * Where the figure itself lies with 95 % confidence, by Student's t: on a logarithmic scale, since what disturbs a figure multiplies it; on
   * a plain one where a sample is 0 or less. Undefined for one sample, which says nothing about its noise.
   */
  readonly interval: Interval | undefined;
}

export interface Interval {
  readonly low: number;
  readonly high: number;
}

export const CONFIDENCE = 0.95;

/** Throws RangeError without a sample. */
export function summarize(samples: readonly number[]): Summary {
  const sorted = sortedCopy(samples);
  return {
    n: sorted.length,
    median: quantileOfSorted(sorted, 0.5),
    min: sorted[0]!,
    max: sorted[sorted.length - 1]!,
    interval: intervalOf(sorted),
  };
}

/** Undefined below two samples. */
function intervalOf(samples: readonly number[]): Interval | undefined {
  if (samples.some((each) => each <= 0)) return meanInterval(samples, CONFIDENCE);
  const interval = meanInterval(samples.map(Math.log), CONFIDENCE);
  return interval && { low: Math.exp(interval.low), high: Math.exp(interval.high) };
}

/** Where the mean lies. Undefined below two samples. */
export function meanInterval(samples: readonly number[], confidence: number): Interval | undefined {
  if (samples.length < 2) return undefined;
  const middle = mean(samples);
  const half = studentT(confidence, samples.length - 1) * Math.sqrt(variance(samples) / samples.length);
  return { low: middle - half, high: middle + half };
}

export function mean(samples: readonly number[]): number {
  return samples.reduce((sum, each) => sum + each, 0) / samples.length;
}

/** Of what the samples are taken from. NaN below two samples. */
export function variance(samples: readonly number[]): number {
  const middle = mean(samples);
  return samples.reduce((sum, each) => sum + (each - middle) ** 2, 0) / (samples.length - 1);
}

/** The value below which the share `q` (0 to 1) of the samples lies, interpolated between neighbours. Throws RangeError without a sample. */
export function quantile(samples: readonly number[], q: number): number {
  return quantileOfSorted(sortedCopy(samples), q);
}

function sortedCopy(samples: readonly number[]): readonly number[] {
  if (samples.length === 0) throw new RangeError("no samples");
  return [...samples].sort((a, b) => a - b);
}

function quantileOfSorted(sorted: readonly number[], q: number): number {
  const at = q * (sorted.length - 1);
  const below = Math.floor(at);
  const low = sorted[below]!;
  const high = sorted[Math.min(below + 1, sorted.length - 1)]!;
  return low + (high - low) * (at - below);
}
