import { FIGURES, type FigureName } from "./figures.ts";
import { judge, type Verdict } from "./goals.ts";
import { type ContenderRecord, summaryOf, type TunnelRecord } from "./record.ts";

/** A run as Markdown: the machine, what was measured, the goals, and what was made sure of beforehand. */
export function toMarkdown(record: TunnelRecord): string {
  return [
    describeRun(record),
    ...figureTables(record),
    ...goalSection(record),
    factTable(record),
    ...problemList(record),
  ].join("\n\n");
}

function describeRun({ machine, date, command, settings, loadGenerator, isComplete }: TunnelRecord): string {
  const { rounds, seconds, cores, innerMtu } = settings;
  return (
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.kernel}, ${machine.distribution}; ` +
    `load ${machine.loadAverage} at the start; ${date}, \`${command}\`. ` +
    `${rounds} ${rounds === 1 ? "round" : "rounds"}, transfers of ${seconds} s by ${loadGenerator}, MTU ${innerMtu} inside; ${cores === "split" ? "each end with half of the cores" : "both ends on any core"}. ` +
    `Medians, with the lowest and the highest round.${isComplete ? "" : " **Broken off: not all rounds were run.**"}`
  );
}

/** What the README shows: the figures that people ask for first, contenders in rows. */
export function toHeadline({ contenders }: TunnelRecord): string {
  const figures = HEADLINE.filter((figure) =>
    contenders.some((each) => summaryOf(each, figure) !== undefined),
  );
  const head = ["", ...figures.map((figure) => `${fullLabel(figure)} (${FIGURES[figure].unit})`)];
  const rows = contenders.map((contender) => [
    contender.title,
    ...figures.map((figure) => cell(contender, figure)),
  ]);
  return table(head, rows);
}

const HEADLINE = [
  "tcpMbps",
  "cpuSecondsPerGb",
  "udp200PacketsPerSecond",
  "pingIdleP50Us",
  "pingLoadedP50Us",
] as const satisfies readonly FigureName[];

/** One table for each measure, since a screen is only so wide. */
function figureTables({ contenders, settings }: TunnelRecord): readonly string[] {
  return settings.measures.map((measure) => {
    const names = (Object.keys(FIGURES) as FigureName[]).filter((name) => FIGURES[name].measure === measure);
    const head = ["", ...names.map((name) => `${FIGURES[name].label} (${FIGURES[name].unit})`)];
    const rows = contenders
      .filter(({ samples }) => samples.length > 0)
      .map((contender) => [contender.title, ...names.map((name) => cell(contender, name))]);
    return table(head, rows);
  });
}

function cell(contender: ContenderRecord, figure: FigureName): string {
  const summary = summaryOf(contender, figure);
  if (summary === undefined) return NOTHING;
  const value = digits(summary.median);
  return summary.n === 1 ? value : `${value} (${digits(summary.min)} to ${digits(summary.max)})`;
}

function goalSection(record: TunnelRecord): readonly string[] {
  const verdicts = judge(record);
  if (verdicts.length === 0) return [];
  const titles = new Map(record.contenders.map(({ name, title }) => [name, title]));
  const rows = verdicts.map(({ goal, measured, isMet }) => [
    `${fullLabel(goal.figure)}: ${titles.get(goal.ours)} / ${titles.get(goal.theirs)}`,
    `${goal.bound} ${goal.ratio}`,
    measured === undefined ? NOTHING : spread(measured),
    isMet === undefined ? "not measured" : isMet ? "yes" : "no",
  ]);
  return [table(["goal", "", "measured", "met"], rows)];
}

/** Quantiles stand side by side in their own table; alone they need a name. */
function fullLabel(figure: FigureName): string {
  if (!figure.startsWith("ping")) return FIGURES[figure].label;
  const quantile = /P\d\d/.exec(figure)?.[0]?.toLowerCase() ?? FIGURES[figure].label;
  return `ping ${figure.startsWith("pingIdle") ? "idle" : "during TCP"}, ${quantile}`;
}

function spread({ ratio, min, max }: NonNullable<Verdict["measured"]>): string {
  return min === max ? digits(ratio) : `${digits(ratio)} (${digits(min)} to ${digits(max)})`;
}

function factTable({ contenders }: TunnelRecord): string {
  const rows = contenders.flatMap(({ title, facts, samples }) =>
    facts === undefined
      ? []
      : [
          [
            title,
            facts.version,
            facts.cipher,
            String(facts.mtu),
            `${facts.proof.plaintextFrames} of ${facts.proof.frames}`,
            String(samples.length),
          ],
        ],
  );
  return table(["", "version", "cipher", "MTU", "frames in clear", "rounds"], rows);
}

function problemList({ contenders }: TunnelRecord): readonly string[] {
  const problems = contenders.flatMap(({ title, problem }) => {
    if (problem === undefined) return [];
    return [`- ${title}: ${problem.trim().replaceAll(/\s*\n\s*/g, "; ")}`];
  });
  return problems.length === 0 ? [] : [`Did not run, or not in every round:\n\n${problems.join("\n")}`];
}

const NOTHING = "–";

/** Three significant digits; more are more than the machine can repeat. */
function digits(value: number): string {
  if (value >= 1000) return String(Number(value.toPrecision(3))).replace(/\B(?=(\d{3})+$)/g, ",");
  return Number(value.toPrecision(3)).toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2);
}

/** Padded, so that it can be read on a terminal as it is. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((_, column) => Math.max(3, ...[head, ...rows].map((row) => row[column]!.length)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((text, column) => (column === 0 ? text.padEnd(widths[0]!) : text.padStart(widths[column]!))).join(" | ")} |`;
  const rule = `| ${widths.map((width, column) => (column === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`)).join(" | ")} |`;
  return [line(head), rule, ...rows.map(line)].join("\n");
}
