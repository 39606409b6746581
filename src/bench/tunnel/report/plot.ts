import type { Look } from "./looks.ts";
import { coordinate, escapeHtml } from "./markup.ts";

/** An axis; `min` and `max` above 0 where it is logarithmic. */
export interface Axis {
  readonly label: string;
  readonly min: number;
  readonly max: number;
  readonly isLogarithmic?: boolean;
  readonly ticks: readonly { readonly value: number; readonly text: string }[];
}

export interface Point {
  readonly x: number;
  readonly y: number;
  /** Ends of an error bar. */
  readonly low?: number;
  readonly high?: number;
}

export interface Series {
  readonly look: Look;
  readonly points: readonly Point[];
  /** Dots stand for single events, a line for what lies between its points too. */
  readonly kind: "line" | "dots";
  readonly isMuted?: boolean;
}

const WIDTH = 1000;
const HEIGHT = 500;

/**
 * Lines or dots over two axes. The drawing is stretched to the width that there is, its strokes and the text around it are not: both stay as
 * they are from a telephone to a wall.
 */
export function plot({
  x,
  y,
  series,
  isSmall = false,
}: {
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly Series[];
  readonly isSmall?: boolean;
}): string {
  const atX = (value: number): number => WIDTH * shareOf(x, value);
  const atY = (value: number): number => HEIGHT * (1 - shareOf(y, value));
  const grid = [
    ...x.ticks.map(({ value }) => `M${coordinate(atX(value))} 0V${HEIGHT}`),
    ...y.ticks.map(({ value }) => `M0 ${coordinate(atY(value))}H${WIDTH}`),
  ].join("");
  const drawn = series.map((each) => drawSeries(each, atX, atY)).join("");
  const labels = [
    ...x.ticks.map(
      ({ value, text }) =>
        `<span class="xt" style="left:${coordinate(100 * shareOf(x, value))}%">${escapeHtml(text)}</span>`,
    ),
    ...y.ticks.map(
      ({ value, text }) =>
        `<span class="yt" style="bottom:${coordinate(100 * shareOf(y, value))}%">${escapeHtml(text)}</span>`,
    ),
  ].join("");
  const svg = `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" aria-hidden="true"><path class="grid" d="${grid}"/>${drawn}</svg>`;
  const axes = `<span class="yl">${escapeHtml(y.label)}</span><span class="xl">${escapeHtml(x.label)}</span>`;
  return `<div class="plot${isSmall ? " small" : ""}">${axes}<div class="area">${svg}${labels}</div></div>`;
}

/** What each stroke stands for, in a list that wraps. */
export function legend(entries: readonly { readonly title: string; readonly look: Look }[]): string {
  const items = entries.map(
    ({ title, look: { family, dash, opacity } }) =>
      `<li class="${family}"><svg width="28" height="10" aria-hidden="true"><path class="line" d="M0 5H28" stroke-dasharray="${dash}" stroke-opacity="${lineOpacity(opacity)}"/></svg>${escapeHtml(title)}</li>`,
  );
  return `<ul class="legend">${items.join("")}</ul>`;
}

/** Ticks at 1, 2 and 5 times the powers of ten, or only at the powers where there are many. */
export function logarithmicTicks(min: number, max: number): readonly number[] {
  const steps = Math.log10(max / min) > 2 ? [1] : Math.log10(max / min) > 1.2 ? [1, 3] : [1, 2, 5];
  const powers = Array.from(
    { length: Math.ceil(Math.log10(max)) - Math.floor(Math.log10(min)) + 1 },
    (_, index) => 10 ** (Math.floor(Math.log10(min)) + index),
  );
  return powers
    .flatMap((power) => steps.map((step) => step * power))
    .filter((each) => each >= min && each <= max);
}

function shareOf({ min, max, isLogarithmic }: Axis, value: number): number {
  const share =
    isLogarithmic === true
      ? Math.log(Math.max(value, min) / min) / Math.log(max / min)
      : (value - min) / (max - min);
  return Math.min(1, Math.max(0, share));
}

function drawSeries(
  { look, points, kind, isMuted }: Series,
  atX: (value: number) => number,
  atY: (value: number) => number,
): string {
  const place = ({ x, y }: Point): string => `${coordinate(atX(x))} ${coordinate(atY(y))}`;
  const path =
    kind === "dots"
      ? points.map((point) => `M${place(point)}h0`).join("")
      : points.map((point, index) => `${index === 0 ? "M" : "L"}${place(point)}`).join("");
  const errors = points
    .filter(({ low, high }) => low !== undefined && high !== undefined)
    .map(({ x, low, high }) => `M${coordinate(atX(x))} ${coordinate(atY(low!))}V${coordinate(atY(high!))}`)
    .join("");
  const style =
    kind === "dots" ? "" : ` stroke-dasharray="${look.dash}" stroke-opacity="${lineOpacity(look.opacity)}"`;
  return `<g class="${look.family}${isMuted === true ? " muted" : ""}"><path class="${kind}" d="${path}"${style}/>${errors === "" ? "" : `<path class="error" d="${errors}"/>`}</g>`;
}

/** A thin line needs more of it than a bar. */
function lineOpacity(opacity: number): number {
  return Math.min(1, opacity + 0.25);
}
