import { equal } from "../../bytes/constant-time.ts";
import { wipe } from "../../bytes/wipe.ts";
import { ExchangeType, NotifyType } from "../../iana/ikev2-parameters.ts";
import type { ConnectionPolicy } from "../../policy/connection.ts";
import { formatIdentity, sameIdentity } from "../../policy/identity.ts";
import { findCandidates } from "../../policy/pad.ts";
import { isAllowed } from "../../policy/select-proposal.ts";
import { encodeMessage } from "../../wire/message.ts";
import { ticketRefused } from "../events.ts";
import { authenticateResumed } from "../key-agreement.ts";
import type { Machine } from "../machine.ts";
import { detectNat, natDetectionPayloads } from "../nat-detection.ts";
import { NONCE_LENGTH } from "../nonces.ts";
import { find, findNotify, findUnknownCritical, notify, unsupportedCriticalPayload } from "../payloads.ts";
import { addressesOf } from "../ports.ts";
import { redirectSupportIn } from "../redirect/send-away.ts";
import type { SessionState } from "../resumption/session-state.ts";
import { stampOf } from "../resumption/stamp.ts";
import { isWelcome, mayResume } from "../resumption/tickets.ts";
import { isNonceFit, NO_NAT_TRAVERSAL } from "./ike-sa-init.ts";
import { type AdmittedRequest, beginHalfOpen, refuse } from "./ike-sa-init-request.ts";

// What we answer to an IKE_SESSION_RESUME (`ike-session-resume.ts`). It costs us one AES-GCM to open the ticket, and a place among the half-open SAs
// where that is ours; cookies and limits are those of IKE_SA_INIT, and the request has passed them.

export function considerTicket(machine: Machine, received: AdmittedRequest): void {
  const { message, octets, path, now } = received;
  const { header, payloads } = message;
  const ni = find(payloads, "nonce")?.nonce;
  const ticket = findNotify(payloads, NotifyType.TICKET_OPAQUE)?.data;
  if (ni === undefined || ticket === undefined) {
    machine.dropFrom("unexpected", "IKE_SESSION_RESUME request without Nonce or ticket", path, now);
    return;
  }
  const critical = findUnknownCritical(payloads);
  if (critical !== undefined) {
    refuse(machine, received, unsupportedCriticalPayload(critical));
    return;
  }
  const session = machine.tickets?.open(ticket) ?? "sessions are not resumed here";
  if (typeof session === "string") {
    refuseTicket(machine, received, { reason: session, connection: undefined });
    return;
  }
  const connection = connectionOf(machine, session, received);
  if (typeof connection === "string") {
    wipe(session.skD);
    refuseTicket(machine, received, { reason: connection, connection: session.connection });
    return;
  }
  const hashes = { initiatorSpi: header.initiatorSpi, responderSpi: 0n, path };
  const nat = connection.encapsulation === "raw" ? undefined : detectNat(payloads, hashes);
  const { proposal } = session;
  if (!isNonceFit(ni, proposal)) {
    wipe(session.skD);
    machine.dropFrom("unexpected", "Ni is shorter than half a key of the PRF", path, now);
    return;
  }
  if (
    nat === undefined &&
    connection.encapsulation === "udp" &&
    path.stream === undefined &&
    path.local.port !== machine.ports.natTraversal
  ) {
    wipe(session.skD);
    refuseTicket(machine, received, { reason: NO_NAT_TRAVERSAL, connection: connection.name });
    return;
  }

  const state = { name: "responding" } as const;
  const ikeSa = machine.adopt({ role: "responder", path, state, connection: undefined, now });
  beginHalfOpen(ikeSa, received);
  ikeSa.isBehindNat = nat?.isBehindNat ?? false;
  ikeSa.isPeerBehindNat = nat?.isPeerBehindNat ?? false;
  ikeSa.traversesNats = nat !== undefined;
  ikeSa.supportsFragmentation = findNotify(payloads, NotifyType.IKEV2_FRAGMENTATION_SUPPORTED) !== undefined;
  // Who goes elsewhere is told in IKE_AUTH, which covers this, also where others are at the first message.
  ikeSa.redirectSupport = redirectSupportIn(payloads);
  const nr = machine.random.bytes(NONCE_LENGTH);
  const initResponse = encodeMessage({
    initiatorSpi: ikeSa.initiatorSpi,
    responderSpi: ikeSa.responderSpi,
    exchangeType: ExchangeType.IKE_SESSION_RESUME,
    isInitiator: false,
    isResponse: true,
    messageId: 0,
    payloads: [
      { kind: "nonce", critical: false, nonce: nr },
      ...(nat === undefined ? [] : natDetectionPayloads(ikeSa, path)),
      ...(ikeSa.supportsFragmentation ? [notify(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED)] : []),
      notify(NotifyType.CHILDLESS_IKEV2_SUPPORTED),
    ],
  });
  authenticateResumed(
    ikeSa,
    { proposal, ni, nr, initRequest: octets, initResponse },
    { session, connection },
  );
  wipe(session.skD);
  ikeSa.outbox.answerWith(0, [initResponse]);
}

/** The connection that the ticket is for, if that is as it was and its peer may still come; otherwise why not. */
function connectionOf(
  { connections }: Machine,
  session: SessionState,
  { path }: AdmittedRequest,
): ConnectionPolicy | string {
  const { initiator, responder, proposal, skD, stamp, user, account, hasPpk } = session;
  const connection = findCandidates(connections, addressesOf(path)).find(
    ({ name }) => name === session.connection,
  );
  const who = user ?? formatIdentity(initiator);
  if (connection === undefined) return `there is no connection ${session.connection} any more for ${who}`;
  const { local, remote, ppk, ikeProposals } = connection;
  if (!mayResume(connection)) return `${connection.name} resumes no sessions`;
  const isForThem = remote.identity === undefined || sameIdentity(remote.identity, initiator);
  if (!isForThem || !sameIdentity(local.identity, responder) || !equal(stamp, stampOf(connection, skD))) {
    return `${connection.name} is configured in another way than when ${who} got the ticket`;
  }
  if (!isAllowed(proposal, ikeProposals)) return `${connection.name} does not allow its algorithms any more`;
  if (ppk?.isRequired === true && !hasPpk) return `there is no PPK in the session of ${who}`;
  return isWelcome(connection, { user, account }) ? connection : `${who} has to log in again`;
}

function refuseTicket(
  machine: Machine,
  received: AdmittedRequest,
  { reason, connection }: { readonly reason: string; readonly connection: string | undefined },
): void {
  if (!refuse(machine, received, notify(NotifyType.TICKET_NACK))) return;
  const { path, now } = received;
  machine.reportUnverified(() => ticketRefused({ connection, remote: path.remote, reason }), now);
}
