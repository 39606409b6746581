import { formatAddress, parseAddress, parsePrefix } from "../../bytes/ip-address.ts";
import { ConfigurationAttribute, nameOf } from "../../iana/ikev2-parameters.ts";
import type { ConfigurationValue } from "../../wire/payloads/configuration.ts";

const {
  INTERNAL_IP4_ADDRESS,
  INTERNAL_IP4_NETMASK,
  INTERNAL_IP4_DNS,
  INTERNAL_IP4_NBNS,
  INTERNAL_IP4_DHCP,
  INTERNAL_IP6_ADDRESS,
  INTERNAL_IP6_DNS,
  INTERNAL_IP4_SUBNET,
  INTERNAL_IP6_SUBNET,
  INTERNAL_IP6_DHCP,
  INTERNAL_DNS_DOMAIN,
  INTERNAL_DNSSEC_TA,
  SUPPORTED_ATTRIBUTES,
} = ConfigurationAttribute;

/** What we have an answer to, in the order of the registry. */
export const ANSWERED: readonly number[] = [
  INTERNAL_IP4_ADDRESS,
  INTERNAL_IP4_DNS,
  INTERNAL_IP6_ADDRESS,
  INTERNAL_IP6_DNS,
  INTERNAL_IP4_SUBNET,
  SUPPORTED_ATTRIBUTES,
  INTERNAL_IP6_SUBNET,
  INTERNAL_DNS_DOMAIN,
  INTERNAL_DNSSEC_TA,
];

/** Octets of a value that is not empty, RFC 7296 section 3.15.1. Attributes that are not here have any length. */
const LENGTHS: ReadonlyMap<number, number> = new Map<number, number>([
  [INTERNAL_IP4_ADDRESS, 4],
  [INTERNAL_IP4_NETMASK, 4],
  [INTERNAL_IP4_DNS, 4],
  [INTERNAL_IP4_NBNS, 4],
  [INTERNAL_IP4_DHCP, 4],
  [INTERNAL_IP6_ADDRESS, 17], // the last octet is the prefix length
  [INTERNAL_IP6_DNS, 16],
  [INTERNAL_IP6_DHCP, 16],
  [INTERNAL_IP4_SUBNET, 8], // address and mask
  [INTERNAL_IP6_SUBNET, 17],
]);

/**
 * What stock gateways say of their clients' addresses. It tells the client which others share its link; where it sends packets is up
 * to the traffic selectors.
 */
const IPV6_PREFIX_LENGTH = 64;

/** Why the value of an attribute that we know cannot be one; an empty value is in order. */
export function faultOfAttribute({ type, value }: ConfigurationValue): string | undefined {
  const length = LENGTHS.get(type);
  if (length === undefined || value.length === 0) return undefined;
  const name = nameOf(ConfigurationAttribute, type);
  if (value.length !== length) return `${name} has ${value.length} octets instead of ${length}`;
  if (length === 17 && value[16]! > 128) return `${name} has a prefix of ${value[16]} bits`;
  const mask =
    type === INTERNAL_IP4_SUBNET ? value.subarray(4) : type === INTERNAL_IP4_NETMASK ? value : undefined;
  if (mask !== undefined && lengthOfMask(mask) === undefined)
    return `${name}: ${formatAddress(mask)} is no netmask`;
  return undefined;
}

/** The address in a value without fault. */
export function addressIn({ type, value }: ConfigurationValue): string {
  return formatAddress(value.subarray(0, isIpv6(type) ? 16 : 4));
}

/** The prefix in a value without fault, host bits cleared. */
export function prefixIn(attribute: ConfigurationValue): string {
  const { type, value } = attribute;
  const length = type === INTERNAL_IP6_SUBNET ? value[16]! : lengthOfMask(value.subarray(4))!;
  return canonical(addressIn(attribute), length);
}

/** The prefix that an address and its netmask make. */
export function prefixUnderMask(address: string, mask: Uint8Array): string {
  return canonical(address, lengthOfMask(mask)!);
}

export function addressAttribute(address: string): ConfigurationValue {
  const octets = octetsOf(address);
  if (octets.length === 4) return { type: INTERNAL_IP4_ADDRESS, value: octets };
  return { type: INTERNAL_IP6_ADDRESS, value: withOctet(octets, IPV6_PREFIX_LENGTH) };
}

export function dnsAttribute(address: string): ConfigurationValue {
  const value = octetsOf(address);
  return { type: value.length === 4 ? INTERNAL_IP4_DNS : INTERNAL_IP6_DNS, value };
}

export function subnetAttribute(prefix: string): ConfigurationValue {
  const range = parsePrefix(prefix);
  if (range === undefined) throw new RangeError(`${prefix} is no prefix`);
  const { start, end } = range;
  // One bits where all addresses of the prefix agree.
  const mask = start.map((octet, i) => ~(octet ^ end[i]!));
  if (start.length === 16) return { type: INTERNAL_IP6_SUBNET, value: withOctet(start, oneBits(mask)) };
  return { type: INTERNAL_IP4_SUBNET, value: Uint8Array.of(...start, ...mask) };
}

function isIpv6(type: number): boolean {
  return type === INTERNAL_IP6_ADDRESS || type === INTERNAL_IP6_DNS || type === INTERNAL_IP6_SUBNET;
}

/** One bits of a mask that has none behind a zero bit. */
function lengthOfMask(mask: Uint8Array): number | undefined {
  const length = oneBits(mask);
  return mask.every((octet, i) => octet === ((0xff00 >> Math.min(8, Math.max(0, length - 8 * i))) & 0xff))
    ? length
    : undefined;
}

function oneBits(octets: Uint8Array): number {
  let count = 0;
  for (const octet of octets) for (let bits = octet; bits !== 0; bits &= bits - 1) count++;
  return count;
}

function canonical(address: string, length: number): string {
  return `${formatAddress(parsePrefix(`${address}/${length}`)!.start)}/${length}`;
}

function octetsOf(address: string): Uint8Array {
  const octets = parseAddress(address);
  if (octets === undefined) throw new RangeError(`${address} is no address`);
  return octets;
}

function withOctet(octets: Uint8Array, last: number): Uint8Array {
  return Uint8Array.of(...octets, last);
}
