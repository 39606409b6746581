import type { Comparison } from "../comparison.ts";
import { CONFIDENCE } from "../statistics.ts";
import { compareContenders } from "./between.ts";
import { FIGURES, type FigureName } from "./figures.ts";
import { type ContenderRecord, summaryOf, type TunnelRecord } from "./record.ts";

/** Who is first in a figure, and by how much. */
export interface Finding {
  readonly title: string;
  readonly figure: FigureName;
  /** The best median, and whoever noise does not tell apart from it, best first. */
  readonly leaders: readonly ContenderRecord[];
  /** The best of those who are behind for certain, of another program: that one cipher beats another is no news. Undefined when there is none. */
  readonly next: { readonly contender: ContenderRecord; readonly comparison: Comparison } | undefined;
}

const QUESTIONS: readonly { readonly title: string; readonly figure: FigureName }[] = [
  { title: "Highest throughput", figure: "tcpMbps" },
  { title: "Lowest latency, idle", figure: "pingIdleP50Us" },
  { title: "Lowest latency under load", figure: "pingLoadedP50Us" },
  { title: "Least processor time", figure: "cpuSecondsPerGb" },
];

/** The answers to what people ask first, of tunnels only: no tunnel is no answer. Questions that nothing was measured for have none. */
export function findingsOf({ contenders }: TunnelRecord): readonly Finding[] {
  return QUESTIONS.flatMap(({ title, figure }) => {
    const ranking = rank(contenders, figure);
    const [first, ...rivals] = ranking;
    if (first === undefined) return [];
    // The first was chosen among many because it looked good: with so many rivals, chance has so many chances.
    const confidence = 1 - (1 - CONFIDENCE) / Math.max(1, rivals.length);
    const leaders = [first];
    let next: Finding["next"];
    for (const contender of rivals) {
      const comparison = compareContenders(first, contender, { figure, confidence });
      if (comparison === undefined || !comparison.isDifferent) leaders.push(contender);
      else if (programOf(contender) !== programOf(first)) next ??= { contender, comparison };
    }
    return [{ title, figure, leaders, next }];
  });
}

/** "ikebana-aes256gcm16" is of "ikebana". */
function programOf({ name }: ContenderRecord): string {
  return name.split("-")[0]!;
}

function rank(contenders: readonly ContenderRecord[], figure: FigureName): readonly ContenderRecord[] {
  const sign = FIGURES[figure].better === "more" ? -1 : 1;
  return contenders
    .filter(({ facts }) => facts !== undefined && facts.cipher !== "none")
    .flatMap((contender) => {
      const median = summaryOf(contender, figure)?.median;
      return median === undefined ? [] : [{ contender, median }];
    })
    .sort((a, b) => sign * (a.median - b.median))
    .map(({ contender }) => contender);
}
