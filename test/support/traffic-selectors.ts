import { parsePrefix } from "../../src/bytes/ip-address.ts";
import { TrafficSelectorType } from "../../src/iana/ikev2-parameters.ts";
import type { TrafficSelector } from "../../src/wire/payloads/traffic-selector.ts";

/** A selector for a prefix, "10.1.0.0/16", of one protocol and a range of ports where they are given. */
export function trafficSelector(
  prefix: string,
  { protocol = 0, startPort = 0, endPort = 65535 }: Partial<TrafficSelector> = {},
): TrafficSelector {
  const range = parsePrefix(prefix);
  if (range === undefined) throw new RangeError(`${prefix} is no prefix`);
  return {
    type:
      range.start.length === 4
        ? TrafficSelectorType.TS_IPV4_ADDR_RANGE
        : TrafficSelectorType.TS_IPV6_ADDR_RANGE,
    protocol,
    startPort,
    endPort,
    startAddress: range.start,
    endAddress: range.end,
  };
}

/** RFC 7296 section 3.13.1: matches only what shows no port. */
export const OPAQUE = { startPort: 65535, endPort: 0 };
