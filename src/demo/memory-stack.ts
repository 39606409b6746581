import { concat } from "../bytes/concat.ts";
import { formatAddress, parseAddress } from "../bytes/ip-address.ts";
import { IpProtocol } from "../iana/ip-protocols.ts";
import type { EchoResult } from "../platform/icmp-echo.ts";
import type { MemoryTun } from "../platform/tun/memory-tun.ts";
import { decodeIpHeader, encodeIpHeader, internetChecksum, upperLayerChecksum } from "../wire/ip-header.ts";

const UDP_HEADER_LENGTH = 8;
const ECHO_HEADER_LENGTH = 8;
const ECHO_TYPES = { 4: { request: 8, reply: 0 }, 6: { request: 128, reply: 129 } } as const;

interface Waiting {
  readonly sentAt: number;
  readonly timer: NodeJS.Timeout;
  readonly settle: (result: EchoResult) => void;
}

/** A datagram of UDP; ports are not looked at. */
export interface InnerDatagram {
  readonly source: string;
  readonly payload: Uint8Array;
}

/**
 * The little of a network stack that a machine without a kernel needs behind its TUN device: it sends and answers ICMP echo
 * requests and carries UDP datagrams.
 */
export class MemoryStack {
  onDatagram: ((datagram: InnerDatagram) => void) | undefined;
  readonly #tun: MemoryTun;
  readonly #waiting = new Map<number, Waiting>();
  #sequence = 0;

  constructor(tun: MemoryTun) {
    this.#tun = tun;
    tun.onWritten = () => {
      for (const packet of tun.drain()) this.#receive(packet);
    };
  }

  /** Sends one echo request and settles with its reply, or with why there is none. */
  ping({
    from,
    to,
    payload,
    timeoutMs,
  }: {
    readonly from: string;
    readonly to: string;
    readonly payload: Uint8Array;
    readonly timeoutMs: number;
  }): Promise<EchoResult> {
    this.#sequence++;
    const sequence = this.#sequence;
    const source = parseAddress(from)!;
    const message = new Uint8Array(ECHO_HEADER_LENGTH + payload.length);
    message[0] = ECHO_TYPES[source.length === 4 ? 4 : 6].request;
    new DataView(message.buffer).setUint16(6, sequence);
    message.set(payload, ECHO_HEADER_LENGTH);
    return new Promise((settle) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(sequence);
        settle({ kind: "lost", sequence, reason: "timeout" });
      }, timeoutMs);
      this.#waiting.set(sequence, { sentAt: performance.now(), timer, settle });
      this.#sendIcmp({ source, destination: parseAddress(to)!, message });
    });
  }

  /** Sends a datagram. False when the device's queue is full. */
  send({
    from,
    to,
    payload,
  }: {
    readonly from: string;
    readonly to: string;
    readonly payload: Uint8Array;
  }): boolean {
    const header = new Uint8Array(UDP_HEADER_LENGTH);
    const view = new DataView(header.buffer);
    view.setUint16(0, PORT);
    view.setUint16(2, PORT);
    view.setUint16(4, UDP_HEADER_LENGTH + payload.length);
    // RFC 768: a checksum of zero is none. The tunnel has its own.
    return this.#send({
      source: parseAddress(from)!,
      destination: parseAddress(to)!,
      protocol: IpProtocol.UDP,
      octets: concat(header, payload),
    });
  }

  #receive(packet: Uint8Array): void {
    const { source, destination, protocol, headerLength, totalLength, version } = decodeIpHeader(packet);
    const octets = packet.subarray(headerLength, totalLength);
    if (protocol === IpProtocol.UDP) {
      this.onDatagram?.({ source: formatAddress(source), payload: octets.subarray(UDP_HEADER_LENGTH) });
      return;
    }
    const isIcmp = protocol === (version === 4 ? IpProtocol.ICMP : IpProtocol.IPV6_ICMP);
    if (!isIcmp || octets.length < ECHO_HEADER_LENGTH) return;
    if (octets[0] === ECHO_TYPES[version].request) {
      const message = octets.slice();
      message[0] = ECHO_TYPES[version].reply;
      message.fill(0, 2, 4);
      this.#sendIcmp({ source: destination, destination: source, message });
    } else if (octets[0] === ECHO_TYPES[version].reply) {
      this.#settle((octets[6]! << 8) | octets[7]!);
    }
  }

  #settle(sequence: number): void {
    const waiting = this.#waiting.get(sequence);
    if (waiting === undefined) return;
    this.#waiting.delete(sequence);
    clearTimeout(waiting.timer);
    waiting.settle({ kind: "reply", sequence, rttMs: performance.now() - waiting.sentAt });
  }

  /** The message comes with a checksum of zero. */
  #sendIcmp({
    source,
    destination,
    message,
  }: {
    readonly source: Uint8Array;
    readonly destination: Uint8Array;
    readonly message: Uint8Array;
  }): void {
    const protocol = source.length === 4 ? IpProtocol.ICMP : IpProtocol.IPV6_ICMP;
    const checksum =
      source.length === 4
        ? internetChecksum(message)
        : upperLayerChecksum({ source, destination, protocol, octets: message });
    new DataView(message.buffer, message.byteOffset).setUint16(2, checksum);
    this.#send({ source, destination, protocol, octets: message });
  }

  #send({
    octets,
    ...header
  }: {
    readonly source: Uint8Array;
    readonly destination: Uint8Array;
    readonly protocol: number;
    readonly octets: Uint8Array;
  }): boolean {
    return this.#tun.inject(concat(encodeIpHeader({ ...header, payloadLength: octets.length }), octets));
  }
}

/** Both ports of every datagram. */
const PORT = 7777;
