import { join } from "node:path";
import type { Change } from "../kernel-settings/borrowed-settings.ts";
import { runProgram } from "../run-program.ts";
import { StateFile } from "../state-file.ts";
import type { Firewall, ForwardingRules } from "./firewall.ts";

const MISSING = "the program nft is missing: install the package nftables";

/**
 * nftables, by the program `nft`: a table of ours that is made, changed and removed in one transaction each. `link` names it, so that
 * several daemons have one each.
 */
export class NftFirewall implements Firewall {
  readonly #table: string;
  /** The table that stands, or that a former life has left. */
  readonly #file: StateFile<string>;

  constructor({ link, stateDirectory }: { readonly link: string; readonly stateDirectory: string }) {
    this.#table = tableOf(link);
    this.#file = new StateFile(join(stateDirectory, "firewall.json"), isTableName);
  }

  async replace(rules: ForwardingRules): Promise<void> {
    const table = `table inet ${this.#table}`;
    const former = this.#file.read();
    this.#file.write(this.#table);
    try {
      await nft(
        `${removalOf(this.#table)}${table} {\n${forwardChain(rules)}${natChain(rules)}${borrowedChain(rules)}}\n`,
      );
    } catch (error) {
      if (former === undefined) this.#file.remove();
      throw error;
    }
  }

  /** Asks nothing of a machine where we made no table. */
  async remove(): Promise<void> {
    const table = this.#file.read();
    if (table === undefined) return;
    await nft(removalOf(table));
    this.#file.remove();
  }

  async others(): ReturnType<Firewall["others"]> {
    // There may be no nft, or one of them ends just now.
    const list = (...words: readonly string[]): Promise<string> =>
      runProgram(["nft", "list", ...words]).catch(() => "");
    const tables = [...(await list("tables", "inet")).matchAll(/^table inet (ikebana_\w+)$/gm)];
    const names = tables.map(([, name]) => name!).filter((name) => name !== this.#table);
    const texts = await Promise.all(names.map((name) => list("table", "inet", name)));
    return texts.flatMap(borrowedIn);
  }
}

function tableOf(link: string): string {
  return `ikebana_${link.replace(/[^A-Za-z0-9_]/g, "_")}`;
}

function isTableName(value: unknown): value is string {
  return typeof value === "string" && /^ikebana_\w+$/.test(value);
}

/** Adding comes first, since only what is there can be deleted. */
function removalOf(table: string): string {
  return `table inet ${table}\ndelete table inet ${table}\n`;
}

async function nft(script: string): Promise<void> {
  await runProgram(["nft", "-f", "-"], { input: script, ifMissing: MISSING });
}

/** What another table drops stays dropped: to accept here means no more than not to drop. */
function forwardChain({ link, pools, masquerades, group, onlyForGroup }: ForwardingRules): string {
  const rules: string[] = [];
  if (masquerades) {
    for (const { keyword, prefixes } of byFamily(pools))
      rules.push(`iifname != "${link}" oifname "${link}" ${keyword} daddr { ${prefixes} } ct state new drop`);
  }
  for (const family of onlyForGroup) {
    const stranger = `meta nfproto ipv${family} iifgroup != ${group} oifgroup != ${group}`;
    rules.push(`${stranger} drop comment "forwarding is on for gateways only"`);
  }
  return chain("forward", "type filter hook forward priority filter", rules);
}

function natChain({ link, pools, masquerades }: ForwardingRules): string {
  if (!masquerades) return "";
  const rules = byFamily(pools).map(
    ({ keyword, prefixes }) => `oifname != "${link}" ${keyword} saddr { ${prefixes} } masquerade`,
  );
  return chain("postrouting", "type nat hook postrouting priority srcnat", rules);
}

function chain(name: string, hook: string, rules: readonly string[]): string {
  return `chain ${name} {\n${hook}; policy accept;\n${rules.map((rule) => `${rule}\n`).join("")}}\n`;
}

/** No packet comes here. A name that the filter would take for something else stays out: then the setting is ours alone. */
function borrowedChain({ link, borrowed }: ForwardingRules): string {
  const notes = borrowed.map(({ name, before, ours }) => `${link} ${name} ${before} ${ours}`);
  const rules = notes.filter((note) => NOTE.test(note)).map((note) => `return comment "${note}"\n`);
  return rules.length === 0 ? "" : `chain borrowed {\n${rules.join("")}}\n`;
}

const NOTE =
  /^([\w.:@-]{1,15}) (net\/ipv4\/ip_forward|net\/ipv6\/conf\/[\w.:@-]{1,15}\/(?:forwarding|accept_ra)) (\d) (\d)$/;

/** What `nft` tells of a table of ours. */
function borrowedIn(
  table: string,
): readonly { readonly link: string; readonly borrowed: readonly Change[] }[] {
  return [...table.matchAll(/ comment "([^"]*)"/g)].flatMap(([, comment]) => {
    const [, link, name, before, ours] = NOTE.exec(comment!) ?? [];
    if (link === undefined) return [];
    return [{ link, borrowed: [{ name: name!, before: before!, ours: ours! }] }];
  });
}

function byFamily(
  pools: readonly string[],
): readonly { readonly keyword: string; readonly prefixes: string }[] {
  return (["ip", "ip6"] as const).flatMap((keyword) => {
    const ofFamily = pools.filter((pool) => pool.includes(":") === (keyword === "ip6"));
    return ofFamily.length === 0 ? [] : [{ keyword, prefixes: ofFamily.join(", ") }];
  });
}
