import { equal } from "../../bytes/constant-time.ts";
import { wipe } from "../../bytes/wipe.ts";
import { ExchangeType, NotifyType, TransformType } from "../../iana/ikev2-parameters.ts";
import type { Path } from "../../platform/address.ts";
import { offersGroup2Alone } from "../../policy/compat.ts";
import type { ConnectionPolicy } from "../../policy/connection.ts";
import { findCandidates } from "../../policy/pad.ts";
import { selectProposal } from "../../policy/select-proposal.ts";
import { additionalMethods, findTransform, hasAdditional } from "../../policy/transforms.ts";
import { decodeMessage, encodeMessage, type Header, type Message } from "../../wire/message.ts";
import type { Payload } from "../../wire/payloads/payload.ts";
import type { Proposal } from "../../wire/payloads/proposal.ts";
import { certificateRequest, signatureHashes, signatureHashesIn } from "../certificates.ts";
import { firstImpression } from "../client-guess.ts";
import { encodeCookieDemand } from "../cookie-demand.ts";
import { formatProposals, ikeSaNegotiated, refused } from "../events.ts";
import type { IkeSa } from "../ike-sa.ts";
import { glanceAtInit } from "../init-glance.ts";
import type { IkeEvent } from "../io.ts";
import { authenticate, reasonOf } from "../key-agreement.ts";
import type { Machine } from "../machine.ts";
import { detectNat, encapsulationOf, forcedNatDetectionSource, natDetectionHash } from "../nat-detection.ts";
import { hasNonceLength, NONCE_LENGTH } from "../nonces.ts";
import { find, findNotify, findUnknownCritical, notify, unsupportedCriticalPayload } from "../payloads.ts";
import { addressesOf } from "../ports.ts";
import { usePpk } from "../ppk.ts";
import { redirectFirst, redirectSupportIn } from "../redirect/send-away.ts";
import { isNonceFit, NO_NAT_TRAVERSAL } from "./ike-sa-init.ts";
import { considerTicket } from "./ike-session-resume-request.ts";

// What we answer to the IKE_SA_INIT of somebody whom nobody knows (`ike-sa-init.ts`). An IKE_SESSION_RESUME is let in by the same door.

interface InitRequest {
  /** Octets of our own, which the decoded message views. */
  readonly octets: Uint8Array;
  readonly message: Message;
  readonly path: Path;
  readonly now: number;
}

/** A first request that nobody has decoded. */
export interface RawInitRequest {
  readonly octets: Uint8Array;
  readonly header: Header;
  readonly path: Path;
  readonly now: number;
}

/**
 * Decides on a first request. Until the last step nothing is kept, and the checks go from cheap to dear: whoever has to show a
 * cookie and does not costs a walk over the payload headers and a hash. The datagram stays the caller's.
 */
export function processInitRequest(machine: Machine, received: RawInitRequest): void {
  const { octets, header, path, now } = received;
  const { initiatorSpi } = header;
  if (initiatorSpi === 0n || header.messageId !== 0 || !header.isInitiator) {
    machine.dropFrom("unexpected", "IKE_SA_INIT request with a wrong header", path, now);
    return;
  }
  const glance = header.length === octets.length ? glanceAtInit(octets) : "a wrong length";
  if (typeof glance === "string") {
    machine.dropFrom("malformed", glance, path, now);
    return;
  }
  const { ni, cookie } = glance;
  if (!hasNonceLength(ni)) {
    machine.dropFrom("unexpected", `IKE_SA_INIT request with ${ni.length} octets of Ni`, path, now);
    return;
  }

  // RFC 7296 section 2.1: what tells a repetition from a new peer behind the same NAT is Ni.
  const initKey = initKeyOf(initiatorSpi, ni, path);
  const known = machine.findByInit(initKey);
  if (known !== undefined) {
    answerInitAgain(known, received);
    return;
  }
  const binding = { initiatorSpi, ni, address: path.remote.address };
  const isRoutable = cookie !== undefined && machine.cookies.isOurs(cookie, binding, now);
  if (cookie !== undefined && !isRoutable) machine.counters.cookiesWrong++;
  const admission = machine.halfOpen.admission(path.remote.address, isRoutable, now);
  if (admission === "demand-cookie") {
    machine.counters.cookiesDemanded++;
    machine.counters.transmitted++;
    const demand = encodeCookieDemand(octets, machine.cookies.bake(binding, now));
    machine.emit({ kind: "transmit", octets: demand, path });
    return;
  }
  if (admission === "refuse") {
    machine.dropFrom("halfOpenRefused", "too many half-open SAs", path, now);
    return;
  }
  // The caller may use its buffer again; what we decode is ours.
  const own = octets.slice();
  const admitted = { octets: own, message: decodeMessage(own), path, now, initKey, isRoutable };
  if (header.exchangeType === ExchangeType.IKE_SESSION_RESUME) considerTicket(machine, admitted);
  else consider(machine, admitted);
}

/** Of somebody who may have a place among the half-open SAs. */
export interface AdmittedRequest extends InitRequest {
  readonly initKey: string;
  readonly isRoutable: boolean;
}

/** What an admitted request asks for, and whether that is allowed. */
function consider(machine: Machine, received: AdmittedRequest): void {
  const { message, path, now, isRoutable } = received;
  const { header, payloads } = message;
  const sa = find(payloads, "security-association");
  const ke = find(payloads, "key-exchange");
  const nonce = find(payloads, "nonce");
  if (sa === undefined || ke === undefined || nonce === undefined) {
    machine.dropFrom("unexpected", "IKE_SA_INIT request without SA, KE or Nonce", path, now);
    return;
  }
  const critical = findUnknownCritical(payloads);
  if (critical !== undefined) {
    refuse(machine, received, unsupportedCriticalPayload(critical));
    return;
  }

  const { initiatorSpi } = header;
  const { length } = received.octets;
  if (redirectFirst(machine, { payloads, initiatorSpi, path, length, isRoutable, now }) !== undefined) return;

  // RFC 9370 section 2.2.1: further key exchanges are for who can do IKE_INTERMEDIATE.
  const hasIntermediate = findNotify(payloads, NotifyType.INTERMEDIATE_EXCHANGE_SUPPORTED) !== undefined;
  const proposals = hasIntermediate ? sa.proposals : sa.proposals.filter((one) => !hasAdditional(one));
  const verdict = choose(machine, { proposals, preferredGroup: ke.group, path });
  if (verdict.kind === "refused") {
    // To put it into words is dear, so it is told at most as often as it is answered.
    const isAnswered = refuse(machine, received, notify(NotifyType.NO_PROPOSAL_CHOSEN));
    if (isAnswered) machine.reportUnverified(verdict.explain, now);
    return;
  }
  const { proposal } = verdict;
  const group = findTransform(proposal, TransformType.KE)?.id ?? 0;
  if (ke.group !== group) {
    refuse(machine, received, notify(NotifyType.INVALID_KE_PAYLOAD, Uint8Array.of(group >>> 8, group)));
    return;
  }
  const hashes = { initiatorSpi: header.initiatorSpi, responderSpi: 0n, path };
  const encapsulation = encapsulationOf(findCandidates(machine.connections, addressesOf(path)));
  const nat = encapsulation === "raw" ? undefined : detectNat(payloads, hashes);
  const isOnIkePort = path.stream === undefined && path.local.port !== machine.ports.natTraversal;
  if (nat === undefined && encapsulation === "udp" && isOnIkePort) {
    const facts = { from: path.remote, reason: "NO_PROPOSAL_CHOSEN", message: NO_NAT_TRAVERSAL };
    machine.reportUnverified(() => refused({ connection: undefined, ...facts }), now);
    refuse(machine, received, notify(NotifyType.NO_PROPOSAL_CHOSEN));
    return;
  }
  if (!isNonceFit(nonce.nonce, proposal)) {
    machine.dropFrom("unexpected", "Ni is shorter than half a key of the PRF", path, now);
    return;
  }

  const ikeSa = machine.adopt({
    role: "responder",
    path,
    state: { name: "responding" },
    connection: undefined,
    now,
  });
  beginHalfOpen(ikeSa, received);
  ikeSa.isBehindNat = nat?.isBehindNat ?? false;
  ikeSa.isPeerBehindNat = nat?.isPeerBehindNat ?? false;
  ikeSa.traversesNats = nat !== undefined;
  ikeSa.supportsFragmentation = findNotify(payloads, NotifyType.IKEV2_FRAGMENTATION_SUPPORTED) !== undefined;
  ikeSa.signatureHashes = signatureHashesIn(payloads);
  ikeSa.impression = firstImpression(payloads);
  ikeSa.redirectSupport = redirectSupportIn(payloads);
  const candidates = findCandidates(machine.connections, addressesOf(path));
  ikeSa.hasBothUsePpk =
    findNotify(payloads, NotifyType.USE_PPK) !== undefined && usePpk(candidates).length > 0;
  respond(ikeSa, {
    received,
    proposal,
    group,
    ni: nonce.nonce,
    peerPublicValue: ke.data,
    hasNatDetection: nat !== undefined,
  });
}

/** The peer's SPI, the way back to this IKE SA for a repeated request, and a place for a limited time. */
export function beginHalfOpen(
  ikeSa: IkeSa,
  { message, path, now, initKey, isRoutable }: AdmittedRequest,
): void {
  const { machine } = ikeSa;
  ikeSa.peerSpi = message.header.initiatorSpi;
  machine.rememberInit(initKey, ikeSa);
  const { address } = path.remote;
  const giveUp = (then: number): void => ikeSa.makeRoom(then);
  ikeSa.halfOpenPlace = machine.halfOpen.enter({ address, isRoutable, giveUp, now });
  ikeSa.limitHalfOpen(now);
}

/**
 * Key pair and shared secret, then the answer. The secret is there before the answer leaves, so IKE_AUTH never finds us
 * without keys, and a public value that is no good never gets an answer.
 */
function respond(
  ikeSa: IkeSa,
  facts: {
    readonly received: InitRequest;
    readonly proposal: Proposal;
    readonly group: number;
    readonly ni: Uint8Array;
    readonly peerPublicValue: Uint8Array;
    readonly hasNatDetection: boolean;
  },
): void {
  const { received, proposal, group, ni, peerPublicValue } = facts;
  const { machine } = ikeSa;
  machine.compute({ kind: "respond", group, peerPublicValue }, (result, now) => {
    if (result.kind === "response" && ikeSa.state.name === "responding") {
      const { publicValue, sharedSecret } = result;
      const nr = machine.random.bytes(NONCE_LENGTH);
      const initResponse = encodeMessage({
        initiatorSpi: ikeSa.initiatorSpi,
        responderSpi: ikeSa.responderSpi,
        exchangeType: ExchangeType.IKE_SA_INIT,
        isInitiator: false,
        isResponse: true,
        messageId: 0,
        payloads: buildInitResponse(ikeSa, { ...facts, publicValue, nr }),
      });
      authenticate(ikeSa, { proposal, ni, nr, initRequest: received.octets, initResponse }, sharedSecret);
      const ms = now - ikeSa.createdAt;
      machine.reportUnverified(() => ikeSaNegotiated(ikeSa, { proposal, ms }), now);
      ikeSa.outbox.answerWith(0, [initResponse]);
    }
    if (result.kind === "response") wipe(result.sharedSecret);
    else if (ikeSa.state.name === "responding") {
      const message = `key exchange of group ${group}: ${reasonOf(result)}`;
      ikeSa.close({ reason: "protocol-error", message }, now);
    }
  });
}

function buildInitResponse(
  ikeSa: IkeSa,
  facts: {
    readonly proposal: Proposal;
    readonly group: number;
    readonly publicValue: Uint8Array;
    readonly nr: Uint8Array;
    readonly hasNatDetection: boolean;
  },
): readonly Payload[] {
  const { proposal, group, publicValue, nr } = facts;
  const { initiatorSpi, responderSpi, path, machine } = ikeSa;
  const candidates = findCandidates(machine.connections, addressesOf(path));
  const destination = natDetectionHash({ initiatorSpi, responderSpi, end: path.remote });
  const natDetection = [
    notify(NotifyType.NAT_DETECTION_SOURCE_IP, forcedNatDetectionSource(machine.random)),
    notify(NotifyType.NAT_DETECTION_DESTINATION_IP, destination),
  ];
  const fragmentation = [notify(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED)];
  return [
    { kind: "security-association", critical: false, proposals: [proposal] },
    { kind: "key-exchange", critical: false, group, data: publicValue },
    { kind: "nonce", critical: false, nonce: nr },
    ...(facts.hasNatDetection ? natDetection : []),
    ...(ikeSa.supportsFragmentation ? fragmentation : []),
    notify(NotifyType.CHILDLESS_IKEV2_SUPPORTED),
    ...certificateRequest(candidates, machine.limits.initAuthorityCount),
    ...signatureHashes(candidates),
    ...(ikeSa.hasBothUsePpk ? usePpk(candidates) : []),
    ...(additionalMethods(proposal).length > 0 ? [notify(NotifyType.INTERMEDIATE_EXCHANGE_SUPPORTED)] : []),
  ];
}

/**
 * A repeated request gets the same octets for as long as IKE_AUTH has not come; behind that nobody waits for them. It has to be
 * the same request (RFC 7296 section 2.1): a shorter one with the same nonce would make an amplifier of us.
 */
function answerInitAgain(known: IkeSa, { octets, path, now }: RawInitRequest): void {
  const { state } = known;
  if (state.name === "responding") return;
  const isAwaited = state.name === "authenticating" && known.outbox.responses.nextMessageId === 1;
  if (isAwaited && equal(state.initRequest, octets)) known.outbox.answerAgain(0, path);
  else known.drop("unexpected", "IKE_SA_INIT of an SA that is past it, or another with its nonce", path, now);
}

type Choice =
  | { readonly kind: "chosen"; readonly proposal: Proposal }
  | { readonly kind: "refused"; readonly explain: () => IkeEvent };

/** The peer is still nobody, so any connection that fits the addresses may accept. */
function choose(
  machine: Machine,
  facts: {
    readonly proposals: readonly Proposal[];
    readonly preferredGroup: number;
    readonly path: Path;
  },
): Choice {
  const { proposals, preferredGroup, path } = facts;
  const connections = findCandidates(machine.connections, addressesOf(path));
  for (const { ikeProposals } of connections) {
    const verdict = selectProposal({ offered: proposals, allowed: ikeProposals, preferredGroup });
    if (verdict.kind === "chosen") return verdict;
  }
  return { kind: "refused", explain: () => noProposalChosen({ connections, proposals, path }) };
}

function noProposalChosen(facts: {
  readonly connections: readonly ConnectionPolicy[];
  readonly proposals: readonly Proposal[];
  readonly path: Path;
}): IkeEvent {
  const { connections, proposals, path } = facts;
  const allowed = connections.flatMap(({ ikeProposals }) => ikeProposals);
  const verdict = selectProposal({ offered: proposals, allowed });
  return refused({
    connection: connections.length === 1 ? connections[0]!.name : undefined,
    from: path.remote,
    reason: "NO_PROPOSAL_CHOSEN",
    message:
      connections.length === 0 || verdict.kind === "chosen"
        ? "no connection for these addresses is configured, or it was taken down"
        : `${verdict.reason}${offersGroup2Alone(proposals) ? WINDOWS_HINT : ""}`,
    offered: formatProposals(proposals),
    allowed: formatProposals(allowed),
  });
}

const WINDOWS_HINT =
  '. This is what Windows offers by default: set the client up with the script of "ikebana profile --for windows", or allow it with "compat: windows-default"';

/** Sends an error, unless too many were sent just now. Returns whether it did. */
export function refuse(machine: Machine, received: InitRequest, error: Payload): boolean {
  const { message, path, now } = received;
  const isAllowed = machine.mayTransmitError(now);
  if (isAllowed) reply(machine, { header: message.header, path }, [error]);
  else machine.dropFrom("errorSuppressed", "more errors than we answer in a second", path, now);
  return isAllowed;
}

/** Answers without keeping anything: the responder's SPI stays zero. */
function reply(
  machine: Machine,
  { header, path }: { readonly header: Header; readonly path: Path },
  payloads: readonly Payload[],
): void {
  const octets = encodeMessage({
    initiatorSpi: header.initiatorSpi,
    responderSpi: 0n,
    exchangeType: header.exchangeType,
    isInitiator: false,
    isResponse: true,
    messageId: 0,
    payloads,
  });
  machine.counters.transmitted++;
  machine.emit({ kind: "transmit", octets, path });
}

function initKeyOf(initiatorSpi: bigint, ni: Uint8Array, { remote }: Path): string {
  return `${initiatorSpi.toString(16)}/${remote.address}/${remote.port}/${characters(ni)}`;
}

/** One for each octet: a text to look things up by. */
function characters({ buffer, byteOffset, length }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, length).toString("latin1");
}
