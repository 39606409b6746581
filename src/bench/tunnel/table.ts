import { comparisonText, digits, table } from "../markdown-table.ts";
import { compareRecords } from "./between.ts";
import { claimsToMarkdown } from "./claims-table.ts";
import { FIGURES, type Figure, type FigureName } from "./figures.ts";
import { judge, type Verdict, wordsFor } from "./goals.ts";
import { type ContenderRecord, describeRounds, summaryOf, type TunnelRecord } from "./record.ts";
import { figuresIn, SECTIONS } from "./sections.ts";

/** A run as Markdown: the machine, what was measured, the goals, and what was made sure of beforehand. */
export function toMarkdown(record: TunnelRecord): string {
  return [
    describeRun(record),
    ...figureTables(record),
    ...claimSection(record),
    ...goalSection(record),
    factTable(record),
    ...problemList(record),
  ].join("\n\n");
}

function describeRun(record: TunnelRecord): string {
  const { machine, date, command, settings, loadGenerator, isComplete } = record;
  const { cores, innerMtu } = settings;
  return (
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.kernel}, ${machine.distribution}; ` +
    `load ${machine.loadAverage} at the start; ${date}, \`${command}\`. ` +
    `${describeRounds(record)}, by ${loadGenerator}, MTU ${innerMtu} inside; ${cores === "split" ? "each end with half of the cores" : "both ends on any core"}. ` +
    `Medians, with the lowest and the highest round.${isComplete ? "" : " **Broken off: not all rounds were run.**"}` +
    describeGuest(record)
  );
}

function describeGuest({ guest }: TunnelRecord): string {
  if (guest === undefined) return "";
  const { kernel, host, distorts } = guest;
  return ` **All of it inside ${kernel} on ${host.cpu}, ${host.kernel}: ${distorts}.**`;
}

/** The figures that people ask for first, of those who have one. */
export function toHeadline({ contenders }: TunnelRecord): string {
  const shown = contenders.filter((each) => hasFigures(each, HEADLINE));
  const figures = HEADLINE.filter((figure) => shown.some((each) => summaryOf(each, figure) !== undefined));
  const head = ["", ...figures.map((figure) => `${FIGURES[figure].label} (${FIGURES[figure].unit})`)];
  const rows = shown.map((contender) => [
    contender.title,
    ...figures.map((figure) => cell(contender, figure)),
  ]);
  return table(head, rows);
}

/** What changed since an earlier run beyond the noise of both. */
export function changesToMarkdown(record: TunnelRecord, before: TunnelRecord): string {
  const { changes, compared } = compareRecords(before, record);
  const intro = `Since ${before.date}: of ${compared} figures that both runs have, ${changes.length} changed beyond the noise (99 % intervals).`;
  if (changes.length === 0) return intro;
  const rows = changes.map(({ contender, figure, comparison, isBetter }) => [
    `${contender}: ${FIGURES[figure].label}`,
    comparisonText(comparison),
    isBetter ? "better" : "worse",
  ]);
  return `${intro}\n\n${table(["", "now / then", ""], rows)}`;
}

const HEADLINE = [
  "tcpMbps",
  "cpuSecondsPerGb",
  "udp200PacketsPerSecond",
  "pingIdleP50Us",
  "pingLoadedP50Us",
] as const satisfies readonly FigureName[];

function hasFigures(contender: ContenderRecord, figures: readonly FigureName[]): boolean {
  return figures.some((figure) => summaryOf(contender, figure) !== undefined);
}

/** One table for each section, since a screen is only so wide, with those who have a figure there. */
function figureTables({ contenders }: TunnelRecord): readonly string[] {
  return Object.values(SECTIONS).flatMap((section) => {
    const names = figuresIn(section, contenders);
    if (names.length === 0) return [];
    const ran = contenders.filter((contender) => hasFigures(contender, names));
    const head = ["", ...names.map((name) => `${columnOf(name)} (${FIGURES[name].unit})`)];
    return [
      table(
        head,
        ran.map((contender) => [contender.title, ...names.map((name) => cell(contender, name))]),
      ),
    ];
  });
}

/** Quantiles stand side by side in their own table; alone they need a name. */
function columnOf(name: FigureName): string {
  const { label, column }: Figure = FIGURES[name];
  return column ?? label;
}

function cell(contender: ContenderRecord, figure: FigureName): string {
  const summary = summaryOf(contender, figure);
  if (summary === undefined) return NOTHING;
  const value = digits(summary.median);
  return summary.n === 1 ? value : `${value} (${digits(summary.min)} to ${digits(summary.max)})`;
}

function claimSection(record: TunnelRecord): readonly string[] {
  const claims = claimsToMarkdown([record]);
  if (claims === "") return [];
  return [
    `IPsec against OpenVPN: each figure divided by OpenVPN's, round by round, with its 95 % interval.\n\n${claims}`,
  ];
}

function goalSection(record: TunnelRecord): readonly string[] {
  const verdicts = judge(record);
  if (verdicts.length === 0) return [];
  const titles = new Map(record.contenders.map(({ name, title }) => [name, title]));
  const rows = verdicts.map((verdict) => {
    const { goal, measured } = verdict;
    return [
      `${FIGURES[goal.figure].label}: ${titles.get(goal.ours)} / ${titles.get(goal.theirs)}`,
      `${goal.bound} ${goal.ratio}`,
      measured === undefined ? NOTHING : spread(measured),
      wordsFor(verdict),
    ];
  });
  return [table(["goal", "", "measured", "met"], rows)];
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
            facts.offloads ?? NOTHING,
            `${facts.proof.plaintextFrames} of ${facts.proof.frames}`,
            String(samples.length),
          ],
        ],
  );
  return table(["", "version", "cipher", "MTU", "offloads", "frames in clear", "rounds"], rows);
}

function problemList({ contenders, unavailable = [] }: TunnelRecord): readonly string[] {
  const problems = contenders.flatMap(({ title, problem }) => {
    if (problem === undefined) return [];
    return [`- ${title}: ${problem.trim().replaceAll(/\s*\n\s*/g, "; ")}`];
  });
  const lacking = unavailable.map(({ measure, reason }) => `- ${measure}: ${reason}`);
  return [
    ...(problems.length === 0 ? [] : [`Did not run, or not in every round:\n\n${problems.join("\n")}`]),
    ...(lacking.length === 0 ? [] : [`What this machine cannot measure:\n\n${lacking.join("\n")}`]),
  ];
}

const NOTHING = "–";
