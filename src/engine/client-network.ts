import { isDeepStrictEqual } from "node:util";
import type { BorrowedSettings } from "../platform/kernel-settings/borrowed-settings.ts";
import { MAIN_TABLE, type Network, type Rule } from "../platform/network/network.ts";
import type { Resolver } from "../platform/resolver/resolver.ts";
import type { StateFile } from "../platform/state-file.ts";
import type { ConnectionPolicy } from "../policy/connection.ts";
import type { InternalConfiguration } from "../policy/internal-configuration/configuration.ts";
import { narrow } from "../policy/narrow.ts";
import { rangeToPrefixes } from "../policy/prefixes.ts";
import { selectorsFromPrefixes } from "../policy/traffic-selectors.ts";
import type { TrafficSelector } from "../wire/payloads/traffic-selector.ts";
import { SOCKET_MARK } from "./detours.ts";
import { KEPT_PRIORITY, type KeptSession, keptRules } from "./kept-session.ts";

/** What a gateway gave us for one connection. */
export interface Grant {
  readonly configuration: InternalConfiguration;
  /** What the gateway takes from us, as negotiated. */
  readonly remote: readonly TrafficSelector[];
  /** The gateway's own address. */
  readonly gateway: string;
}

/** Behind those of detours.ts, before the main table's own. */
const SHUT_PRIORITY = 7_560;

/**
 * Our machine as a gateway's network needs it: the addresses that were granted, routes into the tunnel for what lies behind the gateway,
 * and its resolvers. A grant stays while its connection is being built up again, so that nothing leaves in clear meanwhile; it goes when
 * the connection is taken down.
 *
 * A tunnel for everything of one family shuts the other one, where the gateway gave no address of it: programs would take it past the
 * tunnel. What the main table knows better than a default route stays reachable:
 *
 *   priority 7295    the answers of a login that is kept: lookup main (kept-session.ts)
 *   priority 7560    lookup main suppress_prefixlength 0
 *   priority 7561    not fwmark MARK prohibit
 */
export class ClientNetwork {
  readonly #network: Network;
  readonly #link: string;
  readonly #resolver: Resolver;
  readonly #borrowed: BorrowedSettings;
  /** Rules of ours outlive us, and look like those of another daemon. */
  readonly #ruleFile: StateFile<readonly Rule[]>;
  readonly #onWarning: (message: string) => void;
  readonly #configurations = new Map<string, InternalConfiguration>();
  readonly #grants = new Map<string, Grant>();
  readonly #keptSession: KeptSession | undefined;
  #resolving: Promise<void> = Promise.resolve();
  #addresses: readonly string[] = [];
  #rules: readonly Rule[] = [];
  #resolverIsOurs = false;

  constructor(facts: {
    readonly network: Network;
    /** The TUN device. */
    readonly link: string;
    readonly resolver: Resolver;
    readonly borrowed: BorrowedSettings;
    readonly ruleFile: StateFile<readonly Rule[]>;
    readonly keptSession?: KeptSession | undefined;
    readonly onWarning: (message: string) => void;
  }) {
    this.#network = facts.network;
    this.#link = facts.link;
    this.#resolver = facts.resolver;
    this.#borrowed = facts.borrowed;
    this.#ruleFile = facts.ruleFile;
    this.#keptSession = facts.keptSession;
    this.#onWarning = facts.onWarning;
  }

  /** Takes back what a former life left; its addresses and routes went with its device. */
  async clean(): Promise<void> {
    for (const rule of this.#ruleFile.read() ?? []) this.#network.removeRule(rule);
    this.#ruleFile.remove();
    this.#borrowed.restore();
    await this.#resolver.restore();
  }

  /** The gateway gives us this; it takes effect with the child SA. */
  configure(connection: string, configuration: InternalConfiguration): void {
    this.#configurations.set(connection, configuration);
  }

  /**
   * A child SA of the connection stands: packets for these selectors go into it from now on, and what was granted before is over. Does
   * nothing for a connection that was given no addresses. Throws PlatformError when the machine refuses an address or a route.
   */
  lead(connection: string, way: Omit<Grant, "configuration">, replaceRoutes: () => void): void {
    const configuration = this.#configurations.get(connection);
    if (configuration === undefined) return;
    const grant = { configuration, ...way };
    if (isDeepStrictEqual(grant, this.#grants.get(connection))) return;
    this.#grants.set(connection, grant);
    this.#apply(replaceRoutes);
  }

  /** An end of the tunnel has moved: what comes in for it may come by another link now. */
  moved(connection: string, gateway: string): void {
    const grant = this.#grants.get(connection);
    if (grant === undefined) return;
    this.#grants.set(connection, { ...grant, gateway });
    const grants = [...this.#grants.values()];
    if (grants.some(isForEverything)) this.#loosenReversePath(grants);
  }

  /** A connection is down, and nobody wants it up again. */
  withdraw(connection: string, replaceRoutes: () => void): void {
    this.#configurations.delete(connection);
    if (this.#grants.delete(connection)) this.#apply(replaceRoutes);
  }

  /** Settles when the machine asks others for names as it did before. */
  async remove(): Promise<void> {
    this.#grants.clear();
    this.#apply(() => {});
    await this.#resolving;
  }

  /** Settles when the machine asks for names as the grants have it. */
  settled(): Promise<void> {
    return this.#resolving;
  }

  /**
   * The connections with the selectors that routes should lead into the tunnel. One that asks for addresses has none before it
   * was granted some, unless it waits for the first packet: its policy says what it would take, which may be everything.
   */
  routed(connections: readonly ConnectionPolicy[]): readonly ConnectionPolicy[] {
    return connections.map((connection) => {
      if (connection.asks === undefined) return connection;
      const grant = this.#grants.get(connection.name);
      // Without a route no packet would ever spring the trap.
      if (grant === undefined && connection.start === "trap") return connection;
      const [child] = connection.children;
      if (grant === undefined || child === undefined) return { ...connection, children: [] };
      const local = selectorsFromPrefixes(grant.configuration.addresses);
      return { ...connection, children: [{ ...child, local, remote: behind(grant) }] };
    });
  }

  /** Nothing is taken away before what takes its place is there. */
  #apply(replaceRoutes: () => void): void {
    const grants = [...this.#grants.values()];
    const before = this.#addresses;
    const addresses = [...new Set(grants.flatMap(({ configuration }) => configuration.addresses))].map(
      hostPrefix,
    );
    this.#addresses = [...new Set([...before, ...addresses])];
    for (const address of addresses) this.#network.addAddress(this.#link, address);
    if (grants.some(isForEverything)) this.#loosenReversePath(grants);
    else this.#borrowed.restore();
    const kept = grants.length > 0 ? keptRules(this.#keptSession) : [];
    this.#exchangeRules([...kept, ...grants.flatMap(shuttersFor)]);
    replaceRoutes();
    for (const address of before) {
      if (!addresses.includes(address)) this.#network.removeAddress(this.#link, address);
    }
    this.#addresses = addresses;
    // One change of the resolver at a time; it may take long, and packets need not wait for it.
    this.#resolving = this.#resolving.then(() => this.#setResolver([...this.#grants.values()]));
  }

  /** A tunnel without names is still a tunnel. */
  async #setResolver(grants: readonly Grant[]): Promise<void> {
    const servers = [...new Set(grants.flatMap(({ configuration }) => configuration.dns))];
    const isForAll = grants.some(
      ({ configuration: { dns, domains } }) => dns.length > 0 && domains.length === 0,
    );
    const domains = isForAll
      ? []
      : [...new Set(grants.flatMap(({ configuration }) => configuration.domains.map(({ name }) => name)))];
    try {
      if (servers.length > 0) {
        if (domains.length > 0 && !this.#resolver.splitsDomains) {
          this.#onWarning(
            `${this.#resolver.name} cannot split DNS: ${servers.join(", ")} is asked about all names`,
          );
        }
        this.#resolverIsOurs = true;
        await this.#resolver.set({ link: this.#link, servers, domains });
      } else if (this.#resolverIsOurs) {
        await this.#resolver.restore();
        this.#resolverIsOurs = false;
      }
    } catch (error) {
      this.#onWarning(`DNS is as it was: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  /**
   * What the gateway sends comes in by the way that our marked packets take, while the reverse path check asks for the way of unmarked
   * ones: strict checks (1) would drop all of it, loose ones (2) do not. The stricter of "all" and the link's own counts (RFC 3704).
   */
  #loosenReversePath(grants: readonly Grant[]): void {
    const { settings } = this.#borrowed;
    for (const { gateway } of grants) {
      const link = gateway.includes(":")
        ? undefined
        : this.#network.lookUpRoute(gateway, { mark: SOCKET_MARK })?.link;
      if (link === undefined || link === this.#link) continue;
      const name = `net/ipv4/conf/${link}/rp_filter`;
      const strictness = Math.max(
        Number(settings.read("net/ipv4/conf/all/rp_filter") ?? 0),
        Number(settings.read(name) ?? 0),
      );
      if (strictness !== 1) continue;
      try {
        this.#borrowed.change(name, "2");
      } catch (error) {
        this.#onWarning(error instanceof Error ? error.message : String(error));
      }
    }
  }

  #exchangeRules(rules: readonly Rule[]): void {
    const before = this.#rules;
    if (rules.length > 0) this.#ruleFile.write([...before, ...rules]);
    for (const rule of rules) this.#network.addRule(rule);
    this.#rules = rules;
    for (const rule of before) {
      if (!rules.some((other) => isDeepStrictEqual(other, rule))) this.#network.removeRule(rule);
    }
    if (rules.length === 0) this.#ruleFile.remove();
  }
}

/**
 * What is led into the tunnel: subnets, where the gateway names some (RFC 7296 section 3.15.2), as far as it takes packets for them;
 * otherwise all that it takes.
 */
function behind({ configuration, remote }: Grant): readonly TrafficSelector[] {
  if (configuration.subnets.length === 0) return remote;
  const named = narrow({ offered: selectorsFromPrefixes(configuration.subnets), allowed: remote });
  return named.length === 0 ? remote : named;
}

function isForEverything(grant: Grant): boolean {
  return familiesInFull(grant).length > 0;
}

function familiesInFull(grant: Grant): readonly (4 | 6)[] {
  const prefixes = behind(grant).flatMap(({ startAddress, endAddress }) =>
    rangeToPrefixes(startAddress, endAddress),
  );
  return ([4, 6] as const).filter((family) => prefixes.includes(family === 4 ? "0.0.0.0/0" : "::/0"));
}

/** For the family that the gateway gave no address of. */
function shuttersFor(grant: Grant): readonly Rule[] {
  const full = familiesInFull(grant);
  const shut = ([4, 6] as const).filter(
    (family) =>
      full.length > 0 &&
      !full.includes(family) &&
      !grant.configuration.addresses.some((address) => address.includes(":") === (family === 6)),
  );
  return shut.flatMap((family): readonly Rule[] => [
    { family, priority: SHUT_PRIORITY, table: MAIN_TABLE, suppressPrefixLength: 0 },
    { family, priority: SHUT_PRIORITY + 1, table: "prohibit", mark: SOCKET_MARK, isInverted: true },
  ]);
}

/** What we have written down of rules in a former life. */
export function areShutters(value: unknown): value is readonly Rule[] {
  return Array.isArray(value) && value.every(isShutter);
}

function isShutter(value: unknown): value is Rule {
  if (typeof value !== "object" || value === null) return false;
  const { family, priority, table } = value as Partial<Rule>;
  const isOurs = [KEPT_PRIORITY, SHUT_PRIORITY, SHUT_PRIORITY + 1].some((each) => each === priority);
  return isOurs && (family === 4 || family === 6) && (table === MAIN_TABLE || table === "prohibit");
}

function hostPrefix(address: string): string {
  return `${address}/${address.includes(":") ? 128 : 32}`;
}
