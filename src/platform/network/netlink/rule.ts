import { concat } from "../../../bytes/concat.ts";
import { formatAddress } from "../../../bytes/ip-address.ts";
import { AF_INET, AF_INET6 } from "../../system-calls/constants.ts";
import type { Rule } from "../network.ts";
import { networkOf, parseCidr } from "../prefix.ts";
import {
  FIB_RULE_INVERT,
  FR_ACT_PROHIBIT,
  FR_ACT_TO_TBL,
  FRA_DST,
  FRA_FWMARK,
  FRA_FWMASK,
  FRA_IIFNAME,
  FRA_IP_PROTO,
  FRA_PRIORITY,
  FRA_SPORT_RANGE,
  FRA_SRC,
  FRA_SUPPRESS_PREFIXLEN,
  FRA_TABLE,
  RT_TABLE_COMPAT,
} from "./constants.ts";
import { attribute, decodeAttributes, readText, readU32, viewOf } from "./message.ts";

/** family, dst_len, src_len, tos, table, reserved (2), action (1 each) | flags (4) */
const FIB_RULE_HDR_SIZE = 12;
const NO_SUPPRESSION = 0xffff_ffff;

export function encodeRule(rule: Rule): Uint8Array {
  const header = new Uint8Array(FIB_RULE_HDR_SIZE);
  header[0] = rule.family === 4 ? AF_INET : AF_INET6;
  const isProhibited = rule.table === "prohibit";
  const table = rule.table === "prohibit" ? 0 : rule.table;
  header[4] = table < 256 ? table : RT_TABLE_COMPAT;
  header[7] = isProhibited ? FR_ACT_PROHIBIT : FR_ACT_TO_TBL;
  if (rule.isInverted === true) viewOf(header).setUint32(8, FIB_RULE_INVERT, true);
  const parts = [header, attribute(FRA_PRIORITY, rule.priority)];
  if (!isProhibited) parts.push(attribute(FRA_TABLE, table));
  if (rule.inLink !== undefined) parts.push(attribute(FRA_IIFNAME, rule.inLink));
  if (rule.mark !== undefined) {
    parts.push(attribute(FRA_FWMARK, rule.mark), attribute(FRA_FWMASK, 0xffff_ffff));
  }
  if (rule.suppressPrefixLength !== undefined) {
    parts.push(attribute(FRA_SUPPRESS_PREFIXLEN, rule.suppressPrefixLength));
  }
  if (rule.destination !== undefined) {
    const parsed = parseCidr(rule.destination);
    header[1] = parsed.length;
    parts.push(attribute(FRA_DST, networkOf(parsed)));
  }
  if (rule.source !== undefined) {
    const parsed = parseCidr(rule.source);
    header[2] = parsed.length;
    parts.push(attribute(FRA_SRC, networkOf(parsed)));
  }
  if (rule.protocol !== undefined) parts.push(attribute(FRA_IP_PROTO, Uint8Array.of(rule.protocol)));
  if (rule.sourcePort !== undefined) parts.push(attribute(FRA_SPORT_RANGE, portRange(rule.sourcePort)));
  return concat(...parts);
}

/** struct fib_rule_port_range: first and last port. */
function portRange(port: number): Uint8Array {
  return Uint8Array.of(port & 0xff, port >>> 8, port & 0xff, port >>> 8);
}

/** Body of a question for every rule. */
export function encodeRuleList(): Uint8Array {
  return new Uint8Array(FIB_RULE_HDR_SIZE);
}

/** A rule that sends packets to a table or refuses them; undefined for those with another action or family. */
export function decodeRule(body: Uint8Array): Rule | undefined {
  if (body.length < FIB_RULE_HDR_SIZE) return undefined;
  const isProhibited = body[7] === FR_ACT_PROHIBIT;
  if (!isProhibited && body[7] !== FR_ACT_TO_TBL) return undefined;
  const family = body[0] === AF_INET ? 4 : body[0] === AF_INET6 ? 6 : undefined;
  if (family === undefined) return undefined;
  const attributes = decodeAttributes(body.subarray(FIB_RULE_HDR_SIZE));
  const mark = readU32(attributes.get(FRA_FWMARK));
  const suppress = readU32(attributes.get(FRA_SUPPRESS_PREFIXLEN)) ?? NO_SUPPRESSION;
  const destination = attributes.get(FRA_DST);
  const source = attributes.get(FRA_SRC);
  const inLink = readText(attributes.get(FRA_IIFNAME));
  const [protocol] = attributes.get(FRA_IP_PROTO) ?? [];
  const [low, high] = attributes.get(FRA_SPORT_RANGE) ?? [];
  return {
    family,
    priority: readU32(attributes.get(FRA_PRIORITY)) ?? 0,
    table: isProhibited ? "prohibit" : (readU32(attributes.get(FRA_TABLE)) ?? body[4]!),
    ...(inLink !== undefined && { inLink }),
    ...(mark !== undefined && { mark }),
    ...((viewOf(body).getUint32(8, true) & FIB_RULE_INVERT) !== 0 && { isInverted: true }),
    ...(suppress !== NO_SUPPRESSION && { suppressPrefixLength: suppress }),
    ...(destination !== undefined && { destination: `${formatAddress(destination)}/${body[1]}` }),
    ...(source !== undefined && { source: `${formatAddress(source)}/${body[2]}` }),
    ...(protocol !== undefined && { protocol }),
    ...(low !== undefined && high !== undefined && { sourcePort: low | (high << 8) }),
  };
}
