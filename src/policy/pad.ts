import { randomBytes } from "node:crypto";
import { formatAddress, parseAddress } from "../bytes/ip-address.ts";
import type { ConnectionPolicy, Identity, RemoteAuthentication } from "./connection.ts";
import { sameIdentity } from "./identity.ts";

/**
 * The Peer Authorization Database as a responder uses it, RFC 4301 section 4.4.3: at IKE_SA_INIT the addresses are all that
 * is known, at IKE_AUTH the identities decide.
 */

/** Addresses of an exchange as we see them, in text. */
export interface Addresses {
  readonly localAddress: string;
  readonly remoteAddress: string;
}

/**
 * Connections that a peer at these addresses may turn out to be. Those that name the peer's address come before those that
 * accept any, then those that name ours; the order of the configuration decides the rest.
 */
export function findCandidates(
  connections: readonly ConnectionPolicy[],
  { localAddress, remoteAddress }: Addresses,
): readonly ConnectionPolicy[] {
  const index = indexOf(connections);
  const { byRemote, last } = index;
  if (last?.localAddress === localAddress && last.remoteAddress === remoteAddress) return last.candidates;
  const local = spellingOf(localAddress);
  const remote = spellingOf(remoteAddress);
  const fitting = [...(byRemote.get(remote) ?? []), ...(byRemote.get(ANY) ?? [])];
  const candidates = fitting
    .filter((candidate) => candidate.local === ANY || candidate.local === local)
    .sort((a, b) => a.rank - b.rank) // a stable sort
    .map(({ connection }) => connection);
  index.last = { localAddress, remoteAddress, candidates };
  return candidates;
}

/** Connections by the peer's address: who knocks, and is nobody yet, costs little among thousands of them. */
interface Index {
  readonly byRemote: ReadonlyMap<string, readonly Candidate[]>;
  /** One request asks for the same several times. */
  last?: Addresses & { readonly candidates: readonly ConnectionPolicy[] };
}

interface Candidate {
  readonly connection: ConnectionPolicy;
  readonly local: string;
  readonly rank: number;
}

const ANY = "any";

/** Each goes with its configuration, whose keys nothing else of this keeps. */
const indexes = new WeakMap<readonly ConnectionPolicy[], Index>();

function indexOf(connections: readonly ConnectionPolicy[]): Index {
  const known = indexes.get(connections);
  if (known !== undefined) return known;
  const byRemote = new Map<string, Candidate[]>();
  for (const connection of connections) {
    const { local, remote } = connection;
    const key = remote.address === undefined ? ANY : spellingOf(remote.address);
    const candidates = byRemote.get(key) ?? [];
    byRemote.set(key, candidates);
    const rank = (remote.address === undefined ? 2 : 0) + (local.address === undefined ? 1 : 0);
    candidates.push({
      connection,
      local: local.address === undefined ? ANY : spellingOf(local.address),
      rank,
    });
  }
  const index: Index = { byRemote };
  indexes.set(connections, index);
  return index;
}

/** IPv6 has many spellings: one for each address. */
function spellingOf(address: string): string {
  const octets = parseAddress(address);
  return octets === undefined ? address : formatAddress(octets);
}

/**
 * The connection of an authenticating peer, by how it authenticates, by IDi and, where the initiator asks for one of our
 * identities, by IDr. Every candidate is compared, and a peer that nobody knows gets a key that nobody has (`presharedKeyOf`): the
 * caller does the same work and gives the same AUTHENTICATION_FAILED for an unknown identity as for a wrong key, so that neither
 * answer nor time tells which identities exist.
 */
export function findPadEntry(input: {
  /** From `findCandidates`. */
  readonly candidates: readonly ConnectionPolicy[];
  /** IDi. */
  readonly peer: Identity;
  /** IDr in the initiator's request. */
  readonly requested: Identity | undefined;
  readonly kind: RemoteAuthentication["kind"];
}): ConnectionPolicy | undefined {
  const { candidates, peer, requested, kind } = input;
  const matching = candidates.filter(({ local, remote }) => {
    const isPeer = remote.identity === undefined || sameIdentity(remote.identity, peer);
    const isOurs = requested === undefined || sameIdentity(local.identity, requested);
    const fits = remote.authentication.some((authentication) => authentication.kind === kind);
    return isPeer && isOurs && fits;
  });
  return matching[0];
}

/** What a pre-shared key of the peer is verified with; where there is none, a key that nobody has. */
export function presharedKeyOf(connection: ConnectionPolicy | undefined): Uint8Array {
  return connection?.remote.authentication.find((each) => each.kind === "psk")?.key ?? UNKNOWN_PEER_KEY;
}

/** Nobody knows it, and what it verifies is refused all the same. */
const UNKNOWN_PEER_KEY: Uint8Array = new Uint8Array(randomBytes(32));
