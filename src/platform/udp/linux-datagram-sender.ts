import type { SocketAddress } from "../address.ts";
import { DATAGRAM_BLOCK, ioBlock } from "../io-region.ts";
import { encodePacketInfo, encodeSocketAddress } from "../socket-address.ts";
import {
  IP_MTU_DISCOVER,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_MTU_DISCOVER,
  MSG_DONTWAIT,
  PMTUDISC_PROBE,
  PMTUDISC_WANT,
} from "../system-calls/constants.ts";
import { Errno, errnoName } from "../system-calls/errno.ts";
import { PointerWriter } from "../system-calls/pointer.ts";
import {
  IOV_BASE_OFFSET,
  IOV_LEN_OFFSET,
  MMSGHDR_SIZE,
  MSG_CONTROL_OFFSET,
  MSG_CONTROLLEN_OFFSET,
  MSG_IOV_OFFSET,
  MSG_IOVLEN_OFFSET,
  MSG_NAME_OFFSET,
  MSG_NAMELEN_OFFSET,
  SOCKADDR_IN_SIZE,
} from "../system-calls/structures.ts";
import type { SystemCalls } from "../system-calls/system-calls.ts";
import type { BoundUdpSocket } from "./linux-udp-socket.ts";
import { type DatagramSender, MAXIMUM_DATAGRAM_LENGTH } from "./udp-socket.ts";

const HOST = 0;
const VECTOR_OFFSET = MMSGHDR_SIZE;
const NAME_OFFSET = VECTOR_OFFSET + 64;
const CONTROL_OFFSET = NAME_OFFSET + 64;
/** More addresses than a machine has at a time, as a rule. */
const CONTROL_COUNT = 64;

const DISCOVERY = {
  4: [IPPROTO_IP, IP_MTU_DISCOVER],
  6: [IPPROTO_IPV6, IPV6_MTU_DISCOVER],
} as const;

/** Sends IKE datagrams from the main thread, on the descriptors that the data workers receive from. */
export class LinuxDatagramSender implements DatagramSender {
  readonly #systemCalls: SystemCalls;
  readonly #sockets: readonly BoundUdpSocket[];
  readonly #octets: Uint8Array;
  readonly #words: Uint32Array;
  readonly #pointers: PointerWriter;
  /** Packet info of the addresses that we send from: those of our own links. */
  readonly #controls = new Map<string, Uint8Array>();

  constructor(systemCalls: SystemCalls, sockets: readonly BoundUdpSocket[]) {
    this.#systemCalls = systemCalls;
    this.#sockets = sockets;
    this.#octets = new Uint8Array(systemCalls.memory.buffer);
    this.#words = new Uint32Array(systemCalls.memory.buffer);
    this.#pointers = new PointerWriter(systemCalls);
  }

  /** Undefined when the kernel took the datagram, otherwise why not: "ENETUNREACH". */
  send({ octets, from, to, mayFragment = true }: Parameters<DatagramSender["send"]>[0]): string | undefined {
    const name = encodeSocketAddress(to);
    const family = name.length === SOCKADDR_IN_SIZE ? 4 : 6;
    const socket = this.#sockets.find((each) => each.family === family && each.port === from.port);
    if (socket === undefined) return `no IPv${family} socket is open on UDP port ${from.port}`;
    if (octets.length > MAXIMUM_DATAGRAM_LENGTH) return "EMSGSIZE";

    const message = this.#lay({ octets, from, name });
    if (!mayFragment) {
      const result = this.#sendWhole(socket, message);
      return result === 1 ? undefined : errnoName(result);
    }
    let result = this.#systemCalls.sendmmsg(socket.descriptor, message, 1, MSG_DONTWAIT);
    if (result === -Errno.ECONNREFUSED || result === -Errno.EINTR) {
      result = this.#systemCalls.sendmmsg(socket.descriptor, message, 1, MSG_DONTWAIT); // the error was an earlier datagram's
    }
    if (result === -Errno.EMSGSIZE) result = this.#sendInFragments(socket, message);
    return result === 1 ? undefined : errnoName(result);
  }

  /**
   * IKE has to get through, in fragments if need be, on a socket that has DF set for ESP. The worker may change the setting
   * meanwhile; at worst one of its datagrams, or ours, is lost for it.
   */
  #sendInFragments(socket: BoundUdpSocket, message: number): number {
    const before = this.#discovery(socket);
    this.#setDiscovery(socket, PMTUDISC_WANT);
    const result = this.#systemCalls.sendmmsg(socket.descriptor, message, 1, MSG_DONTWAIT);
    this.#setDiscovery(socket, before);
    return result;
  }

  /**
   * With DF, however the socket is set. EAGAIN when the worker has set it otherwise meanwhile, so that nobody knows how the datagram left;
   * the worker sets what it wants, and never this.
   */
  #sendWhole(socket: BoundUdpSocket, message: number): number {
    const before = this.#discovery(socket);
    this.#setDiscovery(socket, PMTUDISC_PROBE);
    const result = this.#systemCalls.sendmmsg(socket.descriptor, message, 1, MSG_DONTWAIT);
    if (this.#discovery(socket) !== PMTUDISC_PROBE) return -Errno.EAGAIN;
    this.#setDiscovery(socket, before);
    return result;
  }

  #discovery({ descriptor, family }: BoundUdpSocket): number {
    const value = new Int32Array(1);
    const [level, option] = DISCOVERY[family];
    this.#systemCalls.getsockopt(descriptor, level, option, new Uint8Array(value.buffer));
    return value[0]!;
  }

  #setDiscovery({ descriptor, family }: BoundUdpSocket, value: number): void {
    const [level, option] = DISCOVERY[family];
    const octets = new Uint8Array(Int32Array.of(value).buffer);
    this.#systemCalls.setsockopt(descriptor, level, option, octets);
  }

  /** Lays out an mmsghdr with all it points to. Returns its address. */
  #lay(facts: {
    readonly octets: Uint8Array;
    readonly from: SocketAddress;
    readonly name: Uint8Array;
  }): number {
    const { octets, from, name } = facts;
    const block = ioBlock(HOST, 0);
    const datagram = ioBlock(HOST, DATAGRAM_BLOCK);
    const control = this.#controlOf(from.address);
    this.#octets.set(octets, datagram);
    this.#octets.set(name, block + NAME_OFFSET);
    this.#octets.set(control, block + CONTROL_OFFSET);

    const vector = (block + VECTOR_OFFSET) >>> 2;
    this.#pointers.write(vector + IOV_BASE_OFFSET / 4, datagram);
    this.#words[vector + IOV_LEN_OFFSET / 4] = octets.length;
    const header = block >>> 2;
    this.#pointers.write(header + MSG_NAME_OFFSET / 4, block + NAME_OFFSET);
    this.#words[header + MSG_NAMELEN_OFFSET / 4] = name.length;
    this.#pointers.write(header + MSG_IOV_OFFSET / 4, block + VECTOR_OFFSET);
    this.#words[header + MSG_IOVLEN_OFFSET / 4] = 1;
    this.#pointers.write(header + MSG_CONTROL_OFFSET / 4, block + CONTROL_OFFSET);
    this.#words[header + MSG_CONTROLLEN_OFFSET / 4] = control.length;
    return block;
  }

  #controlOf(address: string): Uint8Array {
    const known = this.#controls.get(address);
    if (known !== undefined) return known;
    const control = encodePacketInfo(address);
    if (this.#controls.size === CONTROL_COUNT) this.#controls.clear();
    this.#controls.set(address, control);
    return control;
  }
}
