import { compareOctets } from "../bytes/compare.ts";
import { parsePrefix } from "../bytes/ip-address.ts";
import { ownAddressIn } from "./prefix.ts";

/** Where a DHCPINFORM goes. */
const LIMITED_BROADCAST = "255.255.255.255/32";

/**
 * What clients may send packets to, as prefixes: the subnets behind the gateway, the gateway's own address, which may be their resolver,
 * each other where that is wanted, and whoever answers DHCPINFORM.
 */
export function insidePrefixes(gateway: {
  readonly subnets: readonly string[];
  readonly pools: readonly string[];
  readonly reachEachOther: boolean;
}): readonly string[] {
  const { subnets, pools, reachEachOther } = gateway;
  const own = pools.map(ownAddressIn).map((address) => `${address}/${address.includes(":") ? 128 : 32}`);
  const isIpv4 = pools.some((pool) => !pool.includes(":"));
  const further = [...(reachEachOther ? pools : own), ...(isIpv4 ? [LIMITED_BROADCAST] : [])];
  return [...subnets, ...further.filter((prefix) => !subnets.some((subnet) => covers(subnet, prefix)))];
}

function covers(outer: string, inner: string): boolean {
  const [a, b] = [parsePrefix(outer)!, parsePrefix(inner)!];
  return (
    a.start.length === b.start.length &&
    compareOctets(a.start, b.start) <= 0 &&
    compareOctets(b.end, a.end) <= 0
  );
}
