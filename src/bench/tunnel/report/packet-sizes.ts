import { type FigureName, UDP_PAYLOADS, type UdpMeasure } from "../figures.ts";
import { type ContenderRecord, summaryOf } from "../record.ts";
import { lineCharts } from "./line-charts.ts";
import type { Look } from "./looks.ts";
import { type Axis, logarithmicTicks, type Point } from "./plot.ts";

/** UDP and IPv4. */
const HEADERS_LENGTH = 28;
/** Around what is drawn. */
const MARGIN = 1.3;

/** What gets through at most against the size of the packets, in Mbit/s of inner packets, with what stroke is whose. "" for less than two sizes. */
export function packetSizes(looks: ReadonlyMap<ContenderRecord, Look>): string {
  const sizes = (Object.keys(UDP_PAYLOADS) as UdpMeasure[])
    .map((measure) => ({
      figure: `${measure}PacketsPerSecond` as FigureName,
      length: UDP_PAYLOADS[measure] + HEADERS_LENGTH,
    }))
    .sort((a, b) => a.length - b.length);
  const lines = [...looks].map(([contender, look]) => ({
    contender,
    look,
    points: sizes.flatMap(({ figure, length }): readonly Point[] => {
      const summary = summaryOf(contender, figure);
      // Where nothing gets through there is no place on this scale.
      if (summary === undefined || summary.median === 0) return [];
      const mbps = (packets: number): number => (packets * length * 8) / 1e6;
      const { median, interval } = summary;
      const error = interval && { low: mbps(interval.low), high: mbps(interval.high) };
      return [{ x: length, y: mbps(median), ...error }];
    }),
  }));
  const drawn = lines.filter(({ points }) => points.length > 1);
  if (drawn.length === 0) return "";
  const all = drawn.flatMap(({ points }) => points.map(({ y }) => y)).filter((mbps) => mbps > 0);
  const [lowest, highest] = [Math.min(...all) / MARGIN, Math.max(...all) * MARGIN];
  const y: Axis = {
    label: "Mbit/s, logarithmic",
    min: lowest,
    max: highest,
    isLogarithmic: true,
    ticks: logarithmicTicks(lowest, highest).map((value) => ({ value, text: value.toLocaleString("en") })),
  };
  const lengths = sizes.map(({ length }) => length);
  const x: Axis = {
    label: "octets of a packet, headers included",
    min: lengths[0]! / 1.15,
    max: lengths.at(-1)! * 1.15,
    isLogarithmic: true,
    ticks: lengths.map((value) => ({ value, text: String(value) })),
  };
  return lineCharts({ x, y, lines: drawn });
}
