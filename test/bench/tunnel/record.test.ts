import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { formatTunnelRecord, readTunnelRecord, writeTunnelRecord } from "../../../src/bench/tunnel/record.ts";
import { contender, recordOf } from "./records.ts";

const directory = mkdtempSync(join(tmpdir(), "bench-record-"));
afterAll(() => rmSync(directory, { recursive: true }));

test("a record is read as it was written", () => {
  const file = join(directory, "tunnel.json");
  const samples = [{ round: 1, figures: { tcpMbps: 1234.5 } }];
  const record = recordOf([{ name: "bare", title: "no tunnel [\n1, 2\n]", samples }]);
  writeTunnelRecord(file, record);
  expect(readTunnelRecord(file)).toEqual(record);
});

test("every figure has n, median, extremes and a confidence interval beside its samples", () => {
  const text = formatTunnelRecord(
    recordOf([contender("bare", [{ tcpMbps: 100 }, { tcpMbps: 110 }, { tcpMbps: 90 }])]),
  );
  const { tcpMbps } = JSON.parse(text).contenders[0].summaries;
  expect(tcpMbps).toMatchObject({ n: 3, median: 100, min: 90, max: 110 });
  expect(tcpMbps.interval.low).toBeCloseTo(77.67, 2);
  expect(tcpMbps.interval.high).toBeCloseTo(127.89, 2);
});

test("round trips take no line each", () => {
  const series = { atMs: [0, 5, 10], rttUs: [80, 81, 79] };
  const samples = [{ round: 1, figures: {}, series: { pingIdle: series, pingLoaded: series } }];
  expect(formatTunnelRecord(recordOf([{ name: "bare", title: "no tunnel", samples }]))).toContain(
    "[80,81,79]",
  );
});

test("a record of another bench is refused", () => {
  const file = join(directory, "micro.json");
  writeFileSync(file, '{"bench": "micro"}');
  expect(() => readTunnelRecord(file)).toThrow("not a record of the tunnel bench");
});
