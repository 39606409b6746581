import { type AddressRange, formatAddress, parseAddress, parsePrefix } from "../bytes/ip-address.ts";
import { PolicyError } from "../errors/index.ts";
import { TrafficSelectorType } from "../iana/ikev2-parameters.ts";
import { IpProtocol } from "../iana/ip-protocols.ts";
import type { TrafficSelector } from "../wire/payloads/traffic-selector.ts";
import { nearest } from "./nearest.ts";

/** Protocols by the names that users write; any other is written as its number. */
const PROTOCOLS: Readonly<Record<string, number>> = {
  icmp: IpProtocol.ICMP,
  tcp: IpProtocol.TCP,
  udp: IpProtocol.UDP,
  gre: IpProtocol.GRE,
  icmpv6: IpProtocol.IPV6_ICMP,
  sctp: IpProtocol.SCTP,
  udplite: IpProtocol.UDPLITE,
};
const PROTOCOLS_WITH_PORTS: readonly number[] = [
  IpProtocol.TCP,
  IpProtocol.UDP,
  IpProtocol.SCTP,
  IpProtocol.UDPLITE,
];

const ANY_PROTOCOL = 0;
const ANY_PORT = [0, 65_535] as const;

/**
 * Reads "10.1.0.0/16", "10.1.0.5-10.1.0.9", "fd00::/64", "10.0.0.0/8[tcp/443]", "10.0.0.0/8[udp/5000-5010]", "10.0.0.1[icmp]".
 * Throws PolicyError.
 */
export function parseSelector(text: string): TrafficSelector {
  const [, addresses = "", condition] = /^([^[\]]*)(?:\[([^[\]]*)\])?$/.exec(text.trim()) ?? [];
  const { start, end } = parseRange(addresses.trim(), text);
  const { protocol, ports } =
    condition === undefined ? { protocol: ANY_PROTOCOL, ports: ANY_PORT } : parseCondition(condition, text);
  return {
    type:
      start.length === 4 ? TrafficSelectorType.TS_IPV4_ADDR_RANGE : TrafficSelectorType.TS_IPV6_ADDR_RANGE,
    protocol,
    startPort: ports[0],
    endPort: ports[1],
    startAddress: start,
    endAddress: end,
  };
}

function parseRange(addresses: string, text: string): AddressRange {
  const dash = addresses.indexOf("-");
  if (dash >= 0) return parseFromTo(addresses.slice(0, dash).trim(), addresses.slice(dash + 1).trim(), text);
  const range = parsePrefix(addresses);
  if (range === undefined) {
    throw new PolicyError(`"${text}" is not a range of addresses; write it like 10.1.0.0/16 or fd00::/64`);
  }
  const [address = "", length] = addresses.split("/");
  if (!isEqual(parseAddress(address), range.start)) {
    throw new PolicyError(
      `"${addresses}" has bits behind its prefix; did you mean "${formatAddress(range.start)}/${length}"?`,
    );
  }
  return range;
}

function parseFromTo(from: string, to: string, text: string): AddressRange {
  const [start, end] = [parseAddress(from), parseAddress(to)];
  if (start === undefined || end === undefined || start.length !== end.length) {
    throw new PolicyError(`"${text}" is not a range of addresses; write it like 10.1.0.5-10.1.0.9`);
  }
  if (Buffer.compare(start, end) > 0) throw new PolicyError(`"${text}" ends before it begins`);
  return { start, end };
}

function parseCondition(
  condition: string,
  text: string,
): { protocol: number; ports: readonly [number, number] } {
  const [, name = "", portText] = /^\s*([A-Za-z0-9]+)\s*(?:\/\s*(.*?)\s*)?$/.exec(condition) ?? [];
  if (name === "")
    throw new PolicyError(`"[${condition}]" in "${text}" is not a protocol; write it like [tcp/443]`);
  const protocol = parseProtocol(name, text);
  if (portText === undefined) return { protocol, ports: ANY_PORT };
  if (!PROTOCOLS_WITH_PORTS.includes(protocol))
    throw new PolicyError(`protocol ${name} in "${text}" has no ports`);
  const [first, last, ...more] = portText.split("-").map((port) => parseNumber(port.trim(), 65_535));
  const end = portText.includes("-") ? last : first;
  if (first === undefined || end === undefined || first > end || more.length > 0) {
    throw new PolicyError(`"${portText}" in "${text}" is not a port or a range of ports`);
  }
  return { protocol, ports: [first, end] };
}

function parseProtocol(name: string, text: string): number {
  const lower = name.toLowerCase();
  if (Object.hasOwn(PROTOCOLS, lower)) return PROTOCOLS[lower]!;
  const number = parseNumber(name, 255);
  if (number !== undefined && number > 0) return number;
  const suggestion = nearest(lower, Object.keys(PROTOCOLS));
  const hint =
    suggestion === undefined
      ? `known are ${Object.keys(PROTOCOLS).join(", ")} and numbers`
      : `did you mean "${suggestion}"?`;
  throw new PolicyError(`unknown protocol "${name}" in "${text}"; ${hint}`);
}

function parseNumber(text: string, largest: number): number | undefined {
  if (!/^(0|[1-9]\d{0,4})$/.test(text)) return undefined;
  const value = Number(text);
  return value <= largest ? value : undefined;
}

function isEqual(a: Uint8Array | undefined, b: Uint8Array): boolean {
  return a !== undefined && Buffer.compare(a, b) === 0;
}
