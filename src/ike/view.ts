import type { Path } from "../platform/address.ts";
import { formatIdentity } from "../policy/identity.ts";
import { formatProposal } from "../policy/keywords.ts";
import type { ClientGuess } from "./client-guess.ts";
import { formatIkeSpi, formatSelectors } from "./events.ts";
import type { IkeSa, Role } from "./ike-sa.ts";
import type { IkeSaState } from "./ike-sa-state.ts";

/** An IKE SA as plain facts, for status. */
export interface IkeSaView {
  /** Undefined for a peer that has not shown who it is. */
  readonly connection: string | undefined;
  readonly state: IkeSaState["name"];
  readonly role: Role;
  /** 16 hex digits each; zeros while there is none. */
  readonly initiatorSpi: string;
  readonly responderSpi: string;
  /** Keywords, or undefined before IKE_SA_INIT is through. */
  readonly proposal: string | undefined;
  readonly localIdentity: string | undefined;
  readonly remoteIdentity: string | undefined;
  /** Whether there is a PPK in its keys. */
  readonly hasPpk: boolean;
  /** Whether it goes on with a session that was resumed by a ticket (RFC 5723). */
  readonly isResumed: boolean;
  /** Until when our ticket is good; undefined without one. */
  readonly ticketUntil: number | undefined;
  /** Who has logged in by EAP. */
  readonly user: string | undefined;
  /** Which client it seems to be, where many share a connection. */
  readonly client: ClientGuess | undefined;
  /** Whether our AUTH was signed with SHA-1. */
  readonly signsWithSha1: boolean;
  /** Within the network: those that the peer has from us, or we from it. */
  readonly internalAddresses: readonly string[];
  readonly path: Path;
  readonly isBehindNat: boolean;
  readonly isPeerBehindNat: boolean;
  /** Whether both sides do MOBIKE. */
  readonly isMobile: boolean;
  /** The largest packet that the path was found to carry, IP header included; undefined when it was not probed. */
  readonly pathMtu: number | undefined;
  /** Times as they were handed in. */
  readonly createdAt: number;
  readonly establishedAt: number | undefined;
  readonly negotiationMs: number | undefined;
  readonly childSas: readonly ChildSaView[];
}

export interface ChildSaView {
  readonly name: string;
  readonly inboundSpi: number;
  readonly outboundSpi: number;
  readonly proposal: string;
  readonly local: readonly string[];
  readonly remote: readonly string[];
  readonly establishedAt: number;
}

export function viewOf(ikeSa: IkeSa): IkeSaView {
  const { state, connection, remoteIdentity } = ikeSa;
  const isEstablished = state.name === "established" || state.name === "rekeyed" || state.name === "deleting";
  return {
    connection: connection?.name,
    state: state.name,
    role: ikeSa.role,
    initiatorSpi: formatIkeSpi(ikeSa.initiatorSpi),
    responderSpi: formatIkeSpi(ikeSa.responderSpi),
    proposal: "proposal" in state ? formatProposal(state.proposal) : undefined,
    localIdentity: connection && formatIdentity(connection.local.identity),
    remoteIdentity: remoteIdentity && formatIdentity(remoteIdentity),
    hasPpk: ikeSa.hasPpk,
    isResumed: ikeSa.isResumed,
    ticketUntil: ikeSa.ticketUntil,
    user: ikeSa.user,
    client: ikeSa.client,
    signsWithSha1: ikeSa.signsWithSha1,
    internalAddresses: (ikeSa.lease ?? ikeSa.configuration)?.addresses ?? [],
    path: ikeSa.path,
    isBehindNat: ikeSa.isBehindNat,
    isPeerBehindNat: ikeSa.isPeerBehindNat,
    isMobile: ikeSa.mobility.isAgreed,
    pathMtu: ikeSa.prober.found,
    createdAt: ikeSa.createdAt,
    establishedAt: isEstablished ? state.establishedAt : undefined,
    negotiationMs: isEstablished ? ikeSa.negotiationMs : undefined,
    childSas: ikeSa.childSas.map(
      ({ name, inboundSpi, outboundSpi, proposal, local, remote, establishedAt }) => ({
        name,
        inboundSpi,
        outboundSpi,
        proposal: formatProposal(proposal),
        local: formatSelectors(local),
        remote: formatSelectors(remote),
        establishedAt,
      }),
    ),
  };
}
