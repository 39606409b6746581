// Outbound, all in one data worker:
//   1 read a TUN burst                          this file, into the TUN slab
//   2 match the SPD  3 number  4 seal           the kernel, into the send slab
//   5 queue each datagram on its SA's path  6 one transmit for each socket

import {
  DESCRIPTOR_LENGTH_OFFSET,
  DESCRIPTOR_RESULT_LENGTH_OFFSET,
  DESCRIPTOR_RESULT_OFFSET,
  DESCRIPTOR_SA_OFFSET,
  DESCRIPTOR_SIZE,
  DESCRIPTOR_SOURCE_OFFSET,
  DESCRIPTOR_STATUS_OFFSET,
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
  STATUS_OK,
  TRAILER_ROOM,
  TUN_SLAB_SIZE,
  WORKER_BASE,
  WORKER_COUNTERS_OFFSET,
  WORKER_DESCRIPTORS_OFFSET,
  WORKER_SIZE,
  WORKER_TUN_SLAB_OFFSET,
} from "../../assembly/layout.ts";
import type { Tun } from "../platform/tun/tun.ts";
import type { QueuedDatagram, UdpSocket } from "../platform/udp/udp-socket.ts";
import type { Kernel } from "./kernel.ts";
import { incrementU64 } from "./words.ts";

/** Packets of one burst: what a sendmmsg batch holds, and no more than makes the inbound side wait. */
const BURST_COUNT = 64;
/** No IP packet is longer. */
const PACKET_LIMIT = 65_535;

export class Outbound {
  readonly #words: Uint32Array;
  readonly #kernel: Kernel;
  readonly #tun: Tun;
  readonly #sockets: readonly UdpSocket[];
  readonly #region: number;
  /** Used for every datagram: nothing here is made per packet. */
  readonly #datagram: QueuedDatagram = {
    address: 0,
    length: 0,
    peer: 0,
    peerLength: 0,
    control: 0,
    controlLength: 0,
  };
  /** Datagrams queued on each socket since its last transmit. */
  readonly #queued: number[];

  constructor(facts: {
    readonly memory: WebAssembly.Memory;
    readonly kernel: Kernel;
    readonly worker: number;
    readonly tun: Tun;
    readonly sockets: readonly UdpSocket[];
  }) {
    this.#words = new Uint32Array(facts.memory.buffer);
    this.#kernel = facts.kernel;
    this.#tun = facts.tun;
    this.#sockets = facts.sockets;
    this.#region = WORKER_BASE + facts.worker * WORKER_SIZE;
    this.#queued = facts.sockets.map(() => 0);
  }

  /** One burst from TUN to sockets. Returns how many packets the TUN device gave. */
  round(): number {
    const count = this.#readBurst();
    if (count === 0) return 0;
    this.#kernel.espEncapsulateBatch(0, count);
    for (let index = 0; index < count; index++) this.#queueResult(index);
    for (let socket = 0; socket < this.#sockets.length; socket++) this.#transmit(socket);
    return count;
  }

  #readBurst(): number {
    const start = this.#region + WORKER_TUN_SLAB_OFFSET;
    const lastStart = start + TUN_SLAB_SIZE - PACKET_LIMIT - TRAILER_ROOM;
    let count = 0;
    for (let at = start; count < BURST_COUNT && at <= lastStart; count++) {
      const length = this.#tun.read(at, PACKET_LIMIT);
      if (length === 0) break;
      const descriptor = this.#descriptor(count);
      this.#words[descriptor + DESCRIPTOR_SOURCE_OFFSET / 4] = at;
      this.#words[descriptor + DESCRIPTOR_LENGTH_OFFSET / 4] = length;
      at += (length + TRAILER_ROOM + 15) & ~15;
    }
    return count;
  }

  #queueResult(index: number): void {
    const descriptor = this.#descriptor(index);
    if (this.#words[descriptor + DESCRIPTOR_STATUS_OFFSET / 4] !== STATUS_OK) return;
    const sa = SA_BASE + this.#words[descriptor + DESCRIPTOR_SA_OFFSET / 4]! * SA_SLOT_SIZE;
    const current = Atomics.load(this.#words, (sa + SA_PATH_OFFSET) >>> 2);
    const path = sa + SA_PATHS_OFFSET + current * PATH_SIZE;
    const datagram = this.#datagram;
    datagram.address = this.#words[descriptor + DESCRIPTOR_RESULT_OFFSET / 4]!;
    datagram.length = this.#words[descriptor + DESCRIPTOR_RESULT_LENGTH_OFFSET / 4]!;
    datagram.peer = path + PATH_PEER_OFFSET;
    datagram.peerLength = this.#words[(path + PATH_PEER_LENGTH_OFFSET) >>> 2]!;
    datagram.control = path + PATH_CONTROL_OFFSET;
    datagram.controlLength = this.#words[(path + PATH_CONTROL_LENGTH_OFFSET) >>> 2]!;

    const number = this.#words[(path + PATH_SOCKET_OFFSET) >>> 2]!;
    if (this.#queueOn(number, datagram)) this.#queued[number]!++;
    else this.#countRefused();
  }

  /** A full batch leaves first. False when the path names no socket, or it takes nothing. */
  #queueOn(number: number, datagram: QueuedDatagram): boolean {
    const socket = this.#sockets[number];
    if (socket === undefined) return false;
    if (socket.queue(datagram)) return true;
    this.#transmit(number);
    return socket.queue(datagram);
  }

  #transmit(number: number): void {
    const queued = this.#queued[number]!;
    if (queued === 0) return;
    this.#queued[number] = 0;
    const taken = this.#sockets[number]!.transmit();
    for (let refused = queued - taken; refused > 0; refused--) this.#countRefused();
  }

  #countRefused(): void {
    incrementU64(this.#words, this.#region + WORKER_COUNTERS_OFFSET + 8 * STATUS_DEVICE_REFUSED);
  }

  /** Index of the descriptor's first word. */
  #descriptor(index: number): number {
    return (this.#region + WORKER_DESCRIPTORS_OFFSET + index * DESCRIPTOR_SIZE) >>> 2;
  }
}
