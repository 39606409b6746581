/** An address range in CIDR text: "10.1.0.0/16", "fd00::/64". */
type Prefix = string;

/**
 * Addresses, routes and links of the host. Adding what is there and removing what is not succeed silently; what stands in the
 * way is a PlatformError that names the thing: "add route 10.2.0.0/16 dev ikebana0: EPERM".
 */
export interface Network {
  links(): readonly Link[];
  /** Index of the link, or undefined when there is none of that name. */
  linkIndex(name: string): number | undefined;
  setLinkUp(link: string, options?: LinkOptions): void;
  deleteLink(link: string): void;
  /** Gives the link an address; its prefix becomes a connected route unless it is a single address. */
  addAddress(link: string, prefix: Prefix): void;
  removeAddress(link: string, prefix: Prefix): void;
  /** Addresses of the host with their prefix lengths and links. */
  addresses(): readonly LinkAddress[];
  /** Adds a route. Another route to the same destination with the same metric is in the way (EEXIST); it is never replaced. */
  addRoute(route: Route): void;
  /** Removes a route that we added; those of others stay. */
  removeRoute(route: Route): void;
  /** Unicast routes of every table but the local one. */
  routes(): readonly Route[];
  addRule(rule: Rule): void;
  removeRule(rule: Rule): void;
  rules(): readonly Rule[];
  /** How a packet to `destination` would leave, and from which of our addresses; undefined when there is no route. */
  lookUpRoute(destination: string, packet?: RoutedPacket): RouteChoice | undefined;
  /** Whether links, addresses, routes or rules have changed since the last call; the first says no. */
  hasChanged(): boolean;
  close(): void;
}

export interface Link {
  readonly name: string;
  readonly index: number;
  readonly isUp: boolean;
  readonly mtu: number;
  /** Packets that wait for the device. */
  readonly queueLength: number;
  /** Links of one group can be meant together by a packet filter; 0 but for those that were put into another. */
  readonly group: number;
}

/** What is left out stays as it is. */
export type LinkOptions = Partial<Pick<Link, "mtu" | "queueLength" | "group">>;

export interface LinkAddress {
  readonly link: string;
  readonly address: string;
  readonly prefixLength: number;
}

export interface Route {
  readonly destination: Prefix;
  readonly link?: string;
  readonly gateway?: string;
  /** Preferred source address. */
  readonly source?: string;
  /** Left out: the main table. */
  readonly table?: number;
  /** Left out: the kernel's default for the family. */
  readonly metric?: number;
}

/** A policy rule: which packets look into which table. It stays when its link goes. */
export interface Rule {
  readonly family: 4 | 6;
  /** Lower goes first. */
  readonly priority: number;
  /** "prohibit": into none; the sender is told that it may not (RFC 1812 section 5.2.7.1). */
  readonly table: number | "prohibit";
  /** Link that a packet must have come in by. */
  readonly inLink?: string;
  /** Firewall mark that a packet must have. */
  readonly mark?: number;
  /** The rule holds for packets that do not match. */
  readonly isInverted?: boolean;
  /** Routes of this prefix length or shorter do not count: 0 ignores default routes. */
  readonly suppressPrefixLength?: number;
  readonly source?: Prefix;
  readonly destination?: Prefix;
  /** IP protocol number. */
  readonly protocol?: number;
  readonly sourcePort?: number;
}

/** What rules look at besides the destination of a packet. */
export interface RoutedPacket {
  /** Firewall mark. */
  readonly mark?: number;
  /** One of our addresses. */
  readonly source?: string;
  /** IP protocol. A port goes with one. */
  readonly protocol?: number;
  readonly sourcePort?: number;
}

export interface RouteChoice {
  readonly source: string;
  readonly link: string;
  readonly gateway?: string;
}

/** Number of the main table. */
export const MAIN_TABLE = 254;
