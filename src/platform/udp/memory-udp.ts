import {
  RECEIVE_SLOT_COUNT,
  RECEIVE_SLOT_SIZE,
  WORKER_BASE,
  WORKER_RECEIVE_OFFSET,
  WORKER_SIZE,
} from "../../../assembly/layout.ts";
import { concat } from "../../bytes/concat.ts";
import { PlatformError } from "../../errors/index.ts";
import type { SocketAddress } from "../address.ts";
import {
  decodePacketInfo,
  decodeSocketAddress,
  encodeSocketAddress,
  familyOf,
  socketAddressNumber,
} from "../socket-address.ts";
import type { SharedMemory } from "../system-calls/system-calls.ts";
import {
  type DatagramSender,
  MAXIMUM_DATAGRAM_LENGTH,
  type QueuedMessage,
  SEND_BATCH_COUNT,
  type UdpSocket,
} from "./udp-socket.ts";

/** A datagram on the wire, as somebody who watches sees it. */
export interface WireDatagram {
  readonly from: SocketAddress;
  readonly to: SocketAddress;
  readonly octets: Uint8Array;
  /** Outer traffic class; 0 if left out. */
  readonly trafficClass?: number;
  /** False: with DF, or IPv6 that was not fragmented. */
  readonly mayFragment?: boolean;
  /** The message that it left with, when that was several datagrams: a socket with offloads gets them as one again. */
  readonly train?: number;
}

/**
 * A network in this process: hosts with addresses, and every datagram goes to whoever has its destination. What nobody has
 * is lost without a word, as on a real one. Belongs to one thread.
 */
export class MemoryWire {
  /** The largest packet that leaves a host, IP header included. */
  linkMtu = 65_535;
  /** The largest one that a router on the way passes on. A host learns of it when one that must not be fragmented gets lost there. */
  routerMtu = 65_535;
  /** Decides what becomes of each datagram: the list of those that arrive, in order. Empty is loss, two is duplication. */
  filter: ((datagram: WireDatagram) => readonly WireDatagram[]) | undefined;
  /** Sees each datagram that is put on the wire, before the filter. */
  onDatagram: ((datagram: WireDatagram) => void) | undefined;
  readonly #sockets: MemoryUdpSocket[] = [];
  readonly #hosts: MemoryHost[] = [];

  /** A host that has these addresses. */
  host(addresses: readonly string[]): MemoryHost {
    const host = new MemoryHost(this, addresses);
    this.#hosts.push(host);
    return host;
  }

  /** Puts a datagram on the wire. */
  carry(datagram: WireDatagram): void {
    this.onDatagram?.(datagram);
    if (datagram.mayFragment === false && packetLength(datagram) > this.routerMtu) {
      const sender = this.#hosts.find(({ addresses }) => addresses.includes(datagram.from.address));
      sender?.learnPathMtu(datagram.to.address, this.routerMtu);
      return;
    }
    for (const arriving of this.filter?.(datagram) ?? [datagram]) this.deliver(arriving);
  }

  /** Hands a datagram to its destination past the filter, as one that was held back. */
  deliver(datagram: WireDatagram): void {
    this.#sockets.find((socket) => socket.accepts(datagram.to))?.arrive(datagram);
  }

  /** For MemoryUdpSocket: it comes and goes. */
  attach(socket: MemoryUdpSocket): void {
    this.#sockets.push(socket);
  }

  detach(socket: MemoryUdpSocket): void {
    const index = this.#sockets.indexOf(socket);
    if (index >= 0) this.#sockets.splice(index, 1);
  }

  isTaken(address: SocketAddress): boolean {
    return this.#sockets.some((socket) => socket.accepts(address));
  }
}

/** One machine on the wire. */
export class MemoryHost implements DatagramSender {
  readonly addresses: readonly string[];
  readonly wire: MemoryWire;
  readonly #pathMtus = new Map<string, number>();

  constructor(wire: MemoryWire, addresses: readonly string[]) {
    this.wire = wire;
    this.addresses = addresses;
  }

  /** Opens a UDP socket on every address of the family. `capacity`: datagrams that wait before more are dropped. */
  openUdpSocket(
    memory: SharedMemory,
    options: {
      readonly family: 4 | 6;
      readonly port: number;
      readonly worker: number;
      readonly capacity?: number;
      readonly offloads?: "auto" | "off";
    },
  ): MemoryUdpSocket {
    for (const address of this.#ofFamily(options.family)) {
      if (this.wire.isTaken({ address, port: options.port })) {
        throw new PlatformError(`UDP port ${options.port} on ${address}: EADDRINUSE`, { code: "EADDRINUSE" });
      }
    }
    return new MemoryUdpSocket(this, memory, options);
  }

  send({ octets, from, to, mayFragment = true }: WireDatagram): string | undefined {
    if (octets.length > MAXIMUM_DATAGRAM_LENGTH) return "EMSGSIZE";
    if (!mayFragment && packetLength({ to, octets }) > this.wire.linkMtu) return "EMSGSIZE";
    const source = this.sourceAddress(from.address, familyOf(to.address));
    if (source === undefined) return "EINVAL";
    const ends = { from: { address: source, port: from.port }, to };
    this.wire.carry({ ...ends, octets: octets.slice(), ...(!mayFragment && { mayFragment }) });
    return undefined;
  }

  /** The address that a datagram leaves from: the one asked for if it is ours, the first of the family if none was asked for. */
  sourceAddress(asked: string | undefined, family: 4 | 6): string | undefined {
    const own = this.#ofFamily(family);
    return asked === undefined || asked === "0.0.0.0" || asked === "::"
      ? own[0]
      : own.find((address) => address === asked);
  }

  /** The largest packet for the way to an address, IP header included, as far as the host knows. */
  pathMtu(address: string): number {
    return Math.min(this.wire.linkMtu, this.#pathMtus.get(address) ?? this.wire.linkMtu);
  }

  /** A router has answered. */
  learnPathMtu(address: string, mtu: number): void {
    this.#pathMtus.set(address, mtu);
  }

  /** As when ten minutes are over. */
  forgetPathMtus(): void {
    this.#pathMtus.clear();
  }

  #ofFamily(family: 4 | 6): readonly string[] {
    return this.addresses.filter((address) => familyOf(address) === family);
  }
}

const UDP_HEADER_LENGTH = 8;

/** Of one message, as a kernel coalesces them. */
const COALESCED_COUNT = 64;

/** A UDP socket without a kernel. With offloads it takes and gives several datagrams as one message, as the kernel's do. */
export class MemoryUdpSocket implements UdpSocket {
  readonly family: 4 | 6;
  readonly port: number;
  readonly descriptor = undefined;
  /** Called when a datagram arrived. */
  onReadable: (() => void) | undefined;
  readonly #host: MemoryHost;
  readonly #octets: Uint8Array;
  readonly #slots: number;
  readonly #capacity: number;
  readonly #waiting: WireDatagram[] = [];
  readonly #hasOffloads: boolean;
  #received: ReceivedMessage[] = [];
  #queued: ReceivedMessage[] = [];
  #refused = 0;
  #trains = 0;
  #queuedTooLong = 0;
  #tooLong = 0;

  constructor(
    host: MemoryHost,
    memory: SharedMemory,
    {
      family,
      port,
      worker,
      capacity = 1024,
      offloads = "off",
    }: {
      readonly family: 4 | 6;
      readonly port: number;
      readonly worker: number;
      readonly capacity?: number;
      readonly offloads?: "auto" | "off";
    },
  ) {
    this.family = family;
    this.port = port;
    this.#host = host;
    this.#octets = new Uint8Array(memory.buffer);
    this.#slots = WORKER_BASE + worker * WORKER_SIZE + WORKER_RECEIVE_OFFSET;
    this.#capacity = capacity;
    this.#hasOffloads = offloads === "auto";
    host.wire.attach(this);
  }

  get isReadable(): boolean {
    return this.#waiting.length > 0;
  }

  /** The largest packet for a way to `address`, IP header included. */
  pathMtu(address: string): number {
    return this.#host.pathMtu(address);
  }

  accepts({ address, port }: SocketAddress): boolean {
    return port === this.port && familyOf(address) === this.family && this.#host.addresses.includes(address);
  }

  arrive(datagram: WireDatagram): void {
    if (this.#waiting.length >= this.#capacity) return;
    this.#waiting.push(datagram);
    this.onReadable?.();
  }

  maySegment(): boolean {
    return this.#hasOffloads;
  }

  receive(limit: number): number {
    const count = Math.min(limit, RECEIVE_SLOT_COUNT);
    this.#received = [];
    while (this.#received.length < count && this.#waiting.length > 0)
      this.#received.push(this.#takeMessage());
    for (const [i, { octets }] of this.#received.entries()) this.#octets.set(octets, this.receivedAt(i));
    return this.#received.length;
  }

  receivedAt(index: number): number {
    return this.#slots + index * RECEIVE_SLOT_SIZE;
  }

  receivedLength(index: number): number {
    return this.#received[index]!.octets.length;
  }

  receivedSegmentLength(index: number): number {
    return this.#received[index]!.segmentLength;
  }

  receivedTrafficClass(index: number): number {
    return this.#received[index]!.trafficClass ?? 0;
  }

  receivedPeer(index: number): number {
    return socketAddressNumber(encodeSocketAddress(this.#received[index]!.from), 0);
  }

  receivedFrom(index: number): SocketAddress {
    return this.#received[index]!.from;
  }

  receivedTo(index: number): SocketAddress {
    return this.#received[index]!.to;
  }

  queue({
    address,
    length,
    segmentLength,
    peer,
    peerLength,
    control,
    controlLength,
    trafficClass,
    mayFragment,
  }: QueuedMessage): boolean {
    if (this.#queued.length + this.#refused === SEND_BATCH_COUNT) return false;
    const to = decodeSocketAddress(this.#octets.slice(peer, peer + peerLength));
    const asked = decodePacketInfo(this.#octets.slice(control, control + controlLength));
    const source = to && this.#host.sourceAddress(asked, this.family);
    if (to === undefined || source === undefined || length > MAXIMUM_DATAGRAM_LENGTH) {
      this.#refused++;
      return true;
    }
    const octets = this.#octets.slice(address, address + length);
    const longest = packetLength({ to, octets: octets.subarray(0, segmentLength) });
    if (!mayFragment && longest > this.#host.pathMtu(to.address)) {
      this.#queuedTooLong = peer;
      this.#refused++;
      return true;
    }
    this.#queued.push({
      from: { address: source, port: this.port },
      to,
      octets,
      segmentLength,
      trafficClass,
      mayFragment,
    });
    return true;
  }

  takeTooLong(): number {
    const peer = this.#tooLong;
    this.#tooLong = 0;
    return peer;
  }

  transmit(): number {
    const leaving = this.#queued.flatMap((message) => datagramsOf(message, this.#trains++));
    this.#queued = [];
    this.#refused = 0;
    this.#tooLong ||= this.#queuedTooLong;
    this.#queuedTooLong = 0;
    for (const datagram of leaving) this.#host.wire.carry(datagram);
    return leaving.length;
  }

  /** What waits longest, and with offloads all that follows of the same train and is as long; one shorter ends it. */
  #takeMessage(): ReceivedMessage {
    const first = this.#waiting.shift()!;
    const segmentLength = first.octets.length;
    const parts = [first.octets];
    let total = segmentLength;
    while (this.#hasOffloads && first.train !== undefined && parts.length < COALESCED_COUNT) {
      const next = this.#waiting[0];
      const length = next?.octets.length ?? 0;
      const fits = length > 0 && length <= segmentLength && total + length <= MAXIMUM_DATAGRAM_LENGTH;
      if (!fits || next?.train !== first.train || !isSameSender(next, first)) break;
      if (next.trafficClass !== first.trafficClass) break;
      this.#waiting.shift();
      parts.push(next.octets);
      total += length;
      if (length < segmentLength) break;
    }
    return { ...first, octets: concat(...parts), segmentLength: parts.length > 1 ? segmentLength : 0 };
  }

  close(): void {
    this.#host.wire.detach(this);
    this.#waiting.length = 0;
  }
}

/** Several datagrams where `segmentLength` is shorter than the octets. */
interface ReceivedMessage extends WireDatagram {
  readonly segmentLength: number;
}

function datagramsOf({ octets, segmentLength, ...path }: ReceivedMessage, train: number): WireDatagram[] {
  if (octets.length <= segmentLength) return [{ ...path, octets }];
  const count = Math.ceil(octets.length / segmentLength);
  return Array.from({ length: count }, (_, i) => ({
    ...path,
    train,
    octets: octets.slice(i * segmentLength, (i + 1) * segmentLength),
  }));
}

function packetLength({ to, octets }: Pick<WireDatagram, "to" | "octets">): number {
  return octets.length + UDP_HEADER_LENGTH + (familyOf(to.address) === 4 ? 20 : 40);
}

function isSameSender(one: WireDatagram, other: WireDatagram): boolean {
  return one.from.address === other.from.address && one.from.port === other.from.port;
}
