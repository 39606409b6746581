import type { SocketAddress } from "../address.ts";
import { decodeSocketAddress, encodeSocketAddress, familyOf } from "../socket-address.ts";
import {
  AF_INET,
  AF_INET6,
  FIOCLEX,
  IPPROTO_IPV6,
  IPPROTO_TCP,
  IPV6_V6ONLY,
  SO_KEEPALIVE,
  SO_MARK,
  SO_REUSEADDR,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
  TCP_KEEPCNT,
  TCP_KEEPIDLE,
  TCP_KEEPINTVL,
  TCP_NODELAY,
  TCP_NOTSENT_LOWAT,
  TCP_USER_TIMEOUT,
} from "../system-calls/constants.ts";
import { Errno, succeed } from "../system-calls/errno.ts";
import { SOCKADDR_IN6_SIZE } from "../system-calls/structures.ts";
import type { SystemCalls } from "../system-calls/system-calls.ts";

/** Connections that nobody has accepted yet. */
export const BACKLOG = 64;
/** What nobody acknowledges for so long has a dead path: sooner than IKE gives its peer up (RFC 9329 section 6.7 leaves both to us). */
const UNACKNOWLEDGED_MS = 20_000;
/** NATs forget a silent connection, and a peer that is gone without a word is noticed. */
const KEEPALIVE_IDLE_SECONDS = 30;
const KEEPALIVE_INTERVAL_SECONDS = 5;
const KEEPALIVE_COUNT = 4;
/** Octets that wait in the kernel to be sent for the first time: what is more makes a queue that packets inside stand in. */
const UNSENT_LENGTH = 131_072;

/** Binds a TCP socket of one family that survives an execve. It does not listen yet. Throws PlatformError: "TCP port 443 on ::: EACCES". */
export function bindTcpSocket(systemCalls: SystemCalls, { address, port }: SocketAddress): number {
  const what = `TCP port ${port} on ${address}`;
  const family = familyOf(address);
  const domain = family === 4 ? AF_INET : AF_INET6;
  const descriptor = succeed(what, systemCalls.socket(domain, SOCK_STREAM | SOCK_NONBLOCK, 0));
  try {
    const switchOn = (level: number, option: number): number =>
      systemCalls.setsockopt(descriptor, level, option, int(1));
    if (family === 6) succeed(what, switchOn(IPPROTO_IPV6, IPV6_V6ONLY));
    // Connections of a former life wait for their last packets.
    succeed(what, switchOn(SOL_SOCKET, SO_REUSEADDR));
    succeed(what, systemCalls.bind(descriptor, encodeSocketAddress({ address, port })));
    return descriptor;
  } catch (error) {
    systemCalls.close(descriptor);
    throw error;
  }
}

/**
 * Listens. What is accepted has the listener's firewall mark and settings. `bound`: from `bindTcpSocket` in a former life, then none is made.
 * No program that we start has the listener. Throws PlatformError.
 */
export function openTcpListener(
  systemCalls: SystemCalls,
  facts: SocketAddress & { readonly mark: number; readonly bound: number | undefined },
): number {
  const { address, port, mark, bound } = facts;
  const what = `TCP port ${port} on ${address}`;
  const descriptor = bound ?? bindTcpSocket(systemCalls, { address, port });
  try {
    // What is inherited is marked so already.
    if (bound === undefined) succeed(what, systemCalls.ioctlNumber(descriptor, FIOCLEX, 0));
    furnish(systemCalls, { descriptor, what, mark });
    succeed(what, systemCalls.listen(descriptor, BACKLOG));
    return descriptor;
  } catch (error) {
    systemCalls.close(descriptor);
    throw error;
  }
}

/**
 * Begins to connect, with the firewall mark from the first packet on. Returns at once, with the end that is ours, or undefined where no route
 * leads there. Whether somebody answers shows later. Throws PlatformError when no socket can be had.
 */
export function connectTcpSocket(
  systemCalls: SystemCalls,
  facts: {
    readonly localAddress: string | undefined;
    readonly remote: SocketAddress;
    readonly mark: number;
  },
): { readonly descriptor: number; readonly local: SocketAddress } | undefined {
  const { localAddress, remote, mark } = facts;
  const what = `TCP to ${remote.address}`;
  const domain = familyOf(remote.address) === 4 ? AF_INET : AF_INET6;
  const type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
  const descriptor = succeed(what, systemCalls.socket(domain, type, 0));
  try {
    furnish(systemCalls, { descriptor, what, mark });
    const isBound =
      localAddress === undefined ||
      systemCalls.bind(descriptor, encodeSocketAddress({ address: localAddress, port: 0 })) >= 0;
    const result = isBound
      ? systemCalls.connect(descriptor, encodeSocketAddress(remote))
      : -Errno.EADDRNOTAVAIL;
    const name = new Uint8Array(SOCKADDR_IN6_SIZE);
    const isUnderWay = result >= 0 || result === -Errno.EINPROGRESS;
    const local =
      isUnderWay && systemCalls.getsockname(descriptor, name) >= 0 ? decodeSocketAddress(name) : undefined;
    if (local !== undefined) return { descriptor, local };
    systemCalls.close(descriptor);
    return undefined;
  } catch (error) {
    systemCalls.close(descriptor);
    throw error;
  }
}

function furnish(
  systemCalls: SystemCalls,
  facts: { readonly descriptor: number; readonly what: string; readonly mark: number },
): void {
  const { descriptor, what, mark } = facts;
  const set = (level: number, option: number, value: number): number =>
    systemCalls.setsockopt(descriptor, level, option, int(value));
  succeed(`${what}: mark ${mark}`, set(SOL_SOCKET, SO_MARK, mark));
  succeed(what, set(IPPROTO_TCP, TCP_NODELAY, 1));
  // The kernel's own values do too.
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_SECONDS);
  set(IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_SECONDS);
  set(IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT);
  set(IPPROTO_TCP, TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS);
  set(IPPROTO_TCP, TCP_NOTSENT_LOWAT, UNSENT_LENGTH);
}

function int(value: number): Uint8Array {
  return new Uint8Array(Int32Array.of(value).buffer);
}
