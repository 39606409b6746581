import { formatAddress } from "../bytes/ip-address.ts";
import type { ChildSaVolume, DataPlane, TrafficCover } from "../esp/index.ts";
import type { NegotiatedChildSa } from "../ike/io.ts";
import type { Path } from "../platform/address.ts";
import type { Random } from "../platform/random.ts";
import type { ChildPolicy, ConnectionPolicy } from "../policy/connection.ts";
import { OutboundPolicies } from "./outbound-policies.ts";
import { SessionVolumes } from "./session-volumes.ts";
import { Traps } from "./traps.ts";
import { type UsedUp, VolumeWatch } from "./volume-watch.ts";

/** How often we look whether the peer sends through a new child SA already. */
const PROBE_MS = 100;
/** Soft limits are spread by this share, so that both sides seldom begin at once. */
const JITTER = 0.1;
/** What an SA may carry beyond its soft limit before the data plane stops it. */
const HARD_FACTOR = 1.25;

/** Soft limits where the policy says nothing. Well below what 32-bit sequence numbers allow, and AES-GCM under one key. */
const DEFAULT_OCTETS = 64 * 2 ** 30;
const DEFAULT_PACKETS = 2 ** 31;

interface InstalledSa {
  readonly connection: string;
  readonly child: string;
  /** The selectors as text. */
  readonly selectors: string;
}

/**
 * Carries child SAs from the machine to the data plane and keeps the outbound SPD in step: first what is protected, in the
 * order of the configuration, then a discard or trap entry for everything configured, so that traffic without an SA goes nowhere.
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
  readonly #random: Random;
  readonly #volumeWatch: VolumeWatch;
  readonly #traps = new Traps();
  readonly #policies: OutboundPolicies;
  readonly #volumes: SessionVolumes;
  /** SAs that replace others, and whose peer has not sent anything through them. */
  readonly #waiting = new Set<number>();
  #connections: ReadonlyMap<string, ConnectionPolicy> = new Map();
  #highestRank = 0;
  #probe: NodeJS.Timeout | undefined;

  /** `onUsedUp` is told of an SA that has carried as much as it should, again and again until it is replaced. */
  constructor(facts: {
    readonly dataPlane: DataPlane;
    readonly random: Random;
    readonly onUsedUp: (usedUp: UsedUp) => void;
  }) {
    this.#dataPlane = facts.dataPlane;
    this.#random = facts.random;
    this.#volumeWatch = new VolumeWatch({
      carried: (inboundSpi) => facts.dataPlane.carried(inboundSpi),
      onUsedUp: facts.onUsedUp,
    });
    this.#volumes = new SessionVolumes((inboundSpi) => facts.dataPlane.carried(inboundSpi));
    this.#policies = new OutboundPolicies({ dataPlane: facts.dataPlane, traps: this.#traps });
  }

  /** `trapped`: connections that come up by the first packet that wants them. */
  protect(connections: readonly ConnectionPolicy[], trapped: ReadonlySet<string> = new Set()): void {
    this.#connections = new Map(connections.map((connection) => [connection.name, connection]));
    this.#policies.configure(connections, trapped);
  }

  /** Which child a trap is for. */
  childOf(trap: number): { readonly connection: string; readonly child: string } | undefined {
    return this.#traps.childOf(trap);
  }

  install(childSa: NegotiatedChildSa): void {
    const { connection, child, inboundSpi, carriesOutbound } = childSa;
    const childPolicy = this.#connections.get(connection)?.children.find(({ name }) => name === child);
    const { octets = DEFAULT_OCTETS, packets = DEFAULT_PACKETS } = childPolicy?.rekey ?? {};
    const hard = { octets: octets * HARD_FACTOR, packets: packets * HARD_FACTOR };
    const share = 1 - (JITTER * this.#random.bytes(1)[0]!) / 256;
    const soft = { octets: octets * share, packets: packets * share };
    // Written out: to copy an object of so many fields takes longer than all else here.
    this.#dataPlane.installChildSa({
      inboundSpi,
      outboundSpi: childSa.outboundSpi,
      encryption: childSa.encryption,
      integrity: childSa.integrity,
      esn: childSa.esn,
      inboundKey: childSa.inboundKey,
      outboundKey: childSa.outboundKey,
      local: childSa.local,
      remote: childSa.remote,
      path: childSa.path,
      pathMtu: childSa.pathMtu,
      isTransport: childSa.isTransport,
      octetLimit: Math.ceil(hard.octets),
      packetLimit: Math.ceil(hard.packets),
      replayWindowPackets: childPolicy?.replayWindowPackets,
      copyDscp: childPolicy?.copyDscp,
      clampsMss: childPolicy?.clampsMss,
      df: childPolicy?.df,
      cover: childPolicy && coverOf(childPolicy, childSa),
    });
    const sa = { connection, child, selectors: selectorsOf(childSa) };
    this.#installed.set(inboundSpi, sa);
    if (childSa.session !== undefined) this.#volumes.open(childSa.session, inboundSpi);
    if (!carriesOutbound) this.#waiting.add(inboundSpi);
    this.#policies.put(inboundSpi, { ...sa, rank: carriesOutbound ? ++this.#highestRank : 0 });
    if (!carriesOutbound) this.#probe ??= setTimeout(() => this.#lookAtWaiting(), PROBE_MS);
    this.#volumeWatch.watch(inboundSpi, { connection, soft, hard });
  }

  /** From now on this SA carries what goes out. */
  use(inboundSpi: number): void {
    const sa = this.#installed.get(inboundSpi);
    if (sa === undefined) return;
    this.#policies.put(inboundSpi, { ...sa, rank: ++this.#highestRank });
    this.#waiting.delete(inboundSpi);
  }

  /** When the policies find no room at the moment, the next look tries again. */
  #lookAtWaiting(): void {
    this.#probe = undefined;
    for (const inboundSpi of [...this.#waiting]) {
      if ((this.#dataPlane.carried(inboundSpi)?.inbound.packets ?? 0) === 0) continue;
      try {
        this.use(inboundSpi);
      } catch {
        // It waits on.
      }
    }
    if (this.#waiting.size > 0) this.#probe = setTimeout(() => this.#lookAtWaiting(), PROBE_MS);
  }

  /** When the child SA last carried something, in the time that `clock` tells of a moment of the system's clock. */
  lastUse(
    inboundSpi: number,
    clock: { at(time: number): number },
  ): { readonly sentAt: number; readonly receivedAt: number } | undefined {
    const traffic = this.#dataPlane.traffic(inboundSpi);
    if (traffic === undefined) return undefined;
    const inTime = ({ lastUsedMs }: { readonly lastUsedMs: number }): number =>
      lastUsedMs === 0 ? Number.NEGATIVE_INFINITY : clock.at(lastUsedMs);
    return { sentAt: inTime(traffic.outbound), receivedAt: inTime(traffic.inbound) };
  }

  move(inboundSpi: number, path: Path): void {
    this.#dataPlane.moveChildSa({ inboundSpi, path });
  }

  fit(inboundSpi: number, pathMtu: number | undefined): void {
    this.#dataPlane.fitChildSa({ inboundSpi, pathMtu });
  }

  /** Nothing goes out through the SA from now on; what is late still comes in for `lingerMs`. */
  remove(inboundSpi: number, lingerMs = 0): void {
    this.#installed.delete(inboundSpi);
    this.#waiting.delete(inboundSpi);
    this.#volumeWatch.forget(inboundSpi);
    try {
      this.#policies.remove(inboundSpi);
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
    this.#volumes.hold(inboundSpi);
    const removal = this.#dataPlane
      .removeChildSa(inboundSpi)
      .then((carried) => this.#volumes.close(inboundSpi, carried))
      .finally(() => this.#removals.delete(removal));
    this.#removals.add(removal);
  }

  /** What the child SAs of a client's session have carried so far, those among them that were replaced. */
  carriedBy(session: number): ChildSaVolume {
    return this.#volumes.carriedBy(session);
  }

  /** A session is over: settles when nothing of it moves any more, with all that it has carried. */
  async finish(session: number): Promise<ChildSaVolume> {
    for (const inboundSpi of this.#volumes.openSpis(session)) {
      if (this.#lingering.has(inboundSpi)) this.#end(inboundSpi);
    }
    await Promise.all(this.#removals);
    return this.#volumes.finish(session);
  }

  /** Settles when no SA is left and every key is zeroed. */
  async removeAll(): Promise<void> {
    for (const inboundSpi of [...this.#installed.keys()]) this.remove(inboundSpi);
    for (const inboundSpi of [...this.#lingering.keys()]) this.#end(inboundSpi);
    clearTimeout(this.#probe);
    this.#volumeWatch.stop();
    await Promise.all(this.#removals);
  }
}

/** Padding only where the peer takes it; dummy packets everybody must take (RFC 4303 section 2.6). */
function coverOf({ tfc }: ChildPolicy, { takesTfcPadding }: NegotiatedChildSa): TrafficCover | undefined {
  if (tfc === undefined) return undefined;
  const { padTo, dummyEveryMs, dummyLength } = tfc;
  return { padTo: takesTfcPadding ? padTo : 0, dummyEveryMs, dummyLength };
}

function selectorsOf({ local, remote }: NegotiatedChildSa): string {
  return [local, remote]
    .map((side) =>
      side
        .map(({ protocol, startPort, endPort, startAddress, endAddress }) =>
          [protocol, startPort, endPort, formatAddress(startAddress), formatAddress(endAddress)].join(),
        )
        .join(" "),
    )
    .join(" to ");
}
