import { setTimeout as sleep } from "node:timers/promises";
import { encodePacketInfo, encodeSocketAddress } from "../../../src/platform/socket-address.ts";
import { createLinuxSystemCalls } from "../../../src/platform/system-calls/linux-system-calls.ts";
import { LinuxUdpSocket } from "../../../src/platform/udp/linux-udp-socket.ts";
import { openUdpSocket } from "../../../src/platform/udp/open-udp-socket.ts";
import type { Way } from "../carried.ts";
import type { TestHost } from "../namespace.ts";
import { sharedMemory } from "../shared-memory.ts";
import { keystream } from "./keystream.ts";

const SEND = 1024 * 1024;
/** Where the next payload begins. */
const GAP = 64;
/** Longer than the relay holds a packet back. What has not come by then may still come while the next ones are on their way. */
const PATIENCE_MS = 30;
/** When nothing has come for so long, the rest is lost, or somebody is held up. */
const GRACE_MS = 200;

/** The port at either end. */
export const DATAGRAM_PORT = 7000;

/**
 * A UDP socket at either end of a way, in this process. Each datagram that arrives is one that was sent and has not arrived
 * yet, octet for octet; anything else throws. UDP may lose some: `outstanding` counts them.
 */
export class DatagramLink {
  sent = 0;
  outstanding = 0;
  readonly #systemCalls = createLinuxSystemCalls(sharedMemory());
  readonly #octets = new Uint8Array(this.#systemCalls.memory.buffer);
  readonly #source: LinuxUdpSocket;
  readonly #sink: LinuxUdpSocket;
  readonly #way: Way;
  readonly #seed: string;
  /** Numbers of what is on its way, by length. */
  readonly #waiting = new Map<number, number[]>();

  constructor(way: Way, seed: string) {
    this.#way = way;
    this.#seed = seed;
    const open = (host: TestHost, address: string, index: number): LinuxUdpSocket => {
      const options = { address, port: DATAGRAM_PORT, offloads: "auto" } as const;
      const socket = host.inside(() => openUdpSocket(this.#systemCalls, options));
      return new LinuxUdpSocket(this.#systemCalls, { ...socket, worker: 1, index });
    };
    this.#source = open(way.from, way.source, 0);
    this.#sink = open(way.to, way.destination, 1);
  }

  /** Sends a datagram of each length and gives them time to arrive. */
  async carry(lengths: readonly number[]): Promise<void> {
    let at = SEND;
    for (const length of lengths) {
      this.#queue(this.#next(length), { at, segmentLength: length });
      at += length + GAP;
    }
    await this.#pass(lengths.length);
  }

  /** Sends `count` datagrams that leave as one message. */
  async carryTrain(length: number, count: number): Promise<void> {
    const train = Array.from({ length: count }, () => this.#next(length));
    this.#queue(Buffer.concat(train), { at: SEND, segmentLength: length });
    await this.#pass(count);
  }

  /** Waits until all is there, or nothing has come for a while. */
  async settle(): Promise<void> {
    await this.#take(GRACE_MS);
  }

  close(): void {
    this.#source.close();
    this.#sink.close();
  }

  async #pass(count: number): Promise<void> {
    const transmitted = this.#source.transmit();
    if (transmitted !== count) throw new Error(`of ${count} datagrams ${transmitted} were transmitted`);
    await this.#take(PATIENCE_MS);
  }

  #next(length: number): Buffer {
    const number = this.sent++;
    const waiting = this.#waiting.get(length);
    if (waiting === undefined) this.#waiting.set(length, [number]);
    else waiting.push(number);
    this.outstanding++;
    return this.#payload(length, number);
  }

  /** Different from every other as far as its length allows. */
  #payload(length: number, number: number): Buffer {
    return keystream(`${this.#seed}, datagram ${number}`, length);
  }

  #queue(
    payload: Uint8Array,
    { at, segmentLength }: { readonly at: number; readonly segmentLength: number },
  ): void {
    const peer = encodeSocketAddress({ address: this.#way.destination, port: DATAGRAM_PORT });
    const control = encodePacketInfo(this.#way.source);
    this.#octets.set(peer, SEND - 256);
    this.#octets.set(control, SEND - 128);
    this.#octets.set(payload, at);
    this.#source.queue({
      address: at,
      length: payload.length,
      segmentLength,
      peer: SEND - 256,
      peerLength: peer.length,
      control: SEND - 128,
      controlLength: control.length,
      trafficClass: 0,
      mayFragment: false,
    });
  }

  /** Until all is there, or nothing has come for so long. */
  async #take(patienceMs: number): Promise<void> {
    for (let end = performance.now() + patienceMs; this.outstanding > 0 && performance.now() < end; ) {
      const count = this.#sink.receive(64);
      for (let i = 0; i < count; i++) this.#checkMessage(i);
      if (count === 0) await sleep(1);
      else end = performance.now() + patienceMs;
    }
  }

  #checkMessage(index: number): void {
    const at = this.#sink.receivedAt(index);
    const length = this.#sink.receivedLength(index);
    const segmentLength = this.#sink.receivedSegmentLength(index) || length;
    for (let from = 0; from < length; from += segmentLength) {
      this.#check(Buffer.from(this.#octets.slice(at + from, at + Math.min(from + segmentLength, length))));
    }
  }

  #check(arrived: Buffer): void {
    const { length } = arrived;
    const waiting = this.#waiting.get(length) ?? [];
    const found = waiting.findIndex((number) => arrived.equals(this.#payload(length, number)));
    if (found < 0) throw new Error(`a datagram of ${length} octets arrived that nobody sent, or twice`);
    waiting.splice(found, 1);
    this.outstanding--;
  }
}
