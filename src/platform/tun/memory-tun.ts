import { VNET_HEADER_SIZE } from "../../../assembly/layout.ts";
import { concat } from "../../bytes/concat.ts";
import { PlatformError } from "../../errors/index.ts";
import type { SharedMemory } from "../system-calls/system-calls.ts";
import { NO_OFFLOADS, type Tun, type TunOffloads, type WriteResult } from "./tun.ts";

/**
 * A TUN device without a kernel: two bounded queues. `inject` and `drain` are the host's side of the device.
 * With offloads, packets have virtio_net_hdrs and may be super-packets; what is written is not cut: see `drainFrames`.
 * Belongs to one thread.
 */
export class MemoryTun implements Tun {
  readonly name: string;
  readonly mtu: number;
  readonly descriptor = undefined;
  readonly offloads: TunOffloads;
  /** Refuses super-packets, as some kernels do. */
  refusesSuperPackets = false;
  /** Called when a packet was injected and may be read. */
  onReadable: (() => void) | undefined;
  /** Called when a packet was written and may be drained. */
  onWritten: (() => void) | undefined;
  readonly #octets: Uint8Array;
  readonly #capacity: number;
  readonly #toRead: Uint8Array[] = [];
  readonly #written: Uint8Array[] = [];
  #isOpen = true;
  #isUp = true;

  /** `capacity`: packets that each queue holds, as a link's txqueuelen. */
  constructor(
    memory: SharedMemory,
    {
      name,
      mtu,
      capacity = 500,
      offloads = "off",
    }: {
      readonly name: string;
      readonly mtu: number;
      readonly capacity?: number;
      readonly offloads?: "auto" | "off";
    },
  ) {
    this.offloads =
      offloads === "auto" ? { headerLength: VNET_HEADER_SIZE, tcp: true, udp: true } : NO_OFFLOADS;
    this.#octets = new Uint8Array(memory.buffer);
    this.name = name;
    this.mtu = mtu;
    this.#capacity = capacity;
  }

  get isReadable(): boolean {
    return this.#toRead.length > 0;
  }

  /** Down, the device takes no packet from either side. */
  set isUp(isUp: boolean) {
    this.#isUp = isUp;
  }

  /** The host's stack sends a packet into the device. False when the queue is full or the device down; longer than the MTU is a RangeError. */
  inject(packet: Uint8Array): boolean {
    if (packet.length > this.mtu)
      throw new RangeError(`a packet of ${packet.length} octets is above MTU ${this.mtu}`);
    return this.injectFrame(concat(new Uint8Array(this.offloads.headerLength), packet));
  }

  /** The same for what the device gives as it is: a header, where there are headers, and a packet or super-packet. */
  injectFrame(frame: Uint8Array): boolean {
    if (!this.#isOpen || !this.#isUp || this.#toRead.length >= this.#capacity) return false;
    this.#toRead.push(frame.slice());
    this.onReadable?.();
    return true;
  }

  /** Every packet that was written since the last call, in order, without headers. */
  drain(): Uint8Array[] {
    return this.drainFrames().map((frame) => frame.slice(this.offloads.headerLength));
  }

  /** The same with headers. */
  drainFrames(): Uint8Array[] {
    return this.#written.splice(0);
  }

  read(address: number, capacity: number): number {
    if (!this.#isOpen) throw new PlatformError(`read from TUN device ${this.name}: EBADF`, { code: "EBADF" });
    const packet = this.#toRead.shift();
    if (packet === undefined) return 0;
    // As the kernel does: what does not fit is cut off.
    const part = packet.subarray(0, capacity);
    this.#octets.set(part, address);
    return part.length;
  }

  write(address: number, length: number): boolean {
    return this.#take(this.#octets.slice(address, address + length));
  }

  writePieces(pieces: number, count: number): WriteResult {
    if (this.refusesSuperPackets) return "unsupported";
    const view = new DataView(this.#octets.buffer);
    const parts = Array.from({ length: count }, (_, i) => {
      const address = view.getUint32(pieces + 8 * i, true);
      return this.#octets.slice(address, address + view.getUint32(pieces + 8 * i + 4, true));
    });
    return this.#take(concat(...parts)) ? "taken" : "refused";
  }

  /** Another queue of the device: it takes packets as this one does, and what the host sends comes out of this one alone. */
  queue(): Tun {
    return {
      name: this.name,
      mtu: this.mtu,
      descriptor: undefined,
      offloads: this.offloads,
      read: () => 0,
      write: (address, length) => this.write(address, length),
      writePieces: (pieces, count) => this.writePieces(pieces, count),
      close: () => {},
    };
  }

  #take(frame: Uint8Array): boolean {
    const version = (frame[this.offloads.headerLength] ?? 0) >>> 4;
    const isPacket = version === 4 || version === 6;
    if (!isPacket || !this.#isOpen || !this.#isUp || this.#written.length >= this.#capacity) return false;
    this.#written.push(frame);
    this.onWritten?.();
    return true;
  }

  close(): void {
    this.#isOpen = false;
    this.#toRead.length = 0;
  }
}
