// Outbound, all in one data worker:
//   1 read a TUN burst                                    this file, into the TUN slab: packets and super-packets; before them,
//                                                         when the policies have changed, what waited for an SA (trapped-packets.ts)
//   2 match the SPD  3 cut super-packets  4 number  5 seal    the kernel, into the send slab
//   6 put datagrams of equal length and traffic class on one SA's path together  7 one transmit for each socket

import {
  CONTROL_BASE,
  CONTROL_SPD_OFFSET,
  DESCRIPTOR_HEADER_OFFSET,
  DESCRIPTOR_LENGTH_OFFSET,
  DESCRIPTOR_RESULT_LENGTH_OFFSET,
  DESCRIPTOR_RESULT_OFFSET,
  DESCRIPTOR_SA_OFFSET,
  DESCRIPTOR_SEGMENT_COUNT_OFFSET,
  DESCRIPTOR_SEGMENT_LENGTH_OFFSET,
  DESCRIPTOR_SIZE,
  DESCRIPTOR_SOURCE_OFFSET,
  DESCRIPTOR_STATUS_OFFSET,
  DESCRIPTOR_TRAFFIC_CLASS_OFFSET,
  DUMMIES_BASE,
  DUMMIES_VERSION_OFFSET,
  NO_SLOT,
  PATH_CONTROL_LENGTH_OFFSET,
  PATH_CONTROL_OFFSET,
  PATH_PEER_LENGTH_OFFSET,
  PATH_PEER_OFFSET,
  PATH_SIZE,
  PATH_SOCKET_OFFSET,
  SA_BASE,
  SA_PATH_OFFSET,
  SA_PATHS_OFFSET,
  SA_SLOT_SIZE,
  STATUS_DEVICE_REFUSED,
  STATUS_TRAPPED,
  TALLY_TUN_READ,
  TALLY_UDP_TRANSMIT,
  TRAILER_ROOM,
  TUN_SLAB_SIZE,
  WORKER_BASE,
  WORKER_COUNTERS_OFFSET,
  WORKER_DESCRIPTORS_OFFSET,
  WORKER_SIZE,
  WORKER_TUN_SLAB_OFFSET,
} from "../../assembly/layout.ts";
import type { Clock } from "../platform/clock.ts";
import type { Tun } from "../platform/tun/tun.ts";
import {
  MAXIMUM_DATAGRAM_LENGTH,
  type QueuedMessage,
  SEGMENT_LIMIT,
  type UdpSocket,
} from "../platform/udp/udp-socket.ts";
import type { Kernel } from "./kernel.ts";
import { Tally } from "./tally.ts";
import { type TrapCall, TrappedPackets } from "./trapped-packets.ts";
import { decrementU64, incrementU64 } from "./words.ts";

/** Packets of one burst: enough that a system call each for receiving and transmitting weighs little. */
const BURST_COUNT = 64;
/** Octets after which a burst ends: what waits on the inbound side waits no longer than these take to seal. */
const BURST_OCTETS = 262_144;
/** No IP packet is longer. */
const PACKET_LIMIT = 65_535;

export class Outbound {
  readonly #words: Uint32Array;
  readonly #kernel: Kernel;
  readonly #tun: Tun;
  readonly #headerLength: number;
  readonly #sockets: readonly UdpSocket[];
  readonly #region: number;
  readonly #readTally: Tally;
  readonly #transmitTally: Tally;
  readonly #clock: Clock;
  readonly #trapped: TrappedPackets;
  /** The SPD snapshot that the last batch saw, or the one before it. */
  #snapshot = 0;
  /** What is being put together; used for every message: nothing here is made per packet. */
  readonly #message: QueuedMessage = {
    address: 0,
    length: 0,
    segmentLength: 0,
    peer: 0,
    peerLength: 0,
    control: 0,
    controlLength: 0,
    trafficClass: 0,
  };
  /** Packets of the burst so far. */
  #burst = 0;
  /** Datagrams in it, and how many there may be. */
  #count = 0;
  #limit = 0;
  /** Its SA, and the socket that the SA's path names. */
  #slot = NO_SLOT;
  #socket = 0;
  /** Datagrams and octets queued on each socket since its last transmit. */
  readonly #queued: number[];
  readonly #queuedOctets: number[];
  /** The list of SAs with dummies as it was looked at last, and when the first of them is due. */
  #dummiesVersion = 0;
  #dummiesDueAt = Number.POSITIVE_INFINITY;

  constructor(facts: {
    readonly memory: WebAssembly.Memory;
    readonly kernel: Kernel;
    readonly worker: number;
    readonly tun: Tun;
    readonly sockets: readonly UdpSocket[];
    readonly clock: Clock;
    /** Told of packets that call for an SA, at most once a second for each policy. */
    readonly onTrap: (call: TrapCall) => void;
  }) {
    this.#words = new Uint32Array(facts.memory.buffer);
    this.#kernel = facts.kernel;
    this.#tun = facts.tun;
    this.#headerLength = facts.tun.offloads.headerLength;
    this.#sockets = facts.sockets;
    this.#region = WORKER_BASE + facts.worker * WORKER_SIZE;
    this.#readTally = new Tally(facts.memory, facts.worker, TALLY_TUN_READ);
    this.#transmitTally = new Tally(facts.memory, facts.worker, TALLY_UDP_TRANSMIT);
    this.#clock = facts.clock;
    this.#trapped = new TrappedPackets({ ...facts, headerLength: this.#headerLength });
    this.#queued = facts.sockets.map(() => 0);
    this.#queuedOctets = facts.sockets.map(() => 0);
  }

  /** One burst from TUN to sockets. Returns how many packets the TUN device gave. */
  round(): number {
    const count = this.#readBurst();
    if (count === 0) return 0;
    this.#kernel.espEncapsulateBatch(0, count);
    for (let index = 0; index < count; index++) {
      const descriptor = this.#descriptor(index);
      const segmentCount = this.#words[descriptor + DESCRIPTOR_SEGMENT_COUNT_OFFSET / 4]!;
      this.#readTally.add(Math.max(segmentCount, 1), this.#words[descriptor + DESCRIPTOR_LENGTH_OFFSET / 4]!);
    }
    this.#send(count);
    return count;
  }

  /** Dummy packets of SAs that have been silent for too long. Returns how many there were. */
  sendDummies(now: number): number {
    const version = Atomics.load(this.#words, (DUMMIES_BASE + DUMMIES_VERSION_OFFSET) >>> 2);
    if (version === this.#dummiesVersion && now < this.#dummiesDueAt) return 0;
    this.#dummiesVersion = version;
    const count = this.#kernel.espDummyBatch(BURST_COUNT);
    this.#dummiesDueAt = now + this.#kernel.espNextDummy();
    if (count > 0) this.#send(count);
    return count;
  }

  /** When `sendDummies` has something to do again, by its own clock; `Infinity` for never. */
  get dummiesDueAt(): number {
    return this.#dummiesDueAt;
  }

  /** The datagrams of the first descriptors. */
  #send(count: number): void {
    for (let index = 0; index < count; index++) this.#addResult(index);
    this.#trapped.endBatch();
    this.#finishMessage();
    for (let socket = 0; socket < this.#sockets.length; socket++) this.#transmit(socket);
  }

  #readBurst(): number {
    const start = this.#region + WORKER_TUN_SLAB_OFFSET;
    const room = PACKET_LIMIT + this.#headerLength;
    const end = Math.min(start + BURST_OCTETS, start + TUN_SLAB_SIZE - room - TRAILER_ROOM);
    this.#burst = 0;
    let at = this.#takeTrapped(start);
    while (this.#burst < BURST_COUNT && at < end) {
      const length = this.#tun.read(at, room);
      if (length <= this.#headerLength) break;
      at = this.#describe(at, length);
    }
    return this.#burst;
  }

  /** What waited for an SA tries again when the policies are others than before. Returns where the slab is free. */
  #takeTrapped(start: number): number {
    const snapshot = Atomics.load(this.#words, (CONTROL_BASE + CONTROL_SPD_OFFSET) >>> 2);
    const isOld = snapshot === this.#snapshot;
    this.#snapshot = snapshot;
    if (isOld || this.#trapped.count === 0) return start;
    return this.#trapped.takeOut(start, this.#clock.now(), (at, length) => {
      decrementU64(this.#words, this.#region + WORKER_COUNTERS_OFFSET + 8 * STATUS_TRAPPED);
      return this.#describe(at, length);
    });
  }

  /** Makes `length` octets at `at`, header of the device included, the next packet of the burst. Returns where the one behind it may lie. */
  #describe(at: number, length: number): number {
    const descriptor = this.#descriptor(this.#burst++);
    this.#words[descriptor + DESCRIPTOR_SOURCE_OFFSET / 4] = at + this.#headerLength;
    this.#words[descriptor + DESCRIPTOR_LENGTH_OFFSET / 4] = length - this.#headerLength;
    this.#words[descriptor + DESCRIPTOR_HEADER_OFFSET / 4] = this.#headerLength === 0 ? 0 : at;
    return at + ((length + TRAILER_ROOM + 15) & ~15);
  }

  /** Adds the datagrams of a packet, which lie behind those of the packet before it, to the message, as far as they fit in. */
  #addResult(index: number): void {
    const descriptor = this.#descriptor(index);
    const slot = this.#words[descriptor + DESCRIPTOR_SA_OFFSET / 4]!;
    const segmentLength = this.#words[descriptor + DESCRIPTOR_SEGMENT_LENGTH_OFFSET / 4]!;
    let address = this.#words[descriptor + DESCRIPTOR_RESULT_OFFSET / 4]!;
    let octets = this.#words[descriptor + DESCRIPTOR_RESULT_LENGTH_OFFSET / 4]!;
    let count = this.#words[descriptor + DESCRIPTOR_SEGMENT_COUNT_OFFSET / 4]!;
    const trafficClass = this.#words[descriptor + DESCRIPTOR_TRAFFIC_CLASS_OFFSET / 4]!;
    if (this.#words[descriptor + DESCRIPTOR_STATUS_OFFSET / 4] === STATUS_TRAPPED) {
      this.#trapped.meet(descriptor, index, this.#clock.now());
      return;
    }
    const message = this.#message;
    while (count > 0) {
      const isEqual = segmentLength === message.segmentLength;
      const mayEnd = count === 1 && segmentLength < message.segmentLength;
      const isSamePath = slot === this.#slot && trafficClass === message.trafficClass;
      if (!isSamePath || this.#count === this.#limit || !(isEqual || mayEnd)) {
        this.#beginMessage(slot, { address, segmentLength });
        message.trafficClass = trafficClass;
      }
      const taken = Math.min(count, this.#limit - this.#count);
      const length = taken === count ? octets : taken * segmentLength;
      message.length += length;
      this.#count += taken;
      // A shorter one is the last.
      if (message.length < this.#count * message.segmentLength) this.#limit = this.#count;
      address += length;
      octets -= length;
      count -= taken;
    }
  }

  #beginMessage(
    slot: number,
    { address, segmentLength }: { readonly address: number; readonly segmentLength: number },
  ): void {
    this.#finishMessage();
    const sa = SA_BASE + slot * SA_SLOT_SIZE;
    const current = Atomics.load(this.#words, (sa + SA_PATH_OFFSET) >>> 2);
    const path = sa + SA_PATHS_OFFSET + current * PATH_SIZE;
    const message = this.#message;
    message.address = address;
    message.length = 0;
    message.segmentLength = segmentLength;
    message.peer = path + PATH_PEER_OFFSET;
    message.peerLength = this.#words[(path + PATH_PEER_LENGTH_OFFSET) >>> 2]!;
    message.control = path + PATH_CONTROL_OFFSET;
    message.controlLength = this.#words[(path + PATH_CONTROL_LENGTH_OFFSET) >>> 2]!;
    this.#slot = slot;
    this.#count = 0;
    this.#socket = this.#words[(path + PATH_SOCKET_OFFSET) >>> 2]!;
    const mayBeSeveral = this.#sockets[this.#socket]?.maySegment(segmentLength) ?? false;
    const fitting = Math.floor(MAXIMUM_DATAGRAM_LENGTH / segmentLength);
    this.#limit = mayBeSeveral ? Math.max(1, Math.min(SEGMENT_LIMIT, fitting)) : 1;
  }

  /** Queues the message. A full batch leaves first. */
  #finishMessage(): void {
    const message = this.#message;
    if (this.#count > 0) {
      if (this.#queueOn(this.#socket)) {
        this.#queued[this.#socket]! += this.#count;
        this.#queuedOctets[this.#socket]! += message.length;
      } else {
        this.#countRefused(this.#count);
      }
    }
    this.#slot = NO_SLOT;
    this.#count = 0;
    message.segmentLength = 0;
  }

  /** False when the path names no socket, or it takes nothing. */
  #queueOn(number: number): boolean {
    const socket = this.#sockets[number];
    if (socket === undefined) return false;
    if (socket.queue(this.#message)) return true;
    this.#transmit(number);
    return socket.queue(this.#message);
  }

  #transmit(number: number): void {
    const queued = this.#queued[number]!;
    if (queued === 0) return;
    this.#transmitTally.add(queued, this.#queuedOctets[number]!);
    this.#queued[number] = 0;
    this.#queuedOctets[number] = 0;
    this.#countRefused(queued - this.#sockets[number]!.transmit());
  }

  #countRefused(count: number): void {
    const counter = this.#region + WORKER_COUNTERS_OFFSET + 8 * STATUS_DEVICE_REFUSED;
    for (let i = 0; i < count; i++) incrementU64(this.#words, counter);
  }

  /** Index of the descriptor's first word. */
  #descriptor(index: number): number {
    return (this.#region + WORKER_DESCRIPTORS_OFFSET + index * DESCRIPTOR_SIZE) >>> 2;
  }
}
