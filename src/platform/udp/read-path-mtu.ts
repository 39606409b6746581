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

/**
 * What the kernel knows of the largest packet for a path, IP header included: the MTU of the link, or what a router on the way
 * has answered within the last ten minutes. `mark`: of the sockets that use the path. Undefined when there is no route.
 */
export function readPathMtu(
  systemCalls: SystemCalls,
  { local, remote }: Path,
  mark?: number,
): number | undefined {
  const isIpv4 = familyOf(remote.address) === 4;
  const socket = systemCalls.socket(isIpv4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return undefined;
  try {
    if (mark !== undefined) {
      systemCalls.setsockopt(socket, SOL_SOCKET, SO_MARK, new Uint8Array(Uint32Array.of(mark).buffer));
    }
    // Connected, a socket knows its route; the address that it leaves from may have a say in that.
    const from = encodeSocketAddress({ address: local.address, port: 0 });
    if (systemCalls.bind(socket, from) < 0) return undefined;
    if (systemCalls.connect(socket, encodeSocketAddress(remote)) < 0) return undefined;
    const value = new Int32Array(1);
    const octets = new Uint8Array(value.buffer);
    const result = isIpv4
      ? systemCalls.getsockopt(socket, IPPROTO_IP, IP_MTU, octets)
      : systemCalls.getsockopt(socket, IPPROTO_IPV6, IPV6_MTU, octets);
    return result < 0 ? undefined : value[0];
  } finally {
    systemCalls.close(socket);
  }
}
