import { equal } from "../../bytes/constant-time.ts";
import { wipe } from "../../bytes/wipe.ts";
import { NotifyType, TransformType } from "../../iana/ikev2-parameters.ts";
import { additionalMethods, findTransform, offeredGroups } from "../../policy/transforms.ts";
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
import type { SharedSecrets } from "../pending-exchanges.ts";
import {
  beginAttempt,
  createChild,
  failAttempt,
  forgetAttempt,
  giveWay,
  isReplaceable,
  releaseOffer,
} from "./create-child-sa.ts";
import { type FollowUpFailure, type FollowUps, followUp, isForgotten, linkIn } from "./ike-followup-ke.ts";

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
    breakDown(ikeSa, { attempt, message, isMade: true, now });
    return;
  }
  const nr = nonce.nonce;
  if (group === undefined || ke === undefined || attempt.keyPair === undefined) {
    finish(ikeSa, { attempt, agreed, nr, secrets: undefined, now });
    return;
  }

  const remaining = additionalMethods(agreed.proposal);
  if (remaining.length > 0) {
    const link = linkIn(ikeSa, payloads);
    if (link === undefined) {
      const message = "the peer agrees to further key exchanges, and says nothing to link them by";
      breakDown(ikeSa, { attempt, message, isMade: false, now });
      return;
    }
    if (isOutdone(ikeSa, attempt, lowestOf(attempt.ni, nr))) {
      giveWay(ikeSa, attempt, now);
      return;
    }
    if (attempt.replaces !== undefined) ikeSa.pending.drop(ikeSa.pending.replacing(attempt.replaces));
    attempt.followUps = followUpsOf(ikeSa, { attempt, agreed, nr, remaining, link });
  }

  // Nothing else of ours goes out before this child SA is in its place.
  ikeSa.outbox.requests.hold();
  const { privateKey } = attempt.keyPair;
  ikeSa.machine.compute({ kind: "agree", group, privateKey, peerPublicValue: ke.data }, (result, then) => {
    ikeSa.outbox.requests.release();
    const { followUps } = attempt;
    if (result.kind !== "shared-secret") {
      const message = `the key exchange failed: ${result.kind === "failed" ? result.reason : "no secret"}`;
      breakDown(ikeSa, { attempt, message, isMade: followUps === undefined, now: then });
    } else if (followUps === undefined) {
      const { sharedSecret } = result;
      const secrets = { sharedSecret, furtherSecrets: new Uint8Array(0) };
      finish(ikeSa, { attempt, agreed, nr, secrets, now: then });
      wipe(sharedSecret);
    } else {
      followUps.secrets.push(result.sharedSecret);
      followUp(ikeSa, followUps);
    }
    ikeSa.outbox.sendNext(then);
  });
}

function followUpsOf(
  ikeSa: IkeSa,
  facts: Pick<FollowUps, "remaining" | "link"> & {
    readonly attempt: ChildAttempt;
    readonly agreed: AgreedChild;
    readonly nr: Uint8Array;
  },
): FollowUps {
  const { attempt, agreed, nr, remaining, link } = facts;
  return {
    isForIkeSa: false,
    remaining,
    link,
    secrets: [],
    standing: () => {
      if (!ikeSa.childAttempts.has(attempt)) return "over";
      return ikeSa.state.name === "established" && !attempt.isUnwanted ? "wanted" : "moot";
    },
    finish: (secrets, now) => {
      ikeSa.statesNotFound = 0;
      // Its secrets are overwritten once they have been used.
      attempt.followUps = undefined;
      finish(ikeSa, { attempt, agreed, nr, secrets, now });
    },
    fail: (failure, now) => failFollowUps(ikeSa, { attempt, failure, now }),
    abandon: () => forgetAttempt(ikeSa, attempt),
  };
}

function failFollowUps(
  ikeSa: IkeSa,
  facts: { readonly attempt: ChildAttempt; readonly failure: FollowUpFailure; readonly now: number },
): void {
  const { attempt, failure, now } = facts;
  if (ikeSa.state.name !== "established") forgetAttempt(ikeSa, attempt);
  else if (failure.kind === "broken") breakDown(ikeSa, { attempt, ...failure, now });
  // Whatever stands beside the error: no SA comes of it.
  else obeyError(ikeSa, { attempt, error: failure.error, payloads: [failure.error], now });
}

/** The answer is none that keys could come of. */
function breakDown(
  ikeSa: IkeSa,
  facts: {
    readonly attempt: ChildAttempt;
    readonly message: string;
    readonly isMade: boolean;
    readonly now: number;
  },
): void {
  const { attempt, message, isMade, now } = facts;
  const refusal = { child: attempt.policy.name, notifyType: NotifyType.INVALID_SYNTAX, message };
  refuseAnswer(ikeSa, { attempt, refusal, isMade, now });
}

/** RFC 7296 section 2.8.1: of two, the one with the lowest of the four nonces goes, and who made it deletes it. */
function isOutdone(
  ikeSa: IkeSa,
  { replaces, rival }: Pick<ChildAttempt, "replaces" | "rival">,
  lowestNonce: Uint8Array,
): boolean {
  const other = rival ?? (replaces && ikeSa.pending.replacing(replaces));
  return other !== undefined && Buffer.compare(lowestNonce, other.lowestNonce) < 0;
}

/** The new child SA, and the end of the old one or, when the peer's came first, of the new one. */
function finish(
  ikeSa: IkeSa,
  facts: {
    readonly attempt: ChildAttempt;
    readonly agreed: AgreedChild;
    readonly nr: Uint8Array;
    readonly secrets: SharedSecrets | undefined;
    readonly now: number;
  },
): void {
  const { attempt, agreed, nr, secrets, now } = facts;
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

  const isRedundant = isOutdone(ikeSa, attempt, lowestOf(ni, nr));
  attempt.offer = undefined;
  if (isRedundant) giveWay(ikeSa, attempt, now);
  else forgetAttempt(ikeSa, attempt);
  if (replaces !== undefined && !isRedundant) ikeSa.pending.drop(ikeSa.pending.replacing(replaces));
  const { proposal, keys } = state;
  const childSa = installChild(ikeSa, {
    agreed,
    inboundSpi,
    keying: { proposal, keys, ni, nr, secrets },
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
  if (rival !== undefined && ikeSa.childSas.includes(rival)) awaitDeletion(rival, now);
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
      if (attempt.followUps !== undefined) break;
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
  if (isForgotten(ikeSa, error, now)) return;
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
