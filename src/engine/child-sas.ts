import type { DataPlane, DataPolicy } from "../esp/index.ts";
import type { NegotiatedChildSa } from "../ike/io.ts";
import type { Path } from "../platform/address.ts";
import type { ConnectionPolicy } from "../policy/connection.ts";

/** How often we look whether the peer sends through a new child SA already. */
const PROBE_MS = 100;

interface InstalledSa {
  readonly connection: string;
  readonly child: string;
  /** Of several SAs of a child, the highest carries what goes out. */
  rank: number;
  /** It replaces another one, and the peer has not sent anything through it. */
  isWaiting: boolean;
}

/**
 * Carries child SAs from the machine to the data plane and keeps the outbound SPD in step: first what is protected, in the
 * order of the configuration, then a discard entry for everything configured, so that traffic without an SA goes nowhere.
 *
 * A rekeyed child has two SAs for a while. Both open what arrives; what goes out takes the new one when the machine says so,
 * when the old one is gone, or when the peer has sent through the new one (RFC 7296 section 2.8).
 */
export class ChildSas {
  readonly #dataPlane: DataPlane;
  readonly #installed = new Map<number, InstalledSa>();
  /** SAs that only open what is late, each with the timer of its end. */
  readonly #lingering = new Map<number, NodeJS.Timeout>();
  readonly #removals = new Set<Promise<void>>();
  #connections: readonly ConnectionPolicy[] = [];
  #highestRank = 0;
  #probe: NodeJS.Timeout | undefined;

  constructor(dataPlane: DataPlane) {
    this.#dataPlane = dataPlane;
  }

  protect(connections: readonly ConnectionPolicy[]): void {
    this.#connections = connections;
    this.#publish();
  }

  install(childSa: NegotiatedChildSa): void {
    const { connection, child, inboundSpi, carriesOutbound } = childSa;
    const policy = this.#connections.find(({ name }) => name === connection);
    const childPolicy = policy?.children.find(({ name }) => name === child);
    this.#dataPlane.installChildSa({
      ...childSa,
      ...(childPolicy && { replayWindowPackets: childPolicy.replayWindowPackets }),
    });
    const rank = carriesOutbound ? ++this.#highestRank : 0;
    this.#installed.set(inboundSpi, { connection, child, rank, isWaiting: !carriesOutbound });
    this.#publish();
    this.#watchWaiting();
  }

  /** From now on this SA carries what goes out. */
  use(inboundSpi: number): void {
    const sa = this.#installed.get(inboundSpi);
    if (sa === undefined) return;
    sa.rank = ++this.#highestRank;
    sa.isWaiting = false;
    this.#publish();
  }

  #watchWaiting(): void {
    const isWaiting = [...this.#installed.values()].some((sa) => sa.isWaiting);
    if (!isWaiting || this.#probe !== undefined) return;
    this.#probe = setTimeout(() => {
      this.#probe = undefined;
      for (const [inboundSpi, sa] of this.#installed) {
        const packets = this.#dataPlane.traffic(inboundSpi)?.inbound.packets ?? 0;
        if (sa.isWaiting && packets > 0) this.use(inboundSpi);
      }
      this.#watchWaiting();
    }, PROBE_MS);
  }

  move(inboundSpi: number, path: Path): void {
    this.#dataPlane.moveChildSa({ inboundSpi, path });
  }

  /** Nothing goes out through the SA from now on; what is late still comes in for `lingerMs`. */
  remove(inboundSpi: number, lingerMs = 0): void {
    this.#installed.delete(inboundSpi);
    try {
      this.#publish();
    } finally {
      // Policies that do not fit are no reason to go on opening what arrives.
      if (lingerMs === 0) this.#end(inboundSpi);
      else
        this.#lingering.set(
          inboundSpi,
          setTimeout(() => this.#end(inboundSpi), lingerMs),
        );
    }
  }

  #end(inboundSpi: number): void {
    clearTimeout(this.#lingering.get(inboundSpi));
    this.#lingering.delete(inboundSpi);
    const removal = this.#dataPlane.removeChildSa(inboundSpi).finally(() => this.#removals.delete(removal));
    this.#removals.add(removal);
  }

  /** Settles when no SA is left and every key is zeroed. */
  async removeAll(): Promise<void> {
    for (const inboundSpi of [...this.#installed.keys()]) this.remove(inboundSpi);
    for (const inboundSpi of [...this.#lingering.keys()]) this.#end(inboundSpi);
    clearTimeout(this.#probe);
    await Promise.all(this.#removals);
  }

  #publish(): void {
    const policies: DataPolicy[] = [];
    for (const { name, children } of this.#connections) {
      for (const child of children) {
        const installed = [...this.#installed].filter(
          ([, sa]) => sa.connection === name && sa.child === child.name,
        );
        installed.sort(([, a], [, b]) => b.rank - a.rank);
        for (const [inboundSpi] of installed) policies.push({ action: "protect", inboundSpi });
      }
    }
    for (const { children } of this.#connections) {
      for (const { local, remote } of children)
        policies.push({ action: "discard", selectors: { local, remote } });
    }
    this.#dataPlane.setPolicies(policies);
  }
}
