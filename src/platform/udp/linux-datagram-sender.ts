import type { SocketAddress } from "../address.ts";
import { DATAGRAM_BLOCK, ioBlock } from "../io-region.ts";
import { encodePacketInfo, encodeSocketAddress, familyOf } from "../socket-address.ts";
import { MSG_DONTWAIT } from "../system-calls/constants.ts";
import { Errno, errnoName } from "../system-calls/errno.ts";
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
} from "../system-calls/structures.ts";
import type { SystemCalls } from "../system-calls/system-calls.ts";
import type { BoundUdpSocket } from "./linux-udp-socket.ts";
import { type DatagramSender, MAXIMUM_DATAGRAM_LENGTH } from "./udp-socket.ts";

const HOST = 0;
const VECTOR_OFFSET = MMSGHDR_SIZE;
const NAME_OFFSET = VECTOR_OFFSET + 64;
const CONTROL_OFFSET = NAME_OFFSET + 64;

/** Sends IKE datagrams from the main thread, on the descriptors that the data workers receive from. */
export class LinuxDatagramSender implements DatagramSender {
  readonly #systemCalls: SystemCalls;
  readonly #sockets: readonly BoundUdpSocket[];
  readonly #octets: Uint8Array;
  readonly #view: DataView;

  constructor(systemCalls: SystemCalls, sockets: readonly BoundUdpSocket[]) {
    this.#systemCalls = systemCalls;
    this.#sockets = sockets;
    this.#octets = new Uint8Array(systemCalls.memory.buffer);
    this.#view = new DataView(systemCalls.memory.buffer);
  }

  /** Undefined when the kernel took the datagram, otherwise why not: "ENETUNREACH". */
  send({
    octets,
    from,
    to,
  }: {
    readonly octets: Uint8Array;
    readonly from: SocketAddress;
    readonly to: SocketAddress;
  }): string | undefined {
    const family = familyOf(to.address);
    const socket = this.#sockets.find((each) => each.family === family && each.port === from.port);
    if (socket === undefined) return `no IPv${family} socket is open on UDP port ${from.port}`;
    if (octets.length > MAXIMUM_DATAGRAM_LENGTH) return "EMSGSIZE";

    const message = this.#lay({ octets, from, to });
    let result = this.#systemCalls.sendmmsg(socket.descriptor, message, 1, MSG_DONTWAIT);
    if (result === -Errno.ECONNREFUSED || result === -Errno.EINTR) {
      result = this.#systemCalls.sendmmsg(socket.descriptor, message, 1, MSG_DONTWAIT); // the error was an earlier datagram's
    }
    return result === 1 ? undefined : errnoName(result);
  }

  /** Lays out an mmsghdr with all it points to. Returns its address. */
  #lay({ octets, from, to }: Parameters<DatagramSender["send"]>[0]): number {
    const block = ioBlock(HOST, 0);
    const datagram = ioBlock(HOST, DATAGRAM_BLOCK);
    const name = encodeSocketAddress(to);
    const control = encodePacketInfo(from.address);
    this.#octets.set(octets, datagram);
    this.#octets.set(name, block + NAME_OFFSET);
    this.#octets.set(control, block + CONTROL_OFFSET);

    this.#pointer(block + VECTOR_OFFSET + IOV_BASE_OFFSET, datagram);
    this.#view.setUint32(block + VECTOR_OFFSET + IOV_LEN_OFFSET, octets.length, true);
    this.#pointer(block + MSG_NAME_OFFSET, block + NAME_OFFSET);
    this.#view.setUint32(block + MSG_NAMELEN_OFFSET, name.length, true);
    this.#pointer(block + MSG_IOV_OFFSET, block + VECTOR_OFFSET);
    this.#view.setUint32(block + MSG_IOVLEN_OFFSET, 1, true);
    this.#pointer(block + MSG_CONTROL_OFFSET, block + CONTROL_OFFSET);
    this.#view.setUint32(block + MSG_CONTROLLEN_OFFSET, control.length, true);
    return block;
  }

  #pointer(at: number, address: number): void {
    this.#view.setBigUint64(at, BigInt(this.#systemCalls.base + address), true);
  }
}
