import { MEMORY_SIZE } from "../../../assembly/layout.ts";
import type { SocketAddress } from "../../../src/platform/address.ts";
import { encodeSocketAddress } from "../../../src/platform/socket-address.ts";
import type { SystemCalls } from "../../../src/platform/system-calls/system-calls.ts";
import { LinuxUdpSocket } from "../../../src/platform/udp/linux-udp-socket.ts";
import { openUdpSocket } from "../../../src/platform/udp/open-udp-socket.ts";
import type { FlowResult, LostRun } from "./results.ts";

/** Octets of a datagram: with its headers it fits an inner MTU of 1280 and more. */
export const DATAGRAM_LENGTH = 1200;
const WORDS = DATAGRAM_LENGTH / 4;
/** Datagrams that one transmit takes. */
const TRAIN_COUNT = 32;
const TRAINS = 8;
const SLAB_SIZE = TRAINS * TRAIN_COUNT * DATAGRAM_LENGTH;
const PEER_SIZE = 64;
const FLOW_SIZE = SLAB_SIZE + PEER_SIZE;
const MARK = 0x6b656261;
const BURST_COUNT = 64;
/** Of the runs of lost datagrams so many are told. */
const TOLD_COUNT = 50;
/**
 * Who was held up sends what it missed, as far as it is this much; what is more, is sent later and makes the run longer. So the
 * stream stays a paced one on a busy machine.
 */
const CATCH_UP_MS = 4;

/** Octets of memory that `count` flows need. */
export function memoryLength(count: number): number {
  return MEMORY_SIZE + count * FLOW_SIZE;
}

/** Numbered datagrams one way: a socket that sends them and one that looks at each that arrives. */
export class Flow {
  readonly #sender: LinuxUdpSocket;
  readonly receiver: LinuxUdpSocket;
  readonly #words: Uint32Array;
  readonly #base: number;
  readonly #index: number;
  readonly #peerLength: number;
  #rate = 0;
  #startedAt = 0;
  #slippedMs = 0;
  #total = 0;
  #sent = 0;
  #refused = 0;
  #sentAt = new Float64Array(0);
  #arrivals = new Uint8Array(0);
  #received = 0;
  #duplicates = 0;
  #damaged = 0;
  #highest = -1;
  #overtaken = 0;
  #leastMs = 0;
  #mostMs = 0;
  #bursts = 0;

  /** `index` tells the flows of a process apart. `inNetworkOf` runs an action in the network of the sender or the receiver. */
  constructor(
    systemCalls: SystemCalls,
    facts: {
      readonly index: number;
      readonly from: SocketAddress;
      readonly to: SocketAddress;
      readonly inNetworkOf: <T>(end: "from" | "to", action: () => T) => T;
    },
  ) {
    const { index, from, to, inNetworkOf } = facts;
    const open = (end: "from" | "to", address: SocketAddress, block: number): LinuxUdpSocket => {
      const opened = inNetworkOf(end, () => openUdpSocket(systemCalls, { ...address, offloads: "auto" }));
      return new LinuxUdpSocket(systemCalls, { ...opened, worker: index, index: block });
    };
    this.#index = index;
    this.#base = MEMORY_SIZE + index * FLOW_SIZE;
    this.#words = new Uint32Array(systemCalls.memory.buffer);
    this.#sender = open("from", from, 0);
    this.receiver = open("to", to, 1);
    const peer = encodeSocketAddress(to);
    this.#peerLength = peer.length;
    new Uint8Array(systemCalls.memory.buffer).set(peer, this.#base + SLAB_SIZE);
  }

  /** `rate`: datagrams in a second. */
  start(facts: { readonly rate: number; readonly seconds: number; readonly now: number }): void {
    this.#rate = facts.rate;
    this.#total = Math.floor(facts.rate * facts.seconds);
    this.#startedAt = facts.now;
    this.#slippedMs = 0;
    this.#sentAt = new Float64Array(this.#total);
    this.#arrivals = new Uint8Array(this.#total);
    this.#sent = this.#refused = this.#received = this.#duplicates = this.#damaged = this.#overtaken = 0;
    this.#highest = -1;
    this.#leastMs = Number.POSITIVE_INFINITY;
    this.#mostMs = 0;
    this.#bursts++;
  }

  get isSent(): boolean {
    return this.#sent === this.#total;
  }

  /** Whether each datagram that left has arrived; a copy of one may still be on its way. */
  get isComplete(): boolean {
    return this.isSent && this.#received === this.#sent - this.#refused;
  }

  /** Sends what is due. */
  send(now: number): void {
    if (this.isSent) return;
    const due = Math.floor(((now - this.#startedAt - this.#slippedMs) * this.#rate) / 1000);
    const most = Math.max(1, Math.ceil((CATCH_UP_MS * this.#rate) / 1000));
    const behind = due - this.#sent;
    if (behind > most) this.#slippedMs += ((behind - most) * 1000) / this.#rate;
    let left = Math.min(behind, most, this.#total - this.#sent, TRAINS * TRAIN_COUNT);
    for (let train = 0; left > 0; train++) {
      const count = Math.min(left, TRAIN_COUNT);
      this.#queue(this.#base + train * TRAIN_COUNT * DATAGRAM_LENGTH, count, now);
      left -= count;
    }
  }

  #queue(address: number, count: number, now: number): void {
    for (let i = 0; i < count; i++) {
      const number = this.#sent + i;
      this.#sentAt[number] = now;
      this.#fill((address + i * DATAGRAM_LENGTH) >>> 2, number);
    }
    // Each by itself: where a queue drops one, its counter then counts one.
    for (let i = 0; i < count; i++) {
      this.#sender.queue({
        address: address + i * DATAGRAM_LENGTH,
        length: DATAGRAM_LENGTH,
        segmentLength: DATAGRAM_LENGTH,
        peer: this.#base + SLAB_SIZE,
        peerLength: this.#peerLength,
        control: 0,
        controlLength: 0,
        trafficClass: 0,
        mayFragment: true,
      });
    }
    this.#sent += count;
    this.#refused += count - this.#sender.transmit();
  }

  /** Looks at what has arrived. True when something had. */
  receive(): boolean {
    const count = this.receiver.receive(BURST_COUNT);
    const now = performance.now();
    for (let i = 0; i < count; i++) {
      const at = this.receiver.receivedAt(i);
      const length = this.receiver.receivedLength(i);
      const segment = this.receiver.receivedSegmentLength(i);
      const segmentLength = segment === 0 ? length : segment;
      for (let from = 0; from < length; from += segmentLength) {
        this.#look((at + from) >>> 2, Math.min(segmentLength, length - from), now);
      }
    }
    return count > 0;
  }

  result(): FlowResult {
    const lostRuns: LostRun[] = [];
    let lost = 0;
    for (let number = 0; number < this.#sent; number++) {
      if (this.#arrivals[number] !== 0) continue;
      lost++;
      const last = lostRuns.at(-1);
      if (last !== undefined && last.first + last.count === number) {
        lostRuns[lostRuns.length - 1] = { ...last, count: last.count + 1 };
      } else if (lostRuns.length < TOLD_COUNT) {
        lostRuns.push({ first: number, count: 1, sentAt: performance.timeOrigin + this.#sentAt[number]! });
      }
    }
    return {
      sent: this.#sent,
      received: this.#received,
      lost,
      refused: this.#refused,
      duplicates: this.#duplicates,
      damaged: this.#damaged,
      overtaken: this.#overtaken,
      leastMs: this.#leastMs,
      mostMs: this.#mostMs,
      slippedMs: this.#slippedMs,
      lostRuns,
    };
  }

  /** mark | burst and flow | number | what follows from the number */
  #fill(word: number, number: number): void {
    const words = this.#words;
    words[word] = MARK;
    words[word + 1] = this.#bursts * 256 + this.#index;
    words[word + 2] = number;
    for (let i = 3; i < WORDS; i++) words[word + i] = Math.imul(number + i, 0x9e37_79b1);
  }

  #look(word: number, length: number, now: number): void {
    const words = this.#words;
    if (words[word] === MARK && words[word + 1] !== this.#bursts * 256 + this.#index) return; // of an earlier run
    const number = words[word + 2]!;
    let isWhole = length === DATAGRAM_LENGTH && words[word] === MARK && number < this.#total;
    for (let i = 3; isWhole && i < WORDS; i++) {
      isWhole = words[word + i] === Math.imul(number + i, 0x9e37_79b1) >>> 0;
    }
    if (!isWhole) {
      this.#damaged++;
      return;
    }
    if (this.#arrivals[number] !== 0) this.#duplicates++;
    else this.#received++;
    this.#arrivals[number] = 1;
    const took = now - this.#sentAt[number]!;
    if (took < this.#leastMs) this.#leastMs = took;
    if (took > this.#mostMs) this.#mostMs = took;
    if (number < this.#highest) this.#overtaken++;
    else this.#highest = number;
  }
}
