// Inbound, all in one data worker, socket by socket:
//   1 receive a batch into the receive slots    the platform
//   2 tell ESP from IKE and keepalives          this file (RFC 3948 section 2); IKE goes to the mailbox
//   3 look the SPI up  4 check the window  5 open in place  6 check what was inside      the kernel
//   7 write to the TUN device

import {
  DESCRIPTOR_LENGTH_OFFSET,
  DESCRIPTOR_RESULT_LENGTH_OFFSET,
  DESCRIPTOR_RESULT_OFFSET,
  DESCRIPTOR_SA_OFFSET,
  DESCRIPTOR_SIZE,
  DESCRIPTOR_SOURCE_OFFSET,
  DESCRIPTOR_STATUS_OFFSET,
  RECEIVE_SLOT_COUNT,
  SA_BASE,
  SA_COUNTERS_OFFSET,
  SA_SLOT_SIZE,
  STATUS_DEVICE_REFUSED,
  STATUS_MAILBOX_FULL,
  STATUS_OK,
  STATUS_RUNT,
  WORKER_BASE,
  WORKER_COUNTERS_OFFSET,
  WORKER_DESCRIPTORS_OFFSET,
  WORKER_SIZE,
} from "../../assembly/layout.ts";
import type { Tun } from "../platform/tun/tun.ts";
import type { UdpSocket } from "../platform/udp/udp-socket.ts";
import { NON_ESP_MARKER_LENGTH } from "../wire/udp-encapsulation.ts";
import type { Kernel } from "./kernel.ts";
import type { MailboxWriter } from "./mailbox.ts";
import { incrementU64 } from "./words.ts";

const KEEPALIVE_OCTET = 0xff;

export class Inbound {
  readonly #octets: Uint8Array;
  readonly #words: Uint32Array;
  readonly #kernel: Kernel;
  readonly #tun: Tun;
  readonly #mailbox: MailboxWriter;
  readonly #region: number;
  /** IKE datagrams put into the mailbox, ever. */
  #mailCount = 0;

  constructor(facts: {
    readonly memory: WebAssembly.Memory;
    readonly kernel: Kernel;
    readonly worker: number;
    readonly tun: Tun;
    readonly mailbox: MailboxWriter;
  }) {
    this.#octets = new Uint8Array(facts.memory.buffer);
    this.#words = new Uint32Array(facts.memory.buffer);
    this.#kernel = facts.kernel;
    this.#tun = facts.tun;
    this.#mailbox = facts.mailbox;
    this.#region = WORKER_BASE + facts.worker * WORKER_SIZE;
  }

  get mailCount(): number {
    return this.#mailCount;
  }

  /** One batch from a socket to the TUN device and the mailbox. Returns how many datagrams there were. */
  round(socket: UdpSocket, carriesEsp: boolean): number {
    const received = socket.receive(RECEIVE_SLOT_COUNT);
    let count = 0;
    for (let index = 0; index < received; index++) {
      if (carriesEsp) count = this.#sort(socket, index, count);
      else this.#deliverIke(socket, index, 0);
    }
    if (count > 0) {
      this.#kernel.espDecapsulateBatch(0, count);
      for (let index = 0; index < count; index++) this.#writeResult(index);
    }
    return received;
  }

  /** RFC 3948 section 2. Returns how many ESP packets there are now. */
  #sort(socket: UdpSocket, index: number, count: number): number {
    const at = socket.receivedAt(index);
    const length = socket.receivedLength(index);
    const octets = this.#octets;
    if (length === 1 && octets[at] === KEEPALIVE_OCTET) return count;
    if (length < NON_ESP_MARKER_LENGTH) {
      this.#countAtWorker(STATUS_RUNT);
      return count;
    }
    if ((octets[at]! | octets[at + 1]! | octets[at + 2]! | octets[at + 3]!) === 0) {
      this.#deliverIke(socket, index, NON_ESP_MARKER_LENGTH);
      return count;
    }
    const descriptor = this.#descriptor(count);
    this.#words[descriptor + DESCRIPTOR_SOURCE_OFFSET / 4] = at;
    this.#words[descriptor + DESCRIPTOR_LENGTH_OFFSET / 4] = length;
    return count + 1;
  }

  #deliverIke(socket: UdpSocket, index: number, markerLength: number): void {
    const isTaken = this.#mailbox.put({
      address: socket.receivedAt(index) + markerLength,
      length: socket.receivedLength(index) - markerLength,
      local: socket.receivedTo(index),
      remote: socket.receivedFrom(index),
    });
    if (isTaken) this.#mailCount++;
    else this.#countAtWorker(STATUS_MAILBOX_FULL);
  }

  #writeResult(index: number): void {
    const descriptor = this.#descriptor(index);
    if (this.#words[descriptor + DESCRIPTOR_STATUS_OFFSET / 4] !== STATUS_OK) return;
    const address = this.#words[descriptor + DESCRIPTOR_RESULT_OFFSET / 4]!;
    const length = this.#words[descriptor + DESCRIPTOR_RESULT_LENGTH_OFFSET / 4]!;
    if (this.#tun.write(address, length)) return;
    const sa = SA_BASE + this.#words[descriptor + DESCRIPTOR_SA_OFFSET / 4]! * SA_SLOT_SIZE;
    incrementU64(this.#words, sa + SA_COUNTERS_OFFSET + 8 * STATUS_DEVICE_REFUSED);
  }

  #countAtWorker(status: number): void {
    incrementU64(this.#words, this.#region + WORKER_COUNTERS_OFFSET + 8 * status);
  }

  /** Index of the descriptor's first word. */
  #descriptor(index: number): number {
    return (this.#region + WORKER_DESCRIPTORS_OFFSET + index * DESCRIPTOR_SIZE) >>> 2;
  }
}
