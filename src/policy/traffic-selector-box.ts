import { addressToNumber, numberToAddress } from "../bytes/ip-address.ts";
import { TrafficSelectorType } from "../iana/ikev2-parameters.ts";
import type { TrafficSelector } from "../wire/payloads/traffic-selector.ts";

/**
 * A traffic selector as a box in three dimensions, bounds inclusive, so that intersection and difference are the same work
 * in each:
 *
 *   addresses      as numbers
 *   protocols      0 to 255; a selector names one or all
 *   ports          0 to 65535, and 65536 for OPAQUE (RFC 4301 section 4.4.1.1: any port includes packets whose ports are hidden)
 */
export interface Box {
  readonly type: number;
  readonly addresses: Interval;
  readonly protocols: Interval;
  readonly ports: Interval;
}

interface Interval {
  readonly from: bigint;
  readonly to: bigint;
}

const ALL_PROTOCOLS: Interval = { from: 0n, to: 255n };
const OPAQUE = 65536n;
const ALL_PORTS: Interval = { from: 0n, to: OPAQUE };
const MAXIMUM_PORT = 65535;

const ADDRESS_LENGTHS: ReadonlyMap<number, number> = new Map<number, number>([
  [TrafficSelectorType.TS_IPV4_ADDR_RANGE, 4],
  [TrafficSelectorType.TS_IPV6_ADDR_RANGE, 16],
]);

/** Undefined for a selector of another type, or one that means nothing: reversed ranges, and ports without a protocol (RFC 7296 section 3.13.1). */
export function toBox(selector: TrafficSelector): Box | undefined {
  const { type, protocol, startAddress, endAddress } = selector;
  const length = ADDRESS_LENGTHS.get(type);
  if (length === undefined || startAddress.length !== length || endAddress.length !== length)
    return undefined;
  const addresses = { from: addressToNumber(startAddress), to: addressToNumber(endAddress) };
  const ports = toPorts(selector);
  if (addresses.from > addresses.to || ports === undefined) return undefined;
  if (protocol === 0 && ports !== ALL_PORTS) return undefined;
  const protocols = protocol === 0 ? ALL_PROTOCOLS : { from: BigInt(protocol), to: BigInt(protocol) };
  return { type, addresses, protocols, ports };
}

export function toSelector({ type, addresses, protocols, ports }: Box): TrafficSelector {
  const length = ADDRESS_LENGTHS.get(type) ?? 0;
  const isOpaque = ports.from === OPAQUE;
  return {
    type,
    protocol: protocols.from === protocols.to ? Number(protocols.from) : 0,
    startPort: isOpaque ? MAXIMUM_PORT : Number(ports.from),
    endPort: isOpaque ? 0 : Math.min(Number(ports.to), MAXIMUM_PORT),
    startAddress: numberToAddress(addresses.from, length),
    endAddress: numberToAddress(addresses.to, length),
  };
}

export function intersect(a: Box, b: Box): Box | undefined {
  const addresses = overlap(a.addresses, b.addresses);
  const protocols = overlap(a.protocols, b.protocols);
  const ports = overlap(a.ports, b.ports);
  if (a.type !== b.type || addresses === undefined || protocols === undefined || ports === undefined) {
    return undefined;
  }
  return { type: a.type, addresses, protocols, ports };
}

export function contains(outer: Box, inner: Box): boolean {
  return (
    outer.type === inner.type &&
    isWithin(inner.addresses, outer.addresses) &&
    isWithin(inner.protocols, outer.protocols) &&
    isWithin(inner.ports, outer.ports)
  );
}

/** What is left of a box when another is taken out: at most two slabs for each dimension. */
export function subtract(box: Box, taken: Box): readonly Box[] {
  const common = intersect(box, taken);
  if (common === undefined) return [box];
  const rest: Box[] = [];
  let core = box;
  for (const dimension of ["addresses", "protocols", "ports"] as const) {
    const { from, to } = core[dimension];
    const inner = common[dimension];
    if (from < inner.from) rest.push({ ...core, [dimension]: { from, to: inner.from - 1n } });
    if (inner.to < to) rest.push({ ...core, [dimension]: { from: inner.to + 1n, to } });
    core = { ...core, [dimension]: inner };
  }
  return rest;
}

function toPorts({ startPort, endPort }: TrafficSelector): Interval | undefined {
  if (startPort === 0 && endPort === MAXIMUM_PORT) return ALL_PORTS;
  if (startPort === MAXIMUM_PORT && endPort === 0) return { from: OPAQUE, to: OPAQUE };
  return startPort <= endPort ? { from: BigInt(startPort), to: BigInt(endPort) } : undefined;
}

function overlap(a: Interval, b: Interval): Interval | undefined {
  const from = a.from > b.from ? a.from : b.from;
  const to = a.to < b.to ? a.to : b.to;
  return from <= to ? { from, to } : undefined;
}

function isWithin(inner: Interval, outer: Interval): boolean {
  return outer.from <= inner.from && inner.to <= outer.to;
}
