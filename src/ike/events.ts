import type { Path, SocketAddress } from "../platform/address.ts";
import { formatIdentity } from "../policy/identity.ts";
import { formatProposal } from "../policy/keywords.ts";
import { formatTrafficSelector, formatTrafficSelectors } from "../policy/traffic-selectors.ts";
import { additionalMethods, additionalTransforms } from "../policy/transforms.ts";
import type { Proposal } from "../wire/payloads/proposal.ts";
import type { TrafficSelector } from "../wire/payloads/traffic-selector.ts";
import type { Closing } from "./answer.ts";
import type { ChildSa } from "./child-sa.ts";
import type { IkeSa } from "./ike-sa.ts";
import { isKeyed } from "./ike-sa-state.ts";
import type { IkeEvent } from "./io.ts";
import type { Drop } from "./machine.ts";
import type { OutstandingRequest } from "./window.ts";

// What the machine tells: one function for each event, a sentence for people and the same as fields. Never a secret.

/** "192.0.2.1:4500", "[2001:db8::1]:4500". */
export function formatEnd(end: SocketAddress): string {
  return end.address.includes(":") ? `[${end.address}]:${end.port}` : `${end.address}:${end.port}`;
}

/** 16 hex digits. */
export function formatIkeSpi(spi: bigint): string {
  return spi.toString(16).padStart(16, "0");
}

/** 8 hex digits. */
function formatEspSpi(spi: number): string {
  return spi.toString(16).padStart(8, "0");
}

/** A peer may offer hundreds; the first eight tell enough. */
export function formatProposals(proposals: readonly Proposal[]): readonly string[] {
  return proposals
    .slice(0, 8)
    .map((proposal) => formatProposal({ ...proposal, transforms: proposal.transforms.slice(0, 64) }));
}

export function formatSelectors(selectors: readonly TrafficSelector[]): readonly string[] {
  return selectors.map(formatTrafficSelector);
}

export function ikeSaNegotiated(
  ikeSa: IkeSa,
  facts: { readonly proposal: Proposal; readonly ms: number },
): IkeEvent {
  const proposal = formatProposal(facts.proposal);
  return {
    connection: nameOf(ikeSa),
    name: "ike-sa-negotiated",
    level: "info",
    message: `IKE SA with ${formatEnd(ikeSa.path.remote)} negotiated: ${proposal}, in ${round(facts.ms)} ms`,
    facts: { ...factsOf(ikeSa), proposal, ms: round(facts.ms) },
  };
}

export function ikeSaEstablished(ikeSa: IkeSa, proposal: Proposal): IkeEvent {
  const { negotiationMs } = ikeSa;
  const { role, initiatorSpi, responderSpi, local, remote } = factsOf(ikeSa);
  const peer = peerOf(ikeSa);
  return {
    connection: nameOf(ikeSa),
    name: "ike-sa-established",
    level: "info",
    message: `IKE SA with ${peer} ${ikeSa.isResumed ? "resumed" : "established"}${ikeSa.hasPpk ? " with PPK" : ""}${ikeSa.path.stream === undefined ? "" : " over TCP"} in ${round(negotiationMs)} ms`,
    facts: {
      role,
      initiatorSpi,
      responderSpi,
      local,
      remote,
      proposal: formatProposal(proposal),
      localIdentity: ikeSa.connection === undefined ? "" : formatIdentity(ikeSa.connection.local.identity),
      remoteIdentity: ikeSa.remoteIdentity === undefined ? "" : formatIdentity(ikeSa.remoteIdentity),
      negotiationMs: round(negotiationMs),
      isResumed: ikeSa.isResumed,
      isBehindNat: ikeSa.isBehindNat,
      isPeerBehindNat: ikeSa.isPeerBehindNat,
    },
  };
}

/** `facts.reason` is a notification in registry spelling, "timeout", "terminated" or "protocol-error". */
export function ikeSaFailed(ikeSa: IkeSa, closing: Closing): IkeEvent {
  return {
    connection: nameOf(ikeSa),
    name: "ike-sa-failed",
    level: closing.reason === "terminated" || closing.reason === "replaced" ? "info" : "error",
    message: `IKE SA with ${peerOf(ikeSa)} not established: ${closing.message}`,
    facts: { ...factsOf(ikeSa), reason: closing.reason, ...choicesOf(closing) },
  };
}

/** `facts.reason` is "terminated", "peer-deleted", "timeout", "replaced", "session-timeout", or a notification in registry spelling. */
export function ikeSaDeleted(ikeSa: IkeSa, closing: Closing): IkeEvent {
  const isExpected = ["terminated", "peer-deleted", "replaced", "session-timeout"].includes(closing.reason);
  return {
    connection: nameOf(ikeSa),
    name: "ike-sa-deleted",
    level: isExpected ? "info" : "error",
    message: `IKE SA with ${peerOf(ikeSa)} deleted: ${closing.message}`,
    facts: { ...factsOf(ikeSa), reason: closing.reason },
  };
}

export function childSaEstablished(ikeSa: IkeSa, childSa: ChildSa): IkeEvent {
  const { name, local, remote } = childSa;
  const proposal = formatProposal(childSa.proposal);
  const pair = `${formatTrafficSelectors(local)} === ${formatTrafficSelectors(remote)}`;
  return {
    connection: nameOf(ikeSa),
    name: "child-sa-established",
    level: "info",
    message: `child SA ${name} established: ${pair}, ${proposal}${childSa.isTransport ? ", transport mode" : ""}`,
    facts: {
      ...factsOfChild(childSa),
      proposal,
      local: formatSelectors(local),
      remote: formatSelectors(remote),
      path: formatEnd(ikeSa.path.remote),
    },
  };
}

/** `childSa` takes the place of the child SA with the inbound SPI `replaces`. */
export function childSaRekeyed(
  ikeSa: IkeSa,
  facts: { readonly childSa: ChildSa; readonly replaces: number },
): IkeEvent {
  const { childSa, replaces } = facts;
  return {
    connection: nameOf(ikeSa),
    name: "child-sa-rekeyed",
    level: "info",
    message: `child SA ${childSa.name} rekeyed${lackOf(childSa.policy.espProposals, childSa.proposal)}`,
    facts: {
      ...factsOfChild(childSa),
      replaces: formatEspSpi(replaces),
      proposal: formatProposal(childSa.proposal),
    },
  };
}

export function ikeSaRekeyed(old: IkeSa, heir: IkeSa): IkeEvent {
  const { state, connection } = heir;
  const proposal = isKeyed(state) ? state.proposal : undefined;
  const lack = proposal === undefined ? "" : lackOf(connection?.ikeProposals ?? [], proposal);
  return {
    connection: nameOf(heir),
    name: "ike-sa-rekeyed",
    level: "info",
    message: `IKE SA with ${peerOf(heir)} rekeyed${lack}`,
    facts: {
      ...factsOf(heir),
      replacesInitiator: formatIkeSpi(old.initiatorSpi),
      ...(proposal && { proposal: formatProposal(proposal) }),
    },
  };
}

/** Further key exchanges that our proposals name and do not insist on, and that the peer has left out. */
function lackOf(wanted: readonly Proposal[], chosen: Proposal): string {
  const isLacking = additionalTransforms(wanted).length > 0 && additionalMethods(chosen).length === 0;
  return isLacking ? " without further key exchanges, which the peer has left out" : "";
}

/** The SA that was to be replaced stays. `facts.child` is empty when that is the IKE SA. */
export function rekeyFailed(
  ikeSa: IkeSa,
  facts: {
    readonly child: string;
    readonly reason: string;
    readonly message: string;
    readonly offered?: readonly string[];
    readonly allowed?: readonly string[];
  },
): IkeEvent {
  const { child, reason, message } = facts;
  const what = child === "" ? `IKE SA with ${peerOf(ikeSa)}` : `child SA ${child}`;
  return {
    connection: nameOf(ikeSa),
    name: "rekey-failed",
    level: "warning",
    message: `${what} not rekeyed: ${message}`,
    facts: { child, reason, ...choicesOf(facts) },
  };
}

/** Why one child SA did not come up while its IKE SA stays; `offered` and `allowed` say what could not be brought together. */
export function childSaFailed(
  ikeSa: IkeSa,
  facts: {
    readonly child: string;
    readonly reason: string;
    readonly message: string;
    readonly offered?: readonly string[];
    readonly allowed?: readonly string[];
  },
): IkeEvent {
  return {
    connection: nameOf(ikeSa),
    name: "child-sa-failed",
    level: "error",
    message: `child SA ${facts.child} not established: ${facts.message}`,
    facts: { child: facts.child, reason: facts.reason, ...choicesOf(facts) },
  };
}

export function childSaDeleted(
  ikeSa: IkeSa,
  facts: { readonly childSa: ChildSa; readonly reason: string },
): IkeEvent {
  const { childSa, reason } = facts;
  return {
    connection: nameOf(ikeSa),
    name: "child-sa-deleted",
    // One that was replaced goes unnoticed.
    level: childSa.successor === undefined ? "info" : "debug",
    message: `child SA ${childSa.name} deleted: ${reason}`,
    facts: { ...factsOfChild(childSa), reason },
  };
}

export function retransmitted(ikeSa: IkeSa, request: OutstandingRequest): IkeEvent {
  const { messageId, transmissions } = request;
  return {
    connection: nameOf(ikeSa),
    name: "retransmit",
    // The first ones are the weather; from the third on somebody who waits wants to know what for.
    level: transmissions > 3 ? "info" : "debug",
    message: `request ${messageId} to ${formatEnd(ikeSa.path.remote)} sent again (transmission ${transmissions})`,
    facts: { ...factsOf(ikeSa), messageId, transmissions },
  };
}

/** Nobody has answered by UDP so far. */
export function tcpTried(ikeSa: IkeSa, to: SocketAddress): IkeEvent {
  const silent = formatEnd(ikeSa.path.remote);
  return {
    connection: nameOf(ikeSa),
    name: "tcp-tried",
    level: "info",
    message: `${silent} has not answered yet: ${formatEnd(to)} is tried over TCP as well`,
    facts: { ...factsOf(ikeSa), tcp: formatEnd(to) },
  };
}

export function peerSilent(ikeSa: IkeSa, transmissions: number): IkeEvent {
  const peer = formatEnd(ikeSa.path.remote);
  return {
    connection: nameOf(ikeSa),
    name: "peer-silent",
    level: "warning",
    message: `${peer} has not answered ${transmissions} transmissions`,
    facts: { ...factsOf(ikeSa), transmissions },
  };
}

export function peerAlive(ikeSa: IkeSa, rttMs: number): IkeEvent {
  return {
    connection: nameOf(ikeSa),
    name: "peer-alive",
    level: "info",
    message: `${peerOf(ikeSa)} answered in ${round(rttMs)} ms`,
    facts: { ...factsOf(ikeSa), rttMs: round(rttMs) },
  };
}

/** One end of the path, or both, are others than before. */
export function pathChanged(ikeSa: IkeSa, before: Path): IkeEvent {
  const { local, remote } = ikeSa.path;
  const [was, is] = [formatEnd(before.remote), formatEnd(remote)];
  const [wasLocal, isLocal] = [formatEnd(before.local), formatEnd(local)];
  const [wasTcp, isTcp] = [before.stream !== undefined, ikeSa.path.stream !== undefined];
  const isOtherTransport = wasTcp !== isTcp;
  // Ports of UDP and TCP have nothing to do with one another.
  const hasLeft = (then: SocketAddress, now: SocketAddress): boolean =>
    isOtherTransport ? then.address !== now.address : formatEnd(then) !== formatEnd(now);
  const ours = hasLeft(before.local, local) ? [`we moved from ${wasLocal} to ${isLocal}`] : [];
  const theirs = hasLeft(before.remote, remote) ? [`${peerOf(ikeSa)} moved from ${was} to ${is}`] : [];
  const transport = isOtherTransport ? [`${peerOf(ikeSa)} is reached by ${isTcp ? "TCP" : "UDP"} now`] : [];
  return {
    connection: nameOf(ikeSa),
    name: "path-changed",
    level: "info",
    message: [...ours, ...theirs, ...transport].join(", and "),
    facts: {
      ...factsOf(ikeSa),
      before: was,
      localBefore: wasLocal,
      local: isLocal,
      ...(isTcp && { tcp: true }),
    },
  };
}

/** The peer does not take what we have moved to. */
export function pathRefused(ikeSa: IkeSa, reason: string): IkeEvent {
  const { local, remote } = ikeSa.path;
  const message = `${peerOf(ikeSa)} refuses the path from ${formatEnd(local)} to ${formatEnd(remote)} (${reason})`;
  return {
    connection: nameOf(ikeSa),
    name: "path-refused",
    level: "warning",
    message,
    facts: { ...factsOf(ikeSa), reason },
  };
}

/** The gateway sends us elsewhere, and we go. */
export function redirected(ikeSa: IkeSa, host: string): IkeEvent {
  return {
    connection: nameOf(ikeSa),
    name: "redirected",
    level: "info",
    message: `${peerOf(ikeSa)} at ${formatEnd(ikeSa.path.remote)} sends us to ${host}`,
    facts: { ...factsOf(ikeSa), host },
  };
}

export function redirectRefused(ikeSa: IkeSa, message: string): IkeEvent {
  return {
    connection: nameOf(ikeSa),
    name: "redirect-refused",
    level: "warning",
    message,
    facts: factsOf(ikeSa),
  };
}

/** A client that has shown who it is goes elsewhere. */
export function sentAway(ikeSa: IkeSa, host: string): IkeEvent {
  const peer = `${ikeSa.user ?? peerOf(ikeSa)} at ${formatEnd(ikeSa.path.remote)}`;
  return {
    connection: nameOf(ikeSa),
    name: "redirected",
    level: "info",
    message: `${peer} is sent to ${host}`,
    facts: { ...factsOf(ikeSa), host },
  };
}

/** Somebody who has asked for an IKE SA was sent elsewhere. */
export function redirectAnswered(from: SocketAddress, host: string): IkeEvent {
  return {
    name: "redirected",
    level: "info",
    connection: undefined,
    message: `${formatEnd(from)} is sent to ${host}`,
    facts: { remote: formatEnd(from), host },
  };
}

/** The peer was let in although something could not be found out about its certificate. */
export function certificateNoted(ikeSa: IkeSa, note: string): IkeEvent {
  return {
    connection: nameOf(ikeSa),
    name: "certificate-noted",
    level: "warning",
    message: `${formatEnd(ikeSa.path.remote)}: ${note}`,
    facts: { ...factsOf(ikeSa), note },
  };
}

/** `most` is what would be of use: less is what somebody who looks for lost packets wants to know. */
export function pathFound(
  ikeSa: IkeSa,
  { pathMtu, most }: { readonly pathMtu: number; readonly most: number },
): IkeEvent {
  const isShort = pathMtu < most;
  const carries = `${formatEnd(ikeSa.path.remote)} carries packets of ${pathMtu} octets`;
  return {
    connection: nameOf(ikeSa),
    name: "path-mtu",
    level: isShort ? "info" : "debug",
    message: `the path to ${carries}${isShort ? `, not ${most}` : ""}`,
    facts: { ...factsOf(ikeSa), pathMtu },
  };
}

/** The peer answers, but no probe of the path, however short. */
export function probesUnanswered(ikeSa: IkeSa): IkeEvent {
  return {
    connection: nameOf(ikeSa),
    name: "path-mtu",
    level: "info",
    message: `${formatEnd(ikeSa.path.remote)} answers no probe of the path: what the kernel knows of it has to do`,
    facts: factsOf(ikeSa),
  };
}

/** An unprotected error answered our request; it may be forged, so the attempt goes on for a moment. */
export function refusalHeard(ikeSa: IkeSa, reason: string): IkeEvent {
  return {
    connection: nameOf(ikeSa),
    name: "refused",
    level: "debug",
    message: `${formatEnd(ikeSa.path.remote)} answered ${reason}, without protection`,
    facts: { ...factsOf(ikeSa), reason },
  };
}

/** A ticket was not taken: a full exchange follows. */
export function ticketRefused(facts: {
  readonly connection: string | undefined;
  readonly remote: SocketAddress;
  readonly reason: string;
}): IkeEvent {
  const { connection, remote, reason } = facts;
  return {
    name: "ticket-refused",
    level: "info",
    connection,
    message: `session with ${formatEnd(remote)} not resumed: ${reason}`,
    facts: { remote: formatEnd(remote), reason },
  };
}

/** We refused what a peer asked for. */
export function refused(facts: {
  readonly connection: string | undefined;
  readonly from: SocketAddress;
  readonly reason: string;
  readonly message: string;
  readonly offered?: readonly string[];
  readonly allowed?: readonly string[];
}): IkeEvent {
  const { connection, from, reason, message } = facts;
  return {
    name: "refused",
    level: "warning",
    connection,
    message: `${formatEnd(from)} refused: ${message}`,
    facts: { remote: formatEnd(from), reason, ...choicesOf(facts) },
  };
}

export function datagramDropped({ counter, reason, from }: Drop): IkeEvent {
  return {
    name: "datagram-dropped",
    level: counter === "internalErrors" ? "error" : "debug",
    connection: undefined,
    message: `datagram from ${from} dropped: ${reason}`,
    facts: { remote: from, counter, reason },
  };
}

function nameOf({ connection }: IkeSa): string | undefined {
  return connection?.name;
}

function factsOf(ikeSa: IkeSa) {
  return {
    role: ikeSa.role,
    initiatorSpi: formatIkeSpi(ikeSa.initiatorSpi),
    responderSpi: formatIkeSpi(ikeSa.responderSpi),
    local: formatEnd(ikeSa.path.local),
    remote: formatEnd(ikeSa.path.remote),
  };
}

function factsOfChild(childSa: ChildSa) {
  return {
    child: childSa.name,
    inboundSpi: formatEspSpi(childSa.inboundSpi),
    outboundSpi: formatEspSpi(childSa.outboundSpi),
  };
}

function choicesOf(facts: {
  readonly offered?: readonly string[];
  readonly allowed?: readonly string[];
}): Record<string, readonly string[]> {
  const { offered, allowed } = facts;
  return { ...(offered && { offered }), ...(allowed && { allowed }) };
}

/** The peer as a person would call it. */
function peerOf(ikeSa: IkeSa): string {
  const identity = ikeSa.remoteIdentity;
  return identity === undefined ? formatEnd(ikeSa.path.remote) : formatIdentity(identity);
}

function round(ms: number): number {
  return Math.round(ms * 100) / 100;
}
