import { encodePacketInfo, encodeSocketAddress } from "../../src/platform/socket-address.ts";
import { createLinuxSystemCalls } from "../../src/platform/system-calls/linux-system-calls.ts";
import { LinuxUdpSocket } from "../../src/platform/udp/linux-udp-socket.ts";
import { openUdpSocket } from "../../src/platform/udp/open-udp-socket.ts";
import type { TestHost } from "./namespace.ts";
import { sharedMemory } from "./shared-memory.ts";
import { until } from "./waiting.ts";

const SEND = 1024 * 1024;

export interface ReceivedDatagram {
  readonly payload: Uint8Array;
  readonly trafficClass: number;
}

/** A UDP socket of a test host, in this process, that sets and tells traffic classes. */
export class DatagramEnd {
  readonly #address: string;
  readonly #port: number;
  readonly #systemCalls = createLinuxSystemCalls(sharedMemory());
  readonly #octets = new Uint8Array(this.#systemCalls.memory.buffer);
  readonly #socket: LinuxUdpSocket;

  constructor(host: TestHost, address: string, port = 7000) {
    this.#address = address;
    this.#port = port;
    const socket = host.inside(() => openUdpSocket(this.#systemCalls, { address, port }));
    this.#socket = new LinuxUdpSocket(this.#systemCalls, { ...socket, worker: 1, index: 0 });
  }

  /** Sends one datagram to the same port of another address. False when the system did not take it. */
  send(to: string, payload: Uint8Array, trafficClass = 0): boolean {
    const peer = encodeSocketAddress({ address: to, port: this.#port });
    const control = encodePacketInfo(this.#address);
    this.#octets.set(peer, SEND);
    this.#octets.set(control, SEND + 64);
    this.#octets.set(payload, SEND + 256);
    this.#socket.queue({
      address: SEND + 256,
      length: payload.length,
      segmentLength: payload.length,
      peer: SEND,
      peerLength: peer.length,
      control: SEND + 64,
      controlLength: control.length,
      trafficClass,
      mayFragment: true,
    });
    return this.#socket.transmit() === 1;
  }

  /** What has arrived until now. */
  drain(): ReceivedDatagram[] {
    return Array.from({ length: this.#socket.receive(64) }, (_, i) => {
      const at = this.#socket.receivedAt(i);
      return {
        payload: this.#octets.slice(at, at + this.#socket.receivedLength(i)),
        trafficClass: this.#socket.receivedTrafficClass(i),
      };
    });
  }

  /** Waits for one datagram. */
  async next(): Promise<ReceivedDatagram> {
    let found: ReceivedDatagram | undefined;
    await until("a datagram arrives", () => {
      found = this.drain()[0];
      return found !== undefined;
    });
    return found!;
  }

  close(): void {
    this.#socket.close();
  }
}
