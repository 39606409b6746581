import { compareOctets } from "../bytes/compare.ts";
import { formatAddress, parseAddress } from "../bytes/ip-address.ts";
import type { Network, Route } from "../platform/network/network.ts";
import { parseCidr, prefixContains } from "../platform/network/prefix.ts";
import type { ConnectionPolicy } from "../policy/connection.ts";
import { rangeToPrefixes } from "../policy/prefixes.ts";
import type { TrafficSelector } from "../wire/payloads/traffic-selector.ts";

/**
 * The routes that lead the remote selectors of every connection into the TUN device. They stand as long as we run, whether
 * or not there is an SA: what matches no SA is dropped by the data plane and never takes another way in clear.
 */
export class TunnelRoutes {
  readonly #network: Network;
  readonly #link: string;
  #installed: Route[] = [];

  constructor(network: Network, link: string) {
    this.#network = network;
    this.#link = link;
  }

  /**
   * Why these connections cannot have their routes: one would lead what we send to a peer, IKE and ESP, into the tunnel itself.
   * A longer route that leads to the peer outside of the tunnel is as good as a selector without it. Undefined when all is well.
   */
  faultOf(connections: readonly ConnectionPolicy[]): string | undefined {
    const inside = this.#wanted(connections).map(({ destination }) => destination);
    const outside = this.#network
      .routes()
      .flatMap(({ destination, link }) => (link === this.#link ? [] : [destination]));
    for (const { name, remote } of connections) {
      if (remote.address === undefined) continue;
      const way = longestMatch(inside, remote.address);
      const otherWay = longestMatch(outside, remote.address);
      if (way === undefined || (otherWay !== undefined && otherWay.length >= way.length)) continue;
      return (
        `connection ${name}: a remote selector covers ${remote.address}, the peer's own address, and its route ` +
        `${way.prefix} would lead the tunnel's packets into the tunnel; leave the address out, or give it a route of its own`
      );
    }
    return undefined;
  }

  /** Installs what is new, removes what is gone. Throws PlatformError, naming the route, when one is refused. */
  replace(connections: readonly ConnectionPolicy[]): void {
    const wanted = this.#wanted(connections);
    const keys = new Set(wanted.map(keyOf));
    for (const route of this.#installed.filter((route) => !keys.has(keyOf(route)))) this.#remove(route);
    const present = new Set(this.#installed.map(keyOf));
    for (const route of wanted.filter((route) => !present.has(keyOf(route)))) {
      this.#network.addRoute(route);
      this.#installed.push(route);
    }
  }

  removeAll(): void {
    for (const route of this.#installed.slice()) this.#remove(route);
  }

  #remove(route: Route): void {
    this.#installed = this.#installed.filter((other) => other !== route);
    this.#network.removeRoute(route);
  }

  #wanted(connections: readonly ConnectionPolicy[]): Route[] {
    const routes = new Map<string, Route>();
    for (const { children } of connections) {
      for (const child of children) {
        const sources = this.#addressesInside(child.local);
        for (const selector of child.remote) {
          const source = sources.find((address) => address.length === selector.startAddress.length);
          for (const destination of rangeToPrefixes(selector.startAddress, selector.endAddress)) {
            const route: Route = {
              destination,
              link: this.#link,
              ...(source === undefined ? {} : { source: formatAddress(source) }),
            };
            routes.set(keyOf(route), route);
          }
        }
      }
    }
    return [...routes.values()];
  }

  /** Our own addresses that the selectors cover: packets that start on this host should come from one of them. */
  #addressesInside(selectors: readonly TrafficSelector[]): Uint8Array[] {
    const own = this.#network.addresses().flatMap(({ address }) => parseAddress(address) ?? []);
    return own.filter((address) =>
      selectors.some(
        ({ startAddress, endAddress }) =>
          startAddress.length === address.length &&
          compareOctets(startAddress, address) <= 0 &&
          compareOctets(address, endAddress) <= 0,
      ),
    );
  }
}

function longestMatch(
  prefixes: readonly string[],
  address: string,
): { readonly prefix: string; readonly length: number } | undefined {
  return prefixes
    .map((prefix) => ({ prefix, parsed: parseCidr(prefix) }))
    .filter(({ parsed }) => prefixContains(parsed, parseCidr(address)))
    .map(({ prefix, parsed }) => ({ prefix, length: parsed.length }))
    .reduce<{ prefix: string; length: number } | undefined>(
      (longest, each) => (longest === undefined || each.length > longest.length ? each : longest),
      undefined,
    );
}

function keyOf(route: Route): string {
  return `${route.destination} ${route.source ?? ""}`;
}
