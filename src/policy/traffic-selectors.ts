import { type AddressRange, formatAddress, parseAddress, parsePrefix } from "../bytes/ip-address.ts";
import { PolicyError } from "../errors/index.ts";
import { nameOf, TrafficSelectorType } from "../iana/ikev2-parameters.ts";
import { IpProtocol } from "../iana/ip-protocols.ts";
import type { TrafficSelector } from "../wire/payloads/traffic-selector.ts";
import { rangeToPrefixes } from "./prefixes.ts";

const ANY_PROTOCOL = 0;
const MAXIMUM_PORT = 65535;

/**
 * A selector from text: "10.1.0.0/16", "fd00::/64", "10.1.0.5", "10.1.0.5-10.1.0.9", each with a protocol and ports if
 * wanted: "10.0.0.0/8[tcp/443]", "[udp/1000-2000]", "[icmp]", "[17]", "[tcp/opaque]". Throws PolicyError (code
 * "TRAFFIC_SELECTOR").
 */
export function parseTrafficSelector(text: string): TrafficSelector {
  const parts = /^([^[\]]+?)(?:\[([^[\]]+)\])?$/.exec(text.trim());
  const range = parts === null ? undefined : parseRange(parts[1]!);
  if (parts === null || range === undefined) {
    throw refuse(text, 'write "10.1.0.0/16", "10.1.0.5-10.1.0.9", "fd00::/64" or "10.1.0.0/16[tcp/443]"');
  }
  const { start, end } = range;
  const type =
    start.length === 4 ? TrafficSelectorType.TS_IPV4_ADDR_RANGE : TrafficSelectorType.TS_IPV6_ADDR_RANGE;
  return { type, ...parseUpperLayer(text, parts[2]), startAddress: start, endAddress: end };
}

/** One selector for each text; named for its usual argument. */
export function selectorsFromPrefixes(prefixes: readonly string[]): TrafficSelector[] {
  return prefixes.map(parseTrafficSelector);
}

/** Text that `parseTrafficSelector` reads, for every selector that it can make; "type 9" for selectors of other types. */
export function formatTrafficSelector(selector: TrafficSelector): string {
  const { type, startAddress, endAddress } = selector;
  if (![4, 16].includes(startAddress.length) || startAddress.length !== endAddress.length)
    return `type ${type}`;
  return `${formatRange(startAddress, endAddress)}${formatUpperLayer(selector)}`;
}

/** A peer may send 255 of them; a sentence ends. */
const LISTED_SELECTORS = 16;

/** "10.1.0.0/16, fd00::/64", or "nothing". */
export function formatTrafficSelectors(selectors: readonly TrafficSelector[]): string {
  if (selectors.length === 0) return "nothing";
  const more = selectors.length - LISTED_SELECTORS;
  const listed = selectors.slice(0, LISTED_SELECTORS).map(formatTrafficSelector).join(", ");
  return more > 0 ? `${listed} and ${more} more` : listed;
}

function parseRange(text: string): AddressRange | undefined {
  const dash = text.indexOf("-");
  if (dash < 0) return parsePrefix(text);
  const start = parseAddress(text.slice(0, dash).trim());
  const end = parseAddress(text.slice(dash + 1).trim());
  if (start === undefined || end === undefined || start.length !== end.length) return undefined;
  return Buffer.compare(start, end) <= 0 ? { start, end } : undefined;
}

type UpperLayer = Pick<TrafficSelector, "protocol" | "startPort" | "endPort">;

function parseUpperLayer(text: string, upperLayer: string | undefined): UpperLayer {
  if (upperLayer === undefined) return { protocol: ANY_PROTOCOL, startPort: 0, endPort: MAXIMUM_PORT };
  const [name = "", ports, ...more] = upperLayer.toLowerCase().split("/");
  const protocol = parseProtocol(name);
  if (protocol === undefined || more.length > 0) throw refuse(text, `unknown protocol "${upperLayer}"`);
  if (ports === undefined) return { protocol, startPort: 0, endPort: MAXIMUM_PORT };
  if (ports === "opaque") return { protocol, startPort: MAXIMUM_PORT, endPort: 0 };
  const bounds = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(ports);
  const startPort = Number(bounds?.[1]);
  const endPort = Number(bounds?.[2] ?? bounds?.[1]);
  if (bounds === null || startPort > endPort || endPort > MAXIMUM_PORT)
    throw refuse(text, `no port range: "${ports}"`);
  return { protocol, startPort, endPort };
}

function parseProtocol(name: string): number | undefined {
  if (/^\d{1,3}$/.test(name)) return Number(name) >= 1 && Number(name) <= 255 ? Number(name) : undefined;
  const known = Object.entries(IpProtocol).find(([registered]) => protocolKeyword(registered) === name);
  return known === undefined || known[1] === ANY_PROTOCOL ? undefined : known[1];
}

function protocolKeyword(registered: string): string {
  return registered.toLowerCase().replaceAll("_", "-");
}

function formatRange(start: Uint8Array, end: Uint8Array): string {
  const prefixes = Buffer.compare(start, end) <= 0 ? rangeToPrefixes(start, end) : [];
  return prefixes.length === 1 ? prefixes[0]! : `${formatAddress(start)}-${formatAddress(end)}`;
}

function formatUpperLayer({ protocol, startPort, endPort }: UpperLayer): string {
  const isAnyPort = startPort === 0 && endPort === MAXIMUM_PORT;
  if (protocol === ANY_PROTOCOL && isAnyPort) return "";
  const name = protocol === ANY_PROTOCOL ? "any" : protocolKeyword(nameOf(IpProtocol, protocol));
  if (isAnyPort) return `[${name}]`;
  if (startPort === MAXIMUM_PORT && endPort === 0) return `[${name}/opaque]`;
  return `[${name}/${startPort === endPort ? startPort : `${startPort}-${endPort}`}]`;
}

function refuse(text: string, reason: string): PolicyError {
  return new PolicyError(`traffic selector "${text}": ${reason}`, { code: "TRAFFIC_SELECTOR" });
}
