import { NotifyType } from "../iana/ikev2-parameters.ts";
import type { Payload } from "../wire/payloads/payload.ts";
import type { IkeSa } from "./ike-sa.ts";
import { fraction } from "./lifetimes.ts";
import { findNotify, notify } from "./payloads.ts";
import { renew } from "./renewal.ts";

// Who the peer is was shown once, in IKE_AUTH, and holds for so long. Rekeying does not show it again, a new IKE SA does: whoever has
// called makes one in time, with all that it carries, and the old one goes a moment later, so that no packet is without an SA. RFC 4478:
//
//   <-- HDR, SK { ..., N(AUTH_LIFETIME) }      at the end of IKE_AUTH, or in a request of its own: for how long the responder takes our word

/** What the responder says in IKE_AUTH. */
export function authLifetime({ isCaller, authenticUntil }: IkeSa, now: number): readonly Payload[] {
  if (isCaller || authenticUntil === undefined) return [];
  const seconds = Math.min(Math.floor((authenticUntil - now) / 1000), 0xffff_ffff);
  const data = new Uint8Array(4);
  new DataView(data.buffer).setUint32(0, seconds);
  return [notify(NotifyType.AUTH_LIFETIME, data)];
}

/** IKE_AUTH is through: both sides know who the other is, for as long as our own policy says. */
export function authenticated(ikeSa: IkeSa, now: number): void {
  const { connection, machine, isCaller } = ikeSa;
  const lifetimeMs = connection?.reauthMs ?? Number.POSITIVE_INFINITY;
  if (!Number.isFinite(lifetimeMs)) return;
  // Who calls is early by some chance, so that not all clients of a gateway come at once; who is called keeps its word.
  const share = isCaller ? 1 - machine.limits.rekeyJitter * fraction(ikeSa) : 1;
  // What a session that was resumed rests on was shown long ago.
  ikeSa.authenticUntil = Math.min(ikeSa.authenticUntil ?? Number.POSITIVE_INFINITY, now + lifetimeMs * share);
}

/** Takes what the peer says about how long it believes us. The earlier end counts. */
export function heedAuthLifetime(ikeSa: IkeSa, payloads: readonly Payload[], now: number): void {
  const said = findNotify(payloads, NotifyType.AUTH_LIFETIME)?.data;
  if (!ikeSa.isCaller || said?.length !== 4) return;
  const lifetimeMs = 1000 * new DataView(said.buffer, said.byteOffset, 4).getUint32(0);
  const until = now + Math.max(lifetimeMs, ikeSa.machine.limits.authLifetimeLeastMs);
  ikeSa.authenticUntil = Math.min(until, ikeSa.authenticUntil ?? Number.POSITIVE_INFINITY);
  watchAuthentication(ikeSa, now);
}

/** Sets the timer of the next authentication, or of the end. */
export function watchAuthentication(ikeSa: IkeSa, now: number): void {
  const { authenticUntil: until, isCaller, machine } = ikeSa;
  if (until === undefined) return;
  if (!isCaller) {
    const message = "the peer has not authenticated again in time";
    ikeSa.timers.set("reauthenticate", until, (then) =>
      ikeSa.terminate({ reason: "authentication-expired", message }, then),
    );
    return;
  }
  // In time for a bad path, and with short lifetimes in the middle.
  const at = Math.max(until - machine.limits.renewalMarginMs, now + (until - now) / 2);
  ikeSa.timers.set("reauthenticate", at, (then) => authenticateAnew(ikeSa, then));
}

/** Again and again, until another IKE SA has taken the place of this one. */
function authenticateAnew(ikeSa: IkeSa, now: number): void {
  if (ikeSa.state.name !== "established") return;
  if (ikeSa.predecessor === undefined) renew(ikeSa, now);
  const { rekeyRetryMaxMs } = ikeSa.machine.limits;
  ikeSa.timers.set("reauthenticate", now + rekeyRetryMaxMs, (then) => authenticateAnew(ikeSa, then));
}
