import type { DataPlane, DataPolicy } from "../esp/index.ts";
import type { ConnectionPolicy } from "../policy/connection.ts";
import type { Traps } from "./traps.ts";

/** A child SA as far as the order of policies depends on it. */
export interface RankedSa {
  readonly connection: string;
  readonly child: string;
  /** SAs of a child that are told apart by this do not replace each other. */
  readonly selectors: string;
  /** Of several SAs of a child, the highest carries what goes out. 0 is behind all that have one. */
  readonly rank: number;
}

type Policies = Pick<DataPlane, "setPolicy" | "removePolicy" | "setPoliciesByPrecedence">;

interface PublishedSa {
  readonly precedence: number;
  readonly isReplaced: boolean;
}

// A precedence: place of the child in the configuration, then rank. Behind all of them, what the configuration protects.
const RANKS = 2 ** 32;
const PLACE = 2 * RANKS;
const REST = 2 ** 52;

/**
 * The outbound SPD: first what is protected, in the order of the configuration and of the SAs' ranks, then a discard or trap entry
 * for everything configured. One SA more or less touches the policies of its own child only.
 */
export class OutboundPolicies {
  readonly #dataPlane: Policies;
  readonly #traps: Traps;
  readonly #sas = new Map<number, RankedSa & { readonly serial: number }>();
  /** SAs that replace each other. */
  readonly #groups = new Map<string, Set<number>>();
  readonly #published = new Map<number, PublishedSa>();
  #places: ReadonlyMap<string, number> = new Map();
  #serial = 0;

  constructor(facts: { readonly dataPlane: Policies; readonly traps: Traps }) {
    this.#dataPlane = facts.dataPlane;
    this.#traps = facts.traps;
  }

  /**
   * Begins anew under this configuration, at once for all policies; what the data plane throws leaves everything as it was.
   * `trapped`: connections whose children call for an SA.
   */
  configure(connections: readonly ConnectionPolicy[], trapped: ReadonlySet<string>): void {
    const children = connections.flatMap(({ name, children }) =>
      children.map((child) => ({ connection: name, child })),
    );
    const places = new Map(
      children.map(({ connection, child }, place) => [keyOf(connection, child.name), place]),
    );
    const published = [...this.#groups.values()].flatMap((group) => this.#inOrder(group, places));
    this.#dataPlane.setPoliciesByPrecedence([
      ...published.map(({ inboundSpi, precedence, isReplaced }) => {
        const policy: DataPolicy = { action: "protect", inboundSpi, isReplaced };
        return [precedence, policy] as const;
      }),
      ...children.map(({ connection, child: { name: child, local, remote } }, place) => {
        const selectors = { local, remote };
        const policy: DataPolicy = trapped.has(connection)
          ? { action: "trap", trap: this.#traps.numberOf({ connection, child }), selectors }
          : { action: "discard", selectors };
        return [REST + place, policy] as const;
      }),
    ]);
    this.#places = places;
    this.#published.clear();
    for (const { inboundSpi, ...sa } of published) this.#published.set(inboundSpi, sa);
  }

  /** Adds an SA, or gives it another rank. */
  put(inboundSpi: number, sa: RankedSa): void {
    const serial = this.#sas.get(inboundSpi)?.serial ?? this.#serial++;
    this.#sas.set(inboundSpi, { ...sa, serial });
    const key = groupOf(sa);
    const group = this.#groups.get(key) ?? new Set();
    this.#groups.set(key, group.add(inboundSpi));
    this.#publish(group);
  }

  remove(inboundSpi: number): void {
    const sa = this.#sas.get(inboundSpi);
    if (sa === undefined) return;
    this.#sas.delete(inboundSpi);
    const published = this.#published.get(inboundSpi);
    this.#published.delete(inboundSpi);
    if (published !== undefined) this.#dataPlane.removePolicy(published.precedence);
    const group = this.#groups.get(groupOf(sa))!;
    group.delete(inboundSpi);
    if (group.size === 0) this.#groups.delete(groupOf(sa));
    this.#publish(group);
  }

  /** The one that carries comes first, and no policy goes before its next one is there: packets find an SA at every moment. */
  #publish(group: ReadonlySet<number>): void {
    for (const { inboundSpi, precedence, isReplaced } of this.#inOrder(group)) {
      const old = this.#published.get(inboundSpi);
      if (old?.precedence === precedence && old.isReplaced === isReplaced) continue;
      this.#dataPlane.setPolicy(precedence, { action: "protect", inboundSpi, isReplaced });
      if (old !== undefined && old.precedence !== precedence) this.#dataPlane.removePolicy(old.precedence);
      this.#published.set(inboundSpi, { precedence, isReplaced });
    }
  }

  /** What is not configured any more has no policy. */
  #inOrder(
    group: ReadonlySet<number>,
    places = this.#places,
  ): readonly (PublishedSa & { readonly inboundSpi: number })[] {
    return [...group]
      .flatMap((inboundSpi) => {
        const { connection, child, rank, serial } = this.#sas.get(inboundSpi)!;
        const place = places.get(keyOf(connection, child));
        if (place === undefined) return [];
        const behind = rank === 0 ? RANKS + serial : RANKS - 1 - rank;
        return [{ inboundSpi, precedence: place * PLACE + behind }];
      })
      .sort((a, b) => a.precedence - b.precedence)
      .map((sa, index) => ({ ...sa, isReplaced: index > 0 }));
  }
}

function groupOf({ connection, child, selectors }: RankedSa): string {
  return `${keyOf(connection, child)} ${selectors}`;
}

function keyOf(connection: string, child: string): string {
  return JSON.stringify([connection, child]);
}
