import { type Comparison, isMore } from "../../comparison.ts";
import { digits } from "../../markdown-table.ts";
import { quantile } from "../../statistics.ts";
import { CHANGE_CONFIDENCE, compareRecords } from "../between.ts";
import { answerOf, CLAIM_FIGURES, claimsOf } from "../claims.ts";
import { FIGURES, type FigureName } from "../figures.ts";
import { findingsOf } from "../findings.ts";
import { judge, wordsFor } from "../goals.ts";
import {
  type ContenderRecord,
  DATA_ID,
  describeRounds,
  formatTunnelRecord,
  summaryOf,
  type TunnelRecord,
} from "../record.ts";
import { figuresIn, SECTIONS } from "../sections.ts";
import { barChart } from "./bars.ts";
import { figureTable, formatComparison } from "./figure-table.ts";
import { absent, headline } from "./headline.ts";
import { type Look, looksOf } from "./looks.ts";
import { escapeHtml, firstLineOf, formatUs, htmlTable } from "./markup.ts";
import { packetSizes } from "./packet-sizes.ts";
import { distribution, roundTripsOf, timeline } from "./round-trips.ts";
import { STYLE } from "./style.ts";

/**
 * A run as one HTML file that needs nothing else: what was found, a chart and a table for each measure, what was made sure of, and the
 * record itself. `before`: an earlier run to compare it with.
 */
export function toHtml(record: TunnelRecord, before?: TunnelRecord): string {
  const looks = looksOf(record.contenders);
  const body = [
    introduction(record),
    headline(findingsOf(record), looks),
    absent(record),
    claims(record),
    ...(before === undefined ? [] : [changes(record, before)]),
    ...charts(record, looks),
    goals(record),
    contenders(record),
    environment(record),
    method(record),
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Ikebana tunnel bench, ${escapeHtml(record.date.slice(0, 10))}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
${body.filter((part) => part !== "").join("\n")}
</main>
<script type="application/json" id="${DATA_ID}">
${formatTunnelRecord(record).replaceAll("<", "\\u003c")}</script>
</body>
</html>
`;
}

function introduction(record: TunnelRecord): string {
  const { machine, date, isComplete } = record;
  const facts = `${machine.cpu}, ${machine.cores} cores, ${machine.kernel}, ${machine.distribution}. ${date.slice(0, 16).replace("T", " ")} UTC, ${describeRounds(record)}.`;
  return `<h1>Tunnels on one machine</h1>
<p class="soft">${escapeHtml(facts)}</p>
${isComplete ? "" : '<p class="warn">Broken off: not all rounds were run. What was measured until then is here.</p>'}
${guestWarning(record)}${othersWarning(record)}`;
}

function guestWarning({ guest }: TunnelRecord): string {
  if (guest === undefined) return "";
  const { kernel, host, distorts } = guest;
  const ground = `All of it inside ${kernel} on ${host.cpu}, ${host.kernel}: ${distorts}.`;
  return `<p class="warn">${escapeHtml(ground)}</p>\n`;
}

/** From here on somebody else was at work for so large a part of the time that figures suffer. */
const DISTURBING = 0.1;

function othersWarning({ contenders }: TunnelRecord): string {
  const shares = contenders.flatMap(({ samples }) =>
    samples.flatMap(({ others }) => (others === undefined ? [] : [others.programs + others.stolen])),
  );
  if (shares.length === 0 || quantile(shares, 0.5) < DISTURBING) return "";
  const percent = (q: number): string => String(Math.round(100 * quantile(shares, q)));
  return `<p class="warn">Others worked on this machine too: they took ${percent(0.5)} % of its processor time in the middle round, ${percent(0)} to ${percent(1)} % in all of them.</p>`;
}

function claims(record: TunnelRecord): string {
  const found = claimsOf(record);
  if (found.length === 0) return "";
  const figures = CLAIM_FIGURES.filter((figure) =>
    found.some(({ comparisons }) => comparisons.some((each) => each.figure === figure)),
  );
  const head = found.map(
    ({ ipsec, openvpn }) => `${escapeHtml(ipsec.title)}<br><small>/ ${escapeHtml(openvpn.title)}</small>`,
  );
  const rows = figures.map((figure) => [
    escapeHtml(FIGURES[figure].label),
    ...found.map(({ comparisons }) => {
      const comparison = comparisons.find((each) => each.figure === figure)?.comparison;
      if (comparison === undefined) return "–";
      return `${formatComparison(comparison)}${answer(figure, comparison)}`;
    }),
  ]);
  return `<h2>IPsec against OpenVPN</h2>
<p>Has IPsec half of OpenVPN's latency, and more throughput on a small board? Each figure divided by OpenVPN's, round by round, with its 95 % interval. Of times below 1 is better, of throughput above 1.</p>
${htmlTable(["", ...head], rows)}`;
}

/** Nothing of what is within the noise, which is said already. */
function answer(figure: FigureName, comparison: Comparison): string {
  if (!comparison.isDifferent) return "";
  const isBetter = isMore(comparison) === (FIGURES[figure].better === "more");
  return `<br><small class="${isBetter ? "better" : "worse"}">${answerOf(figure, comparison)}</small>`;
}

function changes(record: TunnelRecord, before: TunnelRecord): string {
  const { changes: found, compared } = compareRecords(before, record);
  const chance = Math.round(compared * (1 - CHANGE_CONFIDENCE) * 10) / 10;
  const rows = found.map(({ contender, figure, comparison, isBetter }) => [
    escapeHtml(contender),
    escapeHtml(FIGURES[figure].label),
    formatComparison(comparison),
    `<span class="${isBetter ? "better" : "worse"}">${isBetter ? "better" : "worse"}</span>`,
  ]);
  const elsewhere = machineChanges(record, before);
  return `<h2>Since ${escapeHtml(before.date.slice(0, 10))}</h2>
<p>Of ${compared} figures that both runs have, ${found.length} changed beyond the noise (99 % intervals; chance alone makes about ${chance} of them).${elsewhere === "" ? "" : ` The machine is not the same: ${escapeHtml(elsewhere)}.`}</p>
${rows.length === 0 ? "" : htmlTable(["", "figure", "now / then", ""], rows)}`;
}

/** What of the machine differs between two runs, as a list in words. */
function machineChanges({ machine: now }: TunnelRecord, { machine: then }: TunnelRecord): string {
  const keys = ["cpu", "cores", "kernel", "distribution", "node", "governor"] as const;
  return keys
    .filter((key) => now[key] !== then[key])
    .map((key) => `${key} ${then[key]} before, ${now[key]} now`)
    .join("; ");
}

function charts(record: TunnelRecord, looks: ReadonlyMap<ContenderRecord, Look>): readonly string[] {
  const bars = (key: keyof typeof SECTIONS, words: string): string => {
    const figures = figuresIn(SECTIONS[key], record.contenders);
    if (figures.length === 0) return "";
    const each = figures.map((figure) => `${barChart(figure, looks)}${tableOf(figure, record.contenders)}`);
    return `<h2>${escapeHtml(SECTIONS[key].title)}</h2>${words === "" ? "" : `<p>${words}</p>`}${each.join("\n")}`;
  };
  return [
    bars(
      "throughput",
      "Bars are medians of all rounds; the whiskers are 95 % confidence intervals. What overlaps widely is not different.",
    ),
    sizes(record, looks),
    bars(
      "processor",
      "Seconds of processor time for each GB that TCP moves: all that the machine was busy with, kernel and load generator included, since otherwise whoever lives in the kernel would look cheaper than they are.",
    ),
    roundTrips(record, looks),
    bars(
      "voice",
      "50 packets a second of 200 octets each, as G.711 makes them: interarrival jitter (RFC 3550) and loss.",
    ),
    bars(
      "pressure1",
      "The same with a thread beside it that computes without end, on the gateway's processors.",
    ),
    bars("pressure2", "The same with one such thread on either side."),
    bars(
      "throttled",
      "Each side has a quarter of its processors' time, in slices of 10 ms: a stand-in for a small board. The slices show in the round trips, which a slower processor would not have in that way.",
    ),
    bars(
      "start",
      "From the start of the client, whose gateway is there already, to the first answered packet; memory in RAM after a transfer.",
    ),
  ];
}

/** A long table is folded, since a chart with as many rows is right above it. */
function tableOf(figure: FigureName, all: readonly ContenderRecord[]): string {
  const shown = figureTable(figure, all);
  const count = all.filter((contender) => summaryOf(contender, figure) !== undefined).length;
  return count <= UNFOLDED
    ? shown
    : `<details><summary>Table: ${escapeHtml(FIGURES[figure].label)}</summary>${shown}</details>`;
}

/** Rows of a table that is seen at once. */
const UNFOLDED = 10;

function sizes(record: TunnelRecord, looks: ReadonlyMap<ContenderRecord, Look>): string {
  const figures = figuresIn(SECTIONS.packets, record.contenders);
  if (figures.length === 0) return "";
  const chart = packetSizes(looks);
  // One size alone has no course.
  const drawn = chart === "" ? figures.map((figure) => barChart(figure, looks)).join("") : chart;
  const tables = figures.map((figure) => tableOf(figure, record.contenders)).join("\n");
  return `<h2>${escapeHtml(SECTIONS.packets.title)}</h2><p>The highest rate of UDP datagrams of which at most 1 % is lost.</p>${drawn}${tables}`;
}

function roundTrips(record: TunnelRecord, looks: ReadonlyMap<ContenderRecord, Look>): string {
  const part = (key: "idle" | "loaded", series: "pingIdle" | "pingLoaded"): string => {
    const figures = figuresIn(SECTIONS[key], record.contenders);
    if (figures.length === 0) return "";
    const chart = distribution(series, looks);
    const cdf =
      chart === ""
        ? ""
        : `<figure><figcaption>Distribution <small>of all round trips of all rounds</small></figcaption>${chart}</figure>${distributionTable(record, series)}`;
    const tables = figures.map((figure) => figureTable(figure, record.contenders)).join("\n");
    return `<h2>${escapeHtml(SECTIONS[key].title)}</h2>${barChart(figures[0]!, looks)}${cdf}<details><summary>Tables: each round's quantiles</summary>${tables}</details>`;
  };
  const overTime = timeline(looks);
  return [
    part("idle", "pingIdle"),
    part("loaded", "pingLoaded"),
    overTime === ""
      ? ""
      : `<h2>Round trips over time</h2><p>Every dot is a ping: first nothing else goes on, then a TCP transfer runs the same way. Of each contender the middle round.</p>${overTime}${timelineTable(record)}`,
  ].join("\n");
}

function distributionTable({ contenders: all }: TunnelRecord, series: "pingIdle" | "pingLoaded"): string {
  const rows = all.flatMap((contender) => {
    const rtts = roundTripsOf(contender, series);
    if (rtts.length === 0) return [];
    const times = [0.5, 0.9, 0.99, 0.999].map((q) => formatUs(quantile(rtts, q)));
    return [[escapeHtml(contender.title), ...times, rtts.length.toLocaleString("en")]];
  });
  return htmlTable(["All rounds together", "p50", "p90", "p99", "p99.9", "pings"], rows);
}

/** How much longer a round trip is while TCP runs. */
function timelineTable({ contenders: all }: TunnelRecord): string {
  const rows = all.flatMap((contender) => {
    const idle = summaryOf(contender, "pingIdleP50Us")?.median;
    const loaded = summaryOf(contender, "pingLoadedP50Us")?.median;
    if (idle === undefined || loaded === undefined) return [];
    return [[escapeHtml(contender.title), formatUs(idle), formatUs(loaded), digits(loaded / idle)]];
  });
  return htmlTable(["Median round trip", "idle", "under load", "times"], rows);
}

function goals(record: TunnelRecord): string {
  const verdicts = judge(record);
  if (verdicts.length === 0) return "";
  const titles = new Map(record.contenders.map(({ name, title }) => [name, title]));
  const rows = verdicts.map((verdict) => {
    const { goal, measured, isMet } = verdict;
    const words = wordsFor(verdict);
    return [
      escapeHtml(`${FIGURES[goal.figure].label}: ${titles.get(goal.ours)} / ${titles.get(goal.theirs)}`),
      `${goal.bound} ${goal.ratio}`,
      measured === undefined
        ? "–"
        : `${digits(measured.ratio)} <small>${digits(measured.min)} to ${digits(measured.max)}</small>`,
      isMet === undefined ? words : `<b class="${isMet ? "better" : "worse"}">${words}</b>`,
    ];
  });
  return `<h2>Goals</h2><p>Ratios of medians, with the lowest and the highest round.</p>${htmlTable(["", "goal", "measured", "met"], rows)}`;
}

function contenders({ contenders: all, unavailable = [] }: TunnelRecord): string {
  const rows = all.map(({ title, facts, samples, problem }) => [
    escapeHtml(title),
    ...(facts === undefined
      ? [`<small>did not run</small>`, "–", "–", "–", "–"]
      : [
          `<small>${escapeHtml(facts.version)}</small>`,
          escapeHtml(facts.cipher),
          String(facts.mtu),
          escapeHtml(facts.offloads ?? "–"),
          `${facts.proof.plaintextFrames} of ${facts.proof.frames}`,
        ]),
    String(samples.length),
    problem === undefined ? "" : `<small>${escapeHtml(firstLineOf(problem))}</small>`,
  ]);
  const lacking = unavailable.map(({ measure, reason }) => `<li>${escapeHtml(`${measure}: ${reason}`)}</li>`);
  const head = ["", "version", "cipher", "MTU", "offloads", "in clear", "rounds", "why not, or not always"];
  return `<h2>Contenders</h2>
<p>What each was seen to do before it was timed: a capture of the cable was searched for a known text and for the inner addresses. Who does not encrypt, or not as the row says, is refused. Offloads are those of the link into the tunnel.</p>
<div class="prose">${htmlTable(head, rows)}</div>${lacking.length === 0 ? "" : `<p>What this machine cannot measure:</p><ul>${lacking.join("")}</ul>`}`;
}

function environment({ machine, loadGenerator, command, contenders: all }: TunnelRecord): string {
  const programs = all.flatMap(({ samples }) => samples.flatMap(({ others }) => others?.programs ?? []));
  const stolen = all.flatMap(({ samples }) => samples.flatMap(({ others }) => others?.stolen ?? []));
  const rows = [
    ["processor", `${machine.cpu}, ${machine.cores} cores`],
    ["instructions for ciphers", machine.cpuFlags.join(" ") || "none"],
    ["frequency governor", machine.governor],
    ["memory", `${machine.memoryGiB} GiB`],
    ["system", `${machine.kernel}, ${machine.distribution}`],
    ["mitigations", machine.mitigations.join("; ") || "none"],
    ["Node", machine.node],
    ["load generator", loadGenerator],
    ["load average at the start", String(machine.loadAverage)],
    ["other programs meanwhile", shareOfTime(programs)],
    ["taken by a hypervisor", shareOfTime(stolen)],
    ["command", command],
  ].map((row) => row.map((cell) => escapeHtml(cell)));
  return `<h2>Machine</h2><div class="prose">${htmlTable(["", ""], rows)}</div>`;
}

function shareOfTime(shares: readonly number[]): string {
  if (shares.length === 0) return "not recorded";
  const percent = (q: number): string => (100 * quantile(shares, q)).toFixed(1);
  return `${percent(0.5)} % of all processor time in the middle round (${percent(0)} to ${percent(1)} %)`;
}

function method({ settings }: TunnelRecord): string {
  const cores =
    settings.cores === "split"
      ? "Each side, with its half of the load, has half of the processors to itself."
      : "Both sides run on any processor.";
  return `<h2>How this was measured</h2>
<ul>
<li>Two network namespaces joined by a veth. ${cores} MTU ${settings.innerMtu} inside all tunnels.</li>
<li>In rounds, one contender after the other, each on fresh ground: what drifts hits all alike.</li>
<li>An interval is where the figure itself lies with 95 % confidence: Student's t on logarithms of the rounds. Two contenders are compared round by round, and called different only where the interval of their ratio leaves 1 out; of the leader in the headline with as many corrections as there are rivals.</li>
<li>The whole record, every sample and every round trip, is in this file, in the element <code>#${DATA_ID}</code>; <code>ikebana bench report</code> reads it from here.</li>
</ul>`;
}
