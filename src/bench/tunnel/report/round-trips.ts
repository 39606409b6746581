import { quantile } from "../../statistics.ts";
import type { ContenderRecord, RoundSample, SeriesName } from "../record.ts";
import { lineCharts } from "./line-charts.ts";
import type { Look } from "./looks.ts";
import { escapeHtml, formatUs } from "./markup.ts";
import { type Axis, logarithmicTicks, type Point, plot } from "./plot.ts";

type Looks = ReadonlyMap<ContenderRecord, Look>;

const CDF_POINTS = 120;
/** What lies beyond is a handful of packets. */
const TAIL = 0.999;
/** The kernel's clock gives no less. */
const LEAST_US = 1;

/** Share of the round trips that took at most so long, of all rounds together, with what stroke is whose. "" without any. */
export function distribution(series: SeriesName, looks: Looks): string {
  const lines = [...looks].flatMap(([contender, look]) => {
    const rtts = roundTripsOf(contender, series);
    return rtts.length === 0 ? [] : [{ contender, look, points: cdf(rtts) }];
  });
  if (lines.length === 0) return "";
  const x = timeAxis(
    lines.flatMap(({ points }) => points.map(({ x: us }) => us)),
    "round trip, logarithmic",
  );
  return lineCharts({ x, y: SHARES, lines });
}

/** All single round trips of a series, of all rounds. */
export function roundTripsOf({ samples }: ContenderRecord, series: SeriesName): readonly number[] {
  return samples.flatMap((sample) => sample.series?.[series].rttUs ?? []);
}

/**
 * A strip for each contender: its round trips one by one, first idle and then while a TCP transfer runs, of the round whose median under load is
 * the middle one. All have the same axes.
 */
export function timeline(looks: Looks): string {
  const strips = [...looks].flatMap(([contender, look]) => {
    const sample = middleRound(contender.samples);
    return sample?.series === undefined ? [] : [{ contender, look, series: sample.series }];
  });
  if (strips.length === 0) return "";
  const all = strips.flatMap(({ series }) => [...series.pingIdle.rttUs, ...series.pingLoaded.rttUs]);
  const y = timeAxis(all, "round trip");
  const longest = (name: SeriesName): number =>
    Math.max(...strips.map(({ series }) => series[name].atMs.at(-1) ?? 0)) / 1000;
  const [before, after] = [longest("pingIdle"), longest("pingLoaded")];
  const x: Axis = {
    label: "",
    min: -before - GAP_S,
    max: after,
    ticks: [
      { value: -before - GAP_S, text: "idle" },
      { value: 0, text: "TCP runs" },
      { value: after, text: `${Math.round(after)} s` },
    ],
  };
  const drawn = strips.map(({ contender, look, series }) => {
    const dots = (name: SeriesName, offset: number): readonly Point[] =>
      series[name].rttUs.map((us, index) => ({ x: series[name].atMs[index]! / 1000 + offset, y: us }));
    const chart = plot({
      x,
      y,
      isSmall: true,
      series: [
        { look, points: dots("pingIdle", -before - GAP_S), kind: "dots", isMuted: true },
        { look, points: dots("pingLoaded", 0), kind: "dots" },
      ],
    });
    return `<div class="strip"><h4 class="${look.family}">${escapeHtml(contender.title)}</h4>${chart}</div>`;
  });
  return `<div class="strips">${drawn.join("\n")}</div>`;
}

/** Between the two halves of a strip. */
const GAP_S = 0.1;

function middleRound(samples: readonly RoundSample[]): RoundSample | undefined {
  const withSeries = samples.filter(({ series }) => series !== undefined);
  const byMedian = [...withSeries].sort(
    (a, b) => quantile(a.series!.pingLoaded.rttUs, 0.5) - quantile(b.series!.pingLoaded.rttUs, 0.5),
  );
  return byMedian[(byMedian.length - 1) >>> 1];
}

function cdf(rtts: readonly number[]): readonly Point[] {
  const sorted = [...rtts].sort((a, b) => a - b);
  return Array.from({ length: CDF_POINTS + 1 }, (_, index) => {
    const share = Math.min(TAIL, index / CDF_POINTS);
    return { x: Math.max(LEAST_US, sorted[Math.floor(share * (sorted.length - 1))]!), y: share };
  });
}

const SHARES: Axis = {
  label: "answered by then",
  min: 0,
  max: 1,
  ticks: [0, 0.25, 0.5, 0.75, 1].map((value) => ({ value, text: `${value * 100} %` })),
};

function timeAxis(values: readonly number[], label: string): Axis {
  // Too many for the arguments of one call.
  const min = Math.max(
    LEAST_US,
    values.reduce((least, each) => Math.min(least, each), Number.POSITIVE_INFINITY) / 1.2,
  );
  const max = Math.max(min * 10, values.reduce((most, each) => Math.max(most, each), 0) * 1.2);
  const ticks = logarithmicTicks(min, max).map((value) => ({ value, text: formatUs(value) }));
  return { label, min, max, isLogarithmic: true, ticks };
}
