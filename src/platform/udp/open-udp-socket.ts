import { decodeSocketAddress, encodeSocketAddress, familyOf } from "../socket-address.ts";
import {
  AF_INET,
  AF_INET6,
  IP_MTU_DISCOVER,
  IP_PKTINFO,
  IP_RECVTOS,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_MTU_DISCOVER,
  IPV6_RECVPKTINFO,
  IPV6_RECVTCLASS,
  IPV6_V6ONLY,
  PMTUDISC_DO,
  SO_MARK,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SO_SNDBUF,
  SO_SNDBUFFORCE,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOL_SOCKET,
  SOL_UDP,
  UDP_GRO,
  UDP_SEGMENT,
} from "../system-calls/constants.ts";
import { errnoName, succeed } from "../system-calls/errno.ts";
import { SOCKADDR_IN6_SIZE } from "../system-calls/structures.ts";
import type { SystemCalls } from "../system-calls/system-calls.ts";
import type { OpenUdpSocket } from "./linux-udp-socket.ts";

/** What a burst at line rate needs while the worker does something else; the default of 208 KB holds a hundred packets. */
const BUFFER_LENGTH = 4 * 1024 * 1024;

export interface UdpSocketOptions {
  /** "0.0.0.0" or "::" for every address of the family. */
  readonly address: string;
  /** 0 lets the kernel choose. */
  readonly port: number;
  /** Firewall mark of everything sent, so that a policy rule keeps it out of the tunnel. */
  readonly mark?: number;
  /** "auto": whatever the kernel has of segmentation (UDP_SEGMENT) and coalescing (UDP_GRO). Default "off". */
  readonly offloads?: "auto" | "off";
  /** Whether datagrams have DF unless they are said to do without. Default: as the system has it. */
  readonly setsDontFragment?: boolean;
  /** Whether other sockets of this process may have the same port. Default false. */
  readonly sharesPort?: boolean;
  /** From `bindUdpSocket`: then none is made, and it does not share its port. */
  readonly bound?: number | undefined;
}

/** Binds a UDP socket of one family that survives an execve, and sets nothing else. Throws PlatformError. */
export function bindUdpSocket(
  systemCalls: SystemCalls,
  {
    address,
    port,
    isShared = false,
  }: Pick<UdpSocketOptions, "address" | "port"> & {
    /** Whether other programs may have the same port. */
    readonly isShared?: boolean;
  },
): number {
  const what = `UDP port ${port} on ${address}`;
  const family = familyOf(address);
  const domain = family === 4 ? AF_INET : AF_INET6;
  const descriptor = succeed(what, systemCalls.socket(domain, SOCK_DGRAM | SOCK_NONBLOCK, 0));
  try {
    const switchOn = (level: number, option: number): number =>
      systemCalls.setsockopt(descriptor, level, option, Uint8Array.of(1, 0, 0, 0));
    if (family === 6) succeed(what, switchOn(IPPROTO_IPV6, IPV6_V6ONLY));
    if (isShared) succeed(what, switchOn(SOL_SOCKET, SO_REUSEADDR));
    succeed(what, systemCalls.bind(descriptor, encodeSocketAddress({ address, port })));
    return descriptor;
  } catch (error) {
    systemCalls.close(descriptor);
    throw error;
  }
}

/** Binds a UDP socket of one family that tells which of our addresses each datagram reached, and its traffic class. Throws PlatformError: "UDP port 500 on ::: EADDRINUSE". */
export function openUdpSocket(
  systemCalls: SystemCalls,
  {
    address,
    port,
    mark,
    offloads = "off",
    setsDontFragment = false,
    sharesPort = false,
    bound: inherited,
  }: UdpSocketOptions,
): OpenUdpSocket {
  const what = `UDP port ${port} on ${address}`;
  const family = familyOf(address);
  const type = SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
  const descriptor =
    inherited ?? succeed(what, systemCalls.socket(family === 4 ? AF_INET : AF_INET6, type, 0));
  const set = (level: number, option: number, value: number): number =>
    systemCalls.setsockopt(descriptor, level, option, new Uint8Array(new Int32Array([value]).buffer));
  try {
    if (family === 4) {
      succeed(what, set(IPPROTO_IP, IP_PKTINFO, 1));
      succeed(what, set(IPPROTO_IP, IP_RECVTOS, 1));
    } else {
      if (inherited === undefined) succeed(what, set(IPPROTO_IPV6, IPV6_V6ONLY, 1));
      succeed(what, set(IPPROTO_IPV6, IPV6_RECVPKTINFO, 1));
      succeed(what, set(IPPROTO_IPV6, IPV6_RECVTCLASS, 1));
    }
    if (setsDontFragment) {
      const discover = family === 4 ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER;
      succeed(what, set(family === 4 ? IPPROTO_IP : IPPROTO_IPV6, discover, PMTUDISC_DO));
    }
    if (mark !== undefined) succeed(`${what}: mark ${mark}`, set(SOL_SOCKET, SO_MARK, mark));
    if (sharesPort) succeed(`${what}: share it`, set(SOL_SOCKET, SO_REUSEPORT, 1));
    // Beyond the system's maximum only root of the machine may go; within a user namespace we take what is given.
    if (set(SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_LENGTH) < 0) set(SOL_SOCKET, SO_RCVBUF, BUFFER_LENGTH);
    if (set(SOL_SOCKET, SO_SNDBUFFORCE, BUFFER_LENGTH) < 0) set(SOL_SOCKET, SO_SNDBUF, BUFFER_LENGTH);
    if (inherited === undefined)
      succeed(what, systemCalls.bind(descriptor, encodeSocketAddress({ address, port })));
    const bound = new Uint8Array(SOCKADDR_IN6_SIZE);
    succeed(what, systemCalls.getsockname(descriptor, bound));
    const refusals: string[] = [];
    const has = (option: number, value: number, name: string): boolean => {
      if (offloads === "off") return false;
      const result = set(SOL_UDP, option, value);
      if (result < 0) refusals.push(`${what}: the kernel has no ${name} (${errnoName(result)})`);
      return result >= 0;
    };
    return {
      descriptor,
      family,
      port: decodeSocketAddress(bound)?.port ?? port,
      // 0 changes nothing: it only asks whether there is such an option.
      setsDontFragment,
      canSegment: has(UDP_SEGMENT, 0, "UDP segmentation"),
      canCoalesce: has(UDP_GRO, 1, "UDP coalescing"),
      refusals,
    };
  } catch (error) {
    systemCalls.close(descriptor);
    throw error;
  }
}
