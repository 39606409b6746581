import { randomInt } from "node:crypto";
import { IpProtocol } from "../iana/ip-protocols.ts";
import { internetChecksum } from "../wire/ip-header.ts";
import { alignControl, encodeSocketAddress, familyOf } from "./socket-address.ts";
import {
  AF_INET,
  AF_INET6,
  CLOCK_REALTIME,
  MSG_DONTWAIT,
  SO_TIMESTAMPNS,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_RAW,
  SOL_SOCKET,
} from "./system-calls/constants.ts";
import { errnoName, succeed } from "./system-calls/errno.ts";
import { createLinuxSystemCalls } from "./system-calls/linux-system-calls.ts";
import {
  CMSG_LEVEL_OFFSET,
  CMSG_TYPE_OFFSET,
  CMSGHDR_SIZE,
  MMSGHDR_SIZE,
  MSG_CONTROL_OFFSET,
  MSG_CONTROLLEN_OFFSET,
  MSG_IOV_OFFSET,
  MSG_IOVLEN_OFFSET,
  MSG_LEN_OFFSET,
} from "./system-calls/structures.ts";
import type { SystemCalls } from "./system-calls/system-calls.ts";

/** What became of one echo request. Round-trip times are from the kernel's own time stamps. */
export type EchoResult =
  | { readonly kind: "reply"; readonly sequence: number; readonly rttMs: number }
  | { readonly kind: "lost"; readonly sequence: number; readonly reason: string };

// The private memory: mmsghdr (64) | iovec (16) | control (64) | datagram
const VECTOR = MMSGHDR_SIZE;
const CONTROL = VECTOR + 16;
const CONTROL_LENGTH = 64;
const DATAGRAM = 256;
const DATAGRAM_LENGTH = 65_536;

const POLL_INTERVAL_MS = 2;

/** Type, code, checksum, identifier, sequence number: RFC 792, RFC 4443 section 4.1. */
const ECHO_HEADER_LENGTH = 8;
const ECHO_TYPES = { 4: { request: 8, reply: 0 }, 6: { request: 128, reply: 129 } } as const;

/** Sends ICMP echo requests to one address and measures how long their replies take. Times out by timers; nothing blocks. */
export class IcmpEcho {
  readonly #systemCalls: SystemCalls = createLinuxSystemCalls({
    buffer: new SharedArrayBuffer(DATAGRAM + DATAGRAM_LENGTH),
  });
  readonly #view = new DataView(this.#systemCalls.memory.buffer);
  readonly #family: 4 | 6;
  readonly #payload: Uint8Array;
  readonly #descriptor: number;
  readonly #isRaw: boolean;
  /** A ping socket puts its own identifier in and lets nobody else's replies through. */
  readonly #identifier = randomInt(0x1_0000);
  readonly #waiting = new Map<number, Waiting>();
  #sequence = 0;
  #timer: NodeJS.Timeout | undefined;

  /** `payload`: what each request carries, 56 octets unless said otherwise. Throws PlatformError where no ICMP socket may be opened. */
  constructor({
    destination,
    source,
    payload = new Uint8Array(56),
  }: {
    readonly destination: string;
    readonly source?: string;
    readonly payload?: Uint8Array;
  }) {
    this.#family = familyOf(destination);
    this.#payload = payload;
    const opened = openIcmpSocket(this.#systemCalls, this.#family);
    this.#descriptor = opened.descriptor;
    this.#isRaw = opened.isRaw;
    try {
      if (source !== undefined) {
        const local = encodeSocketAddress({ address: source, port: 0 });
        succeed(`ping from ${source}`, this.#systemCalls.bind(this.#descriptor, local));
      }
      const remote = encodeSocketAddress({ address: destination, port: 0 });
      succeed(`ping ${destination}`, this.#systemCalls.connect(this.#descriptor, remote));
      const one = Uint8Array.of(1, 0, 0, 0);
      this.#systemCalls.setsockopt(this.#descriptor, SOL_SOCKET, SO_TIMESTAMPNS, one);
    } catch (error) {
      this.#systemCalls.close(this.#descriptor);
      throw error;
    }
  }

  /** Sends one request. Settles with its reply, or with why there is none: "timeout", or the error of the path. */
  ping({ timeoutMs = 1000 }: { readonly timeoutMs?: number } = {}): Promise<EchoResult> {
    this.#sequence = (this.#sequence + 1) & 0xffff;
    const sequence = this.#sequence;
    const sentAt = this.#now();
    const sent = this.#systemCalls.send(this.#descriptor, this.#request(sequence), MSG_DONTWAIT);
    if (sent < 0) return Promise.resolve({ kind: "lost", sequence, reason: errnoName(sent) });
    return new Promise((settle) => {
      this.#waiting.set(sequence, { sentAt, deadline: performance.now() + timeoutMs, settle });
      this.#timer ??= setInterval(() => this.#poll(), POLL_INTERVAL_MS);
    });
  }

  close(): void {
    for (const [sequence, { settle }] of this.#waiting) settle({ kind: "lost", sequence, reason: "closed" });
    this.#waiting.clear();
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#systemCalls.close(this.#descriptor);
  }

  #request(sequence: number): Uint8Array {
    const octets = new Uint8Array(ECHO_HEADER_LENGTH + this.#payload.length);
    const view = new DataView(octets.buffer);
    octets[0] = ECHO_TYPES[this.#family].request;
    view.setUint16(4, this.#identifier);
    view.setUint16(6, sequence);
    octets.set(this.#payload, ECHO_HEADER_LENGTH);
    // The kernel fills in the checksum of ICMPv6, which covers addresses that only it knows.
    if (this.#family === 4) view.setUint16(2, internetChecksum(octets));
    return octets;
  }

  #poll(): void {
    while (this.#receive()) {}
    const now = performance.now();
    for (const [sequence, { deadline, settle }] of this.#waiting) {
      if (deadline > now) continue;
      this.#waiting.delete(sequence);
      settle({ kind: "lost", sequence, reason: "timeout" });
    }
    if (this.#waiting.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Takes one datagram. False when none waits. */
  #receive(): boolean {
    const { base } = this.#systemCalls;
    this.#view.setBigUint64(VECTOR, BigInt(base + DATAGRAM), true);
    this.#view.setBigUint64(VECTOR + 8, BigInt(DATAGRAM_LENGTH), true);
    this.#view.setBigUint64(MSG_IOV_OFFSET, BigInt(base + VECTOR), true);
    this.#view.setBigUint64(MSG_IOVLEN_OFFSET, 1n, true);
    this.#view.setBigUint64(MSG_CONTROL_OFFSET, BigInt(base + CONTROL), true);
    this.#view.setBigUint64(MSG_CONTROLLEN_OFFSET, BigInt(CONTROL_LENGTH), true);
    if (this.#systemCalls.recvmmsg(this.#descriptor, 0, 1, MSG_DONTWAIT) !== 1) return false;

    const length = this.#view.getUint32(MSG_LEN_OFFSET, true);
    // A raw IPv4 socket alone shows the IP header.
    const headerLength = this.#isRaw && this.#family === 4 ? (this.#view.getUint8(DATAGRAM) & 0xf) * 4 : 0;
    if (length < headerLength + ECHO_HEADER_LENGTH) return true;
    const echo = DATAGRAM + headerLength;
    if (this.#view.getUint8(echo) !== ECHO_TYPES[this.#family].reply) return true;
    if (this.#isRaw && this.#view.getUint16(echo + 4) !== this.#identifier) return true;
    const sequence = this.#view.getUint16(echo + 6);
    const waiting = this.#waiting.get(sequence);
    if (waiting === undefined) return true;
    this.#waiting.delete(sequence);
    const rttMs = Math.max(0, (this.#receivedAt() ?? this.#now()) - waiting.sentAt);
    waiting.settle({ kind: "reply", sequence, rttMs });
    return true;
  }

  /** When the kernel got the datagram, from its control message. */
  #receivedAt(): number | undefined {
    const length = Math.min(this.#view.getUint32(MSG_CONTROLLEN_OFFSET, true), CONTROL_LENGTH);
    for (let at = CONTROL; at + CMSGHDR_SIZE + 16 <= CONTROL + length; ) {
      const level = this.#view.getUint32(at + CMSG_LEVEL_OFFSET, true);
      const type = this.#view.getUint32(at + CMSG_TYPE_OFFSET, true);
      if (level === SOL_SOCKET && type === SO_TIMESTAMPNS) {
        return milliseconds(this.#view, at + CMSGHDR_SIZE);
      }
      at += Math.max(CMSGHDR_SIZE, alignControl(this.#view.getUint32(at, true)));
    }
    return undefined;
  }

  /** The clock that the kernel stamps packets with. */
  #now(): number {
    const timespec = new Uint8Array(16);
    this.#systemCalls.clockGettime(CLOCK_REALTIME, timespec);
    return milliseconds(new DataView(timespec.buffer), 0);
  }
}

interface Waiting {
  /** By the kernel's clock. */
  readonly sentAt: number;
  /** By the monotonic one. */
  readonly deadline: number;
  settle(result: EchoResult): void;
}

/** Raw where we are root of the network; a ping socket where the administrator allows those (net.ipv4.ping_group_range). */
function openIcmpSocket(
  systemCalls: SystemCalls,
  family: 4 | 6,
): { readonly descriptor: number; readonly isRaw: boolean } {
  const domain = family === 4 ? AF_INET : AF_INET6;
  const protocol = family === 4 ? IpProtocol.ICMP : IpProtocol.IPV6_ICMP;
  const flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
  const raw = systemCalls.socket(domain, SOCK_RAW | flags, protocol);
  if (raw >= 0) return { descriptor: raw, isRaw: true };
  const ping = systemCalls.socket(domain, SOCK_DGRAM | flags, protocol);
  return { descriptor: succeed("open an ICMP socket", ping), isRaw: false };
}

/** A timespec as milliseconds. */
function milliseconds(view: DataView, at: number): number {
  return Number(view.getBigInt64(at, true)) * 1000 + Number(view.getBigInt64(at + 8, true)) / 1e6;
}
