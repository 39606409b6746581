import { compareOctets } from "../bytes/compare.ts";
import { formatAddress, parseAddress } from "../bytes/ip-address.ts";
import type { Network, Route } from "../platform/network/network.ts";
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

function keyOf(route: Route): string {
  return `${route.destination} ${route.source ?? ""}`;
}
