import { equal } from "../../bytes/constant-time.ts";
import { ExchangeType, NotifyType } from "../../iana/ikev2-parameters.ts";
import type { Path } from "../../platform/address.ts";
import type { ConnectionPolicy } from "../../policy/connection.ts";
import { isAllowed } from "../../policy/select-proposal.ts";
import { encodeMessage, type Message } from "../../wire/message.ts";
import type { Payload } from "../../wire/payloads/payload.ts";
import { ticketRefused } from "../events.ts";
import type { IkeSa } from "../ike-sa.ts";
import type { Resuming } from "../ike-sa-state.ts";
import type { Trigger } from "../io.ts";
import { authenticateResumed } from "../key-agreement.ts";
import { RFC_LIMITS } from "../limits.ts";
import type { Machine } from "../machine.ts";
import { detectNat, forcedNatDetectionSource, natDetectionHash } from "../nat-detection.ts";
import { NONCE_LENGTH } from "../nonces.ts";
import { find, findError, findNotify, findUnknownCritical, notify, notifyName } from "../payloads.ts";
import { floatedPath, initialPath } from "../ports.ts";
import { redirectSupport } from "../redirect/follow.ts";
import { stampOf } from "../resumption/stamp.ts";
import type { OwnTicket } from "../resumption/ticket-wallet.ts";
import { mayResume } from "../resumption/tickets.ts";
import { openStreamTo, outrunTwin, tryTcp } from "../streams.ts";
import { sendAuthRequest } from "./ike-auth-response.ts";
import { begin, beginAgain, generateKeyPair, initiate, isNonceFit, NO_NAT_TRAVERSAL } from "./ike-sa-init.ts";

// IKE_SESSION_RESUME, RFC 5723 section 4.3.2: in the place of IKE_SA_INIT, without a key exchange. The algorithms are those of the session,
// and the new keys come from its SK_d and the nonces.
//
//   --> HDR(SPIi, 0), [N(COOKIE)], Ni, N(TICKET_OPAQUE), N(NAT_DETECTION_*), N(IKEV2_FRAGMENTATION_SUPPORTED), [N(REDIRECT_SUPPORTED)]
//   <-- HDR(SPIi, 0), N(COOKIE)            and the request comes again; or N(TICKET_NACK), and IKE_SA_INIT takes its place
//   <-- HDR(SPIi, SPIr), Nr, N(NAT_DETECTION_*), N(IKEV2_FRAGMENTATION_SUPPORTED), N(CHILDLESS_IKEV2_SUPPORTED)
//
// Behind it comes an IKE_AUTH without certificates, EAP and PPK (section 4.3.3). Here is the client; `ike-session-resume-request.ts` is the gateway,
// and `resumed-auth.ts` what both make of IKE_AUTH.

/** Begins a connection: by a ticket, where there is one that is good. `trigger`: the packet that wants it. */
export function connect(
  machine: Machine,
  { connection, trigger }: { readonly connection: ConnectionPolicy; readonly trigger: Trigger | undefined },
  now: number,
): void {
  const own = ticketFor(machine, connection);
  const path = own && firstPath(machine, connection);
  if (own === undefined || path === undefined) initiate(machine, connection, now).trigger = trigger;
  else resumeAlong(machine, { connection, own, path, trigger }, now);
}

/** Undefined where TCP is a must and cannot be had: then there is nothing to resume either. */
function firstPath(machine: Machine, connection: ConnectionPolicy): Path | undefined {
  if (connection.tcp?.mode === "always") return openStreamTo(machine, connection);
  return initialPath(connection, machine.ports);
}

function ticketFor(machine: Machine, connection: ConnectionPolicy): OwnTicket | undefined {
  const { wallet } = machine;
  const own = wallet?.find(connection.name);
  if (own === undefined) return undefined;
  const { session } = own;
  const isSame = equal(session.stamp, stampOf(connection, session.skD));
  const hasPpk = session.hasPpk || connection.ppk?.isRequired !== true;
  if (mayResume(connection) && isSame && hasPpk && isAllowed(session.proposal, connection.ikeProposals)) {
    return own;
  }
  wallet?.drop(connection.name);
  return undefined;
}

/** The request goes by this path, by UDP or TCP. */
export function resumeAlong(
  machine: Machine,
  {
    connection,
    own,
    path,
    trigger,
  }: {
    readonly connection: ConnectionPolicy;
    readonly own: OwnTicket;
    readonly path: Path;
    readonly trigger: Trigger | undefined;
  },
  now: number,
): IkeSa {
  const state: Resuming = {
    name: "resuming",
    ni: machine.random.bytes(NONCE_LENGTH),
    own,
    cookie: undefined,
    natDetectionSource: forcedNatDetectionSource(machine.random),
    restarts: 0,
    request: undefined,
  };
  const ikeSa = machine.adopt({ role: "initiator", path, state, connection, now });
  ikeSa.remoteIdentity = connection.remote.identity;
  // The request may have a twin at once, which takes this over.
  ikeSa.trigger = trigger;
  sendResumeRequest(ikeSa, state, now);
  return ikeSa;
}

function sendResumeRequest(ikeSa: IkeSa, state: Resuming, now: number): void {
  const exchangeType = ExchangeType.IKE_SESSION_RESUME;
  const request = encodeMessage({
    initiatorSpi: ikeSa.localSpi,
    responderSpi: 0n,
    exchangeType,
    isInitiator: true,
    isResponse: false,
    messageId: 0,
    payloads: buildResumeRequest(ikeSa, state),
  });
  ikeSa.state = { ...state, request };
  ikeSa.outbox.transmitRequest(
    { purpose: { kind: "resume" }, exchangeType, messageId: 0, datagrams: [request] },
    now,
  );
  tryTcp(ikeSa, 1, now);
}

function buildResumeRequest(ikeSa: IkeSa, state: Resuming): readonly Payload[] {
  const { cookie, ni, own, natDetectionSource } = state;
  const end = ikeSa.path.remote;
  const destination = natDetectionHash({ initiatorSpi: ikeSa.localSpi, responderSpi: 0n, end });
  const natDetection = [
    notify(NotifyType.NAT_DETECTION_SOURCE_IP, natDetectionSource),
    notify(NotifyType.NAT_DETECTION_DESTINATION_IP, destination),
  ];
  return [
    ...(cookie === undefined ? [] : [notify(NotifyType.COOKIE, cookie)]),
    { kind: "nonce", critical: false, nonce: ni },
    notify(NotifyType.TICKET_OPAQUE, own.ticket),
    ...(ikeSa.connection?.encapsulation === "raw" ? [] : natDetection),
    notify(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED),
    ...redirectSupport(ikeSa),
  ];
}

interface ResumeResponse {
  /** Octets of our own, which the decoded message views. */
  readonly octets: Uint8Array;
  readonly message: Message;
  readonly path: Path;
  readonly now: number;
}

/** Nothing here is protected: a forged refusal costs a full exchange, and no more. */
export function processResumeResponse(ikeSa: IkeSa, received: ResumeResponse): void {
  const { message, path, now } = received;
  const { header, payloads } = message;
  const { state } = ikeSa;
  if (state.name !== "resuming") return;
  const isAnswer = header.messageId === 0 && !header.isInitiator;
  if (!isAnswer || ikeSa.outbox.requests.outstanding === undefined || state.request === undefined) {
    ikeSa.drop("outsideWindow", "IKE_SESSION_RESUME response that nobody asked for", path, now);
    return;
  }
  if (path.stream !== ikeSa.path.stream) {
    ikeSa.drop("unexpected", "IKE_SESSION_RESUME response by another connection", path, now);
    return;
  }
  if (findUnknownCritical(payloads) !== undefined) {
    ikeSa.drop("unexpected", "IKE_SESSION_RESUME response with an unknown critical payload", path, now);
    return;
  }
  if (find(payloads, "nonce") !== undefined) {
    acceptAnswer(ikeSa, { ...received, state, request: state.request });
    return;
  }
  const cookie = findNotify(payloads, NotifyType.COOKIE);
  const refusal = findNotify(payloads, NotifyType.TICKET_NACK) ?? findError(payloads);
  if (cookie !== undefined) obeyCookie(ikeSa, state, { ...received, data: cookie.data });
  else if (refusal !== undefined) {
    ikeSa.machine.wallet?.drop(state.own.session.connection);
    fallBack(ikeSa, `the peer answered ${notifyName(refusal.notifyType)}`, now);
  } else ikeSa.drop("unexpected", "IKE_SESSION_RESUME response without Nonce", path, now);
}

/** RFC 7296 section 2.6, as RFC 5723 section 4.3.2 has it here too. */
function obeyCookie(
  ikeSa: IkeSa,
  state: Resuming,
  { data, path, now }: ResumeResponse & { readonly data: Uint8Array },
): void {
  const isFit = data.length > 0 && data.length <= RFC_LIMITS.cookieLengthMax;
  const isNew = state.cookie === undefined || !equal(state.cookie, data);
  if (!isFit || !isNew || state.restarts >= ikeSa.machine.limits.initRestartCount) {
    ikeSa.drop("unexpected", "cookie that is not needed", path, now);
    return;
  }
  sendResumeRequest(ikeSa, { ...state, cookie: data.slice(), restarts: state.restarts + 1 }, now);
}

function acceptAnswer(
  ikeSa: IkeSa,
  accepted: ResumeResponse & { readonly state: Resuming; readonly request: Uint8Array },
): void {
  const { message, octets, path, now, state, request } = accepted;
  const { header, payloads } = message;
  const { machine, connection } = ikeSa;
  const { session } = state.own;
  const { proposal, responder, authenticUntil } = session;
  const nr = find(payloads, "nonce")!.nonce;
  const isSound =
    header.responderSpi !== 0n &&
    header.responderSpi !== ikeSa.localSpi &&
    isNonceFit(nr, proposal) &&
    !equal(nr, state.ni);
  if (!isSound || connection === undefined) {
    ikeSa.drop("unexpected", "IKE_SESSION_RESUME response that contradicts itself or our request", path, now);
    return;
  }
  const { encapsulation = "auto" } = connection;
  const spis = { initiatorSpi: ikeSa.localSpi, responderSpi: header.responderSpi };
  const nat = encapsulation === "raw" ? undefined : detectNat(payloads, { ...spis, path });
  const isInUdp = path.stream === undefined;
  const isOnIkePort = isInUdp && ikeSa.path.local.port !== machine.ports.natTraversal;
  if (nat === undefined && encapsulation === "udp" && isOnIkePort) {
    fallBack(ikeSa, NO_NAT_TRAVERSAL, now);
    return;
  }
  // Whatever has taken it out of the wallet has wiped its SK_d.
  if (machine.wallet?.holds(state.own) !== true) {
    fallBack(ikeSa, "the ticket was used or replaced meanwhile", now);
    return;
  }

  ikeSa.outbox.stopRetransmitting(0);
  ikeSa.peerSpi = header.responderSpi;
  ikeSa.isBehindNat = nat?.isBehindNat ?? false;
  ikeSa.isPeerBehindNat = nat?.isPeerBehindNat ?? false;
  ikeSa.traversesNats = nat !== undefined;
  ikeSa.supportsFragmentation = findNotify(payloads, NotifyType.IKEV2_FRAGMENTATION_SUPPORTED) !== undefined;
  ikeSa.supportsChildless = findNotify(payloads, NotifyType.CHILDLESS_IKEV2_SUPPORTED) !== undefined;
  ikeSa.isResumed = true;
  ikeSa.hasPpk = session.hasPpk;
  ikeSa.remoteIdentity = responder;
  ikeSa.authenticUntil = authenticUntil && now + (authenticUntil - machine.wallet.wallNow);
  if (isInUdp) {
    const asked = { local: path.local, remote: ikeSa.path.remote };
    ikeSa.path = nat === undefined ? asked : floatedPath(asked, machine.ports);
  }
  outrunTwin(ikeSa, now);
  const result = { proposal, ni: state.ni, nr, initRequest: request, initResponse: octets };
  authenticateResumed(ikeSa, result, { session, connection });
  // Good once, whether IKE_AUTH is answered or not: the gateway may have taken it.
  machine.wallet.drop(connection.name);
  sendAuthRequest(ikeSa, now);
}

/** The session is not resumed: the connection begins with IKE_SA_INIT after all, by the same way. A ticket that nobody has refused is kept. */
export function fallBack(ikeSa: IkeSa, reason: string, now: number): void {
  const { state, connection, machine } = ikeSa;
  if (state.name !== "resuming" || connection === undefined) return;
  machine.report(ticketRefused({ connection: connection.name, remote: ikeSa.path.remote, reason }));
  beginAgain(ikeSa);
  if (ikeSa.path.stream === undefined) begin(ikeSa, undefined, now);
  else generateKeyPair(ikeSa);
}
