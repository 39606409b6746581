import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { readTunnelRecord, writeTunnelRecord } from "../../../src/bench/tunnel/record.ts";
import { recordOf } from "./records.ts";

const directory = mkdtempSync(join(tmpdir(), "bench-record-"));
afterAll(() => rmSync(directory, { recursive: true }));

test("a record is read as it was written", () => {
  const file = join(directory, "tunnel.json");
  const samples = [{ round: 1, figures: { tcpMbps: 1234.5 } }];
  const record = recordOf([{ name: "bare", title: "no tunnel", samples }]);
  writeTunnelRecord(file, record);
  expect(readTunnelRecord(file)).toEqual(record);
});

test("a record of another bench is refused", () => {
  const file = join(directory, "micro.json");
  writeFileSync(file, '{"bench": "micro"}');
  expect(() => readTunnelRecord(file)).toThrow("not a record of the tunnel bench");
});
