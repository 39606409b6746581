import type { Comparison } from "../../comparison.ts";
import { digits } from "../../markdown-table.ts";
import { FIGURES, type FigureName } from "../figures.ts";
import { type ContenderRecord, summaryOf } from "../record.ts";
import { escapeHtml, htmlTable } from "./markup.ts";

/** All that is known of a figure, a contender in each row. */
export function figureTable(figure: FigureName, contenders: readonly ContenderRecord[]): string {
  const { label, unit } = FIGURES[figure];
  const rows = contenders.flatMap((contender) => {
    const summary = summaryOf(contender, figure);
    if (summary === undefined) return [];
    const { n, median, min, max, interval } = summary;
    return [
      [
        escapeHtml(contender.title),
        `<b>${digits(median)}</b>`,
        interval === undefined ? "–" : `${digits(interval.low)} to ${digits(interval.high)}`,
        `${digits(min)} to ${digits(max)}`,
        String(n),
      ],
    ];
  });
  const head = [
    `${escapeHtml(label)}, ${escapeHtml(unit)}`,
    "median",
    "95 % interval",
    "rounds from – to",
    "n",
  ];
  return htmlTable(head, rows);
}

/** "2.53 (2.41 to 2.66)", and what is no difference as such. */
export function formatComparison({ scale, value, interval, isDifferent }: Comparison): string {
  const sign = scale === "difference" && value > 0 ? "+" : "";
  const range =
    interval === undefined ? "" : ` <small>${digits(interval.low)} to ${digits(interval.high)}</small>`;
  const text = `${sign}${digits(value)}${range}`;
  if (interval === undefined) return `${text} <small class="noise">one round</small>`;
  return isDifferent ? `<b>${text}</b>` : `${text} <small class="noise">within the noise</small>`;
}
