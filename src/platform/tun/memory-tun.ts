import { PlatformError } from "../../errors/index.ts";
import type { SharedMemory } from "../system-calls/system-calls.ts";
import type { Tun } from "./tun.ts";

/**
 * A TUN device without a kernel: two bounded queues. `inject` and `drain` are the host's side of the device.
 * Belongs to one thread.
 */
export class MemoryTun implements Tun {
  readonly name: string;
  readonly mtu: number;
  readonly descriptor = undefined;
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
    }: { readonly name: string; readonly mtu: number; readonly capacity?: number },
  ) {
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
    if (!this.#isOpen || !this.#isUp || this.#toRead.length >= this.#capacity) return false;
    this.#toRead.push(packet.slice());
    this.onReadable?.();
    return true;
  }

  /** Every packet that was written since the last call, in order. */
  drain(): Uint8Array[] {
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
    const version = this.#octets[address]! >>> 4;
    const isPacket = length > 0 && (version === 4 || version === 6);
    if (!isPacket || !this.#isOpen || !this.#isUp || this.#written.length >= this.#capacity) return false;
    this.#written.push(this.#octets.slice(address, address + length));
    this.onWritten?.();
    return true;
  }

  close(): void {
    this.#isOpen = false;
    this.#toRead.length = 0;
  }
}
