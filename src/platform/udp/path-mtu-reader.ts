import type { Path } from "../address.ts";
import { encodeSocketAddress, familyOf } from "../socket-address.ts";
import {
  AF_INET,
  AF_INET6,
  IP_MTU,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_MTU,
  SO_MARK,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOL_SOCKET,
} from "../system-calls/constants.ts";
import type { SystemCalls } from "../system-calls/system-calls.ts";
import { refuseAll } from "./socket-filters.ts";

/** More addresses than a machine sends from, as a rule. */
const SOCKET_COUNT = 16;

/**
 * Asks the kernel for the largest packet that a path takes. Connected, a socket knows its route; the address that it leaves from may have a
 * say in that, so there is one for each, which nothing is sent from and which receives nothing.
 */
export class PathMtuReader {
  readonly #systemCalls: SystemCalls;
  readonly #mark: number | undefined;
  /** By our address. */
  readonly #sockets = new Map<string, number>();
  readonly #value = new Int32Array(new ArrayBuffer(4));
  readonly #octets = new Uint8Array(this.#value.buffer);

  /** `mark`: of the sockets that use the paths. */
  constructor(systemCalls: SystemCalls, mark?: number) {
    this.#systemCalls = systemCalls;
    this.#mark = mark;
  }

  /**
   * What the kernel knows, IP header included: the MTU of the link, or what a router on the way has answered within the last ten minutes.
   * Undefined when there is no route.
   */
  read({ local, remote }: Path): number | undefined {
    const socket = this.#sockets.get(local.address) ?? this.#open(local.address);
    if (socket === undefined) return undefined;
    const mtu = this.#ask(socket, remote);
    // The address may have gone and come back meanwhile: the next one begins with a socket that is as it should be.
    if (mtu === undefined) this.#forget(local.address);
    return mtu;
  }

  close(): void {
    for (const address of [...this.#sockets.keys()]) this.#forget(address);
  }

  #ask(socket: number, remote: Path["remote"]): number | undefined {
    const isIpv4 = familyOf(remote.address) === 4;
    const [level, option] = isIpv4 ? [IPPROTO_IP, IP_MTU] : [IPPROTO_IPV6, IPV6_MTU];
    if (this.#systemCalls.connect(socket, encodeSocketAddress(remote)) < 0) return undefined;
    const result = this.#systemCalls.getsockopt(socket, level, option, this.#octets);
    return result < 0 ? undefined : this.#value[0];
  }

  #open(address: string): number | undefined {
    const systemCalls = this.#systemCalls;
    const family = familyOf(address) === 4 ? AF_INET : AF_INET6;
    const socket = systemCalls.socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (socket < 0) return undefined;
    if (this.#mark !== undefined) {
      systemCalls.setsockopt(socket, SOL_SOCKET, SO_MARK, new Uint8Array(Uint32Array.of(this.#mark).buffer));
    }
    try {
      refuseAll(systemCalls, socket);
    } catch {
      systemCalls.close(socket);
      return undefined;
    }
    if (systemCalls.bind(socket, encodeSocketAddress({ address, port: 0 })) < 0) {
      systemCalls.close(socket);
      return undefined;
    }
    const [oldest] = this.#sockets.keys();
    if (oldest !== undefined && this.#sockets.size === SOCKET_COUNT) this.#forget(oldest);
    this.#sockets.set(address, socket);
    return socket;
  }

  #forget(address: string): void {
    const socket = this.#sockets.get(address);
    this.#sockets.delete(address);
    if (socket !== undefined) this.#systemCalls.close(socket);
  }
}
