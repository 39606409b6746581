import { ExchangeType, NotifyType } from "../../iana/ikev2-parameters.ts";
import type { ConnectionPolicy } from "../../policy/connection.ts";
import type { Payload } from "../../wire/payloads/payload.ts";
import type { Closing } from "../answer.ts";
import type { IkeSa } from "../ike-sa.ts";
import { findNotify, notify } from "../payloads.ts";
import type { SessionState } from "./session-state.ts";
import { stampOf } from "./stamp.ts";
import { expiryOf } from "./ticket-office.ts";

// Tickets, RFC 5723 section 4.1. Whoever has called asks for one in IKE_AUTH, and in an exchange of its own when the IKE SA was rekeyed or
// the ticket will not be good for much longer:
//
//   --> HDR, SK { ..., N(TICKET_REQUEST) }
//   <-- HDR, SK { ..., N(TICKET_LT_OPAQUE) }     lifetime in seconds (4) | ticket
//   <-- HDR, SK { ..., N(TICKET_NACK) }          there is none; or N(TICKET_ACK): ask again, in an exchange of its own
//
// What a ticket is good for is in `../exchanges/ike-session-resume.ts`.

/** Whether either side of the connection may resume; undefined is true. */
export function mayResume({ resumes = true }: ConnectionPolicy): boolean {
  return resumes;
}

// ---- Gateway ------------------------------------------------------------------------------------------------

/** Answers a TICKET_REQUEST; nothing where there is none. */
export function grantTicket(ikeSa: IkeSa, payloads: readonly Payload[], now: number): readonly Payload[] {
  if (findNotify(payloads, NotifyType.TICKET_REQUEST) === undefined) return [];
  return [makeTicket(ikeSa, now) ?? notify(NotifyType.TICKET_NACK)];
}

function makeTicket(ikeSa: IkeSa, now: number): Payload | undefined {
  const { state, connection, remoteIdentity, machine, isCaller } = ikeSa;
  const office = machine.tickets;
  if (office === undefined || connection === undefined || remoteIdentity === undefined) return undefined;
  if (state.name !== "established" || isCaller || !mayResume(connection)) return undefined;
  const { user, account, grants, session: inside } = ikeSa;
  // Who is removed may be here for a moment longer.
  if (!isWelcome(connection, { user, account })) return undefined;
  ikeSa.ticketFamily ??= office.newFamily();
  const { wallNow } = office;
  const toWall = (at: number | undefined): number | undefined => at && wallNow + (at - now);
  const { ikeRekeyMs = machine.limits.ikeRekeyMs, clientLifetimes } = connection;
  const authenticUntil = toWall(ikeSa.authenticUntil);
  const expiresAt = expiryOf(wallNow, [
    toWall(state.establishedAt + (clientLifetimes?.ikeMs ?? ikeRekeyMs)),
    authenticUntil,
    toWall(inside?.endsAt),
    isVerifiable(connection, { user, account }) ? undefined : wallNow + machine.limits.uncheckedTicketMs,
  ]);
  const seconds = Math.floor((expiresAt - wallNow) / 1000);
  const session: SessionState = {
    family: ikeSa.ticketFamily.id,
    bornAt: ikeSa.ticketFamily.bornAt,
    expiresAt,
    initiator: remoteIdentity,
    responder: connection.local.identity,
    initiatorSpi: ikeSa.initiatorSpi,
    responderSpi: ikeSa.responderSpi,
    proposal: state.proposal,
    skD: state.keys.skD,
    hasPpk: ikeSa.hasPpk,
    connection: connection.name,
    stamp: stampOf(connection, state.keys.skD),
    user,
    account,
    client: ikeSa.client,
    authenticUntil,
    grants: grants && { ...grants, ...sessionLength(toWall(inside?.endsAt), ikeSa.ticketFamily.bornAt) },
  };
  const ticket = seconds > 0 ? office.seal(session) : undefined;
  if (ticket === undefined) return undefined;
  const data = new Uint8Array(LIFETIME_LENGTH + ticket.length);
  new DataView(data.buffer).setUint32(0, seconds);
  data.set(ticket, LIFETIME_LENGTH);
  return notify(NotifyType.TICKET_LT_OPAQUE, data);
}

/** Session-Timeout ends when it would have. */
function sessionLength(endsAt: number | undefined, bornAt: number): { readonly sessionSeconds?: number } {
  const isLimited = endsAt !== undefined && Number.isFinite(endsAt);
  return isLimited ? { sessionSeconds: Math.max(1, Math.ceil((endsAt - bornAt) / 1000)) } : {};
}

/**
 * Whether it can be told, when the ticket comes back, that who has it may still come. Of users of a RADIUS server and of certificates
 * that others vouch for it cannot, and their tickets are good for a short time only.
 */
function isVerifiable(
  { remote }: ConnectionPolicy,
  { user, account }: { readonly user: string | undefined; readonly account: Uint8Array | undefined },
): boolean {
  if (user !== undefined) return account !== undefined;
  return remote.authentication.every(({ kind }) => kind === "psk" || kind === "raw-key");
}

/** Whether who has logged in for it may still do so. */
export function isWelcome(
  connection: ConnectionPolicy,
  { user, account }: Pick<SessionState, "user" | "account">,
): boolean {
  if (user === undefined || account === undefined) return true;
  return accountsOf(connection)?.confirms(user, account) === true;
}

export function accountsOf({ remote }: ConnectionPolicy) {
  return remote.authentication.flatMap((each) => (each.kind === "eap" ? (each.accounts ?? []) : []))[0];
}

/**
 * An IKE SA ends. Where that is somebody's will, its tickets are worth nothing any more; one that was lost is what they are for.
 */
export function endTickets(ikeSa: IkeSa, { reason }: Closing): void {
  const { ticketFamily, machine } = ikeSa;
  ikeSa.ticketFamily = undefined;
  if (ticketFamily !== undefined && !LOSSES.includes(reason)) machine.tickets?.spend(ticketFamily);
}

const LOSSES: readonly string[] = ["timeout", "peer-restarted"];

// ---- Client -------------------------------------------------------------------------------------------------

/** What we say in IKE_AUTH. */
export function ticketRequest({ machine, connection }: IkeSa): readonly Payload[] {
  const isWanted = machine.wallet !== undefined && connection !== undefined && mayResume(connection);
  return isWanted ? [notify(NotifyType.TICKET_REQUEST)] : [];
}

/** Keeps the ticket in an answer, and sees to it that the next one comes in time. */
export function takeTicket(ikeSa: IkeSa, payloads: readonly Payload[], now: number): void {
  const { state, connection, remoteIdentity, machine, isCaller } = ikeSa;
  const { wallet } = machine;
  if (wallet === undefined || connection === undefined || remoteIdentity === undefined || !isCaller) return;
  if (state.name !== "established" || !mayResume(connection)) return;
  if (findNotify(payloads, NotifyType.TICKET_ACK) !== undefined) {
    ikeSa.timers.set("ticket", now + machine.limits.ticketRetryMs, (then) => askForTicket(ikeSa, then));
    return;
  }
  const data = findNotify(payloads, NotifyType.TICKET_LT_OPAQUE)?.data;
  if (data === undefined || data.length <= LIFETIME_LENGTH || data.length > LONGEST) return;
  const lifetimeMs = 1000 * new DataView(data.buffer, data.byteOffset).getUint32(0);
  const { wallNow } = wallet;
  const { authenticUntil } = ikeSa;
  const expiresAt = expiryOf(wallNow, [wallNow + lifetimeMs]);
  if (expiresAt <= wallNow) return;
  const skD = state.keys.skD.slice();
  const { name, local } = connection;
  wallet.put({
    ticket: data.slice(LIFETIME_LENGTH),
    session: {
      family: new Uint8Array(0),
      bornAt: wallNow,
      expiresAt,
      initiator: local.identity,
      responder: remoteIdentity,
      initiatorSpi: ikeSa.initiatorSpi,
      responderSpi: ikeSa.responderSpi,
      proposal: state.proposal,
      skD,
      hasPpk: ikeSa.hasPpk,
      connection: name,
      stamp: stampOf(connection, skD),
      user: undefined,
      account: undefined,
      client: undefined,
      authenticUntil: authenticUntil && wallNow + (authenticUntil - now),
      grants: undefined,
    },
  });
  ikeSa.ticketUntil = now + (expiresAt - wallNow);
  ikeSa.timers.set("ticket", now + (expiresAt - wallNow) / 2, (then) => askForTicket(ikeSa, then));
}

/** Another ticket, in an exchange of its own. */
function askForTicket(ikeSa: IkeSa, now: number): void {
  if (ikeSa.state.name !== "established") return;
  ikeSa.outbox.request(
    {
      purpose: { kind: "liveness", isCommanded: false },
      exchangeType: ExchangeType.INFORMATIONAL,
      build: ticketRequest,
    },
    now,
  );
}

/** The IKE SA was rekeyed: the ticket stands for the old one, which is good for as long as it is, and is replaced now (section 4.1). */
export function renewTicket(old: IkeSa, heir: IkeSa, now: number): void {
  [heir.ticketFamily, old.ticketFamily] = [old.ticketFamily, undefined];
  heir.ticketUntil = old.ticketUntil;
  old.timers.cancel("ticket");
  if (heir.isCaller && heir.ticketUntil !== undefined) askForTicket(heir, now);
}

const LIFETIME_LENGTH = 4;
/** A gateway's ticket that is longer would not get through in one datagram. */
const LONGEST = LIFETIME_LENGTH + 1_100;
