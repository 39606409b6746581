import { concat } from "../../../bytes/concat.ts";
import { formatAddress } from "../../../bytes/ip-address.ts";
import { AF_INET, AF_INET6 } from "../../system-calls/constants.ts";
import { parseCidr } from "../prefix.ts";
import { IFA_ADDRESS, IFA_F_NODAD, IFA_FLAGS, IFA_LOCAL } from "./constants.ts";
import { attribute, decodeAttributes, viewOf } from "./message.ts";

/** ifa_family (1) | ifa_prefixlen (1) | ifa_flags (1) | ifa_scope (1) | ifa_index (4) */
const IFADDRMSG_SIZE = 8;

export function encodeAddress({
  index,
  prefix,
}: {
  readonly index: number;
  readonly prefix: string;
}): Uint8Array {
  const { family, octets, length } = parseCidr(prefix);
  const header = new Uint8Array(IFADDRMSG_SIZE);
  header[0] = family === 4 ? AF_INET : AF_INET6;
  header[1] = length;
  viewOf(header).setUint32(4, index, true);
  const parts = [header, attribute(IFA_LOCAL, octets), attribute(IFA_ADDRESS, octets)];
  // Nobody else is on these links; detecting duplicates would keep the address unusable for a second.
  if (family === 6) parts.push(attribute(IFA_FLAGS, IFA_F_NODAD));
  return concat(...parts);
}

export function decodeAddress(
  body: Uint8Array,
): { readonly index: number; readonly address: string; readonly prefixLength: number } | undefined {
  if (body.length < IFADDRMSG_SIZE) return undefined;
  const attributes = decodeAttributes(body.subarray(IFADDRMSG_SIZE));
  // On a point-to-point link IFA_ADDRESS is the peer's.
  const octets = attributes.get(IFA_LOCAL) ?? attributes.get(IFA_ADDRESS);
  if (octets === undefined || octets.length !== (body[0] === AF_INET ? 4 : 16)) return undefined;
  return { index: viewOf(body).getUint32(4, true), address: formatAddress(octets), prefixLength: body[1]! };
}
