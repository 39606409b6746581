import { MAIN_TABLE, type Network, type Route, type Rule } from "../platform/network/network.ts";
import { parseCidr } from "../platform/network/prefix.ts";

// A route into the tunnel that covers a peer's own address would lead the tunnel's packets into the tunnel. Such a route stands in
// a table of its own, one for each length of prefix, which only packets without our mark look into:
//
//   priority        rule                                               for each length N, the longest first
//   base            lookup main suppress_prefixlength N                what main knows better comes first
//   base + 1        not fwmark MARK lookup TABLE + N                   what is ours to protect
//   32766           lookup main                                        what is left, and what our sockets send

/** Of everything that our sockets send. */
export const SOCKET_MARK = 0x696b_6562;

const FIRST_TABLE = 7_296_000;
const FIRST_PRIORITY = 7_296;
const LONGEST_PREFIX = 128;

/** The table that a route to this prefix stands in. */
export function tableOf(destination: string): number {
  return FIRST_TABLE + parseCidr(destination).length;
}

/** The rules that routes in such tables need. */
export function rulesFor(routes: readonly Route[]): Rule[] {
  const rules = new Map<string, Rule>();
  for (const { destination, table } of routes) {
    if (table === undefined) continue;
    const { family, length } = parseCidr(destination);
    const priority = FIRST_PRIORITY + 2 * (LONGEST_PREFIX - length);
    rules.set(`${family}/${length}`, { family, priority, table: MAIN_TABLE, suppressPrefixLength: length });
    const ours = { family, priority: priority + 1, table, mark: SOCKET_MARK, isInverted: true };
    rules.set(`${family}/${length} ours`, ours);
  }
  return [...rules.values()];
}

/** The rules that routes of other daemons need, which they share with ours where prefixes are equally long. */
export function rulesOfOthers(network: Network, link: string): Rule[] {
  const standAside = network.routes().filter(({ destination, table }) => table === tableOf(destination));
  return rulesFor(standAside.filter((route) => route.link !== link));
}

/**
 * Takes back what a daemon left behind that was killed. Its routes went with its device; rules have no owner. Where routes stand in
 * the tables, another daemon lives and uses the rules.
 */
export function removeStaleRules(network: Network): void {
  const isOurs = (table: Rule["table"]): boolean =>
    table !== "prohibit" && table >= FIRST_TABLE && table <= FIRST_TABLE + LONGEST_PREFIX;
  if (network.routes().some(({ table }) => table !== undefined && isOurs(table))) return;
  for (const rule of network.rules()) {
    const isInBand =
      rule.priority >= FIRST_PRIORITY && rule.priority <= FIRST_PRIORITY + 2 * LONGEST_PREFIX + 1;
    const leadsToMain = rule.table === MAIN_TABLE && rule.suppressPrefixLength !== undefined;
    if (isInBand && (leadsToMain || (isOurs(rule.table) && rule.mark === SOCKET_MARK)))
      network.removeRule(rule);
  }
}
