import { describeFrame, type PacketDescription, type PacketKind } from "./packet-kind.ts";
import { PacketRing } from "./packet-ring.ts";
import {
  AF_PACKET,
  ETH_P_ALL,
  PACKET_STATISTICS,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_RAW,
  SOL_PACKET,
} from "./system-calls/constants.ts";
import { succeed } from "./system-calls/errno.ts";
import { createLinuxSystemCalls } from "./system-calls/linux-system-calls.ts";
import { SOCKADDR_LL_SIZE } from "./system-calls/structures.ts";
import type { SystemCalls } from "./system-calls/system-calls.ts";

/** A packet that passed the link. */
export interface SeenPacket extends PacketDescription {
  /** Octets on the wire, Ethernet header included. */
  readonly length: number;
  /** Whether it left by the link; otherwise it came in. */
  readonly isOutgoing: boolean;
  /** The frame as far as it was kept, from the Ethernet header on; a view that the next packet overwrites. */
  readonly octets: Uint8Array;
}

const POLL_INTERVAL_MS = 5;

/**
 * Watches a link of our network namespace, both directions, and says what each packet is. Looks every few milliseconds;
 * what found no room in the ring until then is counted as missed.
 */
export class PacketCapture {
  readonly #systemCalls: SystemCalls = createLinuxSystemCalls();
  readonly #descriptor: number;
  readonly #ring: PacketRing;
  readonly #snapLength: number;
  readonly #onPacket: ((packet: SeenPacket) => void) | undefined;
  readonly #timer: NodeJS.Timeout;
  readonly #counts: Record<PacketKind, number> = {
    "esp-in-udp": 0,
    esp: 0,
    ike: 0,
    keepalive: 0,
    "in-tcp": 0,
    neighbors: 0,
    fragment: 0,
    other: 0,
  };
  #missed = 0;
  #isOpen = true;

  /** `link`: its index. `snapLength`: octets that are kept of each frame. Throws PlatformError without the right to watch. */
  constructor({
    link,
    snapLength = 256,
    onPacket,
  }: {
    readonly link: number;
    readonly snapLength?: number;
    readonly onPacket?: (packet: SeenPacket) => void;
  }) {
    this.#snapLength = snapLength;
    this.#onPacket = onPacket;
    const opened = openPacketSocket(this.#systemCalls, { link, snapLength });
    this.#descriptor = opened.descriptor;
    this.#ring = opened.ring;
    this.#timer = setInterval(() => this.poll(), POLL_INTERVAL_MS);
    this.#timer.unref();
  }

  /** How many packets of each kind passed. */
  get counts(): Readonly<Record<PacketKind, number>> {
    return { ...this.#counts };
  }

  /** Packets that passed unseen because the ring was full. */
  get missed(): number {
    this.#readStatistics();
    return this.#missed;
  }

  /** Takes what has passed until now; the timer does so too. */
  poll(): void {
    this.#ring.take((octets, length, isOutgoing) => this.#see(octets, length, isOutgoing));
  }

  /** Takes what is left and stops. The counts stay. */
  close(): void {
    if (!this.#isOpen) return;
    clearInterval(this.#timer);
    this.poll();
    this.#readStatistics();
    this.#isOpen = false;
    this.#ring.close();
    this.#systemCalls.close(this.#descriptor);
  }

  #see(octets: Uint8Array, length: number, isOutgoing: boolean): void {
    const kept = octets.subarray(0, this.#snapLength);
    const description = describeFrame(kept);
    this.#counts[description.kind]++;
    this.#onPacket?.({ ...description, length, isOutgoing, octets: kept });
  }

  /** tp_packets (4) | tp_drops (4); reading them sets them back. */
  #readStatistics(): void {
    if (!this.#isOpen) return;
    if (!this.#isOpen) return;
    const statistics = new Uint8Array(8);
    const result = this.#systemCalls.getsockopt(this.#descriptor, SOL_PACKET, PACKET_STATISTICS, statistics);
    if (result === 0) this.#missed += new DataView(statistics.buffer).getUint32(4, true);
  }
}

function openPacketSocket(
  systemCalls: SystemCalls,
  { link, snapLength }: { readonly link: number; readonly snapLength: number },
): { readonly descriptor: number; readonly ring: PacketRing } {
  const what = `watch link ${link}`;
  const flags = SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC;
  // Protocol 0 hears nothing until bind() names the link: packets of other links never get in.
  const descriptor = succeed(what, systemCalls.socket(AF_PACKET, flags, 0));
  let ring: PacketRing | undefined;
  try {
    ring = new PacketRing(systemCalls, { descriptor, snapLength });
    const address = new Uint8Array(SOCKADDR_LL_SIZE);
    const view = new DataView(address.buffer);
    view.setUint16(0, AF_PACKET, true);
    view.setUint16(2, ETH_P_ALL);
    view.setInt32(4, link, true);
    succeed(what, systemCalls.bind(descriptor, address));
    return { descriptor, ring };
  } catch (error) {
    ring?.close();
    systemCalls.close(descriptor);
    throw error;
  }
}
