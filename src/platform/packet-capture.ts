import { describeFrame, type PacketDescription, type PacketKind } from "./packet-kind.ts";
import {
  AF_PACKET,
  ETH_P_ALL,
  MSG_DONTWAIT,
  MSG_TRUNC,
  PACKET_STATISTICS,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_RAW,
  SOL_PACKET,
  SOL_SOCKET,
} from "./system-calls/constants.ts";
import { succeed } from "./system-calls/errno.ts";
import { createLinuxSystemCalls } from "./system-calls/linux-system-calls.ts";
import {
  IOVEC_SIZE,
  MMSGHDR_SIZE,
  MSG_IOV_OFFSET,
  MSG_IOVLEN_OFFSET,
  MSG_LEN_OFFSET,
  SOCKADDR_LL_SIZE,
} from "./system-calls/structures.ts";
import type { SystemCalls } from "./system-calls/system-calls.ts";

/** A packet that passed the link. */
export interface SeenPacket extends PacketDescription {
  /** Octets on the wire, Ethernet header included. */
  readonly length: number;
  /** The frame as far as it was kept, from the Ethernet header on; a view that the next packet overwrites. */
  readonly octets: Uint8Array;
}

// The private memory: 64 mmsghdr | 64 iovec | 64 frames
const BATCH_COUNT = 64;
const VECTORS = BATCH_COUNT * MMSGHDR_SIZE;
const FRAMES = VECTORS + BATCH_COUNT * IOVEC_SIZE;

const POLL_INTERVAL_MS = 5;
const BUFFER_LENGTH = 16 * 1024 * 1024;

/**
 * Watches a link of our network namespace, both directions, and says what each packet is. Looks every few milliseconds;
 * what the kernel could not keep until then is counted as missed.
 */
export class PacketCapture {
  readonly #systemCalls: SystemCalls;
  readonly #descriptor: number;
  readonly #snapLength: number;
  readonly #onPacket: ((packet: SeenPacket) => void) | undefined;
  readonly #timer: NodeJS.Timeout;
  readonly #counts: Record<PacketKind, number> = {
    "esp-in-udp": 0,
    esp: 0,
    ike: 0,
    keepalive: 0,
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
    const buffer = new SharedArrayBuffer(FRAMES + BATCH_COUNT * snapLength);
    this.#systemCalls = createLinuxSystemCalls({ buffer });
    this.#descriptor = openPacketSocket(this.#systemCalls, link);
    this.#layHeaders();
    this.#timer = setInterval(() => this.poll(), POLL_INTERVAL_MS);
    this.#timer.unref();
  }

  /** How many packets of each kind passed. */
  get counts(): Readonly<Record<PacketKind, number>> {
    return { ...this.#counts };
  }

  /** Packets that passed unseen because the socket's buffer was full. */
  get missed(): number {
    this.#readStatistics();
    return this.#missed;
  }

  /** Takes what has passed until now; the timer does so too. */
  poll(): void {
    for (;;) {
      const count = this.#systemCalls.recvmmsg(this.#descriptor, 0, BATCH_COUNT, MSG_DONTWAIT | MSG_TRUNC);
      for (let i = 0; i < count; i++) this.#see(i);
      if (count < BATCH_COUNT) return;
    }
  }

  /** Takes what is left and stops. The counts stay. */
  close(): void {
    if (!this.#isOpen) return;
    clearInterval(this.#timer);
    this.poll();
    this.#readStatistics();
    this.#systemCalls.close(this.#descriptor);
    this.#isOpen = false;
  }

  #see(index: number): void {
    const { buffer } = this.#systemCalls.memory;
    // With MSG_TRUNC the length is that of the packet, not of what fitted.
    const length = new DataView(buffer).getUint32(index * MMSGHDR_SIZE + MSG_LEN_OFFSET, true);
    const kept = Math.min(length, this.#snapLength);
    const octets = new Uint8Array(buffer, FRAMES + index * this.#snapLength, kept);
    const description = describeFrame(octets);
    this.#counts[description.kind]++;
    this.#onPacket?.({ ...description, length, octets });
  }

  #layHeaders(): void {
    const view = new DataView(this.#systemCalls.memory.buffer);
    const { base } = this.#systemCalls;
    for (let i = 0; i < BATCH_COUNT; i++) {
      const vector = VECTORS + i * IOVEC_SIZE;
      view.setBigUint64(vector, BigInt(base + FRAMES + i * this.#snapLength), true);
      view.setBigUint64(vector + 8, BigInt(this.#snapLength), true);
      view.setBigUint64(i * MMSGHDR_SIZE + MSG_IOV_OFFSET, BigInt(base + vector), true);
      view.setBigUint64(i * MMSGHDR_SIZE + MSG_IOVLEN_OFFSET, 1n, true);
    }
  }

  /** tp_packets (4) | tp_drops (4); reading them sets them back. */
  #readStatistics(): void {
    if (!this.#isOpen) return;
    const statistics = new Uint8Array(8);
    const result = this.#systemCalls.getsockopt(this.#descriptor, SOL_PACKET, PACKET_STATISTICS, statistics);
    if (result === 0) this.#missed += new DataView(statistics.buffer).getUint32(4, true);
  }
}

function openPacketSocket(systemCalls: SystemCalls, link: number): number {
  const what = `watch link ${link}`;
  const flags = SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC;
  // Protocol 0 hears nothing until bind() names the link: packets of other links never get in.
  const descriptor = succeed(what, systemCalls.socket(AF_PACKET, flags, 0));
  try {
    const size = new Uint8Array(new Int32Array([BUFFER_LENGTH]).buffer);
    if (systemCalls.setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, size) < 0) {
      systemCalls.setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, size);
    }
    const address = new Uint8Array(SOCKADDR_LL_SIZE);
    const view = new DataView(address.buffer);
    view.setUint16(0, AF_PACKET, true);
    view.setUint16(2, ETH_P_ALL);
    view.setInt32(4, link, true);
    succeed(what, systemCalls.bind(descriptor, address));
    return descriptor;
  } catch (error) {
    systemCalls.close(descriptor);
    throw error;
  }
}
