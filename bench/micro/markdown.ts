import type { ContenderRecord, MicroRecord, SubjectRecord } from "./record.ts";

/** All records as Markdown: first what the runs say of each other, then each run. */
export function toMarkdown(records: readonly MicroRecord[]): string {
  return [ratioTable(records), ...records.map(runSection)].join("\n\n");
}

/** The first contender of each subject against the second: how many times faster, one column for each run. */
function ratioTable(records: readonly MicroRecord[]): string {
  const rows = new Map<string, string[]>();
  for (const [column, { subjects }] of records.entries()) {
    for (const subject of subjects) {
      const [ours, theirs] = subject.contenders;
      if (theirs === undefined) continue;
      const label = `${subject.name}: ${ours!.name} / ${theirs.name}`;
      const row = rows.get(label) ?? records.map(() => NOTHING);
      row[column] = ratio(theirs, ours!);
      rows.set(label, row);
    }
  }
  return [
    "## How many times faster",
    "",
    ...table(
      ["", ...records.map(({ machine }) => `Node ${machine.node}`)],
      [...rows].map(([label, cells]) => [label, ...cells]),
    ),
  ].join("\n");
}

/** What the README shows: how many times faster than node:crypto the kernels seal, one row for each cipher and run. */
export function toHeadline(records: readonly MicroRecord[]): string {
  const sizes = ["64 B", "256 B", "1400 B", "9000 B"];
  const ciphers = ["AES-128-GCM", "AES-256-GCM", "ChaCha20-Poly1305"];
  const rows = records.flatMap(({ machine, subjects }) =>
    ciphers.map((cipher) => [
      `${cipher}, Node ${machine.node.split(".")[0]}`,
      ...sizes.map((size) => {
        const [ours, theirs] =
          subjects.find(({ name }) => name === `${cipher} seal ${size}`)?.contenders ?? [];
        return ours === undefined || theirs === undefined ? NOTHING : ratio(theirs, ours);
      }),
    ]),
  );
  return table(["", ...sizes], rows).join("\n");
}

function runSection({ machine, date, commit, command, subjects }: MicroRecord): string {
  const groups = new Map<string, SubjectRecord[]>();
  for (const subject of subjects) groups.set(subject.group, [...(groups.get(subject.group) ?? []), subject]);
  return [
    `## Node ${machine.node}`,
    "",
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.kernel}, V8 ${machine.v8}, OpenSSL ${machine.openssl}; ` +
      `load ${machine.loadAverage} at the start; ${date}, commit ${commit}, \`${command}\`. ` +
      "Medians, with half the distance between the quartiles.",
    ...[...groups].flatMap(([group, members]) => ["", `### ${group}`, "", ...groupTable(members)]),
  ].join("\n");
}

function groupTable(subjects: readonly SubjectRecord[]): readonly string[] {
  const names = [...new Set(subjects.flatMap(({ contenders }) => contenders.map(({ name }) => name)))];
  return table(
    ["", ...names],
    subjects.map((subject) => [
      subject.name,
      ...names.map((name) => {
        const contender = subject.contenders.find((candidate) => candidate.name === name);
        return contender === undefined ? NOTHING : speed(subject, contender);
      }),
    ]),
  );
}

const NOTHING = "–";

function speed({ octets, operations }: SubjectRecord, { medianNs, quartilesNs }: ContenderRecord): string {
  const [low, high] = quartilesNs;
  const spread = `± ${((100 * (high - low)) / 2 / medianNs).toFixed(1)} %`;
  const value =
    octets > 0 ? `${digits((octets * 1e3) / medianNs)} MB/s` : `${digits(medianNs / operations / 1e3)} µs`;
  return `${value} ${spread}`;
}

function ratio(slower: ContenderRecord, faster: ContenderRecord): string {
  return `${digits(slower.medianNs / faster.medianNs)}x`;
}

/** Three significant digits. */
function digits(value: number): string {
  if (value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map((_, i) => (i === 0 ? "---" : "---:"))), ...rows.map(line)];
}
