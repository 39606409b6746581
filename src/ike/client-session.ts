import type { EapGrants } from "../eap/session.ts";
import { formatIdentity } from "../policy/identity.ts";
import type { Closing } from "./answer.ts";
import type { IkeSa } from "./ike-sa.ts";
import { othersOfDevice } from "./uniqueness.ts";

// What a gateway's client has with us from the end of its IKE_AUTH on, however often the IKE SA and its child SAs are rekeyed meanwhile.

export interface ClientSession {
  /** Counts up: no other session of this endpoint has it. */
  readonly number: number;
  readonly connection: string;
  /** Number of the session that it takes the place of without a break: its client shows again who it is. That one ends a moment later. */
  readonly continues: number | undefined;
  /** Who has logged in by EAP; otherwise the identity of IKE. */
  readonly user: string;
  /** Within our network. */
  readonly addresses: readonly string[];
  /** Where its datagrams came from. */
  readonly remoteAddress: string;
  /** What RADIUS said beside yes. */
  readonly grants: EapGrants | undefined;
  /** Infinity where nobody limits it. */
  readonly endsAt: number;
}

/** Where a connection gives addresses, whoever has got one is its client. */
export function beginSession(ikeSa: IkeSa, now: number): void {
  const { lease, connection, remoteIdentity, grants, machine } = ikeSa;
  if (lease === undefined || connection === undefined) return;
  const { sessionSeconds = Number.POSITIVE_INFINITY } = grants ?? {};
  ikeSa.session = {
    number: machine.nextSession(),
    connection: connection.name,
    continues: sessionBefore(ikeSa),
    user: ikeSa.user ?? (remoteIdentity === undefined ? "" : formatIdentity(remoteIdentity)),
    addresses: lease.addresses,
    remoteAddress: ikeSa.path.remote.address,
    grants,
    endsAt: now + sessionSeconds * 1000,
  };
  limitSession(ikeSa);
  machine.emit({ kind: "session-began", session: ikeSa.session });
}

/** Who has lost what it had says so (INITIAL_CONTACT), and begins anew. */
function sessionBefore(ikeSa: IkeSa): number | undefined {
  if (ikeSa.receivedInitialContact) return undefined;
  const before = othersOfDevice(ikeSa).findLast(
    ({ state, session }) => state.name === "established" && session !== undefined,
  );
  return before?.session?.number;
}

/** The session goes on under another IKE SA. */
export function passSession(old: IkeSa, heir: IkeSa): void {
  old.timers.cancel("session");
  [heir.session, old.session] = [old.session, undefined];
  limitSession(heir);
}

/** The IKE SA is over, and with it the session that it still has. Its child SAs are removed before. */
export function endSession(ikeSa: IkeSa, closing: Closing): void {
  const { session, machine } = ikeSa;
  if (session === undefined) return;
  ikeSa.session = undefined;
  ikeSa.timers.cancel("session");
  machine.emit({ kind: "session-ended", session, reason: closing.reason });
}

/** Session-Timeout (RFC 2865 section 5.27). */
function limitSession(ikeSa: IkeSa): void {
  const { session } = ikeSa;
  if (session === undefined || !Number.isFinite(session.endsAt)) return;
  const message = `${session.user} has been connected for as long as the RADIUS server allows`;
  const closing = { reason: "session-timeout", message };
  ikeSa.timers.set("session", session.endsAt, (then) => ikeSa.terminate(closing, then));
}
