import { formatAddress } from "../bytes/ip-address.ts";

/** The fewest prefixes ("10.1.0.0/16") that together are exactly the inclusive range of 4- or 16-octet addresses. */
export function rangeToPrefixes(start: Uint8Array, end: Uint8Array): string[] {
  const bits = 8 * start.length;
  const last = toNumber(end);
  const prefixes: string[] = [];
  for (let first = toNumber(start); first <= last; ) {
    let hostBits = 0;
    while (hostBits < bits && isAligned(first, hostBits + 1) && lastOf(first, hostBits + 1) <= last)
      hostBits++;
    prefixes.push(`${formatAddress(toOctets(first, start.length))}/${bits - hostBits}`);
    first = lastOf(first, hostBits) + 1n;
  }
  return prefixes;
}

function isAligned(address: bigint, hostBits: number): boolean {
  return (address & ((1n << BigInt(hostBits)) - 1n)) === 0n;
}

function lastOf(first: bigint, hostBits: number): bigint {
  return first + (1n << BigInt(hostBits)) - 1n;
}

function toNumber(octets: Uint8Array): bigint {
  return octets.reduce((value, octet) => (value << 8n) | BigInt(octet), 0n);
}

function toOctets(value: bigint, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => Number((value >> BigInt(8 * (length - 1 - i))) & 0xffn));
}
