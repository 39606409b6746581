import { equal } from "../../bytes/constant-time.ts";
import { NotifyType, TransformType } from "../../iana/ikev2-parameters.ts";
import { findTransform, offeredGroups } from "../../policy/transforms.ts";
import type { Payload, PayloadOf } from "../../wire/payloads/payload.ts";
import {
  type AgreedChild,
  type ChildAttempt,
  type ChildRefusal,
  installChild,
  judgeChildAnswer,
  lowestOf,
  reportChildRefusal,
} from "../child-sa.ts";
import { askToDelete, awaitDeletion, deleteReplaced, removeChildSa } from "../child-sa-deletion.ts";
import type { IkeSa } from "../ike-sa.ts";
import { hasNonceLength } from "../nonces.ts";
import { decodeSpi, find, findError, notifyName } from "../payloads.ts";
import {
  beginAttempt,
  createChild,
  failAttempt,
  forgetAttempt,
  isReplaceable,
  releaseOffer,
} from "./create-child-sa.ts";

// What the peer answers to our CREATE_CHILD_SA for a child SA (`create-child-sa.ts`).

export function processCreateChildResponse(
  ikeSa: IkeSa,
  answer: {
    readonly attempt: ChildAttempt;
    readonly payloads: readonly Payload[];
    readonly now: number;
  },
): void {
  const { attempt, payloads, now } = answer;
  const { offer } = attempt;
  if (offer === undefined) return;
  if (ikeSa.state.name !== "established") {
    // The IKE SA is being deleted, and takes what the peer has made with it.
    forgetAttempt(ikeSa, attempt);
    return;
  }
  const error = findError(payloads);
  if (error !== undefined && find(payloads, "security-association") === undefined) {
    obeyError(ikeSa, { attempt, error, payloads, now });
    return;
  }
  const verdict = judgeChildAnswer(offer, payloads);
  if (verdict.kind === "refused") {
    refuseAnswer(ikeSa, { attempt, ...verdict, now });
    return;
  }
  const { agreed } = verdict;
  const nonce = find(payloads, "nonce");
  const ke = find(payloads, "key-exchange");
  const group = findTransform(agreed.proposal, TransformType.KE)?.id;
  const hasGroup = group === undefined || (group === attempt.group && ke?.group === group);
  if (nonce === undefined || !hasNonceLength(nonce.nonce) || equal(nonce.nonce, attempt.ni) || !hasGroup) {
    const message = "the peer's answer contradicts itself or our request";
    const refusal = { child: attempt.policy.name, notifyType: NotifyType.INVALID_SYNTAX, message };
    refuseAnswer(ikeSa, { attempt, refusal, isMade: true, now });
    return;
  }
  const nr = nonce.nonce;
  if (group === undefined || ke === undefined || attempt.keyPair === undefined) {
    finish(ikeSa, { attempt, agreed, nr, sharedSecret: undefined, now });
    return;
  }

  // Nothing else of ours goes out before this child SA is in its place.
  ikeSa.outbox.requests.hold();
  const { privateKey } = attempt.keyPair;
  ikeSa.machine.compute({ kind: "agree", group, privateKey, peerPublicValue: ke.data }, (result, then) => {
    ikeSa.outbox.requests.release();
    if (result.kind === "shared-secret") {
      finish(ikeSa, { attempt, agreed, nr, sharedSecret: result.sharedSecret, now: then });
      result.sharedSecret.fill(0);
    } else {
      const message = `the key exchange failed: ${result.kind === "failed" ? result.reason : "no secret"}`;
      const refusal = { child: attempt.policy.name, notifyType: NotifyType.INVALID_SYNTAX, message };
      refuseAnswer(ikeSa, { attempt, refusal, isMade: true, now: then });
    }
    ikeSa.outbox.sendNext(then);
  });
}

/** The new child SA, and the end of the old one or, when the peer's came first, of the new one. */
function finish(
  ikeSa: IkeSa,
  facts: {
    readonly attempt: ChildAttempt;
    readonly agreed: AgreedChild;
    readonly nr: Uint8Array;
    readonly sharedSecret: Uint8Array | undefined;
    readonly now: number;
  },
): void {
  const { attempt, agreed, nr, sharedSecret, now } = facts;
  const { offer, replaces, rival, ni } = attempt;
  const { state } = ikeSa;
  if (offer === undefined) return;
  const { inboundSpi } = offer;
  if (state.name !== "established" || attempt.isUnwanted) {
    forgetAttempt(ikeSa, attempt);
    if (state.name === "established") askToDelete(ikeSa, [inboundSpi], { now });
    return;
  }

  if (attempt.deletedSpis.includes(decodeSpi(agreed.proposal.spi))) {
    // The peer has taken it down again, and that was faster than its answer.
    forgetAttempt(ikeSa, attempt);
    return;
  }

  attempt.offer = undefined;
  forgetAttempt(ikeSa, attempt);
  // RFC 7296 section 2.8.1: of two, the one with the lowest of the four nonces goes, and who made it deletes it.
  const isRedundant = rival !== undefined && Buffer.compare(lowestOf(ni, nr), rival.lowestNonce) < 0;
  const { proposal, keys } = state;
  const childSa = installChild(ikeSa, {
    agreed,
    inboundSpi,
    keying: { proposal, keys, ni, nr, sharedSecret },
    isInitiator: true,
    carriesOutbound: !isRedundant,
    replaces: replaces?.inboundSpi,
    now,
  });
  if (isRedundant) {
    deleteReplaced(ikeSa, childSa, now);
    return;
  }
  if (replaces !== undefined && ikeSa.childSas.includes(replaces)) {
    replaces.successor = childSa;
    if (!replaces.isDeleting) deleteReplaced(ikeSa, replaces, now);
  }
  if (rival !== undefined) awaitDeletion(rival, now);
}

function obeyError(
  ikeSa: IkeSa,
  facts: {
    readonly attempt: ChildAttempt;
    readonly error: PayloadOf<"notify">;
    readonly payloads: readonly Payload[];
    readonly now: number;
  },
): void {
  const { attempt, error, payloads, now } = facts;
  const { replaces, policy } = attempt;
  switch (error.notifyType) {
    case NotifyType.INVALID_KE_PAYLOAD: {
      const group = error.data.length === 2 ? (error.data[0]! << 8) | error.data[1]! : 0;
      const isOffered = offeredGroups(policy.espProposals).includes(group);
      if (!isOffered || attempt.groupsTried.includes(group)) break;
      releaseOffer(ikeSa, attempt);
      attempt.group = group;
      attempt.groupsTried = [...attempt.groupsTried, group];
      attempt.keyPair = undefined;
      beginAttempt(ikeSa, attempt, now);
      return;
    }
    case NotifyType.TEMPORARY_FAILURE:
      failAttempt(ikeSa, attempt, now);
      return;
    case NotifyType.CHILD_SA_NOT_FOUND: {
      forgetAttempt(ikeSa, attempt);
      if (replaces === undefined || !ikeSa.childSas.includes(replaces) || !isReplaceable(ikeSa, replaces))
        return;
      // RFC 7296 section 2.25: the peer has lost it, so there is nothing to replace or to delete there.
      removeChildSa(ikeSa, replaces, { reason: "the peer does not have it any more" });
      createChild(ikeSa, policy, now);
      return;
    }
    case NotifyType.INVALID_SYNTAX:
      ikeSa.close({ reason: "INVALID_SYNTAX", message: "the peer calls our request nonsense" }, now);
      return;
  }
  const verdict = judgeChildAnswer(attempt.offer!, payloads);
  if (verdict.kind === "refused") refuseAnswer(ikeSa, { attempt, ...verdict, now });
}

/** There is no new child SA. What the peer has made is deleted; what was to be replaced stays until its hard lifetime is over. */
function refuseAnswer(
  ikeSa: IkeSa,
  facts: {
    readonly attempt: ChildAttempt;
    readonly refusal: ChildRefusal;
    readonly isMade: boolean;
    readonly now: number;
  },
): void {
  const { attempt, refusal, isMade, now } = facts;
  const inboundSpi = attempt.offer?.inboundSpi;
  if (attempt.replaces === undefined) reportChildRefusal(ikeSa, refusal);
  else ikeSa.reportRekeyFailure({ ...refusal, reason: notifyName(refusal.notifyType) });
  failAttempt(ikeSa, attempt, now);
  if (isMade && inboundSpi !== undefined && ikeSa.state.name === "established") {
    askToDelete(ikeSa, [inboundSpi], { now });
  }
}
