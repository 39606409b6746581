import {
  RECEIVE_SLOT_COUNT,
  RECEIVE_SLOT_SIZE,
  WORKER_BASE,
  WORKER_RECEIVE_OFFSET,
  WORKER_SIZE,
} from "../../../assembly/layout.ts";
import type { SocketAddress } from "../address.ts";
import { ioBlock, SOCKET_BLOCK_COUNT } from "../io-region.ts";
import { decodePacketInfo, decodeSocketAddress, socketAddressNumber } from "../socket-address.ts";
import {
  IP_MTU_DISCOVER,
  IP_TOS,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_MTU_DISCOVER,
  IPV6_TCLASS,
  MSG_DONTWAIT,
  PMTUDISC_DO,
  PMTUDISC_DONT,
  SOL_UDP,
  UDP_GRO,
  UDP_SEGMENT,
} from "../system-calls/constants.ts";
import { Errno, errnoName, isNothingYet, systemError } from "../system-calls/errno.ts";
import { PointerWriter } from "../system-calls/pointer.ts";
import {
  CMSG_LEVEL_OFFSET,
  CMSG_TYPE_OFFSET,
  CMSGHDR_SIZE,
  IOV_BASE_OFFSET,
  IOV_LEN_OFFSET,
  IOVEC_SIZE,
  MMSGHDR_SIZE,
  MSG_CONTROL_OFFSET,
  MSG_CONTROLLEN_OFFSET,
  MSG_IOV_OFFSET,
  MSG_IOVLEN_OFFSET,
  MSG_LEN_OFFSET,
  MSG_NAME_OFFSET,
  MSG_NAMELEN_OFFSET,
} from "../system-calls/structures.ts";
import type { SystemCalls } from "../system-calls/system-calls.ts";
import { type QueuedMessage, SEGMENT_LIMIT, SEND_BATCH_COUNT, type UdpSocket } from "./udp-socket.ts";

/** A bound socket as plain facts that survive postMessage. */
export interface BoundUdpSocket {
  readonly descriptor: number;
  readonly family: 4 | 6;
  readonly port: number;
}

/** The same with what the kernel does for it. */
export interface OpenUdpSocket extends BoundUdpSocket {
  /** Whether the kernel cuts messages into datagrams, and hands several datagrams over as one message. */
  readonly canSegment: boolean;
  readonly canCoalesce: boolean;
  /** Whether datagrams have DF unless they are said to do without. */
  readonly setsDontFragment: boolean;
  /** Of a local stream: one number, 0 as long as nothing can have come. */
  readonly isUsed?: SharedArrayBuffer;
  /** What was asked for and refused, as sentences. */
  readonly refusals: readonly string[];
}

// One socket's block of the worker's I/O region.
const NAME_SIZE = 32;
const CONTROL_SIZE = 128;
const RECEIVE_HEADERS_OFFSET = 0;
const RECEIVE_VECTORS_OFFSET = RECEIVE_HEADERS_OFFSET + RECEIVE_SLOT_COUNT * MMSGHDR_SIZE;
const RECEIVE_NAMES_OFFSET = RECEIVE_VECTORS_OFFSET + RECEIVE_SLOT_COUNT * IOVEC_SIZE;
const RECEIVE_CONTROLS_OFFSET = RECEIVE_NAMES_OFFSET + RECEIVE_SLOT_COUNT * NAME_SIZE;
const SEND_HEADERS_OFFSET = RECEIVE_CONTROLS_OFFSET + RECEIVE_SLOT_COUNT * CONTROL_SIZE;
const SEND_VECTORS_OFFSET = SEND_HEADERS_OFFSET + SEND_BATCH_COUNT * MMSGHDR_SIZE;
/** Of a message that has more to say than its path: packet info, traffic class, UDP_SEGMENT. */
const SEND_CONTROL_SIZE = 96;
const SEND_CONTROLS_OFFSET = SEND_VECTORS_OFFSET + SEND_BATCH_COUNT * IOVEC_SIZE;
/** The datagrams of one message, singly. */
const SINGLE_HEADERS_OFFSET = SEND_CONTROLS_OFFSET + SEND_BATCH_COUNT * SEND_CONTROL_SIZE;
const SINGLE_VECTORS_OFFSET = SINGLE_HEADERS_OFFSET + SEGMENT_LIMIT * MMSGHDR_SIZE;

/** struct cmsghdr with an u16 (UDP_SEGMENT) or an int (traffic class), and either with padding. */
const SEGMENT_CONTROL_LENGTH = CMSGHDR_SIZE + 2;
const CLASS_CONTROL_LENGTH = CMSGHDR_SIZE + 4;
const NUMBER_CONTROL_SPACE = 24;

const WITH_DF = new Uint8Array(Int32Array.of(PMTUDISC_DO).buffer);
const WITHOUT_DF = new Uint8Array(Int32Array.of(PMTUDISC_DONT).buffer);

/** Transmits after which messages are tried again that did not fit the path as they were. */
const PATIENCE = 10_000;

/** A UDP socket of the kernel, for one data worker: recvmmsg into its receive slots, sendmmsg from wherever datagrams lie. */
export class LinuxUdpSocket implements UdpSocket {
  readonly family: 4 | 6;
  readonly port: number;
  readonly descriptor: number;
  readonly #systemCalls: SystemCalls;
  readonly #octets: Uint8Array;
  readonly #words: Uint32Array;
  readonly #pointers: PointerWriter;
  readonly #block: number;
  readonly #slots: number;
  readonly #canCoalesce: boolean;
  readonly #setsDontFragment: boolean;
  /** How the socket is set now. */
  #mayFragment = false;
  /** See `takeTooLong`. */
  #tooLong = 0;
  readonly #onRefusal: (what: string) => void;
  #canSegment: boolean;
  /** Datagrams of this length and more are not sent as one message: the path takes them in fragments only. */
  #unfitLength = Number.POSITIVE_INFINITY;
  #patience = 0;
  /** Headers that the last receive changed, and that need their lengths back. */
  #used = 0;
  #queued = 0;
  readonly #messages: readonly QueuedMessage[] = Array.from({ length: SEND_BATCH_COUNT }, emptyMessage);
  readonly #single: QueuedMessage = emptyMessage();
  /** What the kernel answered when it did not take a message. */
  #failure = 0;
  #lastError: string | undefined;

  /**
   * `worker` says whose receive slots are filled, `index` (0 to 5) tells the sockets of a worker apart. `onRefusal` is told, once, when
   * the kernel takes back what it promised.
   */
  constructor(
    systemCalls: SystemCalls,
    facts: Omit<OpenUdpSocket, "refusals"> & {
      readonly worker: number;
      readonly index: number;
      readonly onRefusal?: (what: string) => void;
    },
  ) {
    const { worker, index } = facts;
    if (index >= SOCKET_BLOCK_COUNT)
      throw new RangeError(`a worker has ${SOCKET_BLOCK_COUNT} sockets at most`);
    this.#systemCalls = systemCalls;
    this.descriptor = facts.descriptor;
    this.family = facts.family;
    this.port = facts.port;
    this.#octets = new Uint8Array(systemCalls.memory.buffer);
    this.#words = new Uint32Array(systemCalls.memory.buffer);
    this.#pointers = new PointerWriter(systemCalls);
    this.#block = ioBlock(worker, index);
    this.#slots = WORKER_BASE + worker * WORKER_SIZE + WORKER_RECEIVE_OFFSET;
    this.#canSegment = facts.canSegment;
    this.#canCoalesce = facts.canCoalesce;
    this.#setsDontFragment = facts.setsDontFragment;
    this.#onRefusal = facts.onRefusal ?? (() => {});
    this.#prepareReceive();
    this.#prepareTransmit();
  }

  maySegment(segmentLength: number): boolean {
    return this.#canSegment && segmentLength < this.#unfitLength;
  }

  /** Why the last datagram that did not leave did not: "ENETUNREACH". */
  get lastError(): string | undefined {
    return this.#lastError;
  }

  receive(limit: number): number {
    const headers = this.#block + RECEIVE_HEADERS_OFFSET;
    this.#restoreLengths();
    const count = Math.min(limit, RECEIVE_SLOT_COUNT);
    let result = this.#systemCalls.recvmmsg(this.descriptor, headers, count, MSG_DONTWAIT);
    // An ICMP error about something sent earlier shows up here in place of a datagram.
    if (isPathError(result)) {
      result = this.#systemCalls.recvmmsg(this.descriptor, headers, count, MSG_DONTWAIT);
    }
    if (result >= 0) {
      this.#used = result;
      return result;
    }
    if (
      isNothingYet(result) ||
      isPathError(result) ||
      result === -Errno.ENOBUFS ||
      result === -Errno.ENOMEM
    ) {
      return 0;
    }
    throw systemError(`receive on UDP port ${this.port}`, result);
  }

  receivedAt(index: number): number {
    return this.#slotAt(index);
  }

  receivedLength(index: number): number {
    return this.#words[this.#receiveHeader(index) + MSG_LEN_OFFSET / 4]!;
  }

  receivedSegmentLength(index: number): number {
    return this.#canCoalesce ? this.#receivedNumber(index, SOL_UDP, UDP_GRO) : 0;
  }

  receivedTrafficClass(index: number): number {
    // IPv4 gives one octet, and what lies behind it is nothing of ours.
    const number =
      this.family === 4
        ? this.#receivedNumber(index, IPPROTO_IP, IP_TOS)
        : this.#receivedNumber(index, IPPROTO_IPV6, IPV6_TCLASS);
    return number & 0xff;
  }

  receivedPeer(index: number): number {
    return socketAddressNumber(this.#octets, this.#block + RECEIVE_NAMES_OFFSET + index * NAME_SIZE);
  }

  receivedFrom(index: number): SocketAddress {
    const at = this.#block + RECEIVE_NAMES_OFFSET + index * NAME_SIZE;
    const length = this.#words[this.#receiveHeader(index) + MSG_NAMELEN_OFFSET / 4]!;
    const address = decodeSocketAddress(this.#octets.slice(at, at + Math.min(length, NAME_SIZE)));
    return address ?? { address: this.#unspecified, port: 0 };
  }

  receivedTo(index: number): SocketAddress {
    const at = this.#block + RECEIVE_CONTROLS_OFFSET + index * CONTROL_SIZE;
    const length = this.#words[this.#receiveHeader(index) + MSG_CONTROLLEN_OFFSET / 4]!;
    const address = decodePacketInfo(this.#octets.slice(at, at + Math.min(length, CONTROL_SIZE)));
    return { address: address ?? this.#unspecified, port: this.port };
  }

  queue(message: QueuedMessage): boolean {
    if (this.#queued === SEND_BATCH_COUNT) return false;
    const index = this.#queued++;
    const kept = this.#messages[index]!;
    kept.address = message.address;
    kept.length = message.length;
    kept.segmentLength = message.segmentLength;
    kept.peer = message.peer;
    kept.peerLength = message.peerLength;
    kept.control = message.control;
    kept.controlLength = message.controlLength;
    kept.trafficClass = message.trafficClass;
    kept.mayFragment = message.mayFragment;
    const header = this.#block + SEND_HEADERS_OFFSET + index * MMSGHDR_SIZE;
    const vector = this.#block + SEND_VECTORS_OFFSET + index * IOVEC_SIZE;
    this.#layDatagram(header, vector, kept);
    if (kept.segmentLength < kept.length || kept.trafficClass !== 0) this.#layControl(header, index, kept);
    return true;
  }

  transmit(): number {
    const count = this.#queued;
    this.#queued = 0;
    if (this.#patience > 0 && --this.#patience === 0) this.#unfitLength = Number.POSITIVE_INFINITY;
    let taken = 0;
    for (let next = 0; next < count; next++) {
      const first = next;
      const end = this.#setDontFragment(first, count);
      next = this.#offer(this.#block + SEND_HEADERS_OFFSET, { from: first, to: end });
      for (let i = first; i < next; i++) taken += datagramsIn(this.#messages[i]!);
      if (next === end) {
        next--;
        continue;
      }
      if (isSegmentRefusal(this.#failure) && datagramsIn(this.#messages[next]!) > 1) {
        taken += this.#transmitSingly(next);
      }
      if (this.#failure === -Errno.EMSGSIZE && this.#setsDontFragment) {
        // IKE, which changes the socket for a moment, may have set it back to what it was before us.
        if (this.#mayFragment) this.#mayFragment = false;
        else this.#tooLong = this.#messages[next]!.peer;
      }
      // The queues are full: what follows would be refused too, and a tunnel drops rather than waits.
      if (isQueueFull(this.#failure)) break;
      // Otherwise this one cannot leave (no route, too long); the next may go elsewhere.
    }
    return taken;
  }

  takeTooLong(): number {
    const peer = this.#tooLong;
    this.#tooLong = 0;
    return peer;
  }

  close(): void {
    this.#systemCalls.close(this.descriptor);
  }

  /**
   * Sets the socket as message `from` wants it. Returns where those end that want the same. There is no control message for it in
   * IPv4, so the socket itself changes.
   */
  #setDontFragment(from: number, count: number): number {
    if (!this.#setsDontFragment) return count;
    const { mayFragment } = this.#messages[from]!;
    let end = from + 1;
    while (end < count && this.#messages[end]!.mayFragment === mayFragment) end++;
    if (mayFragment !== this.#mayFragment) {
      const level = this.family === 4 ? IPPROTO_IP : IPPROTO_IPV6;
      const option = this.family === 4 ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER;
      this.#systemCalls.setsockopt(this.descriptor, level, option, mayFragment ? WITHOUT_DF : WITH_DF);
      this.#mayFragment = mayFragment;
    }
    return end;
  }

  /** Offers messages to the kernel. Returns which was the first that it did not take; #failure says why. */
  #offer(headers: number, { from, to }: { readonly from: number; readonly to: number }): number {
    let hasRetried = false;
    for (let next = from; next < to; ) {
      const address = headers + next * MMSGHDR_SIZE;
      const result = this.#systemCalls.sendmmsg(this.descriptor, address, to - next, MSG_DONTWAIT);
      if (result > 0) {
        next += result;
        hasRetried = false;
      } else if (!hasRetried && (result === -Errno.ECONNREFUSED || result === -Errno.EINTR)) {
        hasRetried = true; // the error belongs to an earlier datagram, this one has not been tried
      } else {
        this.#failure = result;
        this.#lastError = errnoName(result);
        return next;
      }
    }
    return to;
  }

  /** Sends the datagrams of a message that the kernel did not cut. Returns how many it took. */
  #transmitSingly(index: number): number {
    const message = this.#messages[index]!;
    const refusal = this.#failure;
    const count = datagramsIn(message);
    const single = this.#single;
    single.peer = message.peer;
    single.peerLength = message.peerLength;
    // What #layControl made for all of them together, without UDP_SEGMENT at its end.
    single.control = this.#controlAt(index);
    single.controlLength = message.controlLength + (message.trafficClass === 0 ? 0 : NUMBER_CONTROL_SPACE);
    for (let i = 0; i < count; i++) {
      single.address = message.address + i * message.segmentLength;
      single.length = Math.min(message.segmentLength, message.length - i * message.segmentLength);
      this.#layDatagram(
        this.#block + SINGLE_HEADERS_OFFSET + i * MMSGHDR_SIZE,
        this.#block + SINGLE_VECTORS_OFFSET + i * IOVEC_SIZE,
        single,
      );
    }
    let taken = 0;
    for (let next = 0; next < count; next++) {
      const first = next;
      next = this.#offer(this.#block + SINGLE_HEADERS_OFFSET, { from: first, to: count });
      taken += next - first;
      // They are of one length: none of them fits.
      if (next < count && (isQueueFull(this.#failure) || this.#failure === -Errno.EMSGSIZE)) break;
    }
    if (taken > 0) this.#noteSegmentRefusal(refusal, message.segmentLength);
    return taken;
  }

  /** EIO: the link cannot sum checksums. Otherwise: datagrams of this length pass the path in fragments only. */
  #noteSegmentRefusal(refusal: number, segmentLength: number): void {
    if (refusal === -Errno.EIO) {
      if (this.#canSegment) this.#onRefusal(`UDP port ${this.port}: the kernel does not segment (EIO)`);
      this.#canSegment = false;
    } else {
      this.#unfitLength = Math.min(this.#unfitLength, segmentLength);
      this.#patience = PATIENCE;
    }
  }

  #layDatagram(headerAddress: number, vectorAddress: number, message: QueuedMessage): void {
    const vector = vectorAddress >>> 2;
    this.#pointers.write(vector, message.address);
    this.#words[vector + IOV_LEN_OFFSET / 4] = message.length;
    const header = headerAddress >>> 2;
    this.#pointers.write(header + MSG_NAME_OFFSET / 4, message.peer);
    this.#words[header + MSG_NAMELEN_OFFSET / 4] = message.peerLength;
    this.#pointers.write(header + MSG_CONTROL_OFFSET / 4, message.control);
    this.#words[header + MSG_CONTROLLEN_OFFSET / 4] = message.controlLength;
  }

  /** The path's control message, then the traffic class where it is not zero, then UDP_SEGMENT where the message is to be cut. */
  #layControl(headerAddress: number, index: number, message: QueuedMessage): void {
    const control = this.#controlAt(index);
    const words = message.controlLength >>> 2;
    for (let i = 0; i < words; i++) {
      this.#words[(control >>> 2) + i] = this.#words[(message.control >>> 2) + i]!;
    }
    let length = message.controlLength;
    if (message.trafficClass !== 0) {
      const isIpv4 = this.family === 4;
      const at = this.#layNumber(control + length, CLASS_CONTROL_LENGTH, message.trafficClass);
      this.#words[at + CMSG_LEVEL_OFFSET / 4] = isIpv4 ? IPPROTO_IP : IPPROTO_IPV6;
      this.#words[at + CMSG_TYPE_OFFSET / 4] = isIpv4 ? IP_TOS : IPV6_TCLASS;
      length += NUMBER_CONTROL_SPACE;
    }
    if (message.segmentLength < message.length) {
      const at = this.#layNumber(control + length, SEGMENT_CONTROL_LENGTH, message.segmentLength);
      this.#words[at + CMSG_LEVEL_OFFSET / 4] = SOL_UDP;
      this.#words[at + CMSG_TYPE_OFFSET / 4] = UDP_SEGMENT;
      length += NUMBER_CONTROL_SPACE;
    }
    const header = headerAddress >>> 2;
    this.#pointers.write(header + MSG_CONTROL_OFFSET / 4, control);
    this.#words[header + MSG_CONTROLLEN_OFFSET / 4] = length;
  }

  /** A control message of one number, but for its level and type. Returns the index of its first word. */
  #layNumber(address: number, length: number, number: number): number {
    const at = address >>> 2;
    this.#words[at] = length;
    this.#words[at + 1] = 0;
    this.#words[at + CMSGHDR_SIZE / 4] = number;
    return at;
  }

  #controlAt(index: number): number {
    return this.#block + SEND_CONTROLS_OFFSET + index * SEND_CONTROL_SIZE;
  }

  /** The number in a control message of what was received, or 0. */
  #receivedNumber(index: number, level: number, type: number): number {
    const at = (this.#block + RECEIVE_CONTROLS_OFFSET + index * CONTROL_SIZE) >>> 2;
    const end = at + (this.#words[this.#receiveHeader(index) + MSG_CONTROLLEN_OFFSET / 4]! >>> 2);
    for (let word = at; word + CMSGHDR_SIZE / 4 < end; ) {
      const isIt =
        this.#words[word + CMSG_LEVEL_OFFSET / 4] === level &&
        this.#words[word + CMSG_TYPE_OFFSET / 4] === type;
      if (isIt) return this.#words[word + CMSGHDR_SIZE / 4]!;
      const length = this.#words[word]!;
      if (length < CMSGHDR_SIZE) return 0;
      word += ((length + 7) & ~7) >>> 2;
    }
    return 0;
  }

  get #unspecified(): string {
    return this.family === 4 ? "0.0.0.0" : "::";
  }

  /** Index of the header's first word. */
  #slotAt(index: number): number {
    return this.#slots + index * RECEIVE_SLOT_SIZE;
  }

  #receiveHeader(index: number): number {
    return (this.#block + RECEIVE_HEADERS_OFFSET + index * MMSGHDR_SIZE) >>> 2;
  }

  #prepareReceive(): void {
    for (let i = 0; i < RECEIVE_SLOT_COUNT; i++) {
      const vector = this.#block + RECEIVE_VECTORS_OFFSET + i * IOVEC_SIZE;
      this.#pointers.write((vector + IOV_BASE_OFFSET) >>> 2, this.#slotAt(i));
      this.#words[(vector + IOV_LEN_OFFSET) >>> 2] = RECEIVE_SLOT_SIZE;
      const header = this.#receiveHeader(i);
      this.#pointers.write(header + MSG_NAME_OFFSET / 4, this.#block + RECEIVE_NAMES_OFFSET + i * NAME_SIZE);
      this.#pointers.write(header + MSG_IOV_OFFSET / 4, vector);
      this.#words[header + MSG_IOVLEN_OFFSET / 4] = 1;
      this.#pointers.write(
        header + MSG_CONTROL_OFFSET / 4,
        this.#block + RECEIVE_CONTROLS_OFFSET + i * CONTROL_SIZE,
      );
    }
    this.#used = RECEIVE_SLOT_COUNT;
  }

  #prepareTransmit(): void {
    const prepare = (headers: number, vectors: number, count: number): void => {
      for (let i = 0; i < count; i++) {
        const header = (this.#block + headers + i * MMSGHDR_SIZE) >>> 2;
        this.#pointers.write(header + MSG_IOV_OFFSET / 4, this.#block + vectors + i * IOVEC_SIZE);
        this.#words[header + MSG_IOVLEN_OFFSET / 4] = 1;
      }
    };
    prepare(SEND_HEADERS_OFFSET, SEND_VECTORS_OFFSET, SEND_BATCH_COUNT);
    prepare(SINGLE_HEADERS_OFFSET, SINGLE_VECTORS_OFFSET, SEGMENT_LIMIT);
  }

  /** The kernel overwrites both lengths with what it filled in. */
  #restoreLengths(): void {
    for (let i = 0; i < this.#used; i++) {
      const header = this.#receiveHeader(i);
      this.#words[header + MSG_NAMELEN_OFFSET / 4] = NAME_SIZE;
      this.#words[header + MSG_CONTROLLEN_OFFSET / 4] = CONTROL_SIZE;
    }
    this.#used = 0;
  }
}

function emptyMessage(): QueuedMessage {
  return {
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
}

function datagramsIn({ length, segmentLength }: QueuedMessage): number {
  return segmentLength >= length ? 1 : Math.ceil(length / segmentLength);
}

function isQueueFull(result: number): boolean {
  return result === 0 || result === -Errno.EAGAIN || result === -Errno.ENOBUFS;
}

function isSegmentRefusal(result: number): boolean {
  return result === -Errno.EIO || result === -Errno.EINVAL || result === -Errno.EMSGSIZE;
}

function isPathError(result: number): boolean {
  return (
    result === -Errno.ECONNREFUSED ||
    result === -Errno.EHOSTUNREACH ||
    result === -Errno.ENETUNREACH ||
    result === -Errno.EMSGSIZE
  );
}
