import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { readTunnelRecord, writeTunnelRecord } from "../../src/bench/tunnel/record.ts";
import { contender, recordOf } from "../bench/tunnel/records.ts";
import { ikebana } from "./children.ts";

const folder = mkdtempSync(join(tmpdir(), "ikebana-cli-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("bench report shows several records as one, and makes one report of them", async () => {
  const html = join(folder, "report.html");
  const files = ["one", "two"].map((name) => join(folder, `${name}.json`));
  writeTunnelRecord(files[0]!, recordOf([contender("ikebana-aes256gcm16", [{ tcpMbps: 1800 }])]));
  writeTunnelRecord(files[1]!, recordOf([contender("openvpn-aes256gcm", [{ tcpMbps: 600 }])]));
  const { code, out } = await ikebana("bench", "report", ...files, "--html", html);
  expect(code).toBe(0);
  expect(out).toMatch(/\| openvpn-aes256gcm +\| +600 \|/);
  expect(out).toMatch(/at least 2.5 \| +3.00 \| +yes \|/);
  const record = readTunnelRecord(html);
  expect(record.contenders.map(({ name }) => name)).toEqual(["ikebana-aes256gcm16", "openvpn-aes256gcm"]);
  // The report is as good as the records that it was made of.
  const again = await ikebana("bench", "report", html, "--html", join(folder, "again.html"));
  expect(again.out).toBe(out);
});

test("bench report --compare says what changed beyond the noise, and in the report too", async () => {
  const [now, then, html] = ["now.json", "then.json", "changes.html"].map((name) => join(folder, name));
  const samples = (factor: number) => [100, 104, 98, 101].map((each) => ({ tcpMbps: each * factor }));
  writeTunnelRecord(now!, recordOf([contender("a", samples(2)), contender("b", samples(1.01))]));
  writeTunnelRecord(then!, recordOf([contender("a", samples(1)), contender("b", samples(1))]));
  const { code, out } = await ikebana("bench", "report", now!, "--compare", then!, "--html", html!);
  expect(code).toBe(0);
  expect(out).toContain("of 2 figures that both runs have, 1 changed beyond the noise");
  expect(out).toMatch(/\| a: TCP, one stream +\| +2\.00 \(.*\| better \|/);
  expect(readFileSync(html!, "utf8")).toContain("Of 2 figures that both runs have, 1 changed");
});

test("bench report says what is wrong with a file: 1", async () => {
  const file = join(folder, "micro.json");
  writeFileSync(file, '{"bench": "micro"}');
  const { code, error } = await ikebana("bench", "report", file);
  expect([code, error]).toEqual([1, expect.stringContaining("not a record of the tunnel bench")]);
  expect((await ikebana("bench", "report", join(folder, "nothing.json"))).code).toBe(1);
});
