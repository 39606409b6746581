import { addressToNumber, formatAddress, numberToAddress } from "../bytes/ip-address.ts";

/** The fewest prefixes ("10.1.0.0/16") that together are exactly the inclusive range of 4- or 16-octet addresses. */
export function rangeToPrefixes(start: Uint8Array, end: Uint8Array): string[] {
  const bits = 8 * start.length;
  const whole = wholePrefixLength(start, end);
  if (whole !== undefined) return [`${formatAddress(start)}/${whole}`];
  const last = addressToNumber(end);
  const prefixes: string[] = [];
  for (let first = addressToNumber(start); first <= last; ) {
    let hostBits = 0;
    while (hostBits < bits && isAligned(first, hostBits + 1) && lastOf(first, hostBits + 1) <= last)
      hostBits++;
    prefixes.push(`${formatAddress(numberToAddress(first, start.length))}/${bits - hostBits}`);
    first = lastOf(first, hostBits) + 1n;
  }
  return prefixes;
}

/** The length of the prefix that is this very range, as most ranges are; undefined where it takes several. */
function wholePrefixLength(start: Uint8Array, end: Uint8Array): number | undefined {
  const bits = 8 * start.length;
  let length = 0;
  while (length < bits && bitAt(start, length) === bitAt(end, length)) length++;
  for (let i = length; i < bits; i++) if (bitAt(start, i) !== 0 || bitAt(end, i) !== 1) return undefined;
  return length;
}

function bitAt(octets: Uint8Array, index: number): number {
  return (octets[index >>> 3]! >>> (7 - (index & 7))) & 1;
}

function isAligned(address: bigint, hostBits: number): boolean {
  return (address & ((1n << BigInt(hostBits)) - 1n)) === 0n;
}

function lastOf(first: bigint, hostBits: number): bigint {
  return first + (1n << BigInt(hostBits)) - 1n;
}
