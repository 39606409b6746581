import { isDeepStrictEqual } from "node:util";
import { PlatformError } from "../errors/index.ts";
import type { Firewall, ForwardingRules } from "../platform/firewall/firewall.ts";
import type { BorrowedSettings } from "../platform/kernel-settings/borrowed-settings.ts";
import type { Network, Rule } from "../platform/network/network.ts";
import { ownAddressIn } from "../pool/prefix.ts";
import { forwardsAll, switchForwardingOn } from "./forwarding.ts";

/** What a gateway's clients find behind it. */
export interface InsideNetwork {
  /** Prefixes of the clients' addresses. */
  readonly pools: readonly string[];
  /** Clients leave under this machine's addresses (source NAT). */
  readonly masquerades: boolean;
  readonly reachEachOther: boolean;
}

/** Before the rules of detours.ts: what is refused here looks into no table. */
const ISOLATION_PRIORITY = 7_290;

/**
 * The gateway's machine as its clients need it: an address of its own inside, forwarding, source NAT. A packet of one client for
 * another comes out of the TUN device and would be led back into it: without `reachEachOther`, a policy rule refuses it.
 *
 *   priority 7290    from POOL to POOL iif TUN prohibit        for each two pools of a family
 *
 * Everything is put back by `remove`, and what a former life left by the first `apply`.
 */
export class GatewayNetwork {
  readonly #network: Network;
  readonly #link: string;
  readonly #firewall: Firewall;
  readonly #borrowed: BorrowedSettings;
  readonly #onWarning: (message: string) => void;
  /** What the machine is made for. */
  #inside: InsideNetwork | undefined;
  #addresses: readonly string[] = [];
  #rules: readonly Rule[] = [];

  constructor(facts: {
    readonly network: Network;
    /** The TUN device. */
    readonly link: string;
    readonly firewall: Firewall;
    readonly borrowed: BorrowedSettings;
    readonly onWarning: (message: string) => void;
  }) {
    this.#network = facts.network;
    this.#link = facts.link;
    this.#firewall = facts.firewall;
    this.#borrowed = facts.borrowed;
    this.#onWarning = facts.onWarning;
  }

  /** Takes back what a former life left. */
  async clean(): Promise<void> {
    for (const rule of this.#network.rules()) if (this.#isIsolation(rule)) this.#network.removeRule(rule);
    this.#borrowed.restore();
    await this.#firewall.remove();
  }

  /**
   * Makes the machine what this network needs, and nothing that another one needed. Throws PlatformError when it refuses. Packets are
   * kept apart before anything is forwarded.
   */
  async apply(inside: InsideNetwork | undefined): Promise<void> {
    if (inside === undefined) return this.remove();
    if (isDeepStrictEqual(inside, this.#inside)) return;
    this.#inside = undefined;
    this.#exchangeAddresses(inside.pools.map((pool) => hostPrefix(ownAddressIn(pool))));
    this.#exchangeRules(inside.reachEachOther ? [] : isolation(inside.pools, this.#link));
    const families = familiesOf(inside.pools);
    this.#borrowed.restore();
    const rules: ForwardingRules = {
      link: this.#link,
      pools: inside.pools,
      masquerades: inside.masquerades,
      isForUsOnly: !forwardsAll(this.#borrowed, families),
    };
    await this.#filter(rules);
    switchForwardingOn(this.#borrowed, families);
    this.#inside = inside;
  }

  async remove(): Promise<void> {
    this.#inside = undefined;
    this.#borrowed.restore();
    await this.#firewall.remove();
    this.#exchangeRules([]);
    this.#exchangeAddresses([]);
  }

  async #filter(rules: ForwardingRules): Promise<void> {
    if (!rules.masquerades && !rules.isForUsOnly) return this.#firewall.remove();
    try {
      await this.#firewall.replace(rules);
    } catch (error) {
      const isMissing = error instanceof PlatformError && error.code === "ENOENT";
      if (rules.masquerades) {
        throw isMissing
          ? new PlatformError(`nat: ${error.message}`, { code: error.code, cause: error })
          : error;
      }
      const reason = error instanceof Error ? error.message : String(error);
      this.#onWarning(`this machine now forwards packets between all of its networks: ${reason}`);
    }
  }

  #exchangeAddresses(addresses: readonly string[]): void {
    for (const address of addresses) this.#network.addAddress(this.#link, address);
    for (const address of this.#addresses) {
      if (!addresses.includes(address)) this.#network.removeAddress(this.#link, address);
    }
    this.#addresses = addresses;
  }

  #exchangeRules(rules: readonly Rule[]): void {
    const before = this.#rules;
    for (const rule of rules) this.#network.addRule(rule);
    this.#rules = rules;
    for (const rule of before) {
      if (!rules.some((other) => isSameIsolation(other, rule))) this.#network.removeRule(rule);
    }
  }

  #isIsolation({ priority, table, inLink }: Rule): boolean {
    return priority === ISOLATION_PRIORITY && table === "prohibit" && inLink === this.#link;
  }
}

function isolation(pools: readonly string[], link: string): readonly Rule[] {
  return pools.flatMap((source) =>
    pools
      .filter((destination) => familyOf(destination) === familyOf(source))
      .map(
        (destination): Rule => ({
          family: familyOf(source),
          priority: ISOLATION_PRIORITY,
          table: "prohibit",
          inLink: link,
          source,
          destination,
        }),
      ),
  );
}

function isSameIsolation(a: Rule, b: Rule): boolean {
  return a.source === b.source && a.destination === b.destination;
}

function familiesOf(prefixes: readonly string[]): readonly (4 | 6)[] {
  return [...new Set(prefixes.map(familyOf))];
}

function familyOf(prefix: string): 4 | 6 {
  return prefix.includes(":") ? 6 : 4;
}

/** The whole address: it makes no connected route, since what leads to the clients are the routes of the policies. */
function hostPrefix(address: string): string {
  return `${address}/${familyOf(address) === 6 ? 128 : 32}`;
}
