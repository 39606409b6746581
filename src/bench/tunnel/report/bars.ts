import { digits } from "../../markdown-table.ts";
import type { Summary } from "../../statistics.ts";
import { FIGURES, type FigureName } from "../figures.ts";
import { type ContenderRecord, summaryOf } from "../record.ts";
import type { Look } from "./looks.ts";
import { coordinate, escapeHtml } from "./markup.ts";

const HEIGHT = 16;
/** Room for the ends of error bars. */
const HEADROOM = 1.04;
/** An interval may be absurdly wide, and would leave nothing of the bars. */
const LONGEST_ERROR = 1.5;

/**
 * A bar for each contender that has the figure, as long as its median, with its confidence interval. Lengths are shares of the width, so
 * that the text stays as large as it is on every screen. No tunnel at all may be longer than the scale: its bar is broken.
 */
export function barChart(figure: FigureName, looks: ReadonlyMap<ContenderRecord, Look>): string {
  const { label, unit, better } = FIGURES[figure];
  const rows = [...looks].flatMap(([contender, look]) => {
    const summary = summaryOf(contender, figure);
    return summary === undefined ? [] : [{ contender, look, summary }];
  });
  const top = scaleOf(rows);
  const bars = rows.map(({ contender, look, summary }) => {
    const value = `<span class="value">${digits(summary.median)}</span>`;
    const name = `<span class="name">${escapeHtml(contender.title)}</span>`;
    return `<div class="bar ${look.family}">${name}${value}${drawBar(summary, look, top)}</div>`;
  });
  const direction = better === "more" ? "longer is better" : "shorter is better";
  return `<figure><figcaption>${escapeHtml(label)} <small>${escapeHtml(unit)}, ${direction}</small></figcaption>${bars.join("\n")}</figure>`;
}

function scaleOf(
  rows: readonly { readonly contender: ContenderRecord; readonly summary: Summary }[],
): number {
  const tunnels = rows.filter(({ contender }) => contender.name !== "bare");
  const scaled = tunnels.length > 0 ? tunnels : rows;
  const longest = Math.max(...scaled.map(({ summary }) => summary.median));
  const ends = scaled.map(({ summary }) => Math.min(summary.interval?.high ?? 0, longest * LONGEST_ERROR));
  return Math.max(longest, ...ends) * HEADROOM || 1;
}

function drawBar({ median, interval }: Summary, { opacity }: Look, top: number): string {
  const at = (value: number): string => `${coordinate(100 * Math.min(1, Math.max(0, value / top)))}%`;
  const middle = HEIGHT / 2;
  const bar = `<rect width="${at(median)}" height="${HEIGHT}" rx="2" fill-opacity="${opacity}"/>`;
  const isBroken = median > top;
  const gap = isBroken
    ? `<rect class="gap" x="88%" width="1.5%" height="${HEIGHT}"/><rect class="gap" x="91%" width="1.5%" height="${HEIGHT}"/>`
    : "";
  const error =
    interval === undefined || isBroken
      ? ""
      : `<line x1="${at(interval.low)}" x2="${at(interval.high)}" y1="${middle}" y2="${middle}"/>` +
        [interval.low, interval.high]
          .filter((end) => end <= top)
          .map((end) => `<line x1="${at(end)}" x2="${at(end)}" y1="${middle - 4}" y2="${middle + 4}"/>`)
          .join("");
  return `<svg width="100%" height="${HEIGHT}" aria-hidden="true">${bar}${gap}${error}</svg>`;
}
