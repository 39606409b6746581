import type { Reader } from "../../bytes/reader.ts";
import type { Writer } from "../../bytes/writer.ts";
import { TrafficSelectorType } from "../../iana/ikev2-parameters.ts";

/**
 * Traffic Selector payloads (TSi, TSr), RFC 7296 section 3.13.
 *
 *   Number of TSs (1) | reserved (3) | Traffic Selectors
 */
export interface TrafficSelectors {
  /** At least one (RFC 7296 section 2.9). */
  readonly selectors: readonly TrafficSelector[];
}

/**
 * One traffic selector, RFC 7296 section 3.13.1.
 *
 *   TS Type (1) | IP Protocol ID (1) | Selector Length (2) | Start Port (2) | End Port (2) | Starting Address | Ending Address
 */
export interface TrafficSelector {
  /** TrafficSelectorType: 7 is an IPv4 range, 8 an IPv6 range; other types travel with empty addresses. */
  readonly type: number;
  /** 0 is any. */
  readonly protocol: number;
  /** 0 to 65535 is any port; start 65535 with end 0 is OPAQUE. */
  readonly startPort: number;
  readonly endPort: number;
  /** 4 or 16 octets, inclusive. */
  readonly startAddress: Uint8Array;
  readonly endAddress: Uint8Array;
}

export function decodeTrafficSelectors(body: Reader): TrafficSelectors {
  const count = body.u8("Number of TSs");
  body.skip(3, "reserved");
  if (count === 0) body.fail("Number of TSs", "is 0");
  const selectors: TrafficSelector[] = [];
  while (selectors.length < count) selectors.push(decodeTrafficSelector(body));
  body.end();
  return { selectors };
}

export function encodeTrafficSelectors(value: TrafficSelectors, writer: Writer): void {
  if (value.selectors.length === 0) throw new RangeError("no traffic selectors");
  writer.u8(value.selectors.length, "Number of TSs");
  writer.bytes(RESERVED);
  for (const selector of value.selectors) encodeTrafficSelector(selector, writer);
}

function decodeTrafficSelector(container: Reader): TrafficSelector {
  const type = container.u8("TS Type");
  const protocol = container.u8("IP Protocol ID");
  const length = container.u16("Selector Length");
  if (length < 4) container.fail("Selector Length", `${length} is less than its header`);
  const body = container.sub(length - 4, "Traffic Selector");
  const addressLength = addressLengthOf(type);
  // What follows in a selector of another type is not for us to read.
  if (addressLength === undefined) {
    return { type, protocol, startPort: 0, endPort: 0, startAddress: NONE, endAddress: NONE };
  }

  const startPort = body.u16("Start Port");
  const endPort = body.u16("End Port");
  if (isReversed(startPort, endPort)) body.fail("End Port", `${endPort} lies before ${startPort}`);
  const startAddress = body.bytes(addressLength, "Starting Address");
  const endAddress = body.bytes(addressLength, "Ending Address");
  if (compare(startAddress, endAddress) > 0) body.fail("Ending Address", "lies before the starting address");
  body.end();
  return { type, protocol, startPort, endPort, startAddress, endAddress };
}

/** Throws TypeError for a selector of a type that we do not know, since its octets were not kept. */
function encodeTrafficSelector(value: TrafficSelector, writer: Writer): void {
  const addressLength = addressLengthOf(value.type);
  if (addressLength === undefined) throw new TypeError(`traffic selector of type ${value.type}`);
  if (value.startAddress.length !== addressLength || value.endAddress.length !== addressLength) {
    throw new TypeError(`traffic selector of type ${value.type} takes addresses of ${addressLength} octets`);
  }
  if (isReversed(value.startPort, value.endPort) || compare(value.startAddress, value.endAddress) > 0) {
    throw new RangeError("traffic selector ends before it starts");
  }
  writer.u8(value.type, "TS Type");
  writer.u8(value.protocol, "IP Protocol ID");
  writer.u16(8 + 2 * addressLength, "Selector Length");
  writer.u16(value.startPort, "Start Port");
  writer.u16(value.endPort, "End Port");
  writer.bytes(value.startAddress);
  writer.bytes(value.endAddress);
}

function addressLengthOf(type: number): number | undefined {
  if (type === TrafficSelectorType.TS_IPV4_ADDR_RANGE) return 4;
  if (type === TrafficSelectorType.TS_IPV6_ADDR_RANGE) return 16;
  return undefined;
}

/** 65535 to 0 is OPAQUE, RFC 7296 section 3.13.1. */
function isReversed(startPort: number, endPort: number): boolean {
  return startPort > endPort && !(startPort === 65535 && endPort === 0);
}

function compare(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length; i++) {
    const difference = a[i]! - b[i]!;
    if (difference !== 0) return difference;
  }
  return 0;
}

const RESERVED = new Uint8Array(3);
const NONE = new Uint8Array(0);
