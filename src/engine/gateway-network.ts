import { isDeepStrictEqual } from "node:util";
import { PlatformError } from "../errors/index.ts";
import type { Firewall, ForwardingRules } from "../platform/firewall/firewall.ts";
import type { BorrowedSettings } from "../platform/kernel-settings/borrowed-settings.ts";
import type { Network, Rule } from "../platform/network/network.ts";
import { ownAddressIn } from "../pool/prefix.ts";
import { FORWARDING_GROUP, familiesSwitchedOn, forwardingChanges } from "./forwarding.ts";

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
 * Everything is put back by `remove`, and what a former life left by the first `apply`. Of several gateways on one machine, each writes beside its
 * rules which settings it needs; whoever needs one last puts it back.
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
  #isolation: readonly Rule[] = [];
  #rules: ForwardingRules | undefined;
  #isForwarding = false;

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
    await this.#giveBack();
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
    this.#exchangeIsolation(inside.reachEachOther ? [] : isolation(inside.pools, this.#link));
    await this.#giveBack();
    this.#isForwarding = true;
    this.#network.setLinkUp(this.#link, { group: FORWARDING_GROUP });
    // In this order: who changes a setting has said so before.
    const changes = forwardingChanges(this.#borrowed.settings, familiesOf(inside.pools));
    this.#borrowed.share((await this.#firewall.others()).flatMap(({ borrowed }) => borrowed));
    const borrowed = [...this.#borrowed.changes, ...changes];
    const rules: ForwardingRules = {
      link: this.#link,
      pools: inside.pools,
      masquerades: inside.masquerades,
      group: FORWARDING_GROUP,
      onlyForGroup: familiesSwitchedOn(borrowed),
      borrowed,
    };
    await this.#filter(rules);
    this.#rules = rules;
    for (const change of changes) this.#borrowed.make(change);
    this.#inside = inside;
  }

  async remove(): Promise<void> {
    this.#inside = undefined;
    await this.#takeBackNotes();
    await this.#giveBack();
    this.#borrowed.forget();
    await this.#firewall.remove();
    if (this.#isForwarding) this.#network.setLinkUp(this.#link, { group: 0 });
    this.#isForwarding = false;
    this.#exchangeIsolation([]);
    this.#exchangeAddresses([]);
  }

  /** First of all, so that of two that end at once the second sees that nobody needs the settings any more. The rules still stand. */
  async #takeBackNotes(): Promise<void> {
    const rules = this.#rules;
    this.#rules = undefined;
    if (rules === undefined || rules.borrowed.length === 0) return;
    await this.#firewall.replace({ ...rules, borrowed: [] }).catch(() => {});
  }

  /** What another gateway that lives needs too is left to it. */
  async #giveBack(): Promise<void> {
    if (this.#borrowed.changes.length === 0) return;
    const links = new Set(this.#network.links().map(({ name }) => name));
    const living = (await this.#firewall.others()).filter(({ link }) => links.has(link));
    this.#borrowed.restore(living.flatMap(({ borrowed }) => borrowed));
  }

  async #filter(rules: ForwardingRules): Promise<void> {
    if (!rules.masquerades && rules.onlyForGroup.length === 0) return this.#firewall.remove();
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

  #exchangeIsolation(rules: readonly Rule[]): void {
    const before = this.#isolation;
    for (const rule of rules) this.#network.addRule(rule);
    this.#isolation = rules;
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
