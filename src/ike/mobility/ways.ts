import type { Path } from "../../platform/address.ts";
import type { IkeSa } from "../ike-sa.ts";
import { STANDARD_PORTS } from "../ports.ts";

// The ways between us and a peer in UDP: pairs of an address of ours and one of the peer's (RFC 4555 section 3.5). Which one is
// taken is up to whoever has called.

/** Where ways lead, and what they have in common. */
export interface Ends {
  /** The way that is as good as taken: its ports are those of all others. */
  readonly base: Path;
  /** Further addresses that the peer may be called at. */
  readonly peerAddresses: readonly string[];
}

export function isSamePath(a: Path, b: Path): boolean {
  return wordsOf(a) === wordsOf(b);
}

export function wordsOf({ local, remote, stream = 0 }: Path): string {
  return `${local.address} ${local.port} ${remote.address} ${remote.port} ${stream}`;
}

/**
 * The same path with other addresses. Who is called listens on the same port at each of them. Who has called may be behind a NAT here, and
 * not there: then it has the port that everybody listens on.
 */
function between(ikeSa: IkeSa, base: Path, local: string, remote: string): Path {
  const { address, port } = base.remote;
  const isPlain = ikeSa.isCaller || remote === address || port === STANDARD_PORTS.ike;
  return {
    local: { address: local, port: base.local.port },
    remote: { address: remote, port: isPlain ? port : STANDARD_PORTS.natTraversal },
  };
}

/**
 * The way that routes lead now: to where the peer is, and if none leads there, to another address of the peer's. Undefined where there is
 * none at all. `isRefused`: what the peer does not want.
 */
export function bestWay(
  ikeSa: IkeSa,
  { base, peerAddresses }: Ends,
  isRefused: (path: Path) => boolean,
): Path | undefined {
  const { connection, machine } = ikeSa;
  const pinned = connection?.local.address;
  for (const remote of [base.remote.address, ...peerAddresses]) {
    const local = machine.network?.sourceTo(remote);
    if (local === undefined || (pinned !== undefined && local !== pinned)) continue;
    const way = between(ikeSa, base, local, remote);
    if (!isRefused(way)) return way;
  }
  return undefined;
}

/**
 * Every way that may work, since routes do not know that a link leads nowhere: first that which they choose to each of the peer's addresses,
 * then those from our other addresses.
 */
export function allWays(ikeSa: IkeSa, { base, peerAddresses }: Ends): readonly Path[] {
  const { connection, machine } = ikeSa;
  const { network, limits } = machine;
  if (network === undefined) return [];
  const pinned = connection?.local.address;
  const locals = pinned === undefined ? network.addresses().slice(0, limits.peerAddressCount) : [pinned];
  const preferred: Path[] = [];
  const others: Path[] = [];
  for (const remote of new Set([base.remote.address, ...peerAddresses])) {
    const best = network.sourceTo(remote);
    if (best === undefined) continue;
    for (const local of new Set(pinned === undefined ? [best, ...locals] : locals)) {
      if (local.includes(":") !== remote.includes(":")) continue;
      (local === best ? preferred : others).push(between(ikeSa, base, local, remote));
    }
  }
  return [...preferred, ...others];
}
