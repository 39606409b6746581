import type { DataPlane, DataPolicy } from "../esp/index.ts";
import type { NegotiatedChildSa } from "../ike/io.ts";
import type { Path } from "../platform/address.ts";
import type { ConnectionPolicy } from "../policy/connection.ts";

/**
 * Carries child SAs from the machine to the data plane and keeps the outbound SPD in step: first what is protected, in the
 * order of the configuration, then a discard entry for everything configured, so that traffic without an SA goes nowhere.
 */
export class ChildSas {
  readonly #dataPlane: DataPlane;
  readonly #installed = new Map<number, { readonly connection: string; readonly child: string }>();
  readonly #removals = new Set<Promise<void>>();
  #connections: readonly ConnectionPolicy[] = [];

  constructor(dataPlane: DataPlane) {
    this.#dataPlane = dataPlane;
  }

  protect(connections: readonly ConnectionPolicy[]): void {
    this.#connections = connections;
    this.#publish();
  }

  install(childSa: NegotiatedChildSa): void {
    const { connection, child, inboundSpi } = childSa;
    const policy = this.#connections.find(({ name }) => name === connection);
    const childPolicy = policy?.children.find(({ name }) => name === child);
    this.#dataPlane.installChildSa({
      ...childSa,
      ...(childPolicy && { replayWindowPackets: childPolicy.replayWindowPackets }),
    });
    this.#installed.set(inboundSpi, { connection, child });
    this.#publish();
  }

  move(inboundSpi: number, path: Path): void {
    this.#dataPlane.moveChildSa({ inboundSpi, path });
  }

  remove(inboundSpi: number): void {
    this.#installed.delete(inboundSpi);
    this.#publish();
    const removal = this.#dataPlane.removeChildSa(inboundSpi).finally(() => this.#removals.delete(removal));
    this.#removals.add(removal);
  }

  /** Settles when no SA is left and every key is zeroed. */
  async removeAll(): Promise<void> {
    for (const inboundSpi of [...this.#installed.keys()]) this.remove(inboundSpi);
    await Promise.all(this.#removals);
  }

  #publish(): void {
    const policies: DataPolicy[] = [];
    for (const { name, children } of this.#connections) {
      for (const child of children) {
        // The newest SA of a child comes first: the peer may have deleted the older one already.
        const inboundSpis = [...this.#installed].filter(
          ([, sa]) => sa.connection === name && sa.child === child.name,
        );
        for (const [inboundSpi] of inboundSpis.reverse()) policies.push({ action: "protect", inboundSpi });
      }
    }
    for (const { children } of this.#connections) {
      for (const { local, remote } of children)
        policies.push({ action: "discard", selectors: { local, remote } });
    }
    this.#dataPlane.setPolicies(policies);
  }
}
