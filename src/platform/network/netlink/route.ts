import { concat } from "../../../bytes/concat.ts";
import { formatAddress, parseAddress } from "../../../bytes/ip-address.ts";
import { AF_INET, AF_INET6 } from "../../system-calls/constants.ts";
import { MAIN_TABLE, type Route, type RoutedPacket } from "../network.ts";
import { networkOf, parseCidr } from "../prefix.ts";
import { shownMetric } from "../same-route.ts";
import {
  RT_SCOPE_LINK,
  RT_SCOPE_UNIVERSE,
  RT_TABLE_COMPAT,
  RT_TABLE_LOCAL,
  RTA_DST,
  RTA_GATEWAY,
  RTA_IP_PROTO,
  RTA_MARK,
  RTA_MULTIPATH,
  RTA_OIF,
  RTA_PREFSRC,
  RTA_PRIORITY,
  RTA_SPORT,
  RTA_SRC,
  RTA_TABLE,
  RTM_F_CLONED,
  RTN_LOCAL,
  RTN_UNICAST,
} from "./constants.ts";
import { align, attribute, decodeAttributes, readU32, viewOf } from "./message.ts";

/** rtm_family, dst_len, src_len, tos, table, protocol, scope, type (1 each) | rtm_flags (4) */
const RTMSG_SIZE = 12;
/** rtnh_len (2) | rtnh_flags (1) | rtnh_hops (1) | rtnh_ifindex (4) */
const RTNEXTHOP_SIZE = 8;
/** Who added a route (rtm_protocol). The numbers above the kernel's are free to choose: this one marks ours, and only ours are removed. */
const ROUTE_PROTOCOL = 73;
/** A route with its link's index in place of its name. */
export interface IndexedRoute extends Omit<Route, "link"> {
  readonly index?: number;
}

export function encodeRoute(route: IndexedRoute): Uint8Array {
  const { family, octets, length } = parseCidr(route.destination);
  const table = route.table ?? MAIN_TABLE;
  const header = rtmsg(family, length);
  header[4] = table < 256 ? table : RT_TABLE_COMPAT;
  header[5] = ROUTE_PROTOCOL;
  header[6] = route.gateway === undefined && family === 4 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  header[7] = RTN_UNICAST;
  const parts = [header, attribute(RTA_DST, networkOf({ octets, length })), attribute(RTA_TABLE, table)];
  if (route.index !== undefined) parts.push(attribute(RTA_OIF, route.index));
  if (route.gateway !== undefined) parts.push(attribute(RTA_GATEWAY, octetsOf(route.gateway)));
  if (route.source !== undefined) parts.push(attribute(RTA_PREFSRC, octetsOf(route.source)));
  if (route.metric !== undefined) parts.push(attribute(RTA_PRIORITY, route.metric));
  return concat(...parts);
}

/** The unicast routes of a message: none for other kinds and the local table, several for several next hops. */
export function decodeRoutes(body: Uint8Array): readonly IndexedRoute[] {
  if (body.length < RTMSG_SIZE || body[7] !== RTN_UNICAST) return [];
  if ((viewOf(body).getUint32(8, true) & RTM_F_CLONED) !== 0) return [];
  const attributes = decodeAttributes(body.subarray(RTMSG_SIZE));
  const table = readU32(attributes.get(RTA_TABLE)) ?? body[4]!;
  const family = body[0] === AF_INET ? 4 : body[0] === AF_INET6 ? 6 : undefined;
  if (family === undefined || table === RT_TABLE_LOCAL) return [];

  const octets = attributes.get(RTA_DST) ?? new Uint8Array(family === 4 ? 4 : 16);
  const metric = shownMetric(family, readU32(attributes.get(RTA_PRIORITY)) ?? 0);
  const source = attributes.get(RTA_PREFSRC);
  const common = {
    destination: `${formatAddress(octets)}/${body[1]}`,
    ...(source !== undefined && { source: formatAddress(source) }),
    ...(table !== MAIN_TABLE && { table }),
    ...(metric !== undefined && { metric }),
  };
  const multipath = attributes.get(RTA_MULTIPATH);
  if (multipath !== undefined) return nextHops(multipath).map((hop) => ({ ...common, ...hop }));
  return [{ ...common, ...nextHop(attributes) }];
}

/** A question about one packet that is to leave. */
export function encodeRouteQuery(
  destination: string,
  { mark, source, protocol, sourcePort }: RoutedPacket,
): Uint8Array {
  const { family, octets, length } = parseCidr(destination);
  const header = rtmsg(family, length);
  const parts = [header, attribute(RTA_DST, octets)];
  if (mark !== undefined) parts.push(attribute(RTA_MARK, mark));
  if (source !== undefined) {
    header[2] = length;
    parts.push(attribute(RTA_SRC, octetsOf(source)));
  }
  if (protocol !== undefined) parts.push(attribute(RTA_IP_PROTO, Uint8Array.of(protocol)));
  if (sourcePort !== undefined)
    parts.push(attribute(RTA_SPORT, Uint8Array.of(sourcePort >>> 8, sourcePort & 0xff)));
  return concat(...parts);
}

/** Body of a question for every route of a family. */
export function encodeRouteList(): Uint8Array {
  return new Uint8Array(RTMSG_SIZE);
}

/** Where the kernel would send a packet, or undefined when it would not send it. */
export function decodeRouteChoice(
  body: Uint8Array,
): { readonly source: string; readonly index: number; readonly gateway?: string } | undefined {
  if (body.length < RTMSG_SIZE || (body[7] !== RTN_UNICAST && body[7] !== RTN_LOCAL)) return undefined;
  const attributes = decodeAttributes(body.subarray(RTMSG_SIZE));
  // The source that was asked for comes back as such.
  const source = attributes.get(RTA_PREFSRC) ?? attributes.get(RTA_SRC);
  const { index, gateway } = nextHop(attributes);
  if (source === undefined || index === undefined) return undefined;
  return { source: formatAddress(source), index, ...(gateway !== undefined && { gateway }) };
}

function nextHops(octets: Uint8Array): readonly Pick<IndexedRoute, "index" | "gateway">[] {
  const hops = [];
  const view = viewOf(octets);
  for (let at = 0; at + RTNEXTHOP_SIZE <= octets.length; ) {
    const length = view.getUint16(at, true);
    if (length < RTNEXTHOP_SIZE || at + length > octets.length) break;
    const attributes = decodeAttributes(octets.subarray(at + RTNEXTHOP_SIZE, at + length));
    hops.push({ ...nextHop(attributes), index: view.getInt32(at + 4, true) });
    at += align(length);
  }
  return hops;
}

function nextHop(attributes: ReadonlyMap<number, Uint8Array>): Pick<IndexedRoute, "index" | "gateway"> {
  const index = readU32(attributes.get(RTA_OIF));
  const gateway = attributes.get(RTA_GATEWAY);
  return {
    ...(index !== undefined && { index }),
    ...(gateway !== undefined && { gateway: formatAddress(gateway) }),
  };
}

function rtmsg(family: 4 | 6, destinationLength: number): Uint8Array {
  const octets = new Uint8Array(RTMSG_SIZE);
  octets[0] = family === 4 ? AF_INET : AF_INET6;
  octets[1] = destinationLength;
  return octets;
}

function octetsOf(address: string): Uint8Array {
  const octets = parseAddress(address);
  if (octets === undefined) throw new RangeError(`${address} is no address`);
  return octets;
}
