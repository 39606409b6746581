import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import type { ForwardingRules } from "../../src/platform/firewall/firewall.ts";
import { NftFirewall } from "../../src/platform/firewall/nft-firewall.ts";
import { runProgram } from "../../src/platform/run-program.ts";
import { enterFreshNamespace, requireRoot } from "../support/namespace.ts";

const mayRun = requireRoot("nftables");

const RULES: ForwardingRules = {
  link: "ikebana0",
  pools: ["10.77.0.0/24", "10.78.0.0/24", "fd77::/64"],
  masquerades: true,
  group: 7_296,
  onlyForGroup: [4, 6],
  borrowed: [],
};

describe.skipIf(!mayRun)("nftables in a fresh network namespace", () => {
  if (!mayRun) return;
  enterFreshNamespace();
  const stateDirectory = mkdtempSync(join(tmpdir(), "ikebana-nft-"));
  afterAll(() => rmSync(stateDirectory, { recursive: true }));

  const firewall = (link = "ikebana0"): NftFirewall => new NftFirewall({ link, stateDirectory });
  const ruleset = (): Promise<string> => runProgram(["nft", "list", "ruleset"]);

  test("have one table of ours, whatever it held before, and none when it is removed by another life", async () => {
    await firewall().replace({ ...RULES, masquerades: false });
    expect(await ruleset()).not.toContain("masquerade");
    await firewall().replace(RULES);
    const full = await ruleset();
    expect(full.match(/^table/gm)).toHaveLength(1);
    expect(full).toContain("ip saddr { 10.77.0.0/24, 10.78.0.0/24 } masquerade");
    expect(full).toContain("ip6 saddr fd77::/64 masquerade");
    expect(full).toContain("ip6 daddr fd77::/64 ct state new drop");
    // The link has another name in this life.
    await firewall("vpn-1.2").remove();
    expect(await ruleset()).toBe("");
    expect(readdirSync(stateDirectory)).toEqual([]);
    await firewall().remove();
  });

  test("keep beside the rules what the settings were, for others of us to read, also when we were killed", async () => {
    const change = (name: string) => ({ name, before: "0", ours: "1" });
    const [ipv4, ipv6] = [change("net/ipv4/ip_forward"), change("net/ipv6/conf/eth0.7/accept_ra")];
    const elsewhere = mkdtempSync(join(tmpdir(), "ikebana-nft-"));
    try {
      const other = new NftFirewall({ link: "vpn-1.2", stateDirectory: elsewhere });
      const odd = { ...ipv4, name: 'net/ipv6/conf/a"b/accept_ra' };
      await firewall().replace({ ...RULES, borrowed: [ipv4, odd] });
      await other.replace({ ...RULES, link: "vpn-1.2", onlyForGroup: [4], borrowed: [ipv6, ipv4] });
      expect(await firewall().others()).toEqual([
        { link: "vpn-1.2", borrowed: [ipv6] },
        { link: "vpn-1.2", borrowed: [ipv4] },
      ]);
      expect(await other.others()).toEqual([{ link: "ikebana0", borrowed: [ipv4] }]);
      await other.remove();
      expect(await firewall().others()).toEqual([]);
      await firewall().remove();
      expect(await ruleset()).toBe("");
    } finally {
      rmSync(elsewhere, { recursive: true });
    }
  });

  test("keep what they had when they refuse something", async () => {
    await firewall().replace(RULES);
    const before = await ruleset();
    await expect(firewall().replace({ ...RULES, pools: ["10.77.0.0/99"] })).rejects.toThrow(/^nft: /);
    expect(await ruleset()).toBe(before);
    await firewall().remove();
    expect(await ruleset()).toBe("");
  });

  test("are asked for by the name of the package where there is no nft", async () => {
    const path = process.env.PATH;
    process.env.PATH = "/nowhere";
    try {
      await expect(firewall().replace(RULES)).rejects.toMatchObject({
        code: "ENOENT",
        message: "the program nft is missing: install the package nftables",
      });
      expect(await firewall().others()).toEqual([]);
      await firewall().remove();
    } finally {
      process.env.PATH = path;
    }
  });
});
