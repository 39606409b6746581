import { IpProtocol } from "../../iana/ip-protocols.ts";
import {
  AF_INET,
  AF_INET6,
  IP_MTU_DISCOVER,
  IP_RECVTOS,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_MTU_DISCOVER,
  IPV6_RECVTCLASS,
  PMTUDISC_DO,
  SO_MARK,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SO_SNDBUF,
  SO_SNDBUFFORCE,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_RAW,
  SOL_SOCKET,
} from "../system-calls/constants.ts";
import { succeed } from "../system-calls/errno.ts";
import type { SystemCalls } from "../system-calls/system-calls.ts";
import type { OpenUdpSocket } from "../udp/linux-udp-socket.ts";

/** Protocol 50 has no ports; this one stands for it in socket addresses. */
export const RAW_ESP_PORT = 0;

const BUFFER_LENGTH = 4 * 1024 * 1024;

/**
 * Opens a raw socket for ESP without UDP (RFC 4303), on every address of the family. While it is open the kernel does not answer ESP with
 * "protocol unreachable". It takes and gives packets one by one. Throws PlatformError: "raw ESP over IPv4: EPERM".
 */
export function openRawEspSocket(
  systemCalls: SystemCalls,
  {
    family,
    mark,
    opened,
  }: {
    readonly family: 4 | 6;
    readonly mark?: number;
    /** A raw socket for ESP that is there already. */
    readonly opened?: number | undefined;
  },
): OpenUdpSocket {
  const what = `raw ESP over IPv${family}`;
  const type = SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC;
  const domain = family === 4 ? AF_INET : AF_INET6;
  const descriptor = opened ?? succeed(what, systemCalls.socket(domain, type, IpProtocol.ESP));
  const set = (level: number, option: number, value: number): number =>
    systemCalls.setsockopt(descriptor, level, option, new Uint8Array(new Int32Array([value]).buffer));
  try {
    if (family === 4) {
      succeed(what, set(IPPROTO_IP, IP_RECVTOS, 1));
      succeed(what, set(IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_DO));
    } else {
      succeed(what, set(IPPROTO_IPV6, IPV6_RECVTCLASS, 1));
      succeed(what, set(IPPROTO_IPV6, IPV6_MTU_DISCOVER, PMTUDISC_DO));
    }
    if (mark !== undefined) succeed(`${what}: mark ${mark}`, set(SOL_SOCKET, SO_MARK, mark));
    if (set(SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_LENGTH) < 0) set(SOL_SOCKET, SO_RCVBUF, BUFFER_LENGTH);
    if (set(SOL_SOCKET, SO_SNDBUFFORCE, BUFFER_LENGTH) < 0) set(SOL_SOCKET, SO_SNDBUF, BUFFER_LENGTH);
    return {
      descriptor,
      family,
      port: RAW_ESP_PORT,
      setsDontFragment: true,
      canSegment: false,
      canCoalesce: false,
      refusals: [],
    };
  } catch (error) {
    systemCalls.close(descriptor);
    throw error;
  }
}
