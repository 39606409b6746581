// Outbound, all in one data worker:
//   1 take in what the TUN device has                         packets and super-packets, into the TUN slab (tun-intake.ts)
//   2 choose a burst of it                                    all, or where more waits than that, flow by flow in fair shares
//                                                             (outbound-queue.ts); before them, when the policies have changed,
//                                                             what waited for an SA (trapped-packets.ts)
//   3 match the SPD  4 cut super-packets  5 number  6 seal    the kernel, into the send slab
//   7 put datagrams of equal length and traffic class on one SA's path together  8 one transmit for each socket

import {
  CONTROL_BASE,
  CONTROL_SPD_CHANGES_OFFSET,
  DESCRIPTOR_HEADER_OFFSET,
  DESCRIPTOR_LENGTH_OFFSET,
  DESCRIPTOR_RESULT_LENGTH_OFFSET,
  DESCRIPTOR_RESULT_OFFSET,
  DESCRIPTOR_RESUME_OFFSET,
  DESCRIPTOR_SA_OFFSET,
  DESCRIPTOR_SEGMENT_COUNT_OFFSET,
  DESCRIPTOR_SEGMENT_LENGTH_OFFSET,
  DESCRIPTOR_SEGMENT_LIMIT_OFFSET,
  DESCRIPTOR_SIZE,
  DESCRIPTOR_SOURCE_OFFSET,
  DESCRIPTOR_STATUS_OFFSET,
  DESCRIPTOR_TRAFFIC_CLASS_OFFSET,
  DUMMIES_BASE,
  DUMMIES_VERSION_OFFSET,
  MAY_FRAGMENT,
  NO_SLOT,
  PATH_CONTROL_LENGTH_OFFSET,
  PATH_CONTROL_OFFSET,
  PATH_PEER_LENGTH_OFFSET,
  PATH_PEER_OFFSET,
  PATH_SIZE,
  PATH_SOCKET_OFFSET,
  REPLY_PACKET_OFFSET,
  REPLY_SIZE,
  SA_BASE,
  SA_PATH_OFFSET,
  SA_PATHS_OFFSET,
  SA_SLOT_SIZE,
  STATUS_DEVICE_REFUSED,
  STATUS_OTHER_WORKER,
  STATUS_SHED,
  STATUS_TRAPPED,
  TALLY_TUN_READ,
  TALLY_UDP_TRANSMIT,
  WORKER_BASE,
  WORKER_COUNTERS_OFFSET,
  WORKER_DESCRIPTORS_OFFSET,
  WORKER_REPLIES_OFFSET,
  WORKER_REPLY_COUNT_OFFSET,
  WORKER_SIZE,
} from "../../assembly/layout.ts";
import type { Clock } from "../platform/clock.ts";
import type { Tun } from "../platform/tun/tun.ts";
import {
  MAXIMUM_DATAGRAM_LENGTH,
  type QueuedMessage,
  SEGMENT_LIMIT,
  type UdpSocket,
} from "../platform/udp/udp-socket.ts";
import type { HandoverReader, HandoverWriter } from "./handover.ts";
import type { Kernel } from "./kernel.ts";
import { BURST_COUNT, OutboundQueue } from "./outbound-queue.ts";
import { Tally } from "./tally.ts";
import { type TrapCall, TrappedPackets } from "./trapped-packets.ts";
import { TunIntake } from "./tun-intake.ts";
import { decrementU64, incrementU64 } from "./words.ts";

const NO_PACKET = -1;

export class Outbound {
  readonly #words: Uint32Array;
  readonly #kernel: Kernel;
  readonly #handover: HandoverWriter | undefined;
  readonly #tun: Tun;
  readonly #intake: TunIntake;
  readonly #queue: OutboundQueue;
  /** The packets of the burst at work. */
  readonly #burst = new Int32Array(BURST_COUNT);
  /** The super-packet that has left in part, how much of it has, and how many packets that were. */
  #partial = NO_PACKET;
  #resume = 0;
  #partialSegmentCount = 0;
  readonly #headerLength: number;
  readonly #sockets: readonly UdpSocket[];
  readonly #region: number;
  readonly #readTally: Tally;
  readonly #transmitTally: Tally;
  readonly #clock: Clock;
  readonly #trapped: TrappedPackets;
  /** Changes of the SPD that the last batch saw, or the one before it. */
  #changes = 0;
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
    mayFragment: false,
  };
  /** Its outer traffic class and whether it may be fragmented, as the kernel says it. */
  #treatment = 0;
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
  #tooLong = NO_SLOT;
  #dummiesDueAt = Number.POSITIVE_INFINITY;

  constructor(facts: {
    readonly memory: WebAssembly.Memory;
    readonly kernel: Kernel;
    readonly worker: number;
    readonly tun: Tun;
    readonly sockets: readonly UdpSocket[];
    readonly clock: Clock;
    /** To and from the other worker that sends, where there is one. */
    readonly handover?: { readonly to: HandoverWriter; readonly from: HandoverReader } | undefined;
    /** Any number that nobody can foresee: flows are told apart by it. */
    readonly seed: number;
    /** Told of packets that call for an SA, at most once a second for each policy. */
    readonly onTrap: (call: TrapCall) => void;
  }) {
    this.#words = new Uint32Array(facts.memory.buffer);
    this.#kernel = facts.kernel;
    this.#tun = facts.tun;
    this.#headerLength = facts.tun.offloads.headerLength;
    this.#intake = new TunIntake({ ...facts, handover: facts.handover?.from });
    this.#handover = facts.handover?.to;
    this.#queue = new OutboundQueue({
      ...facts,
      intake: this.#intake,
      headerLength: this.#headerLength,
      onShed: (count) => this.#countDrops(STATUS_SHED, count),
    });
    this.#sockets = facts.sockets;
    this.#region = WORKER_BASE + facts.worker * WORKER_SIZE;
    this.#readTally = new Tally(facts.memory, facts.worker, TALLY_TUN_READ);
    this.#transmitTally = new Tally(facts.memory, facts.worker, TALLY_UDP_TRANSMIT);
    this.#clock = facts.clock;
    this.#trapped = new TrappedPackets({ ...facts, headerLength: this.#headerLength });
    this.#queued = facts.sockets.map(() => 0);
    this.#queuedOctets = facts.sockets.map(() => 0);
  }

  /**
   * One burst from TUN to sockets. Returns how many packets the TUN device gave or are waiting; 0 means there is nothing to do. `readsTun`: whether
   * the device is looked at.
   */
  round(readsTun = true): number {
    const now = this.#clock.now();
    const trapped = this.#takeTrapped(now);
    if (trapped > 0) this.#encapsulate(trapped, now);
    this.#trapped.endBatch();
    const taken = this.#queue.takeIn(now, this.#partial !== NO_PACKET, readsTun);
    // What has just begun to send does not wait until a burst of the others is sealed.
    const urgent = this.#queue.chooseUrgent(this.#burst, now);
    if (urgent > 0) this.#encapsulate(urgent, now);
    const chosen = this.#chooseRest() || this.#queue.choose(this.#burst, now);
    if (chosen > 0) this.#encapsulate(chosen, now);
    return trapped + taken + urgent + chosen;
  }

  /** ICMP for those whose packets were too big. */
  #reply(): void {
    const count = this.#words[(this.#region + WORKER_REPLY_COUNT_OFFSET) >>> 2]!;
    for (let i = 0; i < count; i++) {
      const reply = this.#region + WORKER_REPLIES_OFFSET + i * REPLY_SIZE;
      const length = this.#words[reply >>> 2]!;
      this.#tun.write(reply + REPLY_PACKET_OFFSET - this.#headerLength, length + this.#headerLength);
    }
  }

  /** The slot of an SA that sent something longer than its path takes, since the last call; NO_SLOT when none did. */
  takeTooLong(): number {
    const slot = this.#tooLong;
    this.#tooLong = NO_SLOT;
    return slot;
  }

  /** Dummy packets of SAs that have been silent for too long. Returns how many there were. */
  sendDummies(now: number): number {
    const version = Atomics.load(this.#words, (DUMMIES_BASE + DUMMIES_VERSION_OFFSET) >>> 2);
    if (version === this.#dummiesVersion && now < this.#dummiesDueAt) return 0;
    this.#dummiesVersion = version;
    const count = this.#kernel.espDummyBatch(BURST_COUNT);
    this.#dummiesDueAt = now + this.#kernel.espNextDummy();
    if (count > 0) this.#send(count, now);
    return count;
  }

  /** When `sendDummies` has something to do again, by its own clock; `Infinity` for never. */
  get dummiesDueAt(): number {
    return this.#dummiesDueAt;
  }

  /** Makes what waited for an SA the burst, when the policies are others than before. Returns how many packets that are. */
  #takeTrapped(now: number): number {
    const changes = Atomics.load(this.#words, (CONTROL_BASE + CONTROL_SPD_CHANGES_OFFSET) >>> 2);
    if (changes === this.#changes) return 0;
    // Without room, what waits is waiting for one more round.
    const start = this.#intake.reserve(this.#trapped.octets);
    if (start === 0) return 0;
    this.#changes = changes;
    let count = 0;
    this.#trapped.takeOut(start, now, (at, length) => {
      decrementU64(this.#words, this.#region + WORKER_COUNTERS_OFFSET + 8 * STATUS_TRAPPED);
      this.#burst[count++] = this.#intake.adopt(at, length);
      return this.#intake.cursor;
    });
    return count;
  }

  /** Makes the packet that has left in part the burst. Returns how many packets that are. */
  #chooseRest(): number {
    if (this.#partial === NO_PACKET) return 0;
    this.#burst[0] = this.#partial;
    return 1;
  }

  /** Seals and transmits the first `count` packets of the burst; of the last one perhaps only a part. */
  #encapsulate(count: number, now: number): void {
    for (let index = 0; index < count; index++) this.#describe(index, this.#burst[index]!, now);
    this.#kernel.espEncapsulateBatch(0, count);
    for (let index = 0; index < count; index++) this.#noteProgress(index);
    this.#reply();
    this.#send(count, now);
    for (let index = 0; index < count; index++) {
      if (this.#burst[index] !== this.#partial) this.#intake.release(this.#burst[index]!);
    }
  }

  #noteProgress(index: number): void {
    const descriptor = this.#descriptor(index);
    const packet = this.#burst[index]!;
    // Who sends it counts it.
    if (this.#words[descriptor + DESCRIPTOR_STATUS_OFFSET / 4] === STATUS_OTHER_WORKER) {
      if (packet === this.#partial) this.#partial = NO_PACKET;
      return;
    }
    let segmentCount = this.#words[descriptor + DESCRIPTOR_SEGMENT_COUNT_OFFSET / 4]!;
    if (packet === this.#partial) {
      segmentCount += this.#partialSegmentCount;
      this.#partial = NO_PACKET;
    }
    const resume = this.#words[descriptor + DESCRIPTOR_RESUME_OFFSET / 4]!;
    if (resume === 0) {
      this.#readTally.add(Math.max(segmentCount, 1), this.#words[descriptor + DESCRIPTOR_LENGTH_OFFSET / 4]!);
    } else {
      this.#partial = packet;
      this.#resume = resume;
      this.#partialSegmentCount = segmentCount;
    }
  }

  /** The datagrams of the first descriptors. */
  #send(count: number, now: number): void {
    for (let index = 0; index < count; index++) this.#addResult(index, now);
    this.#finishMessage();
    for (let socket = 0; socket < this.#sockets.length; socket++) this.#transmit(socket);
  }

  #describe(index: number, packet: number, now: number): void {
    const at = this.#intake.addressOf(packet);
    const descriptor = this.#descriptor(index);
    this.#words[descriptor + DESCRIPTOR_SOURCE_OFFSET / 4] = at + this.#headerLength;
    this.#words[descriptor + DESCRIPTOR_LENGTH_OFFSET / 4] =
      this.#intake.lengthOf(packet) - this.#headerLength;
    this.#words[descriptor + DESCRIPTOR_HEADER_OFFSET / 4] = this.#headerLength === 0 ? 0 : at;
    this.#words[descriptor + DESCRIPTOR_RESUME_OFFSET / 4] =
      packet === this.#partial ? this.#resume : this.#queue.takeSkipped(packet);
    this.#words[descriptor + DESCRIPTOR_SEGMENT_LIMIT_OFFSET / 4] = this.#queue.segmentLimit(packet, now);
  }

  /** Adds the datagrams of a packet, which lie behind those of the packet before it, to the message, as far as they fit in. */
  #addResult(index: number, now: number): void {
    const descriptor = this.#descriptor(index);
    const slot = this.#words[descriptor + DESCRIPTOR_SA_OFFSET / 4]!;
    const segmentLength = this.#words[descriptor + DESCRIPTOR_SEGMENT_LENGTH_OFFSET / 4]!;
    let address = this.#words[descriptor + DESCRIPTOR_RESULT_OFFSET / 4]!;
    let octets = this.#words[descriptor + DESCRIPTOR_RESULT_LENGTH_OFFSET / 4]!;
    let count = this.#words[descriptor + DESCRIPTOR_SEGMENT_COUNT_OFFSET / 4]!;
    const treatment = this.#words[descriptor + DESCRIPTOR_TRAFFIC_CLASS_OFFSET / 4]!;
    const status = this.#words[descriptor + DESCRIPTOR_STATUS_OFFSET / 4];
    if (status === STATUS_TRAPPED) {
      this.#trapped.meet(descriptor, index, now);
      return;
    }
    if (status === STATUS_OTHER_WORKER) {
      this.#handOver(descriptor, this.#burst[index]!);
      return;
    }
    const message = this.#message;
    while (count > 0) {
      const isEqual = segmentLength === message.segmentLength;
      const mayEnd = count === 1 && segmentLength < message.segmentLength;
      const isSamePath = slot === this.#slot && treatment === this.#treatment;
      if (!isSamePath || this.#count === this.#limit || !(isEqual || mayEnd)) {
        this.#beginMessage(slot, segmentLength);
        this.#treatment = treatment;
        message.address = address;
        message.trafficClass = treatment & 0xff;
        message.mayFragment = (treatment & MAY_FRAGMENT) !== 0;
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

  /** Gives a packet to the worker of its SA, as it came. */
  #handOver(descriptor: number, packet: number): void {
    const resume = this.#words[descriptor + DESCRIPTOR_RESUME_OFFSET / 4]!;
    const isTaken = this.#handover?.put(
      this.#intake.addressOf(packet),
      this.#intake.lengthOf(packet),
      resume,
    );
    if (isTaken === true)
      decrementU64(this.#words, this.#region + WORKER_COUNTERS_OFFSET + 8 * STATUS_OTHER_WORKER);
  }

  #beginMessage(slot: number, segmentLength: number): void {
    this.#finishMessage();
    const sa = SA_BASE + slot * SA_SLOT_SIZE;
    const current = Atomics.load(this.#words, (sa + SA_PATH_OFFSET) >>> 2);
    const path = sa + SA_PATHS_OFFSET + current * PATH_SIZE;
    const message = this.#message;
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
        this.#countDrops(STATUS_DEVICE_REFUSED, this.#count);
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
    this.#countDrops(STATUS_DEVICE_REFUSED, queued - this.#sockets[number]!.transmit());
    // It names the SA by its peer, which lies in the slot.
    const peer = this.#sockets[number]!.takeTooLong();
    if (peer !== 0) this.#tooLong = Math.floor((peer - SA_BASE) / SA_SLOT_SIZE);
  }

  #countDrops(status: number, count: number): void {
    const counter = this.#region + WORKER_COUNTERS_OFFSET + 8 * status;
    for (let i = 0; i < count; i++) incrementU64(this.#words, counter);
  }

  /** Index of the descriptor's first word. */
  #descriptor(index: number): number {
    return (this.#region + WORKER_DESCRIPTORS_OFFSET + index * DESCRIPTOR_SIZE) >>> 2;
  }
}
