import { concat } from "../../../bytes/concat.ts";
import { AF_INET6 } from "../../system-calls/constants.ts";
import type { Link } from "../network.ts";
import {
  IF_OPER_UP,
  IFF_UP,
  IFLA_AF_SPEC,
  IFLA_EXT_MASK,
  IFLA_GROUP,
  IFLA_GSO_MAX_SEGS,
  IFLA_IFNAME,
  IFLA_INET6_ADDR_GEN_MODE,
  IFLA_INFO_DATA,
  IFLA_INFO_KIND,
  IFLA_LINKINFO,
  IFLA_MTU,
  IFLA_NET_NS_PID,
  IFLA_OPERSTATE,
  IFLA_TXQLEN,
  IN6_ADDR_GEN_MODE_NONE,
  RTEXT_FILTER_SKIP_STATS,
  VETH_INFO_PEER,
} from "./constants.ts";
import { attribute, decodeAttributes, readText, readU32, viewOf } from "./message.ts";

/** ifi_family (1) | pad (1) | ifi_type (2) | ifi_index (4) | ifi_flags (4) | ifi_change (4) */
const IFINFOMSG_SIZE = 16;

/** One end of a veth pair; `pid` puts it into that process's network namespace. If both or neither name an `index`, the kernel takes it. */
export interface VethEnd {
  readonly name: string;
  readonly pid?: number;
  readonly index?: number;
  /** Packets that pass it as one super-packet at most: with 1 each is a frame of its own, as on a wire. */
  readonly segmentLimit?: number;
}

/** Body of a question for every link. */
export function encodeLinkQuery(): Uint8Array {
  return concat(ifinfomsg({}), attribute(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS));
}

export function encodeLinkChange(change: {
  readonly index: number;
  readonly isUp?: boolean;
  readonly mtu?: number;
  readonly queueLength?: number;
  readonly group?: number;
  readonly pid?: number;
}): Uint8Array {
  const parts = [ifinfomsg(change)];
  if (change.mtu !== undefined) parts.push(attribute(IFLA_MTU, change.mtu));
  if (change.queueLength !== undefined) parts.push(attribute(IFLA_TXQLEN, change.queueLength));
  if (change.group !== undefined) parts.push(attribute(IFLA_GROUP, change.group));
  if (change.pid !== undefined) parts.push(attribute(IFLA_NET_NS_PID, change.pid));
  return concat(...parts);
}

/** The link makes itself no IPv6 address when it comes up. */
export function encodeNoLinkLocal(index: number): Uint8Array {
  const mode = attribute(IFLA_INET6_ADDR_GEN_MODE, Uint8Array.of(IN6_ADDR_GEN_MODE_NONE));
  return concat(ifinfomsg({ index }), attribute(IFLA_AF_SPEC, [attribute(AF_INET6, [mode])]));
}

export function encodeVethPair(left: VethEnd, right: VethEnd): Uint8Array {
  const peer = attribute(VETH_INFO_PEER, vethEnd(right));
  const info = [attribute(IFLA_INFO_KIND, "veth"), attribute(IFLA_INFO_DATA, [peer])];
  return concat(vethEnd(left), attribute(IFLA_LINKINFO, info));
}

export function decodeLink(body: Uint8Array): Link | undefined {
  if (body.length < IFINFOMSG_SIZE) return undefined;
  const view = viewOf(body);
  const attributes = decodeAttributes(body.subarray(IFINFOMSG_SIZE));
  const name = readText(attributes.get(IFLA_IFNAME));
  if (name === undefined) return undefined;
  return {
    name,
    index: view.getInt32(4, true),
    isUp: (view.getUint32(8, true) & IFF_UP) !== 0,
    mtu: readU32(attributes.get(IFLA_MTU)) ?? 0,
    queueLength: readU32(attributes.get(IFLA_TXQLEN)) ?? 0,
    group: readU32(attributes.get(IFLA_GROUP)) ?? 0,
  };
}

/** Whether the kernel has seen the link's carrier and lets packets through (RFC 2863, ifOperStatus). Links without a carrier never say so. */
export function decodeHasCarrier(body: Uint8Array): boolean {
  const attributes = decodeAttributes(body.subarray(IFINFOMSG_SIZE));
  return attributes.get(IFLA_OPERSTATE)?.[0] === IF_OPER_UP;
}

function vethEnd({ name, pid, index = 0, segmentLimit }: VethEnd): Uint8Array {
  const place = pid === undefined ? [] : [attribute(IFLA_NET_NS_PID, pid)];
  const limit = segmentLimit === undefined ? [] : [attribute(IFLA_GSO_MAX_SEGS, segmentLimit)];
  return concat(ifinfomsg({ index }), attribute(IFLA_IFNAME, name), ...place, ...limit);
}

function ifinfomsg({ index = 0, isUp }: { readonly index?: number; readonly isUp?: boolean }): Uint8Array {
  const octets = new Uint8Array(IFINFOMSG_SIZE);
  const view = viewOf(octets);
  view.setInt32(4, index, true);
  if (isUp !== undefined) {
    view.setUint32(8, isUp ? IFF_UP : 0, true);
    view.setUint32(12, IFF_UP, true);
  }
  return octets;
}
