import type { ContenderRecord } from "../record.ts";
import { type Look, STROKE_COUNT } from "./looks.ts";
import { type Axis, legend, type Point, plot, type Series } from "./plot.ts";

/** A contender's course. */
export interface Line {
  readonly contender: ContenderRecord;
  readonly look: Look;
  readonly points: readonly Point[];
}

/** So many can be followed in one chart. */
const TOGETHER = 8;
/** The others, behind those that a chart is about. */
const BACKDROP: Look = { family: "f-backdrop", dash: "", opacity: 1 };

/**
 * All lines over two axes, with a legend. Where they are too many to be told apart there is a chart for each few of them, on the same axes and
 * with the others in grey. "" without lines.
 */
export function lineCharts({
  x,
  y,
  lines,
}: {
  readonly x: Axis;
  readonly y: Axis;
  readonly lines: readonly Line[];
}): string {
  if (lines.length === 0) return "";
  const groups = groupsOf(lines);
  const charts = groups.map((group) => {
    const others = lines.filter((line) => !group.includes(line));
    const series = [...others.map(inGrey), ...group.map(inColour)];
    const names = legend(group.map(({ contender, look }) => ({ title: contender.title, look })));
    return `${plot({ x, y, series })}${names}`;
  });
  if (charts.length === 1) return charts[0]!;
  return `<div class="panels">${charts.map((chart) => `<div>${chart}</div>`).join("\n")}</div>`;
}

/** Those of one program stay together, and no stroke of theirs is there twice. */
function groupsOf(lines: readonly Line[]): readonly (readonly Line[])[] {
  const families = new Map<string, Line[][]>();
  for (const line of lines) {
    const chunks = families.get(line.look.family) ?? [[]];
    families.set(line.look.family, chunks);
    const isTaken = chunks.at(-1)!.some(({ look }) => look.dash === line.look.dash);
    if (isTaken) chunks.push([line]);
    else chunks.at(-1)!.push(line);
  }
  const isFew = lines.length <= TOGETHER && [...families.values()].every(({ length }) => length === 1);
  if (isFew) return [lines];
  const groups: Line[][] = [];
  for (const chunk of [...families.values()].flat()) {
    const last = groups.at(-1);
    const isRelated = last?.some(({ look }) => look.family === chunk[0]!.look.family) === true;
    if (last !== undefined && !isRelated && last.length + chunk.length <= STROKE_COUNT) last.push(...chunk);
    else groups.push([...chunk]);
  }
  return groups;
}

function inColour({ look, points }: Line): Series {
  return { look, points, kind: "line" };
}

/** Without its error bars. */
function inGrey({ points }: Line): Series {
  return { look: BACKDROP, points: points.map(({ x, y }) => ({ x, y })), kind: "line" };
}
