import { formatAddress, parseAddress } from "../../bytes/ip-address.ts";
import { PlatformError } from "../../errors/index.ts";
import { describeRoute, describeRule } from "./describe.ts";
import {
  type Link,
  type LinkAddress,
  type LinkOptions,
  MAIN_TABLE,
  type Network,
  type Route,
  type RouteChoice,
  type Rule,
} from "./network.ts";
import { canonicalPrefix, networkOf, parseCidr, prefixContains } from "./prefix.ts";
import { effectiveMetric, isInTheWay, isSameRoute, shownMetric } from "./same-route.ts";

/** What the kernel gives the connected route of an IPv6 address (IP6_RT_PRIO_ADDRCONF). */
const CONNECTED_IPV6_METRIC = 256;

/** The three rules that a Linux network begins with, in both families but for the default table. */
const FIRST_RULES: readonly Rule[] = [
  { family: 4, priority: 0, table: 255 },
  { family: 4, priority: 32_766, table: MAIN_TABLE },
  { family: 4, priority: 32_767, table: 253 },
  { family: 6, priority: 0, table: 255 },
  { family: 6, priority: 32_766, table: MAIN_TABLE },
];

interface OwnedRoute {
  readonly route: Route;
  /** Connected routes come and go with their address. */
  readonly isOurs: boolean;
}

/** Addresses and routes without a kernel, with its rules: what is connected, what is in the way, what disappears with what. */
export class MemoryNetwork implements Network {
  #links: Link[] = [{ name: "lo", index: 1, isUp: true, mtu: 65_536, queueLength: 1000, group: 0 }];
  #addresses: LinkAddress[] = [];
  #routes: OwnedRoute[] = [];
  #rules: Rule[] = [...FIRST_RULES];
  #lastIndex = 1;
  /** All of it as it was when somebody last asked for changes. */
  #seen: string | undefined;

  /** Test side: a link appears, down, as a TUN device does. */
  addLink(name: string, { mtu = 1500 }: { readonly mtu?: number } = {}): void {
    this.#lastIndex++;
    this.#links.push({ name, index: this.#lastIndex, isUp: false, mtu, queueLength: 1000, group: 0 });
  }

  links(): readonly Link[] {
    return [...this.#links];
  }

  linkIndex(name: string): number | undefined {
    return this.#links.find((link) => link.name === name)?.index;
  }

  setLinkUp(link: string, options: LinkOptions = {}): void {
    this.#requireLink(link, `set link ${link} up`);
    this.#links = this.#links.map((each) =>
      each.name === link ? { ...each, ...options, isUp: true } : each,
    );
    for (const address of this.#addresses) if (address.link === link) this.#connect(address);
  }

  deleteLink(link: string): void {
    this.#links = this.#links.filter((each) => each.name !== link);
    this.#addresses = this.#addresses.filter((each) => each.link !== link);
    this.#routes = this.#routes.filter(({ route }) => route.link !== link);
  }

  addAddress(link: string, prefix: string): void {
    const { isUp } = this.#requireLink(link, `add address ${prefix} dev ${link}`);
    const added = linkAddress(link, prefix);
    if (this.#addresses.some((each) => isSameAddress(each, added))) return;
    this.#addresses.push(added);
    if (isUp) this.#connect(added);
  }

  removeAddress(link: string, prefix: string): void {
    const removed = linkAddress(link, prefix);
    if (!this.#addresses.some((each) => isSameAddress(each, removed))) return;
    this.#addresses = this.#addresses.filter((each) => !isSameAddress(each, removed));
    const connected = connectedRoute(removed);
    this.#routes = this.#routes.filter(
      ({ route, isOurs }) =>
        route.source !== removed.address &&
        (isOurs || connected === undefined || !isSameRoute(connected, route)),
    );
  }

  addresses(): readonly LinkAddress[] {
    return [...this.#addresses];
  }

  addRoute(wanted: Route): void {
    const what = `add route ${describeRoute(wanted)}`;
    const route = this.#resolve(wanted, what);
    const present = this.#routes.find((each) => isInTheWay(route, each.route));
    if (present === undefined) this.#routes.push({ route, isOurs: true });
    else if (!isSameRoute(wanted, present.route)) throw failure(what, "EEXIST");
  }

  removeRoute(route: Route): void {
    this.#routes = this.#routes.filter((each) => !(each.isOurs && isSameRoute(route, each.route)));
  }

  routes(): readonly Route[] {
    return this.#routes.map(({ route }) => route);
  }

  addRule(rule: Rule): void {
    if (!this.#rules.some((each) => isSameRule(each, rule))) this.#rules.push(rule);
  }

  removeRule(rule: Rule): void {
    this.#rules = this.#rules.filter((each) => !isSameRule(each, rule));
  }

  rules(): readonly Rule[] {
    return this.#rules.toSorted((a, b) => a.family - b.family || a.priority - b.priority);
  }

  /** Looks into the main table only: rules are kept, not followed. */
  lookUpRoute(destination: string): RouteChoice | undefined {
    const own = this.#addresses.find(({ address }) => address === destination);
    if (own !== undefined) return { source: destination, link: "lo" };
    const route = this.#bestRoute(destination);
    if (route?.link === undefined) return undefined;
    const source = route.source ?? this.#sourceOn(route.link, route.gateway ?? destination);
    if (source === undefined) return undefined;
    return { source, link: route.link, ...(route.gateway !== undefined && { gateway: route.gateway }) };
  }

  hasChanged(): boolean {
    const state = JSON.stringify([this.#links, this.#addresses, this.#routes, this.#rules]);
    const isChanged = this.#seen !== undefined && this.#seen !== state;
    this.#seen = state;
    return isChanged;
  }

  close(): void {}

  /** The route as the kernel would keep it: canonical, and with the link through which its gateway is reached. */
  #resolve(route: Route, what: string): Route {
    if (route.source !== undefined && !this.#addresses.some((each) => each.address === route.source)) {
      throw failure(what, "EINVAL");
    }
    const link = route.link ?? this.#linkTowards(route.gateway, what);
    if (!this.#requireLink(link, what).isUp) throw failure(what, "ENETDOWN");
    const { metric: _, table: __, ...rest } = route;
    const { family } = parseCidr(route.destination);
    const metric = shownMetric(family, effectiveMetric(route));
    return {
      ...rest,
      link,
      destination: canonicalPrefix(route.destination),
      ...(route.table !== undefined && route.table !== MAIN_TABLE && { table: route.table }),
      ...(metric !== undefined && { metric }),
    };
  }

  #linkTowards(gateway: string | undefined, what: string): string {
    if (gateway === undefined) throw failure(what, "ENODEV");
    const direct = this.#bestRoute(gateway);
    if (direct?.link === undefined || direct.gateway !== undefined) throw failure(what, "ENETUNREACH");
    return direct.link;
  }

  /** Longest prefix, then lowest metric. */
  #bestRoute(destination: string): Route | undefined {
    const address = parseCidr(destination);
    const candidates = this.#routes
      .map(({ route }) => route)
      .filter((route) => route.table === undefined && prefixContains(parseCidr(route.destination), address));
    return candidates.toSorted(
      (a, b) =>
        parseCidr(b.destination).length - parseCidr(a.destination).length ||
        effectiveMetric(a) - effectiveMetric(b),
    )[0];
  }

  /** An address of the link, rather one that shares its prefix with whom we talk to. */
  #sourceOn(link: string, peer: string): string | undefined {
    const target = parseCidr(peer);
    const own = this.#addresses.filter(({ address }) => parseCidr(address).family === target.family);
    const onLink = own.filter((each) => each.link === link);
    const near = onLink.find(({ address, prefixLength }) =>
      prefixContains(parseCidr(`${address}/${prefixLength}`), target),
    );
    return (near ?? onLink[0] ?? own[0])?.address;
  }

  #connect(address: LinkAddress): void {
    const route = connectedRoute(address);
    if (route === undefined || this.#routes.some((each) => isSameRoute(route, each.route))) return;
    this.#routes.push({ route, isOurs: false });
  }

  #requireLink(name: string, what: string): Link {
    const link = this.#links.find((each) => each.name === name);
    if (link === undefined) throw new PlatformError(`${what}: there is no link ${name}`, { code: "ENODEV" });
    return link;
  }
}

function linkAddress(link: string, prefix: string): LinkAddress {
  const { octets, length } = parseCidr(prefix);
  return { link, address: formatAddress(octets), prefixLength: length };
}

function isSameAddress(a: LinkAddress, b: LinkAddress): boolean {
  return a.link === b.link && a.address === b.address && a.prefixLength === b.prefixLength;
}

/** The route to an address's own prefix; a single address needs none. */
function connectedRoute({ link, address, prefixLength }: LinkAddress): Route | undefined {
  const octets = parseAddress(address)!;
  if (prefixLength === 8 * octets.length) return undefined;
  const destination = `${formatAddress(networkOf({ octets, length: prefixLength }))}/${prefixLength}`;
  return octets.length === 4
    ? { destination, link, source: address }
    : { destination, link, metric: CONNECTED_IPV6_METRIC };
}

function isSameRule(a: Rule, b: Rule): boolean {
  return describeRule(a) === describeRule(b) && a.suppressPrefixLength === b.suppressPrefixLength;
}

function failure(what: string, code: string): PlatformError {
  return new PlatformError(`${what}: ${code}`, { code });
}
