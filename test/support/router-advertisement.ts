import { concat } from "../../src/bytes/concat.ts";
import { parseAddress } from "../../src/bytes/ip-address.ts";
import { internetChecksum } from "../../src/wire/ip-header.ts";

const ETHERTYPE_IPV6 = [0x86, 0xdd];
const ALL_NODES = "ff02::1";

/**
 * A router advertisement (RFC 4861 section 4.2) to everybody on the link, as an Ethernet frame: the sender is a default router of high
 * preference, and the way to `prefix` (RFC 4191 section 2.3).
 */
export function routerAdvertisement({
  mac,
  source,
  prefix,
  prefixLength,
}: {
  readonly mac: Uint8Array;
  /** Link-local. */
  readonly source: string;
  readonly prefix: string;
  readonly prefixLength: number;
}): Uint8Array {
  const lifetime = [0, 0, 0x07, 0x08];
  // Type, code, checksum | hop limit, flags (preference high), router lifetime | reachable time, retransmission timer
  const header = [134, 0, 0, 0, 64, 0x08, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0];
  const linkAddress = [1, 1, ...mac];
  const routeInformation = [24, 3, prefixLength, 0x08, ...lifetime, ...parseAddress(prefix)!];
  const icmp = Uint8Array.from([...header, ...linkAddress, ...routeInformation]);
  const addresses = concat(parseAddress(source)!, parseAddress(ALL_NODES)!);
  const pseudoHeader = concat(addresses, Uint8Array.from([0, 0, 0, icmp.length, 0, 0, 0, 58]));
  new DataView(icmp.buffer).setUint16(2, internetChecksum(concat(pseudoHeader, icmp)));
  const ip = Uint8Array.from([0x60, 0, 0, 0, 0, icmp.length, 58, 255]);
  const ethernet = Uint8Array.from([0x33, 0x33, 0, 0, 0, 1, ...mac, ...ETHERTYPE_IPV6]);
  return concat(ethernet, concat(ip, concat(addresses, icmp)));
}
