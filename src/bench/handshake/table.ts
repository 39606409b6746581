import { digits, table } from "../markdown-table.ts";
import { type Summary, summarize } from "../statistics.ts";
import { GROUP_TITLES, type GroupName } from "./groups.ts";
import type { HandshakeRecord, HandshakeSample, ResponderRecord } from "./record.ts";

type Figure = Exclude<keyof HandshakeSample, "round" | "group" | "count" | "aloneCount">;

/** What we want to be true with X25519: milliseconds of the responder, and less than another responder takes. */
const GOAL = { group: "x25519", ours: "ikebana", theirs: "strongswan", atMostMs: 1 } as const;

/** A record as Markdown: medians of the rounds, with the lowest and the highest. */
export function toMarkdown(record: HandshakeRecord): string {
  const { machine, settings, date, command } = record;
  return [
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.kernel}, ${machine.distribution}, Node ${machine.node}; ` +
      `load ${machine.loadAverage} at the start; ${date}, \`${command}\`. ${settings.rounds} ${settings.rounds === 1 ? "round" : "rounds"}, phases of ${settings.seconds} s behind a warm-up, ` +
      `each end with half of the cores${settings.connected === 0 ? "" : `, ${settings.connected} others connected all the while`}. ` +
      "A pre-shared key, AES-256-GCM, HMAC-SHA2-384, one child SA, the delete included. Medians, with the lowest and the highest round.",
    ...(record.isComplete ? [] : ["Broken off: not every round is here."]),
    figureTable(record, `${settings.peers} at a time`, [
      ["set-ups/s", "perSecond"],
      ["responder (ms of CPU each)", "responderMs"],
      ["initiator (ms of CPU each)", "initiatorMs"],
      ["requests each", "datagrams"],
    ]),
    figureTable(record, "one at a time", [
      ["child SA after, p50 (ms)", "p50Ms"],
      ["p99 (ms)", "p99Ms"],
      ["responder (ms of CPU each)", "aloneResponderMs"],
      ["responder, memory afterwards (MiB)", "responderMiB"],
    ]),
    ...(settings.connected === 0
      ? []
      : [
          figureTable(record, `${settings.connected} connected, idle`, [
            ["responder, memory (MiB)", "residentMiB"],
            ["of one processor (%)", "idlePercent"],
          ]),
        ]),
    ...goalTable(record),
    ...problemList(record),
  ].join("\n\n");
}

/** A column for each figure that somebody has. */
function figureTable(
  record: HandshakeRecord,
  title: string,
  columns: readonly (readonly [head: string, figure: Figure])[],
): string {
  const { responders, settings } = record;
  const shown = columns.filter(([, figure]) =>
    responders.some(({ samples }) => samples.some((sample) => sample[figure] !== undefined)),
  );
  const rows = settings.groups.flatMap((group) =>
    responders.map((responder) => [
      `${GROUP_TITLES[group]}, ${responder.version ?? responder.title}${callerIn(responder)}`,
      ...shown.map(([, figure]) => cell(summaryOf(responder, group, figure))),
    ]),
  );
  return table([title, ...shown.map(([head]) => head)], rows);
}

/** Who called, where that is not us. */
function callerIn({ initiator }: ResponderRecord): string {
  return isOurs(initiator) ? "" : `, called by ${initiator!.title}`;
}

function isOurs(initiator: ResponderRecord["initiator"]): boolean {
  return initiator === undefined || initiator.name === "ikebana";
}

/** Undefined when there is not one sample. */
function summaryOf(
  responder: ResponderRecord | undefined,
  group: GroupName,
  figure: Figure,
): Summary | undefined {
  const values = (responder?.samples ?? []).flatMap((sample) =>
    sample.group === group ? (sample[figure] ?? []) : [],
  );
  return values.length === 0 ? undefined : summarize(values);
}

function cell(summary: Summary | undefined): string {
  if (summary === undefined) return "–";
  const { median, min, max, n } = summary;
  return n === 1 ? digits(median) : `${digits(median)} (${digits(min)} to ${digits(max)})`;
}

function goalTable(record: HandshakeRecord): readonly string[] {
  const { group, atMostMs } = GOAL;
  const of = (name: string) =>
    summaryOf(
      record.responders.find((each) => each.name === name && isOurs(each.initiator)),
      group,
      "responderMs",
    );
  const [ours, theirs] = [of(GOAL.ours), of(GOAL.theirs)];
  if (ours === undefined) return [];
  const limits = [
    { bound: `at most ${atMostMs} ms`, limit: atMostMs },
    ...(theirs === undefined
      ? []
      : [{ bound: `at most strongSwan's ${digits(theirs.median)} ms`, limit: theirs.median }]),
  ];
  const rows = limits.map(({ bound, limit }) => [
    `Ikebana's CPU as the responder, ${GROUP_TITLES[group]}`,
    bound,
    `${cell(ours)} ms`,
    ours.median <= limit ? "yes" : "no",
  ]);
  return [table(["goal", "", "measured", "met"], rows)];
}

function problemList({ responders }: HandshakeRecord): readonly string[] {
  const problems = responders.flatMap((responder) => {
    const { title, problem } = responder;
    if (problem === undefined) return [];
    return [`- ${title}${callerIn(responder)}: ${problem.trim().replaceAll(/\s*\n\s*/g, "; ")}`];
  });
  return problems.length === 0 ? [] : [`Did not run, or not in every round:\n\n${problems.join("\n")}`];
}
