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
        interval === undefined ? "–" : range(interval.low, interval.high),
        range(min, max),
        String(n),
      ],
    ];
  });
  const head = [`${escapeHtml(label)}, ${escapeHtml(unit)}`, "median", "95 % interval", "all rounds", "n"];
  return htmlTable(head, rows);
}

/** Narrow, since a telephone is; a sign beside a dash cannot be read. */
function range(low: number, high: number): string {
  return `${digits(low)}${low < 0 ? " to " : "–"}${digits(high)}`;
}

/** The value, its interval below it, and what is no difference as such. */
export function formatComparison({ scale, value, interval, isDifferent }: Comparison): string {
  const sign = scale === "difference" && value > 0 ? "+" : "";
  const text = `${sign}${digits(value)}`;
  if (interval === undefined) return `${text}<br><small class="noise">one round</small>`;
  const bounds = `<br><small>${range(interval.low, interval.high)}</small>`;
  return isDifferent
    ? `<b>${text}</b>${bounds}`
    : `${text}${bounds}<br><small class="noise">within the noise</small>`;
}
