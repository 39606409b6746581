import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { writeTunnelRecord } from "../../src/bench/tunnel/record.ts";
import { contender, recordOf } from "../bench/tunnel/records.ts";
import { ikebana } from "./children.ts";

const folder = mkdtempSync(join(tmpdir(), "ikebana-cli-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("bench report shows several records as one", async () => {
  const files = ["one", "two"].map((name) => join(folder, `${name}.json`));
  writeTunnelRecord(files[0]!, recordOf([contender("ikebana-aes256gcm16", [{ tcpMbps: 1800 }])]));
  writeTunnelRecord(files[1]!, recordOf([contender("openvpn-aes256gcm", [{ tcpMbps: 600 }])]));
  const { code, out } = await ikebana("bench", "report", ...files);
  expect(code).toBe(0);
  expect(out).toMatch(/\| openvpn-aes256gcm +\| +600 \|/);
  expect(out).toMatch(/at least 2.5 \| +3.00 \| +yes \|/);
});

test("bench report says what is wrong with a file: 1", async () => {
  const file = join(folder, "micro.json");
  writeFileSync(file, '{"bench": "micro"}');
  const { code, error } = await ikebana("bench", "report", file);
  expect([code, error]).toEqual([1, expect.stringContaining("not a record of the tunnel bench")]);
  expect((await ikebana("bench", "report", join(folder, "nothing.json"))).code).toBe(1);
});
