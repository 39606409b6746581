import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { readTunnelRecord } from "../../../src/bench/tunnel/record.ts";
import { toHtml } from "../../../src/bench/tunnel/report/page.ts";
import { recordOf } from "./records.ts";
import { crowdedRecord, wholeRecord } from "./whole-record.ts";

const directory = mkdtempSync(join(tmpdir(), "bench-report-"));
afterAll(() => rmSync(directory, { recursive: true }));

const record = wholeRecord();
const html = toHtml(record, { ...record, date: "2025-12-01T00:00:00.000Z" });

test("a report needs nothing but itself, not even a script", () => {
  const page = html.slice(0, html.indexOf('<script type="application/json"'));
  expect(page).not.toMatch(/https?:|src=|href=|url\(|@import|<script|<link|<img/);
});

test("its tags are closed in their order", () => {
  expect(unclosedTags(html)).toEqual([]);
});

test("the whole record is inside, and is read from there", () => {
  const file = join(directory, "report.html");
  writeFileSync(file, html);
  expect(readTunnelRecord(file)).toEqual(record);
});

test("every chart has a table", () => {
  for (const part of html.split("<h2>").slice(1)) {
    const title = part.slice(0, part.indexOf("<"));
    const charts = part.match(/<figure>|class="plot"|class="strips"/g)?.length ?? 0;
    const tables = part.match(/<table>/g)?.length ?? 0;
    if (charts > 0) expect(tables, title).toBeGreaterThan(0);
  }
  expect(html.match(/<figure>/g)?.length).toBeGreaterThan(15);
});

test("who did not run has a row that says why, and is named at the top", () => {
  const top = html.slice(0, html.indexOf("<h2>Throughput"));
  expect(top).toMatch(/kernel WireGuard<\/th><td><small>the kernel has no WireGuard/);
  expect(html).toMatch(/kernel WireGuard<\/th><td><small>did not run<.*the kernel has no WireGuard/);
});

test("a bar is as long as its median, and what is no tunnel does not set the scale", () => {
  const chart = /<figure><figcaption>TCP, one stream.*?<\/figure>/s.exec(html)![0];
  const widths = [...chart.matchAll(/class="name">([^<]+)<.*?<rect width="([\d.]+)%"/g)].map(
    ([, name, width]) => [name, Number(width)] as const,
  );
  const widthOf = new Map(widths);
  expect(widthOf.get("no tunnel")).toBe(100);
  expect(chart.match(/class="gap"/g)).toHaveLength(2);
  const ours = widthOf.get("Ikebana, ChaCha20-Poly1305")!;
  const theirs = widthOf.get("OpenVPN, AES-256-GCM")!;
  expect(ours).toBeGreaterThan(60);
  const medianOf = (name: string): number => {
    const figures = record.contenders
      .find(({ title }) => title === name)!
      .samples.map((each) => each.figures.tcpMbps!);
    return figures.sort((a, b) => a - b)[2]!;
  };
  expect(ours / theirs).toBeCloseTo(
    medianOf("Ikebana, ChaCha20-Poly1305") / medianOf("OpenVPN, AES-256-GCM"),
    1,
  );
});

test("among many contenders each chart of lines has strokes that are told apart, and all of them together everybody", () => {
  const crowd = crowdedRecord();
  const text = toHtml(crowd);
  expect(unclosedTags(text)).toEqual([]);
  const titles = crowd.contenders.filter(({ samples }) => samples.length > 0).map(({ title }) => title);
  expect(titles.length).toBeGreaterThan(20);
  const figures = text.split('<div class="panels">').slice(1);
  // Throughput against packet size, and two distributions.
  expect(figures).toHaveLength(3);
  for (const figure of figures) {
    const charts = figure.split('<div class="plot">').slice(1);
    const named = charts.flatMap((chart) => {
      const [list] = /<ul class="legend">.*?<\/ul>/.exec(chart)!;
      const entries = [
        ...list.matchAll(/<li class="([^"]+)">.*?dasharray="([^"]*)".*?<\/svg>([^<]+)<\/li>/g),
      ];
      const strokes = entries.map(([, family, dash]) => `${family} ${dash}`);
      expect(new Set(strokes).size).toBe(entries.length);
      expect(entries.length).toBeLessThanOrEqual(4);
      // All others are behind them.
      expect(chart.match(/<g class="f-backdrop">/g)).toHaveLength(titles.length - entries.length);
      return entries.map(([, , , title]) => title!);
    });
    expect(named.sort()).toEqual([...titles].sort());
  }
  // A few are drawn together.
  expect(html).not.toContain('class="panels"');
});

test("names cannot become markup", () => {
  const title = `<img src=x onerror="alert(1)"> & 'co'`;
  const evil = record.contenders.map((each) => ({ ...each, title, problem: title }));
  const text = toHtml({ ...recordOf(evil), command: "</script><b>" });
  expect(text).not.toContain("<img");
  expect(text).not.toContain("</script><b>");
  expect(unclosedTags(text)).toEqual([]);
});

test("a run of next to nothing still makes a report", () => {
  for (const contenders of [[], [{ name: "bare", title: "no tunnel", problem: "no", samples: [] }]]) {
    const text = toHtml({ ...recordOf(contenders), isComplete: false });
    expect(unclosedTags(text)).toEqual([]);
    expect(text).toContain("Broken off");
    expect(text).not.toMatch(/NaN|undefined|Infinity/);
  }
});

test("nothing in it is a number that is none", () => {
  expect(html).not.toMatch(/NaN|undefined|Infinity/);
});

/** Tags that stay open, or are closed where others are still open. */
function unclosedTags(text: string): readonly string[] {
  const open: string[] = [];
  const wrong: string[] = [];
  const body = text.replace(/(<script[^>]*>)[\s\S]*?<\/script>/, "");
  for (const [, slash, name, selfClosing] of body.matchAll(/<(\/?)([a-z][a-z0-9]*)(?:\s[^>]*?)?(\/?)>/g)) {
    if (selfClosing === "/" || name === "meta" || name === "br") continue;
    if (slash === "") open.push(name!);
    else if (open.pop() !== name) wrong.push(name!);
  }
  return [...wrong, ...open];
}
