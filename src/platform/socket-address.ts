import { formatAddress, parseAddress } from "../bytes/ip-address.ts";
import type { SocketAddress } from "./address.ts";
import {
  AF_INET,
  AF_INET6,
  IP_PKTINFO,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_PKTINFO,
} from "./system-calls/constants.ts";
import {
  CMSG_LEVEL_OFFSET,
  CMSG_TYPE_OFFSET,
  CMSGHDR_SIZE,
  IN_PKTINFO_SIZE,
  IN6_PKTINFO_SIZE,
  SOCKADDR_IN_SIZE,
  SOCKADDR_IN6_SIZE,
} from "./system-calls/structures.ts";

/** 4 or 6. Throws RangeError when the text is no address. A link-local address may carry the index of its link: "fe80::1%3". */
export function familyOf(address: string): 4 | 6 {
  return parseScoped(address).octets.length === 4 ? 4 : 6;
}

/** sockaddr_in (16 octets) or sockaddr_in6 (28), as msg_name, bind and connect take it. Throws RangeError for what is no address. */
export function encodeSocketAddress({ address, port }: SocketAddress): Uint8Array {
  const { octets, scope } = parseScoped(address);
  const isIpv4 = octets.length === 4;
  const result = new Uint8Array(isIpv4 ? SOCKADDR_IN_SIZE : SOCKADDR_IN6_SIZE);
  const view = new DataView(result.buffer);
  view.setUint16(0, isIpv4 ? AF_INET : AF_INET6, true);
  view.setUint16(2, port);
  result.set(octets, isIpv4 ? 4 : 8);
  if (!isIpv4) view.setUint32(24, scope, true);
  return result;
}

/** The address in a sockaddr_in or sockaddr_in6, or undefined for any other family or one that is cut short. */
export function decodeSocketAddress(octets: Uint8Array): SocketAddress | undefined {
  const view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
  if (octets.length < SOCKADDR_IN_SIZE) return undefined;
  const port = view.getUint16(2);
  const family = view.getUint16(0, true);
  if (family === AF_INET) return { address: formatAddress(octets.slice(4, 8)), port };
  if (family !== AF_INET6 || octets.length < SOCKADDR_IN6_SIZE) return undefined;
  const scope = view.getUint32(24, true);
  return { address: formatAddress(octets.slice(8, 24)) + (scope === 0 ? "" : `%${scope}`), port };
}

/**
 * Control message that makes a datagram leave from `address` (IP_PKTINFO or IPV6_PKTINFO): 32 or 40 octets, ready for
 * msg_control. An unspecified address ("0.0.0.0", "::") needs none: the result is empty and the kernel chooses.
 */
export function encodePacketInfo(address: string): Uint8Array {
  const { octets, scope } = parseScoped(address);
  if (octets.every((octet) => octet === 0)) return new Uint8Array(0);
  const isIpv4 = octets.length === 4;
  const length = CMSGHDR_SIZE + (isIpv4 ? IN_PKTINFO_SIZE : IN6_PKTINFO_SIZE);
  const result = new Uint8Array(alignControl(length));
  const view = new DataView(result.buffer);
  view.setUint32(0, length, true);
  view.setUint32(CMSG_LEVEL_OFFSET, isIpv4 ? IPPROTO_IP : IPPROTO_IPV6, true);
  view.setUint32(CMSG_TYPE_OFFSET, isIpv4 ? IP_PKTINFO : IPV6_PKTINFO, true);
  result.set(octets, CMSGHDR_SIZE + (isIpv4 ? 4 : 0));
  if (!isIpv4) view.setUint32(CMSGHDR_SIZE + 16, scope, true);
  return result;
}

/** The local address that a datagram reached, from its control messages; undefined when they do not say. */
export function decodePacketInfo(control: Uint8Array): string | undefined {
  const view = new DataView(control.buffer, control.byteOffset, control.byteLength);
  for (let at = 0; at + CMSGHDR_SIZE <= control.length; ) {
    const length = view.getUint32(at, true);
    if (length < CMSGHDR_SIZE || at + length > control.length) return undefined;
    const level = view.getUint32(at + CMSG_LEVEL_OFFSET, true);
    const type = view.getUint32(at + CMSG_TYPE_OFFSET, true);
    const data = control.subarray(at + CMSGHDR_SIZE, at + length);
    if (level === IPPROTO_IP && type === IP_PKTINFO && data.length >= IN_PKTINFO_SIZE) {
      return formatAddress(data.slice(4, 8)); // ipi_spec_dst: ours also where ipi_addr is a broadcast
    }
    if (level === IPPROTO_IPV6 && type === IPV6_PKTINFO && data.length >= IN6_PKTINFO_SIZE) {
      const isLinkLocal = data[0] === 0xfe && (data[1]! & 0xc0) === 0x80;
      const link = view.getUint32(at + CMSGHDR_SIZE + 16, true);
      return formatAddress(data.slice(0, 16)) + (isLinkLocal ? `%${link}` : "");
    }
    at += alignControl(length);
  }
  return undefined;
}

/**
 * A number for the sockaddr_in or sockaddr_in6 at `at`: the same for the same address and port, and hardly ever for others. Never 0.
 * Allocates nothing.
 */
export function socketAddressNumber(octets: Uint8Array, at: number): number {
  const isIpv4 = octets[at] === AF_INET;
  let number = FNV_BASIS;
  for (let i = at + 2; i < at + 4; i++) number = Math.imul(number ^ octets[i]!, FNV_PRIME);
  const address = at + (isIpv4 ? 4 : 8);
  const end = address + (isIpv4 ? 4 : 16);
  for (let i = address; i < end; i++) number = Math.imul(number ^ octets[i]!, FNV_PRIME);
  return number >>> 0 || 1;
}

/** FNV-1a, 32 bits. */
const FNV_BASIS = 0x811c_9dc5;
const FNV_PRIME = 0x0100_0193;

/** CMSG_ALIGN. */
export function alignControl(length: number): number {
  return (length + 7) & ~7;
}

function parseScoped(text: string): { readonly octets: Uint8Array; readonly scope: number } {
  const [address, scope] = text.split("%", 2);
  const octets = parseAddress(address!);
  if (octets === undefined || (scope !== undefined && !/^[0-9]{1,9}$/.test(scope))) {
    throw new RangeError(`${text} is no IP address`);
  }
  return { octets, scope: Number(scope ?? 0) };
}
