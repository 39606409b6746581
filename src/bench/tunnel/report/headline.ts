import { digits } from "../../markdown-table.ts";
import { FIGURES, type FigureName } from "../figures.ts";
import type { Finding } from "../findings.ts";
import { type ContenderRecord, summaryOf, type TunnelRecord } from "../record.ts";
import type { Look } from "./looks.ts";
import { escapeHtml, firstLineOf, htmlTable } from "./markup.ts";

/** A card for each question that people ask first. "" where nothing was measured for them. */
export function headline(findings: readonly Finding[], looks: ReadonlyMap<ContenderRecord, Look>): string {
  const cards = findings.map(({ title, figure, leaders, next }) => {
    const [first, ...tied] = leaders;
    const { unit, label } = FIGURES[figure];
    const value = `${digits(summaryOf(first, figure)!.median)} ${unit}`;
    const names = escapeHtml(first!.title);
    const others =
      tied.length === 0
        ? ""
        : `<span class="soft">not told apart from ${escapeHtml(shortList(tied.map((each) => each.title)))}</span>`;
    const lead = next === undefined ? "" : `<span class="soft">${escapeHtml(leadOver(figure, next))}</span>`;
    return `<div class="card ${looks.get(first!)?.family ?? ""}"><span class="soft">${escapeHtml(title)}: ${escapeHtml(label)}</span><b>${names}</b><span class="big">${escapeHtml(value)}</span>${lead}${others}</div>`;
  });
  return cards.length === 0 ? "" : `<div class="cards">${cards.join("\n")}</div>`;
}

/** "a; b; and 9 others". */
function shortList(names: readonly string[]): string {
  const shown = names.length <= LISTED + 1 ? names : names.slice(0, LISTED);
  const left = names.length - shown.length;
  return [...shown, ...(left === 0 ? [] : [`and ${left} others`])].join("; ");
}

/** With more of them a card is all names. */
const LISTED = 3;

/** "5.2 times OpenVPN, AES-256-GCM", or "0.13 of" where less is better. */
function leadOver(figure: FigureName, { contender, comparison }: NonNullable<Finding["next"]>): string {
  const { value, interval } = comparison;
  const range = interval === undefined ? "" : ` (${digits(interval.low)} to ${digits(interval.high)})`;
  const how = FIGURES[figure].better === "more" ? "times" : "of";
  return `${digits(value)}${range} ${how} ${contender.title}`;
}

/** Who has no figure anywhere, and why: nobody should have to look for that. */
export function absent({ contenders: all, unavailable = [] }: TunnelRecord): string {
  const rows = [
    ...all
      .filter(({ samples }) => samples.length === 0)
      .map(({ title, problem = "not begun" }) => [title, problem]),
    ...unavailable.map(({ measure, reason }) => [`measure: ${measure}`, reason]),
  ];
  if (rows.length === 0) return "";
  const cells = rows.map(([what, why]) => [
    escapeHtml(what!),
    `<small>${escapeHtml(firstLineOf(why!))}</small>`,
  ]);
  return `<details class="prose" open><summary>Without figures here: ${rows.length}</summary>${htmlTable(["", "why not"], cells)}</details>`;
}
