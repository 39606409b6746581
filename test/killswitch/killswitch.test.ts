import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseConfig } from "../../src/config/load.ts";
import { resolveHosts } from "../../src/config/resolve-hosts.ts";
import { gatewaysNamed, gatewaysOf, shutOut } from "../../src/killswitch/gateways.ts";
import {
  type KillSwitchRecord,
  killSwitchFiles,
  pinnedHosts,
  readRecord,
} from "../../src/killswitch/record.ts";
import { isInLan, killSwitchText } from "../../src/platform/firewall/kill-switch.ts";

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "ikebana-killswitch-"));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const config = (connections: string, more = "") =>
  parseConfig({ text: `connections:\n${connections}\n${more}`, file: join(folder, "ikebana.yaml") });

const connection = (name: string, remote: string, more = ""): string =>
  `  ${name}: { local: { id: a, psk: "a secret of the test, long enough" }, remote: { id: b, ${remote} }, ${more} children: { lan: { local: 10.1.0.0/16, remote: 10.2.0.0/16 } } }`;

const NAMED: KillSwitchRecord = {
  link: "ikebana0",
  gateways: [
    { host: "vpn.invalid", address: "192.0.2.7", ports: [500, 4500], tcpPorts: [4500], isRaw: true },
    { host: "vpn.invalid", address: "2001:db8::7", ports: [500, 4500], tcpPorts: [443], isRaw: true },
  ],
  opensLan: false,
};

describe("the gateways that a kill switch lets through", () => {
  test("are those of the connections, with the ports that they are spoken to at", async () => {
    const connections = [
      connection("usual", "address: 192.0.2.1"),
      connection("udp", 'address: "2001:db8::1", port: 4500', "encapsulation: udp,"),
      connection("never", "address: 192.0.2.3", "tcp: never,"),
      connection("tcp", "address: 192.0.2.4, tcpPort: 443", "tcp: always,"),
      connection("local", "address: localhost"),
      connection("anybody", "", "start: respond,"),
    ];
    const { gateways, warnings } = await gatewaysOf(config(connections.join("\n")), undefined);
    expect(gateways.slice(0, 4)).toEqual([
      { address: "192.0.2.1", ports: [500, 4500], tcpPorts: [4500], isRaw: true },
      { address: "2001:db8::1", ports: [4500], tcpPorts: [4500], isRaw: false },
      { address: "192.0.2.3", ports: [500, 4500], tcpPorts: [], isRaw: true },
      { address: "192.0.2.4", ports: [], tcpPorts: [443], isRaw: false },
    ]);
    expect(gateways.slice(4)).toContainEqual({
      host: "localhost",
      address: "127.0.0.1",
      ports: [500, 4500],
      tcpPorts: [4500],
      isRaw: true,
    });
    expect(warnings).toEqual(["anybody has no remote address: its peer is shut out"]);
  });

  test("keep the addresses that they had where nobody can be asked, and have none where they never had some", async () => {
    const vpn = config(connection("vpn", "address: vpn.invalid"));
    const { gateways, warnings } = await gatewaysOf(vpn, NAMED);
    const opening = { host: "vpn.invalid", ports: [500, 4500], tcpPorts: [4500], isRaw: true };
    expect(gateways).toEqual(["192.0.2.7", "2001:db8::7"].map((address) => ({ address, ...opening })));
    expect(warnings).toEqual([
      expect.stringMatching(/^vpn\.invalid cannot be looked up \(\w+\): it stays 192\.0\.2\.7, 2001:db8::7$/),
    ]);
    await expect(gatewaysOf(vpn, undefined)).rejects.toMatchObject({ code: "EAI" });
    expect((await gatewaysNamed(["vpn.invalid", "192.0.2.9"], NAMED)).gateways).toHaveLength(3);
  });

  test("are missed where there are none", async () => {
    const open = config(connection("anybody", "", "start: respond,"));
    await expect(gatewaysOf(open, undefined)).rejects.toThrow(/would let nobody through/);
  });
});

test("as long as it is on, a name has the addresses that it lets through, and what it does not know is warned of", async () => {
  writeFileSync(killSwitchFiles(join(folder, "ikebana.yaml")).record, JSON.stringify(NAMED));
  const file = join(folder, "ikebana.yaml");
  expect(readRecord(file)).toEqual(NAMED);
  const vpn = config(
    `${connection("vpn", "address: vpn.invalid")}\n${connection("other", "address: 192.0.2.8")}`,
  );
  const resolved = await resolveHosts(vpn, undefined, pinnedHosts(file));
  expect(resolved.connections.map(({ remote }) => remote.address)).toEqual(["192.0.2.7", "192.0.2.8"]);
  expect(shutOut(resolved, NAMED)).toEqual([
    "the kill switch is on and does not let other (192.0.2.8) through; after a change: ikebana killswitch on",
  ]);
  for (const text of ["", "{}", "[]", '{"link":"a","opensLan":false,"gateways":[{}]}']) {
    writeFileSync(killSwitchFiles(file).record, text);
    expect(readRecord(file)).toBeUndefined();
  }
  expect(pinnedHosts(join(folder, "nowhere/ikebana.yaml")).size).toBe(0);
});

test("its rules name nothing twice, and open the LAN only when they are told to", () => {
  const rules = {
    link: "ikebana0",
    mark: 7,
    opensLan: false,
    gateways: [...NAMED.gateways, ...NAMED.gateways],
  };
  const text = killSwitchText(rules);
  expect(text.match(/ip daddr \. udp dport \{ 192\.0\.2\.7 \. 500, 192\.0\.2\.7 \. 4500 \}/g)).toHaveLength(
    1,
  );
  expect(text.match(/ip daddr \. tcp dport \{ 192\.0\.2\.7 \. 4500 \}/g)).toHaveLength(1);
  expect(text.match(/ip6 daddr \. tcp dport \{ 2001:db8::7 \. 443 \}/g)).toHaveLength(1);
  const before = NAMED.gateways.map(({ tcpPorts: _, ...gateway }) => gateway);
  expect(killSwitchText({ ...rules, gateways: before })).not.toContain("tcp dport {");
  expect(text).not.toContain("192.168.0.0/16");
  expect(killSwitchText({ ...rules, opensLan: true })).toContain("192.168.0.0/16");
  expect(["192.168.3.4", "fe80::1", "fd00::1", "10.0.0.1"].every(isInLan)).toBe(true);
  expect(["192.0.2.1", "172.32.0.1", "2001:db8::1"].some(isInLan)).toBe(false);
});
