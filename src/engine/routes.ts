import { isDeepStrictEqual } from "node:util";
import { compareOctets } from "../bytes/compare.ts";
import { formatAddress, parseAddress } from "../bytes/ip-address.ts";
import type { LinkAddress, Network, Route, Rule } from "../platform/network/network.ts";
import { type ParsedPrefix, parseCidr, prefixContains } from "../platform/network/prefix.ts";
import type { ConnectionPolicy } from "../policy/connection.ts";
import { rangeToPrefixes } from "../policy/prefixes.ts";
import type { TrafficSelector } from "../wire/payloads/traffic-selector.ts";
import { removeStaleRules, rulesFor, rulesOfOthers, tableOf } from "./detours.ts";

/**
 * The routes that lead the remote selectors of every connection into the TUN device. They stand as long as we run, whether
 * or not there is an SA: what matches no SA is dropped by the data plane and never takes another way in clear.
 */
export class TunnelRoutes {
  readonly #network: Network;
  readonly #link: string;
  readonly #keptPeer: string | undefined;
  #installed: Route[] = [];
  #rules: Rule[] = [];

  /** `keptPeer`: where a login comes from that routes must not lead into the tunnel (kept-session.ts). */
  constructor(network: Network, link: string, keptPeer?: string) {
    this.#network = network;
    this.#link = link;
    this.#keptPeer = keptPeer;
    removeStaleRules(network);
  }

  /**
   * Adds the routes that these connections need and that do not stand yet, and takes nothing away. Throws PlatformError, naming
   * the route, when one is refused; then everything is as it was.
   */
  extend(connections: readonly ConnectionPolicy[]): void {
    const standing = new Set(this.#installed.map(placeOf));
    const added: Route[] = [];
    const addedRules: Rule[] = [];
    const wanted = this.#wanted(connections);
    try {
      for (const route of wanted) {
        if (standing.has(placeOf(route))) continue;
        this.#network.addRoute(route);
        added.push(route);
      }
      for (const rule of rulesFor(wanted)) {
        if (isAmong(this.#rules, rule)) continue;
        this.#network.addRule(rule);
        addedRules.push(rule);
      }
    } catch (error) {
      this.#removeRules(addedRules);
      for (const route of added) this.#network.removeRoute(route);
      throw error;
    }
    this.#installed.push(...added);
    this.#rules.push(...addedRules);
  }

  /** Makes the routes those of these connections and of no other. A destination that stays is led into the tunnel at every moment. */
  replace(connections: readonly ConnectionPolicy[]): void {
    this.extend(connections);
    const wanted = new Map(this.#wanted(connections).map((route) => [placeOf(route), route]));
    for (const route of this.#installed.slice()) {
      const next = wanted.get(placeOf(route));
      if (next === undefined) this.#remove(route);
      else if (next.source !== route.source) this.#exchange(route, next);
    }
    this.#keepRules(rulesFor([...wanted.values()]));
  }

  removeAll(): void {
    this.#keepRules([]);
    for (const route of this.#installed.slice()) this.#remove(route);
  }

  /** Takes back all rules but these. */
  #keepRules(rules: readonly Rule[]): void {
    const dropped = this.#rules.filter((rule) => !isAmong(rules, rule));
    this.#rules = this.#rules.filter((rule) => isAmong(rules, rule));
    this.#removeRules(dropped);
  }

  /** What another daemon needs as well stays: its packets would leave in clear. */
  #removeRules(rules: readonly Rule[]): void {
    if (rules.length === 0) return;
    const shared = rulesOfOthers(this.#network, this.#link);
    for (const rule of rules) if (!isAmong(shared, rule)) this.#network.removeRule(rule);
  }

  #remove(route: Route): void {
    this.#installed = this.#installed.filter((other) => other !== route);
    this.#network.removeRoute(route);
  }

  /** Two routes to one destination need different metrics: a third one holds the place while they change. */
  #exchange(route: Route, next: Route): void {
    const bridge = { ...next, metric: BRIDGE_METRIC };
    this.#network.addRoute(bridge);
    this.#network.removeRoute(route);
    this.#network.addRoute(next);
    this.#network.removeRoute(bridge);
    this.#installed = this.#installed.map((other) => (other === route ? next : other));
  }

  #wanted(connections: readonly ConnectionPolicy[]): Route[] {
    const routes = new Map<string, Route>();
    const own = this.#ownAddresses();
    for (const { children } of connections) {
      for (const child of children) {
        const sources = own.filter((address) => isSelected(address, child.local));
        for (const selector of child.remote) {
          const source = sources.find((address) => address.length === selector.startAddress.length);
          for (const destination of rangeToPrefixes(selector.startAddress, selector.endAddress)) {
            const route: Route = {
              destination,
              link: this.#link,
              ...(source === undefined ? {} : { source: formatAddress(source) }),
            };
            if (!routes.has(destination)) routes.set(destination, route);
          }
        }
      }
    }
    return this.#withTables([...routes.values()], connections);
  }

  /**
   * A default route never stands in the way of the one that is there, and what would lead our own packets to a peer into the tunnel, or
   * those of a login that is kept, stands aside. Where a longer route leads to the peer outside of the tunnel, there is no need.
   */
  #withTables(routes: readonly Route[], connections: readonly ConnectionPolicy[]): Route[] {
    const inside = routes.map(({ destination }) => parseCidr(destination));
    const outside = this.#network
      .routes()
      .flatMap(({ destination, link }) => (link === this.#link ? [] : [parseCidr(destination)]));
    const swallowing = new Set<ParsedPrefix>();
    for (const peer of new Set([...connections.map(({ remote }) => remote.address), this.#keptPeer])) {
      if (peer === undefined) continue;
      const address = parseCidr(peer);
      const way = longestMatch(inside, address);
      const otherWay = longestMatch(outside, address);
      if (way !== undefined && (otherWay === undefined || otherWay.length < way.length)) swallowing.add(way);
    }
    return routes.map((route, index) => {
      const isAside = swallowing.has(inside[index]!) || inside[index]!.length === 0;
      return isAside ? { ...route, table: tableOf(route.destination) } : route;
    });
  }

  /** Our own addresses, those inside of the tunnel first: packets that start on this host should come from one of them. */
  #ownAddresses(): Uint8Array[] {
    const isInside = ({ link }: LinkAddress): boolean => link === this.#link;
    const all = this.#network.addresses();
    const own = [...all.filter(isInside), ...all.filter((each) => !isInside(each))];
    return own.flatMap(({ address }) => parseAddress(address) ?? []).filter(isRoutable);
  }
}

function isSelected(address: Uint8Array, selectors: readonly TrafficSelector[]): boolean {
  return selectors.some(
    ({ startAddress, endAddress }) =>
      startAddress.length === address.length &&
      compareOctets(startAddress, address) <= 0 &&
      compareOctets(address, endAddress) <= 0,
  );
}

function isAmong(rules: readonly Rule[], rule: Rule): boolean {
  return rules.some((other) => isDeepStrictEqual(other, rule));
}

function longestMatch(prefixes: readonly ParsedPrefix[], address: ParsedPrefix): ParsedPrefix | undefined {
  let longest: ParsedPrefix | undefined;
  for (const prefix of prefixes) {
    if (longest !== undefined && prefix.length <= longest.length) continue;
    if (prefixContains(prefix, address)) longest = prefix;
  }
  return longest;
}

/** One route stands in each. */
function placeOf({ destination, table }: Route): string {
  return `${destination} in ${table}`;
}

/** Above the kernel's own defaults (0 for IPv4, 1024 for IPv6), so that the route proper comes first where both stand. */
const BRIDGE_METRIC = 7296;

/** Nobody outside of this host or link can answer to 127.0.0.0/8, ::1, 169.254.0.0/16 or fe80::/10. */
function isRoutable(address: Uint8Array): boolean {
  if (address.length === 4) return address[0] !== 127 && !(address[0] === 169 && address[1] === 254);
  const isLinkLocal = address[0] === 0xfe && (address[1]! & 0xc0) === 0x80;
  const isLoopback = address[15] === 1 && address.subarray(0, 15).every((octet) => octet === 0);
  return !isLinkLocal && !isLoopback;
}
