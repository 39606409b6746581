import { compareOctets } from "../bytes/compare.ts";
import { formatAddress } from "../bytes/ip-address.ts";
import type { SelectorSet } from "./selector-table.ts";

const [IPV4_LENGTH, IPV6_LENGTH] = [20, 40];
const HOP_LIMIT = 64;

/**
 * The IP header that an SA in transport mode puts before what arrives: from the remote address to the local one. Lengths, protocol,
 * traffic class and checksum are left open. Throws RangeError when the selectors name more than one address at an end.
 */
export function transportHeader({ local, remote }: SelectorSet): Uint8Array {
  const [source, destination] = [onlyAddress(remote), onlyAddress(local)];
  if (source === undefined || destination === undefined || source.length !== destination.length) {
    throw new RangeError("transport mode is between one address and another");
  }
  const header = new Uint8Array(source.length === 4 ? IPV4_LENGTH : IPV6_LENGTH);
  if (source.length === 4) {
    // No fragments come out of ESP in transport mode, so an identification would identify nothing (RFC 6864 section 4.1).
    header.set([0x45, 0, 0, 0, 0, 0, 0x40, 0, HOP_LIMIT]);
    header.set([...source, ...destination], 12);
  } else {
    header.set([0x60, 0, 0, 0, 0, 0, 0, HOP_LIMIT, ...source, ...destination]);
  }
  return header;
}

/** The one address that all the selectors name, or undefined. */
function onlyAddress(selectors: SelectorSet["local"]): Uint8Array | undefined {
  const named = new Set(
    selectors.flatMap(({ startAddress, endAddress }) => [
      formatAddress(startAddress),
      formatAddress(endAddress),
    ]),
  );
  const [first] = selectors;
  return named.size === 1 && first !== undefined && compareOctets(first.startAddress, first.endAddress) === 0
    ? first.startAddress
    : undefined;
}
