import { BlockList, isIPv6 } from "node:net";

/** Whether an address is one that anybody on the Internet may be asked at (RFC 6890): not this machine's, the site's or the link's. */
export function isPublicAddress(address: string): boolean {
  return !SPECIAL.check(address, isIPv6(address) ? "ipv6" : "ipv4");
}

/** IPv4 in IPv6 ("::ffff:10.0.0.1") is looked up as IPv4 by the list itself; what carries IPv4 elsewhere is refused whole. */
const SPECIAL = new BlockList();
for (const [network, prefix] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 3],
] as const)
  SPECIAL.addSubnet(network, prefix, "ipv4");
for (const [network, prefix] of [
  ["::", 96],
  ["64:ff9b::", 32],
  ["100::", 64],
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["fc00::", 7],
  ["fe80::", 9],
  ["ff00::", 8],
] as const)
  SPECIAL.addSubnet(network, prefix, "ipv6");
