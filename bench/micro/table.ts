// npm run bench:table: writes bench/results/micro.md, tunnel.md, guest.md, handshake.md, the reports, and the README's figures, from the records
// beside them.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { readHandshakeRecord } from "../../src/bench/handshake/record.ts";
import { toMarkdown as toHandshakeMarkdown } from "../../src/bench/handshake/table.ts";
import { chosenOf } from "../../src/bench/tunnel/chosen.ts";
import { CORE_CLAIM_FIGURES } from "../../src/bench/tunnel/claims.ts";
import { claimsToMarkdown } from "../../src/bench/tunnel/claims-table.ts";
import { mergeRecords } from "../../src/bench/tunnel/merge.ts";
import { readTunnelRecord, type TunnelRecord } from "../../src/bench/tunnel/record.ts";
import { toHtml } from "../../src/bench/tunnel/report/page.ts";
import {
  toHeadline as toTunnelHeadline,
  toMarkdown as toTunnelMarkdown,
} from "../../src/bench/tunnel/table.ts";
import { toHeadline, toMarkdown } from "./markdown.ts";
import { readRecord } from "./record.ts";
import { RESULTS } from "./results.ts";

const README = new URL("../../README.md", RESULTS);

const micro = filesOf("micro");
const records = micro.map((name) => readRecord(new URL(name, RESULTS)));
writeResult("micro", micro, toMarkdown(records));
fillReadme("figures", toHeadline(records));

const tunnel = filesOf("tunnel");
const guests = filesOf("guest");
const guestRecords = new Map(
  [...new Set(guests.map(guestOf))].map((guest) => [
    guest,
    mergeRecords(guests.filter((name) => guestOf(name) === guest).map(readTunnel)),
  ]),
);
if (tunnel.length > 0) {
  const record = mergeRecords(tunnel.map(readTunnel));
  writeResult("tunnel", tunnel, toTunnelMarkdown(record));
  writeFileSync(new URL("tunnel.html", RESULTS), toHtml(record));
  fillReadme("tunnel figures", toTunnelHeadline(chosenOf(record)));
  const told = [record, ...guestRecords.values()].filter(hasSpread).map(chosenOf);
  fillReadme("claims", claimsToMarkdown(told, CORE_CLAIM_FIGURES));
}
if (guests.length > 0) {
  writeResult("guest", guests, [...guestRecords.values()].map(toTunnelMarkdown).join("\n\n"));
  for (const [guest, record] of guestRecords) {
    writeFileSync(new URL(`guest-${guest}.html`, RESULTS), toHtml(record));
  }
}

const handshake = filesOf("handshake");
if (handshake.length > 0) {
  const all = handshake.map((name) => readHandshakeRecord(fileURLToPath(new URL(name, RESULTS))));
  writeResult("handshake", handshake, all.map(toHandshakeMarkdown).join("\n\n"));
}

function filesOf(bench: string): readonly string[] {
  return readdirSync(RESULTS)
    .filter((name) => name.startsWith(`${bench}-`) && name.endsWith(".json"))
    .sort();
}

function writeResult(bench: string, files: readonly string[], text: string): void {
  const sources = files.map((name) => `[${name}](${name})`).join(", ");
  const title = `${bench[0]!.toUpperCase()}${bench.slice(1)} bench`;
  const intro = `# ${title}\n\nMade from ${sources} by \`npm run bench:table\`.`;
  writeFileSync(new URL(`${bench}.md`, RESULTS), `${intro}\n\n${text}\n`);
}

/** "guest-uml-node20.json" is of "uml". */
function guestOf(name: string): string {
  return name.split("-")[1]!;
}

/** One round alone answers nothing. */
function hasSpread({ contenders }: TunnelRecord): boolean {
  return contenders.some(({ samples }) => samples.length > 1);
}

function readTunnel(name: string): TunnelRecord {
  return readTunnelRecord(fileURLToPath(new URL(name, RESULTS)));
}

/** Replaces what stands between the two marks of a name. */
function fillReadme(name: string, text: string): void {
  const begin = `<!-- ${name} -->\n`;
  const readme = readFileSync(README, "utf8");
  const from = readme.indexOf(begin);
  const to = readme.indexOf(`<!-- end of ${name} -->`);
  if (from < 0 || to < from) throw new TypeError(`README.md has no place for the ${name}`);
  writeFileSync(README, `${readme.slice(0, from + begin.length)}${text}\n${readme.slice(to)}`);
}
