import { equal } from "../../bytes/constant-time.ts";
import { formatIdentity, sameIdentity } from "../../policy/identity.ts";
import type { Answer } from "../answer.ts";
import { authBySession, isAuthBySession } from "../auth-payload.ts";
import type { IkeSa } from "../ike-sa.ts";
import type { Resumed } from "../ike-sa-state.ts";
import { find } from "../payloads.ts";
import type { SessionState } from "../resumption/session-state.ts";
import { isWelcome } from "../resumption/tickets.ts";
import { accountOf } from "../uniqueness.ts";
import { identification, identityOf } from "./ike-auth.ts";
import { conclude, type Initiator, refused } from "./ike-auth-request.ts";
import { breakOff, finish, type Responder } from "./ike-auth-response.ts";

// IKE_AUTH of a session that goes on, RFC 5723 section 4.3.3. Both sides are who they were, so nothing is shown but that each has the keys:
//
//   --> HDR, SK { IDi, [N(INITIAL_CONTACT)], [IDr], AUTH, [CP(CFG_REQUEST)], SAi2, TSi, TSr, [N(TICKET_REQUEST)] }
//   <-- HDR, SK { IDr, AUTH, [CP(CFG_REPLY)], SAr2, TSi, TSr, [N(TICKET_LT_OPAQUE)] }

/** Gateway: the ticket is used, and what is left of the IKE SA that it was for goes without a word (section 4.3.4). */
export function resumeSession(ikeSa: IkeSa, request: Initiator & { readonly resumed: Resumed }): Answer {
  const { state, payloads, identity, requested, resumed, now } = request;
  const { session, connection } = resumed;
  const { machine } = ikeSa;
  const name = session.user ?? formatIdentity(session.initiator);
  const isSame =
    sameIdentity(identity, session.initiator) &&
    (requested === undefined || sameIdentity(requested, session.responder));
  if (!isSame) return refused(`${formatIdentity(identity)} comes with the ticket of ${name}`);
  const auth = find(payloads, "authentication");
  const showsMore = find(payloads, "certificate") !== undefined || find(payloads, "eap") !== undefined;
  if (auth === undefined || showsMore) return refused(`${name} does not go on with its session`);
  if (!isAuthBySession(ikeSa, state, { identity, auth }))
    return refused(`${name} does not have the session's keys`);
  // Between the two exchanges the configuration may have been replaced, the user removed, or the ticket used by another.
  if (!machine.connections.includes(connection) || !isWelcome(connection, session)) {
    return refused(`${name} has to log in again`);
  }
  const { family: id, bornAt } = session;
  if (machine.tickets?.spend({ id, bornAt }) !== true)
    return refused(`the ticket of ${name} was used before`);
  endFormer(ikeSa, session, now);
  const { wallNow } = machine.tickets;
  ikeSa.isResumed = true;
  ikeSa.hasPpk = session.hasPpk;
  ikeSa.account = session.account;
  ikeSa.client = session.client;
  ikeSa.authenticUntil = session.authenticUntil && now + (session.authenticUntil - wallNow);
  ikeSa.grants = session.grants && { ...session.grants, ...timeLeft(session, wallNow) };
  const proof = [
    identification("identification-responder", session.responder),
    authBySession(ikeSa, state, session.responder),
  ];
  return conclude(ikeSa, { state, connection, identity, payloads, proof, now, user: session.user });
}

function endFormer(ikeSa: IkeSa, { family, initiator, user }: SessionState, now: number): void {
  const account = accountOf({ user, remoteIdentity: initiator });
  for (const other of ikeSa.machine.ikeSasOfAccount(account)) {
    if (other.ticketFamily === undefined || !equal(other.ticketFamily.id, family)) continue;
    other.close({ reason: "replaced", message: "the peer has resumed its session" }, now);
  }
}

/** Session-Timeout does not begin again. */
function timeLeft({ bornAt, grants }: SessionState, wallNow: number): { readonly sessionSeconds?: number } {
  const { sessionSeconds } = grants ?? {};
  if (sessionSeconds === undefined) return {};
  return { sessionSeconds: Math.max(1, (bornAt - wallNow) / 1000 + sessionSeconds) };
}

/** Client: the gateway has to have the keys too. */
export function verifyResumed(ikeSa: IkeSa, facts: Responder): void {
  const { state, payloads, now } = facts;
  const id = find(payloads, "identification-responder");
  const auth = find(payloads, "authentication");
  const expected = ikeSa.remoteIdentity;
  const isRight =
    id !== undefined &&
    auth !== undefined &&
    expected !== undefined &&
    sameIdentity(identityOf(id), expected) &&
    isAuthBySession(ikeSa, state, { identity: expected, auth });
  if (isRight) finish(ikeSa, facts);
  else breakOff(ikeSa, "the peer does not go on with our session", now);
}
