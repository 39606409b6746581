import type { Path } from "../../platform/address.ts";
import type { IkeSa } from "../ike-sa.ts";

// The ways between us and a peer: pairs of an address of ours and one of the peer's (RFC 4555 section 3.5). Which one is
// taken is up to whoever has called.

export function isSamePath(a: Path, b: Path): boolean {
  return wordsOf(a) === wordsOf(b);
}

export function wordsOf({ local, remote, stream = 0 }: Path): string {
  return `${local.address} ${local.port} ${remote.address} ${remote.port} ${stream}`;
}

/** The same path with other addresses: ports stay, since the peer is called at the one that it listens on. */
function between(path: Path, local: string, remote: string): Path {
  return {
    local: { address: local, port: path.local.port },
    remote: { address: remote, port: path.remote.port },
  };
}

/**
 * The way that routes lead now: to where the peer is, and if none leads there, to another address of the peer's. Undefined where there is
 * none at all. `isRefused`: what the peer does not want.
 */
export function bestWay(
  ikeSa: IkeSa,
  peerAddresses: readonly string[],
  isRefused: (path: Path) => boolean,
): Path | undefined {
  const { path, connection, machine } = ikeSa;
  const pinned = connection?.local.address;
  for (const remote of [path.remote.address, ...peerAddresses]) {
    const local = machine.network?.sourceTo(remote);
    if (local === undefined || (pinned !== undefined && local !== pinned)) continue;
    const way = between(path, local, remote);
    if (!isRefused(way)) return way;
  }
  return undefined;
}

/** Every other way that may work, at most `most`: routes do not know that a link leads nowhere. */
export function otherWays(ikeSa: IkeSa, peerAddresses: readonly string[], most: number): readonly Path[] {
  const { path, connection, machine } = ikeSa;
  const { network } = machine;
  if (network === undefined) return [];
  const pinned = connection?.local.address;
  const locals = pinned === undefined ? network.addresses() : [pinned];
  const ways: Path[] = [];
  for (const remote of [path.remote.address, ...peerAddresses]) {
    const preferred = network.sourceTo(remote);
    if (preferred === undefined) continue;
    for (const local of new Set(locals.includes(preferred) ? [preferred, ...locals] : locals)) {
      const way = between(path, local, remote);
      if (local.includes(":") !== remote.includes(":") || isSamePath(way, path)) continue;
      if (ways.length < most) ways.push(way);
    }
  }
  return ways;
}
