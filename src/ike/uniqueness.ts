import { IdType } from "../iana/ikev2-parameters.ts";
import { identityKey, sameIdentity } from "../policy/identity.ts";
import type { IkeSa } from "./ike-sa.ts";

/**
 * One connection needs one IKE SA. When `ikeSa` has just been established, others of the same connection go:
 *
 * - an attempt of ours that has not sent IKE_AUTH yet: the peer was faster;
 * - of two that crossed (each side began one while the other's was under way) the one with the lowest of the four nonces,
 *   as RFC 7296 section 2.8.1 does for rekeying. Both sides know all four, and only the one that began it deletes it, so
 *   they never delete both;
 * - with INITIAL_CONTACT, all between the same two identities that were there before (RFC 7296 section 2.4), whatever
 *   connection they belong to. They are deleted in order rather than silently: should the peer know them after all, it hears
 *   of it.
 *
 * Crossing looks the same from both sides. We send IKE_AUTH only while we have not answered the peer's, and by then each
 * side has answered the other's IKE_SA_INIT: both SAs exist on both sides before either is established.
 *
 * A connection that anybody may call has one IKE SA for each device of each account, and the others are none of its business.
 */
export function settleDuplicates({ ikeSa, now }: { readonly ikeSa: IkeSa; readonly now: number }): void {
  const { machine } = ikeSa;
  if (isShared(ikeSa)) {
    for (const other of othersOfDevice(ikeSa)) {
      // Who shows again who it is still sends through the old one for a moment.
      if (ikeSa.receivedInitialContact) replaceOld(other, now);
      else replaceSoon(other, now);
    }
    return;
  }
  const others = [...machine.ikeSasOf(ikeSa.connection?.name), ...machine.ikeSasOfAccount(accountOf(ikeSa))];
  for (const other of new Set(others)) {
    if (other === ikeSa || other.connection === undefined) continue;
    if (other.connection.name !== ikeSa.connection?.name) {
      if (ikeSa.receivedInitialContact && haveSameEnds(other, ikeSa)) replaceOld(other, now);
    } else if (["initiating", "resuming", "agreeing"].includes(other.state.name)) {
      other.close({ reason: "replaced", message: "the peer connected first" }, now);
    } else if (other.state.name === "established") {
      const didCross = other.role !== ikeSa.role && ikeSa.createdAt <= other.state.establishedAt;
      if (didCross) settleCrossing(ikeSa, other, now);
      else if (ikeSa.receivedInitialContact) replaceOld(other, now);
    }
  }
}

/** Whether the connection is for many peers, and this is one that has called. */
export function isShared({ connection, isCaller }: IkeSa): boolean {
  return connection !== undefined && connection.remote.identity === undefined && !isCaller;
}

const EAP_ACCOUNT = "eap ";

/** Who the peer is: its EAP identity, or where there is none its identity. */
export function accountOf({ user, remoteIdentity }: Pick<IkeSa, "user" | "remoteIdentity">): string {
  if (user !== undefined) return `${EAP_ACCOUNT}${user}`;
  return remoteIdentity === undefined ? "" : `id ${identityKey(remoteIdentity)}`;
}

/** Who has logged in by EAP to have this account, if that is how. */
export function userOfAccount(account: string): string | undefined {
  return account.startsWith(EAP_ACCOUNT) ? account.slice(EAP_ACCOUNT.length) : undefined;
}

/**
 * Which device of an account it is: what it calls itself. That may be the private address of its home network, such as Windows sends,
 * and another home has the same: the address that we see is part of the name then.
 */
export function deviceOf({ user, remoteIdentity, path }: IkeSa): string {
  if (user === undefined || remoteIdentity === undefined) return "";
  const { type } = remoteIdentity;
  const isAddress = type === IdType.ID_IPV4_ADDR || type === IdType.ID_IPV6_ADDR;
  return isAddress ? `${identityKey(remoteIdentity)} ${path.remote.address}` : identityKey(remoteIdentity);
}

/** IKE SAs that the same device has under the same connection. */
export function othersOfDevice(ikeSa: IkeSa): readonly IkeSa[] {
  const { machine, connection } = ikeSa;
  return machine
    .ikeSasOfAccount(accountOf(ikeSa))
    .filter(
      (other) =>
        other !== ikeSa && other.connection?.name === connection?.name && deviceOf(other) === deviceOf(ikeSa),
    );
}

/** Whether two IKE SAs are between the same identities. */
export function haveSameEnds(a: IkeSa, b: IkeSa): boolean {
  const [ours, theirs] = [a.connection?.local.identity, b.connection?.local.identity];
  const [peer, otherPeer] = [a.remoteIdentity, b.remoteIdentity];
  if (ours === undefined || theirs === undefined || peer === undefined || otherPeer === undefined)
    return false;
  return sameIdentity(ours, theirs) && sameIdentity(peer, otherPeer) && a.user === b.user;
}

function replaceOld(other: IkeSa, now: number): void {
  if (other.state.name !== "established") return;
  other.terminate({ reason: "replaced", message: "the peer has connected anew" }, now);
}

function replaceSoon(other: IkeSa, now: number): void {
  if (other.state.name !== "established") return;
  other.timers.set("expire", now + other.machine.limits.renewedLingerMs, (then) => replaceOld(other, then));
}

function settleCrossing(a: IkeSa, b: IkeSa, now: number): void {
  const loser = Buffer.compare(a.lowestNonce, b.lowestNonce) < 0 ? a : b;
  if (loser.role !== "initiator") return;
  loser.terminate({ reason: "replaced", message: "the peer and we connected at the same time" }, now);
}
