import type { SystemCalls } from "../system-calls/system-calls.ts";
import { LinuxUdpSocket } from "../udp/linux-udp-socket.ts";

/** ESP packets straight on IP. IPv4 gives its header with each packet, IPv6 does not. */
export class LinuxRawEspSocket extends LinuxUdpSocket {
  readonly #first: Uint8Array;

  constructor(systemCalls: SystemCalls, facts: ConstructorParameters<typeof LinuxUdpSocket>[1]) {
    super(systemCalls, facts);
    this.#first = new Uint8Array(systemCalls.memory.buffer);
  }

  override receivedAt(index: number): number {
    return super.receivedAt(index) + this.#headerLength(index);
  }

  override receivedLength(index: number): number {
    return Math.max(0, super.receivedLength(index) - this.#headerLength(index));
  }

  /** The kernel has looked at the header: its length is what it says. */
  #headerLength(index: number): number {
    return this.family === 6 ? 0 : (this.#first[super.receivedAt(index)]! & 15) * 4;
  }
}
