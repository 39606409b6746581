// Inbound, all in one data worker, socket by socket:
//   1 receive a batch into the receive slots    the platform; a message may be several datagrams of one sender
//   2 tell ESP from IKE and keepalives          this file (RFC 3948 section 2); IKE goes to the mailbox,
//                                               strangers within bounds (mail-triage.ts)
//   3 look the SPI up  4 check the window  5 open in place  6 check what was inside  7 coalesce by flow    the kernel
//   8 write to the TUN device

import {
  COALESCE_HEADERS,
  COALESCE_TCP,
  COALESCE_UDP,
  DESCRIPTOR_COUNT,
  DESCRIPTOR_LENGTH_OFFSET,
  DESCRIPTOR_SA_OFFSET,
  DESCRIPTOR_SEQUENCE_OFFSET,
  DESCRIPTOR_SIZE,
  DESCRIPTOR_SOURCE_OFFSET,
  DESCRIPTOR_STATUS_OFFSET,
  DESCRIPTOR_TRAFFIC_CLASS_OFFSET,
  NO_SLOT,
  RECEIVE_SLOT_COUNT,
  RECEIVE_SLOT_SIZE,
  SA_BASE,
  SA_COUNTERS_OFFSET,
  SA_PEER_OFFSET,
  SA_SEQUENCE_OFFSET,
  SA_SLOT_SIZE,
  SA_SPI_OFFSET,
  SEND_SLAB_SIZE,
  STATUS_DEVICE_REFUSED,
  STATUS_DUMMY,
  STATUS_MAILBOX_FULL,
  STATUS_MALFORMED,
  STATUS_NO_SA,
  STATUS_OK,
  STATUS_OTHER_WORKER,
  STATUS_RUNT,
  TALLY_TUN_WRITE,
  TALLY_UDP_RECEIVE,
  WORKER_BASE,
  WORKER_COUNTERS_OFFSET,
  WORKER_DESCRIPTORS_OFFSET,
  WORKER_RECEIVE_OFFSET,
  WORKER_SIZE,
  WORKER_WRITES_OFFSET,
} from "../../assembly/layout.ts";
import type { Path } from "../platform/address.ts";
import type { Clock } from "../platform/clock.ts";
import type { Tun } from "../platform/tun/tun.ts";
import type { UdpSocket } from "../platform/udp/udp-socket.ts";
import { NON_ESP_MARKER_LENGTH } from "../wire/udp-encapsulation.ts";
import type { HandoverReader, HandoverWriter } from "./handover.ts";
import { HeldPackets } from "./held-packets.ts";
import type { Kernel } from "./kernel.ts";
import { MAIL_BEYOND, MAIL_NONSENSE, MAIL_STRANGER, MailTriage } from "./mail-triage.ts";
import type { MailboxWriter } from "./mailbox.ts";
import type { PumpSocket } from "./pump-socket.ts";
import { Tally } from "./tally.ts";
import { decrementU64, incrementU64 } from "./words.ts";

const KEEPALIVE_OCTET = 0xff;
/** What one round should bring at most: what waits on the outbound side waits no longer than these take to open. */
const BURST_OCTETS = 65_536;
/** Messages that are asked for even when each is large. */
const FEWEST_MESSAGES = 1;
/** What a packet in transport mode becomes longer by, at most: an IP header, room for the device's header, alignment. */
const REBUILT_ROOM = 72;

/**
 * A stray SPI is reported at most once in this time, and no more than so many of them: when we were started again, all our peers send us
 * some. Shorter packets are not: what we may answer is no longer than what came.
 */
const STRAY_MS = 1_000;
const STRAY_COUNT = 64;
const STRAY_LENGTH = 44;

/** How many SAs are told of in this time whose peers are elsewhere. */
const ELSEWHERE_MS = 50;
const ELSEWHERE_COUNT = 64;

/** An ESP packet for an SPI that is not ours. */
export interface StrayEsp {
  readonly spi: number;
  readonly path: Path;
}

/** An ESP packet that is authentic, newer than all before it, and not from where its SA sends to. */
export interface SeenElsewhere {
  readonly inboundSpi: number;
  readonly path: Path;
}

export class Inbound {
  readonly #octets: Uint8Array;
  readonly #words: Uint32Array;
  readonly #kernel: Kernel;
  readonly #tun: Tun;
  readonly #mailbox: MailboxWriter;
  readonly #triage: MailTriage;
  readonly #region: number;
  readonly #receiveTally: Tally;
  readonly #writeTally: Tally;
  readonly #onRefusal: (what: string) => void;
  readonly #onStray: (stray: StrayEsp) => void;
  readonly #clock: Clock;
  readonly #held: HeldPackets;
  readonly #handover: { readonly to: HandoverWriter; readonly from: HandoverReader } | undefined;
  /** COALESCE_*: what is put together for the TUN device. */
  #kinds: number;
  /** Messages to ask for: fewer when the last ones were large. */
  #limit = RECEIVE_SLOT_COUNT;
  /** Of the message at hand. */
  #trafficClass = 0;
  #peer = 0;
  /** Who sent each ESP packet of the round. */
  readonly #peers = new Uint32Array(DESCRIPTOR_COUNT);
  readonly #onElsewhere: (seen: SeenElsewhere) => void;
  #toldSlot = NO_SLOT;
  #toldAt = Number.NEGATIVE_INFINITY;
  #toldCount = 0;
  /** Where the packets of the round come from; undefined when they were held, raw, or of a stream: such a packet does not show where its sender hears IKE. */
  #socket: UdpSocket | undefined;
  /** Since when strays are counted, and those that were reported since. */
  #strayAt = Number.NEGATIVE_INFINITY;
  readonly #strays = new Uint32Array(STRAY_COUNT);
  #strayCount = 0;
  /** ESP packets of the round that the kernel has not seen yet. */
  #count = 0;
  /** Octets of the send slab that they may need, in transport mode. */
  #octetsAdded = 0;
  /** IKE datagrams put into the mailbox, ever. */
  #mailCount = 0;

  constructor(facts: {
    readonly memory: WebAssembly.Memory;
    readonly kernel: Kernel;
    readonly worker: number;
    readonly tun: Tun;
    readonly mailbox: MailboxWriter;
    readonly clock: Clock;
    /** To and from the other worker that receives, where there is one. */
    readonly handover?: { readonly to: HandoverWriter; readonly from: HandoverReader } | undefined;
    /** Told, once, when the TUN device does not take super-packets. */
    readonly onRefusal: (what: string) => void;
    /** Told of ESP for an SPI that is not ours, at most once a second. */
    readonly onStray: (stray: StrayEsp) => void;
    /** Told of an SA whose peer sends from elsewhere, so many times in a while. */
    readonly onElsewhere: (seen: SeenElsewhere) => void;
  }) {
    this.#octets = new Uint8Array(facts.memory.buffer);
    this.#words = new Uint32Array(facts.memory.buffer);
    this.#kernel = facts.kernel;
    this.#tun = facts.tun;
    this.#mailbox = facts.mailbox;
    this.#triage = new MailTriage(facts.memory);
    this.#region = WORKER_BASE + facts.worker * WORKER_SIZE;
    this.#receiveTally = new Tally(facts.memory, facts.worker, TALLY_UDP_RECEIVE);
    this.#writeTally = new Tally(facts.memory, facts.worker, TALLY_TUN_WRITE);
    this.#onRefusal = facts.onRefusal;
    this.#onStray = facts.onStray;
    this.#onElsewhere = facts.onElsewhere;
    this.#clock = facts.clock;
    this.#held = new HeldPackets(facts.memory);
    this.#handover = facts.handover;
    const { headerLength, tcp, udp } = facts.tun.offloads;
    this.#kinds =
      (headerLength > 0 ? COALESCE_HEADERS : 0) | (tcp ? COALESCE_TCP : 0) | (udp ? COALESCE_UDP : 0);
  }

  get mailCount(): number {
    return this.#mailCount;
  }

  /** One batch from a socket to the TUN device and the mailbox. Returns how many datagrams there were. */
  round({ socket, carriesEsp, isRaw = false, isStream = false }: PumpSocket<UdpSocket>): number {
    const isEspAlone = isRaw || isStream;
    const received = socket.receive(this.#limit);
    if (received === 0) return 0;
    this.#triage.refill(this.#clock.now());
    this.#socket = isEspAlone ? undefined : socket;
    let datagrams = 0;
    let octets = 0;
    for (let message = 0; message < received; message++) {
      const at = socket.receivedAt(message);
      const length = socket.receivedLength(message);
      const segmentLength = socket.receivedSegmentLength(message) || length;
      this.#trafficClass = socket.receivedTrafficClass(message);
      this.#peer = carriesEsp ? socket.receivedPeer(message) : 0;
      let offset = 0;
      // An empty datagram is one too.
      do {
        const here = Math.min(segmentLength, length - offset);
        if (isEspAlone) this.#add(at + offset, here);
        else if (carriesEsp) this.#sort(socket, message, at + offset, here);
        else this.#deliverIke(socket, message, at + offset, here);
        offset += segmentLength;
        datagrams++;
      } while (offset < length);
      octets += length;
    }
    this.#deliver();
    this.#socket = undefined;
    this.#peer = 0;
    this.#receiveTally.add(datagrams, octets);
    this.#limit =
      octets > BURST_OCTETS
        ? Math.max(this.#limit >>> 1, FEWEST_MESSAGES)
        : Math.min(this.#limit << 1, RECEIVE_SLOT_COUNT);
    return datagrams;
  }

  /** RFC 3948 section 2. */
  #sort(socket: UdpSocket, message: number, at: number, length: number): void {
    const octets = this.#octets;
    if (length === 1 && octets[at] === KEEPALIVE_OCTET) return;
    if (length < NON_ESP_MARKER_LENGTH) {
      this.#countAtWorker(STATUS_RUNT);
      return;
    }
    if ((octets[at]! | octets[at + 1]! | octets[at + 2]! | octets[at + 3]!) === 0) {
      this.#deliverIke(socket, message, at + NON_ESP_MARKER_LENGTH, length - NON_ESP_MARKER_LENGTH);
      return;
    }
    this.#add(at, length);
  }

  #deliverIke(socket: UdpSocket, message: number, address: number, length: number): void {
    const kind = this.#triage.sort(address, length);
    if (kind === MAIL_NONSENSE || kind === MAIL_BEYOND) {
      this.#countAtWorker(kind === MAIL_NONSENSE ? STATUS_MALFORMED : STATUS_MAILBOX_FULL);
      return;
    }
    const isTaken = this.#mailbox.put({
      address,
      length,
      isStranger: kind === MAIL_STRANGER,
      local: socket.receivedTo(message),
      remote: socket.receivedFrom(message),
    });
    if (isTaken) this.#mailCount++;
    else this.#countAtWorker(STATUS_MAILBOX_FULL);
  }

  /** What the kernel makes of the ESP packets so far goes to the TUN device. */
  #deliver(): void {
    const count = this.#count;
    if (count === 0) return;
    this.#count = 0;
    this.#octetsAdded = 0;
    this.#kernel.espDecapsulateBatch(0, count);
    this.#passOn(count);
    const writes = this.#kernel.espCoalesceBatch(0, count, this.#kinds);
    let write = this.#region + WORKER_WRITES_OFFSET;
    for (let i = 0; i < writes; i++) write = this.#write(write);
  }

  /** What came for an SPI without keys is not lost yet, nor what another worker is to open. */
  #passOn(count: number): void {
    const first = (this.#region + WORKER_DESCRIPTORS_OFFSET) >>> 2;
    for (let index = 0; index < count; index++) {
      const descriptor = first + (index * DESCRIPTOR_SIZE) / 4;
      const status = this.#words[descriptor + DESCRIPTOR_STATUS_OFFSET / 4];
      if (status === STATUS_OK || status === STATUS_DUMMY) {
        const slot = this.#words[descriptor + DESCRIPTOR_SA_OFFSET / 4]!;
        const peer = this.#words[(SA_BASE + slot * SA_SLOT_SIZE + SA_PEER_OFFSET) >>> 2]!;
        if (peer !== 0 && this.#peers[index] !== peer && this.#peers[index] !== 0)
          this.#tellElsewhere(descriptor, slot);
      }
      if (status === STATUS_OTHER_WORKER) this.#handOver(descriptor);
      if (status !== STATUS_NO_SA) continue;
      if (!this.#held.keep(descriptor, this.#clock.now())) {
        this.#reportStray(descriptor);
        continue;
      }
      decrementU64(this.#words, this.#region + WORKER_COUNTERS_OFFSET + 8 * STATUS_NO_SA);
    }
  }

  #handOver(descriptor: number): void {
    const isTaken = this.#handover?.to.put(
      this.#words[descriptor + DESCRIPTOR_SOURCE_OFFSET / 4]!,
      this.#words[descriptor + DESCRIPTOR_LENGTH_OFFSET / 4]!,
      this.#words[descriptor + DESCRIPTOR_TRAFFIC_CLASS_OFFSET / 4]!,
    );
    if (isTaken === true)
      decrementU64(this.#words, this.#region + WORKER_COUNTERS_OFFSET + 8 * STATUS_OTHER_WORKER);
  }

  /**
   * RFC 3948 section 3.1.2, RFC 7296 section 2.23: an authentic packet shows where its peer is, as long as none that was sent behind it has come
   * from elsewhere. The host has it proved; until then an SA is told of again and again.
   */
  #tellElsewhere(descriptor: number, slot: number): void {
    const sa = SA_BASE + slot * SA_SLOT_SIZE;
    const words = this.#words;
    const isNewest =
      words[descriptor + DESCRIPTOR_SEQUENCE_OFFSET / 4] === words[(sa + SA_SEQUENCE_OFFSET) >>> 2] &&
      words[descriptor + DESCRIPTOR_SEQUENCE_OFFSET / 4 + 1] === words[((sa + SA_SEQUENCE_OFFSET) >>> 2) + 1];
    if (!isNewest || this.#socket === undefined) return;
    const now = this.#clock.now();
    if (now - this.#toldAt >= ELSEWHERE_MS) {
      this.#toldAt = now;
      this.#toldCount = 0;
      this.#toldSlot = NO_SLOT;
    }
    if (slot === this.#toldSlot || this.#toldCount === ELSEWHERE_COUNT) return;
    this.#toldSlot = slot;
    this.#toldCount++;
    const message = this.#messageOf(descriptor);
    this.#onElsewhere({
      inboundSpi: words[(sa + SA_SPI_OFFSET) >>> 2]!,
      path: { local: this.#socket.receivedTo(message), remote: this.#socket.receivedFrom(message) },
    });
  }

  /** Which message of the last receive a packet came in. */
  #messageOf(descriptor: number): number {
    const at = this.#words[descriptor + DESCRIPTOR_SOURCE_OFFSET / 4]!;
    return Math.floor((at - this.#region - WORKER_RECEIVE_OFFSET) / RECEIVE_SLOT_SIZE);
  }

  /** What is for no SA of ours, now and then: its sender may have missed that the SA is gone. */
  #reportStray(descriptor: number): void {
    const now = this.#clock.now();
    const length = this.#words[descriptor + DESCRIPTOR_LENGTH_OFFSET / 4]!;
    if (this.#socket === undefined || length < STRAY_LENGTH) return;
    if (now - this.#strayAt >= STRAY_MS) {
      this.#strayAt = now;
      this.#strayCount = 0;
    }
    if (this.#strayCount === STRAY_COUNT) return;
    const at = this.#words[descriptor + DESCRIPTOR_SOURCE_OFFSET / 4]!;
    const spi = this.#spiAt(at);
    for (let i = 0; i < this.#strayCount; i++) if (this.#strays[i] === spi) return;
    if (this.#held.isAwaited(descriptor)) return;
    this.#strays[this.#strayCount++] = spi;
    const message = this.#messageOf(descriptor);
    this.#onStray({
      spi,
      path: { local: this.#socket.receivedTo(message), remote: this.#socket.receivedFrom(message) },
    });
  }

  #spiAt(at: number): number {
    const octets = this.#octets;
    return ((octets[at]! << 24) | (octets[at + 1]! << 16) | (octets[at + 2]! << 8) | octets[at + 3]!) >>> 0;
  }

  /** Opens what was held and has keys by now; between rounds the receive slots are free for it. Returns how many packets that were. */
  releaseHeld(): number {
    if (this.#held.count === 0) return 0;
    let opened = 0;
    const at = this.#region + WORKER_RECEIVE_OFFSET;
    const lost = this.#held.release(at, this.#clock.now(), (source, length, trafficClass) => {
      this.#trafficClass = trafficClass;
      this.#add(source, length);
      opened++;
    });
    for (let i = 0; i < lost; i++) this.#countAtWorker(STATUS_NO_SA);
    this.#deliver();
    return opened;
  }

  /** Opens what another worker has received for SAs of this one; the receive slots are free for it too. Returns how many packets that were. */
  takeHandedOver(): number {
    if (this.#handover === undefined) return 0;
    const slots = this.#region + WORKER_RECEIVE_OFFSET;
    let count = 0;
    while (count < RECEIVE_SLOT_COUNT) {
      const at = slots + count * RECEIVE_SLOT_SIZE;
      const length = this.#handover.from.take(at);
      if (length === 0) break;
      this.#trafficClass = this.#handover.from.note;
      this.#add(at, length);
      count++;
    }
    this.#deliver();
    return count;
  }

  /** One more ESP packet for the kernel. */
  #add(at: number, length: number): void {
    if (this.#count === DESCRIPTOR_COUNT || this.#octetsAdded + length + REBUILT_ROOM > SEND_SLAB_SIZE)
      this.#deliver();
    this.#octetsAdded += length + REBUILT_ROOM;
    const descriptor = (this.#region + WORKER_DESCRIPTORS_OFFSET + this.#count * DESCRIPTOR_SIZE) >>> 2;
    this.#words[descriptor + DESCRIPTOR_SOURCE_OFFSET / 4] = at;
    this.#words[descriptor + DESCRIPTOR_LENGTH_OFFSET / 4] = length;
    this.#words[descriptor + DESCRIPTOR_TRAFFIC_CLASS_OFFSET / 4] = this.#trafficClass;
    this.#peers[this.#count] = this.#peer;
    this.#count++;
  }

  /** Carries out one write of the list. Returns where the next one is. */
  #write(write: number): number {
    const first = write >>> 2;
    const count = this.#words[first]!;
    const pieces = write + 8;
    if (count > 1 && this.#writeSuperPacket(write, count)) return pieces + 8 * count;
    for (let piece = 0; piece < count; piece++) {
      const address = this.#words[first + 2 + 2 * piece]!;
      const length = this.#words[first + 3 + 2 * piece]!;
      this.#writeTally.add(1, length);
      if (!this.#tun.write(address, length)) this.#countRefused(this.#words[first + 1]!, 1);
    }
    return pieces + 8 * count;
  }

  /** False when the device takes no super-packets: the pieces are packets of their own then. */
  #writeSuperPacket(write: number, count: number): boolean {
    const result = this.#tun.writePieces(write + 8, count);
    if (result === "unsupported") {
      if ((this.#kinds & ~COALESCE_HEADERS) !== 0) this.#stopCoalescing();
      this.#kernel.espSplitWrite(write);
      return false;
    }
    let octets = 0;
    for (let piece = 0; piece < count; piece++) octets += this.#words[(write >>> 2) + 3 + 2 * piece]!;
    this.#writeTally.add(count, octets);
    if (result === "refused") this.#countRefused(this.#words[(write >>> 2) + 1]!, count);
    return true;
  }

  #stopCoalescing(): void {
    this.#kinds &= COALESCE_HEADERS;
    this.#onRefusal(`TUN device ${this.#tun.name}: the kernel takes no super-packets (EINVAL)`);
  }

  #countRefused(slot: number, count: number): void {
    const counter = SA_BASE + slot * SA_SLOT_SIZE + SA_COUNTERS_OFFSET + 8 * STATUS_DEVICE_REFUSED;
    for (let i = 0; i < count; i++) incrementU64(this.#words, counter);
  }

  #countAtWorker(status: number): void {
    incrementU64(this.#words, this.#region + WORKER_COUNTERS_OFFSET + 8 * status);
  }
}
