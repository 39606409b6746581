import {
  RECEIVE_SLOT_COUNT,
  RECEIVE_SLOT_SIZE,
  WORKER_BASE,
  WORKER_RECEIVE_OFFSET,
  WORKER_SIZE,
} from "../../../assembly/layout.ts";
import type { SocketAddress } from "../address.ts";
import { ioBlock, SOCKET_BLOCK_COUNT } from "../io-region.ts";
import { decodePacketInfo, decodeSocketAddress } from "../socket-address.ts";
import { MSG_DONTWAIT } from "../system-calls/constants.ts";
import { Errno, errnoName, isNothingYet, systemError } from "../system-calls/errno.ts";
import {
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
import { type QueuedDatagram, SEND_BATCH_COUNT, type UdpSocket } from "./udp-socket.ts";

/** A bound socket as plain facts that survive postMessage. */
export interface OpenUdpSocket {
  readonly descriptor: number;
  readonly family: 4 | 6;
  readonly port: number;
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

/** A UDP socket of the kernel, for one data worker: recvmmsg into its receive slots, sendmmsg from wherever datagrams lie. */
export class LinuxUdpSocket implements UdpSocket {
  readonly family: 4 | 6;
  readonly port: number;
  readonly descriptor: number;
  readonly #systemCalls: SystemCalls;
  readonly #octets: Uint8Array;
  readonly #words: Uint32Array;
  readonly #baseLow: number;
  readonly #baseHigh: number;
  readonly #block: number;
  readonly #slots: number;
  /** Headers that the last receive changed, and that need their lengths back. */
  #used = 0;
  #queued = 0;
  #lastError: string | undefined;

  /** `worker` says whose receive slots are filled, `index` (0 to 5) tells the sockets of a worker apart. */
  constructor(
    systemCalls: SystemCalls,
    {
      descriptor,
      family,
      port,
      worker,
      index,
    }: OpenUdpSocket & { readonly worker: number; readonly index: number },
  ) {
    if (index >= SOCKET_BLOCK_COUNT)
      throw new RangeError(`a worker has ${SOCKET_BLOCK_COUNT} sockets at most`);
    this.#systemCalls = systemCalls;
    this.descriptor = descriptor;
    this.family = family;
    this.port = port;
    this.#octets = new Uint8Array(systemCalls.memory.buffer);
    this.#words = new Uint32Array(systemCalls.memory.buffer);
    this.#baseLow = systemCalls.base % 0x1_0000_0000;
    this.#baseHigh = Math.floor(systemCalls.base / 0x1_0000_0000);
    this.#block = ioBlock(worker, index);
    this.#slots = WORKER_BASE + worker * WORKER_SIZE + WORKER_RECEIVE_OFFSET;
    this.#prepareReceive();
    this.#prepareTransmit();
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
    return this.#slots + index * RECEIVE_SLOT_SIZE;
  }

  receivedLength(index: number): number {
    return this.#words[this.#receiveHeader(index) + MSG_LEN_OFFSET / 4]!;
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

  queue(datagram: QueuedDatagram): boolean {
    if (this.#queued === SEND_BATCH_COUNT) return false;
    const vector = (this.#block + SEND_VECTORS_OFFSET + this.#queued * IOVEC_SIZE) >>> 2;
    this.#pointer(vector, datagram.address);
    this.#words[vector + IOV_LEN_OFFSET / 4] = datagram.length;

    const header = (this.#block + SEND_HEADERS_OFFSET + this.#queued * MMSGHDR_SIZE) >>> 2;
    this.#pointer(header, datagram.peer);
    this.#words[header + MSG_NAMELEN_OFFSET / 4] = datagram.peerLength;
    this.#pointer(header + MSG_CONTROL_OFFSET / 4, datagram.control);
    this.#words[header + MSG_CONTROLLEN_OFFSET / 4] = datagram.controlLength;
    this.#queued++;
    return true;
  }

  transmit(): number {
    const count = this.#queued;
    this.#queued = 0;
    let taken = 0;
    let hasRetried = false;
    for (let next = 0; next < count; ) {
      const address = this.#block + SEND_HEADERS_OFFSET + next * MMSGHDR_SIZE;
      const result = this.#systemCalls.sendmmsg(this.descriptor, address, count - next, MSG_DONTWAIT);
      if (result > 0) {
        taken += result;
        next += result;
        hasRetried = false;
      } else if (!hasRetried && (result === -Errno.ECONNREFUSED || result === -Errno.EINTR)) {
        hasRetried = true; // the error belongs to an earlier datagram, this one has not been tried
      } else {
        this.#lastError = errnoName(result);
        // The queues are full: what follows would be refused too, and a tunnel drops rather than waits.
        if (result === 0 || result === -Errno.EAGAIN || result === -Errno.ENOBUFS) break;
        next++; // this one cannot leave (no route, too long); the next may go elsewhere
        hasRetried = false;
      }
    }
    return taken;
  }

  close(): void {
    this.#systemCalls.close(this.descriptor);
  }

  get #unspecified(): string {
    return this.family === 4 ? "0.0.0.0" : "::";
  }

  /** Index of the header's first word. */
  #receiveHeader(index: number): number {
    return (this.#block + RECEIVE_HEADERS_OFFSET + index * MMSGHDR_SIZE) >>> 2;
  }

  #prepareReceive(): void {
    for (let i = 0; i < RECEIVE_SLOT_COUNT; i++) {
      const vector = this.#block + RECEIVE_VECTORS_OFFSET + i * IOVEC_SIZE;
      this.#pointer((vector + IOV_BASE_OFFSET) >>> 2, this.receivedAt(i));
      this.#words[(vector + IOV_LEN_OFFSET) >>> 2] = RECEIVE_SLOT_SIZE;
      const header = this.#receiveHeader(i);
      this.#pointer(header + MSG_NAME_OFFSET / 4, this.#block + RECEIVE_NAMES_OFFSET + i * NAME_SIZE);
      this.#pointer(header + MSG_IOV_OFFSET / 4, vector);
      this.#words[header + MSG_IOVLEN_OFFSET / 4] = 1;
      this.#pointer(
        header + MSG_CONTROL_OFFSET / 4,
        this.#block + RECEIVE_CONTROLS_OFFSET + i * CONTROL_SIZE,
      );
    }
    this.#used = RECEIVE_SLOT_COUNT;
  }

  #prepareTransmit(): void {
    for (let i = 0; i < SEND_BATCH_COUNT; i++) {
      const header = (this.#block + SEND_HEADERS_OFFSET + i * MMSGHDR_SIZE) >>> 2;
      this.#pointer(header + MSG_IOV_OFFSET / 4, this.#block + SEND_VECTORS_OFFSET + i * IOVEC_SIZE);
      this.#words[header + MSG_IOVLEN_OFFSET / 4] = 1;
    }
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

  /** Writes the pointer to `address` into two words. */
  #pointer(word: number, address: number): void {
    const low = this.#baseLow + address;
    this.#words[word] = low; // modulo 2^32
    this.#words[word + 1] = this.#baseHigh + (low > 0xffff_ffff ? 1 : 0);
  }
}

function isPathError(result: number): boolean {
  return (
    result === -Errno.ECONNREFUSED ||
    result === -Errno.EHOSTUNREACH ||
    result === -Errno.ENETUNREACH ||
    result === -Errno.EMSGSIZE
  );
}
