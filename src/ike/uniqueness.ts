import { sameIdentity } from "../policy/identity.ts";
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
 */
export function settleDuplicates(facts: {
  readonly ikeSa: IkeSa;
  readonly ikeSas: readonly IkeSa[];
  readonly now: number;
}): void {
  const { ikeSa, now } = facts;
  for (const other of facts.ikeSas) {
    if (other === ikeSa || other.connection === undefined) continue;
    if (other.connection.name !== ikeSa.connection?.name) {
      if (ikeSa.receivedInitialContact && haveSameEnds(other, ikeSa)) replaceOld(other, now);
    } else if (other.state.name === "initiating" || other.state.name === "agreeing") {
      other.close({ reason: "replaced", message: "the peer connected first" }, now);
    } else if (other.state.name === "established") {
      const didCross = other.role !== ikeSa.role && ikeSa.createdAt <= other.state.establishedAt;
      if (didCross) settleCrossing(ikeSa, other, now);
      else if (ikeSa.receivedInitialContact) replaceOld(other, now);
    }
  }
}

/** Whether two IKE SAs are between the same identities. */
export function haveSameEnds(a: IkeSa, b: IkeSa): boolean {
  const [ours, theirs] = [a.connection?.local.identity, b.connection?.local.identity];
  const [peer, otherPeer] = [a.remoteIdentity, b.remoteIdentity];
  if (ours === undefined || theirs === undefined || peer === undefined || otherPeer === undefined)
    return false;
  return sameIdentity(ours, theirs) && sameIdentity(peer, otherPeer);
}

function replaceOld(other: IkeSa, now: number): void {
  if (other.state.name !== "established") return;
  other.terminate({ reason: "replaced", message: "the peer has connected anew" }, now);
}

function settleCrossing(a: IkeSa, b: IkeSa, now: number): void {
  const loser = Buffer.compare(a.lowestNonce, b.lowestNonce) < 0 ? a : b;
  if (loser.role !== "initiator") return;
  loser.terminate({ reason: "replaced", message: "the peer and we connected at the same time" }, now);
}
