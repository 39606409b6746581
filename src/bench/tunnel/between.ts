import { type Comparison, comparePairs, compareSamples, isMore } from "../comparison.ts";
import { CONFIDENCE } from "../statistics.ts";
import { FIGURES, type FigureName } from "./figures.ts";
import { type ContenderRecord, pairsOf, samplesOf, type TunnelRecord } from "./record.ts";

/**
 * How one contender's figure stands to another's of the same run: by rounds, in which both met the same machine, or by all samples where
 * they have less than two rounds in common. Undefined when one of the two has none.
 */
export function compareContenders(
  ours: ContenderRecord,
  theirs: ContenderRecord,
  { figure, confidence = CONFIDENCE }: { readonly figure: FigureName; readonly confidence?: number },
): Comparison | undefined {
  const pairs = pairsOf(ours, theirs, figure);
  if (pairs.length > 1) return comparePairs(pairs, confidence);
  return compareAll(ours, theirs, { figure, confidence });
}

/** One contender's figure now and in an earlier run. */
interface Change {
  readonly contender: string;
  readonly figure: FigureName;
  readonly comparison: Comparison;
  readonly isBetter: boolean;
}

export interface Changes {
  /** Only those that noise does not explain, in the order of the record. */
  readonly changes: readonly Change[];
  /** How many figures both runs have. */
  readonly compared: number;
}

/** So many figures are compared that 95 % would find changes in every run that has none. */
export const CHANGE_CONFIDENCE = 0.99;

/** What changed from one run to another beyond the noise of both. */
export function compareRecords(before: TunnelRecord, now: TunnelRecord): Changes {
  const names = Object.keys(FIGURES) as FigureName[];
  let compared = 0;
  const changes: Change[] = [];
  for (const contender of now.contenders) {
    const earlier = before.contenders.find(({ name }) => name === contender.name);
    if (earlier === undefined) continue;
    for (const figure of names) {
      const comparison = compareAll(contender, earlier, { figure, confidence: CHANGE_CONFIDENCE });
      if (comparison === undefined) continue;
      compared++;
      if (!comparison.isDifferent) continue;
      const isBetter = isMore(comparison) === (FIGURES[figure].better === "more");
      changes.push({ contender: contender.title, figure, comparison, isBetter });
    }
  }
  return { changes, compared };
}

function compareAll(
  ours: ContenderRecord,
  theirs: ContenderRecord,
  { figure, confidence }: { readonly figure: FigureName; readonly confidence: number },
): Comparison | undefined {
  const [own, other] = [samplesOf(ours, figure), samplesOf(theirs, figure)];
  return own.length === 0 || other.length === 0 ? undefined : compareSamples(own, other, confidence);
}
