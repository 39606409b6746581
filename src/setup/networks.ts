import { createHash } from "node:crypto";
import { parseAddress, parsePrefix } from "../bytes/ip-address.ts";

/** Of our own choice: rarer than 10.0.0.0/24 and 10.8.0.0/24, which half of all routers and VPNs use. */
const FIRST_IPV4_POOL = 77;
const IPV4_POOL_COUNT = 100;

/**
 * Pools for clients: an IPv4 network that none of the machine's own addresses lie near, and a unique local IPv6 network (RFC 4193) that
 * follows from the domain, so that it is the same whenever setup runs.
 */
export function choosePools(domain: string, ownNetworks: readonly string[]): readonly string[] {
  const candidates = Array.from(
    { length: IPV4_POOL_COUNT },
    (_, index) => `10.${FIRST_IPV4_POOL + index}.0.0/24`,
  );
  const free = candidates.find((candidate) => !ownNetworks.some((own) => overlap(candidate, own)));
  const globalId = createHash("sha256").update(domain).digest("hex").slice(0, 10);
  const ipv6 = `fd${globalId.slice(0, 2)}:${group(globalId, 2)}:${group(globalId, 6)}::/64`;
  return [free ?? candidates[0]!, ipv6];
}

/** RFC 5952 section 4.1: a group has no zeros in front. */
function group(digits: string, at: number): string {
  return Number.parseInt(digits.slice(at, at + 4), 16).toString(16);
}

function overlap(one: string, other: string): boolean {
  const [a, b] = [parsePrefix(one)!, parsePrefix(other)];
  if (b === undefined || a.start.length !== b.start.length) return false;
  return Buffer.compare(a.start, b.end) <= 0 && Buffer.compare(b.start, a.end) <= 0;
}

/**
 * Resolvers of a resolv.conf(5) that clients can ask too: not those that listen to this machine alone, nor those of one link. Several
 * texts are tried in turn.
 */
export function usableResolvers(texts: readonly string[]): readonly string[] {
  for (const text of texts) {
    const named = [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)].map(([, address]) => address!);
    const usable = named.filter((address) => parseAddress(address) !== undefined && !isOfOneHost(address));
    if (usable.length > 0) return usable;
  }
  return [];
}

function isOfOneHost(address: string): boolean {
  return /^(127\.|0\.|169\.254\.|::1$|::$|fe[89ab])/i.test(address);
}
