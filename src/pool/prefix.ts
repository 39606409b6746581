import { formatAddress, parsePrefix } from "../bytes/ip-address.ts";
import { PolicyError } from "../errors/index.ts";

/** Of a longer prefix the first addresses serve: nobody has more clients, and numbers stay small. */
const MAXIMUM_HOSTS = 2 ** 24;

/** The addresses of a prefix as numbers: 10.77.0.0 is 0 in 10.77.0.0/24. */
export interface PoolPrefix {
  /** Canonical: "10.77.0.0/24". */
  readonly text: string;
  readonly family: 4 | 6;
  /** The lowest and the highest number that a host may have. */
  readonly first: number;
  readonly last: number;
  /** The gateway's own. */
  readonly own: number;
  /** How many addresses there are for clients. */
  readonly capacity: number;
  octetsOf(number: number): Uint8Array;
  /** Undefined for an address of another prefix, or beyond `last`. */
  numberOf(octets: Uint8Array): number | undefined;
}

/**
 * Reads "10.77.0.0/24" or "fd77::/64". IPv4 keeps out the network's address and the broadcast address, where there are such (RFC 3021),
 * IPv6 the subnet-router anycast address, whose host part is zero (RFC 4291 section 2.6.1). The first that is left is the gateway's own.
 * Throws PolicyError (code "POOL") for what is no prefix or has no address for a client.
 */
export function parsePoolPrefix(text: string): PoolPrefix {
  const range = parsePrefix(text);
  if (range === undefined || !text.includes("/")) throw fault(`${text} is no prefix: write 10.77.0.0/24`);
  const { start, end } = range;
  const family = start.length === 4 ? 4 : 6;
  const bits = 8 * start.length;
  const length = Number(text.slice(text.indexOf("/") + 1));
  const total = Math.min(2 ** (bits - length), MAXIMUM_HOSTS);
  const first = family === 4 && bits - length < 2 ? 0 : 1;
  const isBroadcast = family === 4 && bits - length >= 2 && 2 ** (bits - length) <= MAXIMUM_HOSTS;
  const last = total - 1 - (isBroadcast ? 1 : 0);
  const capacity = last - first; // the gateway takes one
  if (capacity < 1) throw fault(`${text} has no address for a client beside the gateway's own`);

  const base = lowWord(start);
  return {
    text: `${formatAddress(start)}/${length}`,
    family,
    first,
    last,
    own: first,
    capacity,
    octetsOf: (number) => withLowWord(start, base + number),
    numberOf: (octets) => {
      const isInside =
        octets.length === start.length &&
        octets.every((octet, i) => start[i]! <= octet && octet <= end[i]!) &&
        octets.subarray(0, -4).every((octet, i) => octet === start[i]);
      if (!isInside) return undefined;
      const number = lowWord(octets) - base;
      return number <= last ? number : undefined;
    },
  };
}

/** The gateway's own address in a prefix: the first one for a host. */
export function ownAddressIn(prefix: string): string {
  const parsed = parsePoolPrefix(prefix);
  return formatAddress(parsed.octetsOf(parsed.own));
}

function lowWord(octets: Uint8Array): number {
  return octets.subarray(-4).reduce((value, octet) => value * 256 + octet, 0);
}

function withLowWord(octets: Uint8Array, word: number): Uint8Array {
  const copy = octets.slice();
  new DataView(copy.buffer).setUint32(copy.length - 4, word);
  return copy;
}

function fault(message: string): PolicyError {
  return new PolicyError(message, { code: "POOL" });
}
