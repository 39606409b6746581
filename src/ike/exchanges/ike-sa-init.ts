import { equal } from "../../bytes/constant-time.ts";
import { toHex } from "../../bytes/hex.ts";
import { prfKeyLength } from "../../crypto/prf.ts";
import { ExchangeType, NotifyType, TransformType } from "../../iana/ikev2-parameters.ts";
import type { Path } from "../../platform/address.ts";
import type { ConnectionPolicy } from "../../policy/connection.ts";
import { findCandidates } from "../../policy/pad.ts";
import { checkChosen, selectProposal } from "../../policy/select-proposal.ts";
import { findTransform, numberProposals, offeredGroups } from "../../policy/transforms.ts";
import { encodeMessage, type Message } from "../../wire/message.ts";
import type { Payload, PayloadOf } from "../../wire/payloads/payload.ts";
import type { Proposal } from "../../wire/payloads/proposal.ts";
import { formatProposals, ikeSaNegotiated, refusalHeard, refused } from "../events.ts";
import type { IkeSa } from "../ike-sa.ts";
import type { Initiating, KeyPair } from "../ike-sa-state.ts";
import type { IkeEvent } from "../io.ts";
import { agree, authenticate, type InitResult, reasonOf } from "../key-agreement.ts";
import { RFC_LIMITS } from "../limits.ts";
import type { Machine } from "../machine.ts";
import { detectNat, forcedNatDetectionSource, natDetectionHash } from "../nat-detection.ts";
import { hasNonceLength, NONCE_LENGTH } from "../nonces.ts";
import {
  find,
  findError,
  findNotify,
  findUnknownCritical,
  notify,
  notifyName,
  unsupportedCriticalPayload,
} from "../payloads.ts";
import { addressesOf, floatedPath, initialPath } from "../ports.ts";
import { suiteOf } from "../proposals.ts";
import { sendAuthRequest } from "./ike-auth.ts";

// IKE_SA_INIT, RFC 7296 section 1.2:
//
//   --> HDR(SPIi, 0), [N(COOKIE)], SAi1, KEi, Ni, N(NAT_DETECTION_*), N(IKEV2_FRAGMENTATION_SUPPORTED)
//   <-- HDR(SPIi, 0), N(COOKIE) | N(INVALID_KE_PAYLOAD) | N(error)        and the request comes again
//   <-- HDR(SPIi, SPIr), SAr1, KEr, Nr, N(NAT_DETECTION_*), N(IKEV2_FRAGMENTATION_SUPPORTED)

// ---- Initiator ----------------------------------------------------------------------------------------------

/** Begins a connection: the key pair first, then the request. */
export function initiate(machine: Machine, connection: ConnectionPolicy, now: number): IkeSa {
  const [group = 0] = offeredGroups(connection.ikeProposals);
  const ikeSa = machine.adopt({
    role: "initiator",
    path: initialPath(connection, machine.ports),
    state: {
      name: "initiating",
      ni: machine.random.bytes(NONCE_LENGTH),
      group,
      keyPair: undefined,
      cookie: undefined,
      natDetectionSource: forcedNatDetectionSource(machine.random),
      groupsTried: [group],
      restarts: 0,
      request: undefined,
      hint: undefined,
    },
    connection,
    now,
  });
  ikeSa.remoteIdentity = connection.remote.identity;
  generateKeyPair(ikeSa, group);
  return ikeSa;
}

function generateKeyPair(ikeSa: IkeSa, group: number): void {
  ikeSa.machine.compute({ kind: "generate-key-pair", group }, (result, now) => {
    const { state } = ikeSa;
    if (state.name !== "initiating" || state.group !== group || state.keyPair !== undefined) return;
    if (result.kind !== "key-pair") {
      ikeSa.close(
        { reason: "protocol-error", message: `no key pair of group ${group}: ${reasonOf(result)}` },
        now,
      );
      return;
    }
    sendInitRequest(ikeSa, { ...state, keyPair: result }, now);
  });
}

function sendInitRequest(ikeSa: IkeSa, state: Initiating, now: number): void {
  const request = encodeMessage({
    initiatorSpi: ikeSa.localSpi,
    responderSpi: 0n,
    exchangeType: ExchangeType.IKE_SA_INIT,
    isInitiator: true,
    isResponse: false,
    messageId: 0,
    payloads: buildInitRequest(ikeSa, state),
  });
  ikeSa.state = { ...state, request };
  ikeSa.outbox.transmitRequest(
    { purpose: { kind: "init" }, exchangeType: ExchangeType.IKE_SA_INIT, messageId: 0, datagrams: [request] },
    now,
  );
}

function buildInitRequest(ikeSa: IkeSa, state: Initiating): readonly Payload[] {
  const { cookie, ni, group, keyPair, natDetectionSource } = state;
  const destination = natDetectionHash({
    initiatorSpi: ikeSa.localSpi,
    responderSpi: 0n,
    end: ikeSa.path.remote,
  });
  return [
    ...(cookie === undefined ? [] : [notify(NotifyType.COOKIE, cookie)]),
    { kind: "security-association", critical: false, proposals: offered(ikeSa) },
    { kind: "key-exchange", critical: false, group, data: keyPair?.publicValue ?? new Uint8Array(0) },
    { kind: "nonce", critical: false, nonce: ni },
    notify(NotifyType.NAT_DETECTION_SOURCE_IP, natDetectionSource),
    notify(NotifyType.NAT_DETECTION_DESTINATION_IP, destination),
    notify(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED),
  ];
}

function offered(ikeSa: IkeSa): readonly Proposal[] {
  return numberProposals(ikeSa.connection?.ikeProposals ?? []);
}

interface InitResponse {
  /** Octets of our own, which the decoded message views. */
  readonly octets: Uint8Array;
  readonly message: Message;
  readonly path: Path;
  readonly now: number;
}

/** Nothing here is protected: what does not fit is dropped, and the request goes on being repeated. */
export function processInitResponse(ikeSa: IkeSa, received: InitResponse): void {
  const { message, path, now } = received;
  const { header, payloads } = message;
  const { state } = ikeSa;
  if (state.name !== "initiating") return;
  const { outstanding } = ikeSa.outbox.requests;
  const isAnswer = header.messageId === 0 && !header.isInitiator && outstanding !== undefined;
  if (!isAnswer || state.keyPair === undefined || state.request === undefined) {
    ikeSa.drop("outsideWindow", "IKE_SA_INIT response that nobody asked for", path, now);
    return;
  }
  if (findUnknownCritical(payloads) !== undefined) {
    ikeSa.drop("unexpected", "IKE_SA_INIT response with an unknown critical payload", path, now);
    return;
  }
  if (find(payloads, "security-association") !== undefined) {
    processAcceptance(ikeSa, { ...received, keyPair: state.keyPair, request: state.request });
    return;
  }

  const cookie = findNotify(payloads, NotifyType.COOKIE);
  if (cookie !== undefined) {
    obeyCookie(ikeSa, cookie.data, received);
    return;
  }
  const error = findError(payloads);
  if (error?.notifyType === NotifyType.INVALID_KE_PAYLOAD) obeyInvalidKe(ikeSa, error.data, received);
  else if (error !== undefined) rememberHint(ikeSa, refusalOf(ikeSa, error), now);
  else ikeSa.drop("unexpected", "IKE_SA_INIT response without SA", path, now);
}

/** RFC 7296 section 2.6: the same request once more, with the cookie in front. */
function obeyCookie(ikeSa: IkeSa, data: Uint8Array, { path, now }: InitResponse): void {
  const { state } = ikeSa;
  if (state.name !== "initiating") return;
  const isFit = data.length > 0 && data.length <= RFC_LIMITS.cookieLengthMax;
  const isNew = state.cookie === undefined || !equal(state.cookie, data);
  if (!isFit || !isNew || state.restarts >= ikeSa.machine.limits.initRestartCount) {
    ikeSa.drop("unexpected", "cookie that is not needed", path, now);
    return;
  }
  // Who asks for a cookie has not refused.
  ikeSa.ignoreHint();
  const restarts = state.restarts + 1;
  sendInitRequest(ikeSa, { ...state, cookie: data.slice(), hint: undefined, restarts }, now);
}

/** RFC 7296 section 1.3: the same offer once more, with a key exchange of the group that the responder wants, if we offered it. */
function obeyInvalidKe(ikeSa: IkeSa, data: Uint8Array, { path, now }: InitResponse): void {
  const { state } = ikeSa;
  if (state.name !== "initiating") return;
  const group = data.length === 2 ? (data[0]! << 8) | data[1]! : 0;
  const isOffered = offeredGroups(offered(ikeSa)).includes(group);
  if (!isOffered && data.length === 2) {
    const message = `the peer wants key exchange group ${group}, which we do not offer`;
    rememberHint(ikeSa, { reason: "INVALID_KE_PAYLOAD", message }, now);
    return;
  }
  const isNew = !state.groupsTried.includes(group);
  if (!isOffered || !isNew || state.restarts >= ikeSa.machine.limits.initRestartCount) {
    ikeSa.drop("unexpected", `INVALID_KE_PAYLOAD for group ${group}`, path, now);
    return;
  }
  ikeSa.outbox.stopRetransmitting();
  ikeSa.ignoreHint();
  ikeSa.state = {
    ...state,
    hint: undefined,
    group,
    keyPair: undefined,
    request: undefined,
    groupsTried: [...state.groupsTried, group],
    restarts: state.restarts + 1,
  };
  generateKeyPair(ikeSa, group);
}

function refusalOf(ikeSa: IkeSa, error: PayloadOf<"notify">): NonNullable<Initiating["hint"]> {
  const reason = notifyName(error.notifyType);
  if (error.notifyType !== NotifyType.NO_PROPOSAL_CHOSEN)
    return { reason, message: `the peer answered ${reason}` };
  const proposals = formatProposals(offered(ikeSa));
  const message = `the peer accepts none of our IKE proposals (${reason}); offered ${proposals.join(", ")}`;
  return { reason, message, offered: proposals };
}

/** RFC 7296 section 2.21.1: anybody could have sent it, so a better answer has a moment to arrive. */
function rememberHint(ikeSa: IkeSa, hint: NonNullable<Initiating["hint"]>, now: number): void {
  const { state } = ikeSa;
  if (state.name !== "initiating" || state.hint !== undefined) return;
  ikeSa.state = { ...state, hint };
  ikeSa.machine.report(refusalHeard(ikeSa, hint.reason));
  ikeSa.awaitBetterAnswer(now);
}

/** No better answer came. */
export function giveUpOnHint(ikeSa: IkeSa, now: number): void {
  const { state } = ikeSa;
  if (state.name === "initiating" && state.hint !== undefined) ikeSa.close(state.hint, now);
}

function processAcceptance(
  ikeSa: IkeSa,
  accepted: InitResponse & { readonly keyPair: KeyPair; readonly request: Uint8Array },
): void {
  const { message, path, now, keyPair, request } = accepted;
  const { header, payloads } = message;
  const { state, machine } = ikeSa;
  if (state.name !== "initiating") return;
  const sa = find(payloads, "security-association");
  const ke = find(payloads, "key-exchange");
  const nonce = find(payloads, "nonce");
  if (sa === undefined || ke === undefined || nonce === undefined) {
    ikeSa.drop("unexpected", "IKE_SA_INIT response without KE or Nonce", path, now);
    return;
  }
  const verdict = checkChosen({ offered: offered(ikeSa), answer: sa.proposals });
  if (verdict.kind === "refused") {
    rememberHint(
      ikeSa,
      { reason: "NO_PROPOSAL_CHOSEN", message: `the peer chose what we did not offer: ${verdict.reason}` },
      now,
    );
    return;
  }
  const { proposal } = verdict;
  const isReflected = equal(nonce.nonce, state.ni) || equal(ke.data, keyPair.publicValue);
  const isSound =
    header.responderSpi !== 0n &&
    header.responderSpi !== ikeSa.localSpi &&
    ke.group === state.group &&
    findTransform(proposal, TransformType.KE)?.id === state.group &&
    isNonceFit(nonce.nonce, proposal) &&
    !isReflected;
  if (!isSound) {
    ikeSa.drop("unexpected", "IKE_SA_INIT response that contradicts itself or our request", path, now);
    return;
  }
  const nat = detectNat(payloads, { initiatorSpi: ikeSa.localSpi, responderSpi: header.responderSpi, path });
  if (nat === undefined && ikeSa.path.local.port !== machine.ports.natTraversal) {
    rememberHint(ikeSa, { reason: "protocol-error", message: NO_NAT_TRAVERSAL }, now);
    return;
  }

  ikeSa.outbox.stopRetransmitting();
  ikeSa.ignoreHint();
  ikeSa.peerSpi = header.responderSpi;
  ikeSa.isBehindNat = nat?.isBehindNat ?? false;
  ikeSa.isPeerBehindNat = nat?.isPeerBehindNat ?? false;
  ikeSa.supportsFragmentation = findNotify(payloads, NotifyType.IKEV2_FRAGMENTATION_SUPPORTED) !== undefined;
  ikeSa.supportsChildless = findNotify(payloads, NotifyType.CHILDLESS_IKEV2_SUPPORTED) !== undefined;
  // Where the answer arrived is our address; the peer's is what we were told, since this message proves nothing.
  ikeSa.path = floatedPath({ local: path.local, remote: ikeSa.path.remote }, machine.ports);
  ikeSa.state = { name: "agreeing" };
  const init: InitResult = {
    proposal,
    ni: state.ni,
    nr: nonce.nonce,
    initRequest: request,
    initResponse: accepted.octets,
  };
  agree(
    ikeSa,
    { group: state.group, privateKey: keyPair.privateKey, peerPublicValue: ke.data },
    (shared, then) => {
      authenticate(ikeSa, init, shared);
      machine.report(ikeSaNegotiated(ikeSa, { proposal, ms: then - ikeSa.createdAt }));
      sendAuthRequest(ikeSa, then);
    },
  );
}

// ---- Responder ----------------------------------------------------------------------------------------------

interface InitRequest {
  /** Octets of our own, which the decoded message views. */
  readonly octets: Uint8Array;
  readonly message: Message;
  readonly path: Path;
  readonly now: number;
}

/**
 * Decides on a first request. Until the last step nothing is kept, and the checks go from cheap to dear.
 */
export function processInitRequest(machine: Machine, received: InitRequest): void {
  const { message, path, now } = received;
  const { header, payloads } = message;
  const sa = find(payloads, "security-association");
  const ke = find(payloads, "key-exchange");
  const nonce = find(payloads, "nonce");
  const isSound = header.initiatorSpi !== 0n && header.messageId === 0 && header.isInitiator;
  if (
    !isSound ||
    sa === undefined ||
    ke === undefined ||
    nonce === undefined ||
    !hasNonceLength(nonce.nonce)
  ) {
    machine.dropFrom(
      "unexpected",
      "IKE_SA_INIT request without SA, KE or Nonce, or with a wrong header",
      path,
      now,
    );
    return;
  }

  // RFC 7296 section 2.1: what tells a repetition from a new peer behind the same NAT is Ni.
  const initKey = initKeyOf(header.initiatorSpi, nonce.nonce, path);
  const known = machine.findByInit(initKey);
  if (known !== undefined) {
    answerInitAgain(known, received);
    return;
  }
  const critical = findUnknownCritical(payloads);
  if (critical !== undefined) {
    refuse(machine, received, unsupportedCriticalPayload(critical));
    return;
  }

  const cookie = findNotify(payloads, NotifyType.COOKIE);
  const binding = { initiatorSpi: header.initiatorSpi, ni: nonce.nonce, address: path.remote.address };
  const isRoutable = cookie !== undefined && machine.cookies.isOurs(cookie.data, binding, now);
  if (cookie !== undefined && !isRoutable) machine.counters.cookiesWrong++;
  const admission = machine.halfOpen.admission(path.remote.address, isRoutable, now);
  if (admission === "demand-cookie") {
    machine.counters.cookiesDemanded++;
    reply(machine, received, [notify(NotifyType.COOKIE, machine.cookies.bake(binding, now))]);
    return;
  }
  if (admission === "refuse") {
    machine.dropFrom("halfOpenRefused", "too many half-open SAs", path, now);
    return;
  }

  const verdict = choose(machine, { proposals: sa.proposals, preferredGroup: ke.group, path });
  if (verdict.kind === "refused") {
    // To put it into words is dear, so it is told at most as often as it is answered.
    const isAnswered = refuse(machine, received, notify(NotifyType.NO_PROPOSAL_CHOSEN));
    if (isAnswered) machine.reportUnverified(verdict.explain(), now);
    return;
  }
  const { proposal } = verdict;
  const group = findTransform(proposal, TransformType.KE)?.id ?? 0;
  if (ke.group !== group) {
    refuse(machine, received, notify(NotifyType.INVALID_KE_PAYLOAD, Uint8Array.of(group >>> 8, group)));
    return;
  }
  const hashes = { initiatorSpi: header.initiatorSpi, responderSpi: 0n, path };
  const nat = detectNat(payloads, hashes);
  if (nat === undefined && path.local.port !== machine.ports.natTraversal) {
    const facts = { from: path.remote, reason: "NO_PROPOSAL_CHOSEN", message: NO_NAT_TRAVERSAL };
    machine.reportUnverified(refused({ connection: undefined, ...facts }), now);
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
  ikeSa.peerSpi = header.initiatorSpi;
  machine.rememberInit(initKey, ikeSa);
  ikeSa.halfOpenPlace = machine.halfOpen.enter(path.remote.address, isRoutable);
  ikeSa.isBehindNat = nat?.isBehindNat ?? false;
  ikeSa.isPeerBehindNat = nat?.isPeerBehindNat ?? false;
  ikeSa.supportsFragmentation = findNotify(payloads, NotifyType.IKEV2_FRAGMENTATION_SUPPORTED) !== undefined;
  ikeSa.limitHalfOpen(now);
  respond(ikeSa, {
    received,
    proposal,
    group,
    ni: nonce.nonce,
    peerPublicValue: ke.data,
    hasNatDetection: nat !== undefined,
  });
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
  machine.compute({ kind: "generate-key-pair", group }, (result, now) => {
    if (ikeSa.state.name !== "responding") return;
    if (result.kind !== "key-pair") {
      ikeSa.close(
        { reason: "protocol-error", message: `no key pair of group ${group}: ${reasonOf(result)}` },
        now,
      );
      return;
    }
    const { publicValue, privateKey } = result;
    agree(ikeSa, { group, privateKey, peerPublicValue }, (shared, then) => {
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
      authenticate(ikeSa, { proposal, ni, nr, initRequest: received.octets, initResponse }, shared);
      machine.reportUnverified(ikeSaNegotiated(ikeSa, { proposal, ms: then - ikeSa.createdAt }), then);
      ikeSa.outbox.answerWith(0, [initResponse]);
    });
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
  ];
}

/**
 * A repeated request gets the same octets for as long as IKE_AUTH has not come; behind that nobody waits for them. It has to be
 * the same request (RFC 7296 section 2.1): a shorter one with the same nonce would make an amplifier of us.
 */
function answerInitAgain(known: IkeSa, { octets, path, now }: InitRequest): void {
  const { state } = known;
  if (state.name === "responding") return;
  const isAwaited = state.name === "authenticating" && known.outbox.responses.nextMessageId === 1;
  if (isAwaited && equal(state.initRequest, octets)) known.outbox.answerAgain(path);
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
        : verdict.reason,
    offered: formatProposals(proposals),
    allowed: formatProposals(allowed),
  });
}

/** Sends an error, unless too many were sent just now. Returns whether it did. */
function refuse(machine: Machine, received: InitRequest, error: Payload): boolean {
  const { path, now } = received;
  const isAllowed = machine.mayTransmitError(now);
  if (isAllowed) reply(machine, received, [error]);
  else machine.dropFrom("errorSuppressed", "more errors than we answer in a second", path, now);
  return isAllowed;
}

/** Answers without keeping anything: the responder's SPI stays zero. */
function reply(machine: Machine, { message, path }: InitRequest, payloads: readonly Payload[]): void {
  const octets = encodeMessage({
    initiatorSpi: message.header.initiatorSpi,
    responderSpi: 0n,
    exchangeType: ExchangeType.IKE_SA_INIT,
    isInitiator: false,
    isResponse: true,
    messageId: 0,
    payloads,
  });
  machine.counters.transmitted++;
  machine.emit({ kind: "transmit", octets, path });
}

function initKeyOf(initiatorSpi: bigint, ni: Uint8Array, { remote }: Path): string {
  return `${initiatorSpi.toString(16)}/${remote.address}/${remote.port}/${toHex(ni)}`;
}

// ---- Both ---------------------------------------------------------------------------------------------------

/** RFC 7296 section 2.10: and at least half the key of the PRF. */
function isNonceFit(nonce: Uint8Array, proposal: Proposal): boolean {
  return hasNonceLength(nonce) && 2 * nonce.length >= prfKeyLength(suiteOf(proposal).prfId);
}

const NO_NAT_TRAVERSAL = "the peer does no NAT traversal, and we carry ESP in UDP only";
