import { concat } from "../../bytes/concat.ts";
import { wipe } from "../../bytes/wipe.ts";
import type { PrivateKey } from "../../crypto/jobs.ts";
import { ExchangeType, NotifyType } from "../../iana/ikev2-parameters.ts";
import type { Payload, PayloadOf } from "../../wire/payloads/payload.ts";
import { type Answer, nonsense, refusal } from "../answer.ts";
import type { IkeSa } from "../ike-sa.ts";
import { reasonOf } from "../key-agreement.ts";
import { find, findError, findNotify, notify } from "../payloads.ts";
import type { PendingExchange, SharedSecrets } from "../pending-exchanges.ts";

// IKE_FOLLOWUP_KE (RFC 9370 section 2.2.4): one for each further key exchange that CREATE_CHILD_SA has agreed on, in order. What the
// responder says in ADDITIONAL_KEY_EXCHANGE comes back to it in the next request, and tells it which of several this is about.
//
//   --> HDR(CREATE_CHILD_SA), SK { SA, Ni, KEi, ... }
//   <-- HDR(CREATE_CHILD_SA), SK { SA, Nr, KEr, ..., N(ADDITIONAL_KEY_EXCHANGE)(link 1) }
//   --> HDR(IKE_FOLLOWUP_KE), SK { KEi(1), N(ADDITIONAL_KEY_EXCHANGE)(link 1) }
//   <-- HDR(IKE_FOLLOWUP_KE), SK { KEr(1), N(ADDITIONAL_KEY_EXCHANGE)(link 2) }
//   --> HDR(IKE_FOLLOWUP_KE), SK { KEi(2), N(ADDITIONAL_KEY_EXCHANGE)(link 2) }
//   <-- HDR(IKE_FOLLOWUP_KE), SK { KEr(2) } | N(STATE_NOT_FOUND) | N(error)
//
// The new SA exists from the last of them on, with keys from all of the secrets.

// ---- Initiator ----------------------------------------------------------------------------------------------

/** The further key exchanges of an attempt of ours. From their beginning on an attempt of the peer's to do the same is put off. */
export interface FollowUps {
  /** Whether an IKE SA is to come of them, or a child SA. */
  readonly isForIkeSa: boolean;
  /** Methods of those that are still to come, in their order. */
  remaining: readonly number[];
  /** What the responder wants to see in the next request. */
  link: Uint8Array;
  /** SK(0) and what has come since; ours, to be overwritten. */
  readonly secrets: Uint8Array[];
  /** "over": it has come to its end meanwhile. "moot": nobody wants what would come of it, and so far there is nothing. */
  readonly standing: () => "wanted" | "moot" | "over";
  readonly finish: (secrets: SharedSecrets, now: number) => void;
  readonly fail: (failure: FollowUpFailure, now: number) => void;
  /** It is moot. */
  readonly abandon: () => void;
}

/** Why nothing has come of it. */
export type FollowUpFailure =
  | { readonly kind: "refused"; readonly error: PayloadOf<"notify"> }
  /** `isMade`: the peer believes in an SA that we cannot have. */
  | { readonly kind: "broken"; readonly message: string; readonly isMade: boolean };

/** What an answer says for the next request; undefined when it says nothing, or more than anybody needs. */
export function linkIn(ikeSa: IkeSa, payloads: readonly Payload[]): Uint8Array | undefined {
  const link = findNotify(payloads, NotifyType.ADDITIONAL_KEY_EXCHANGE)?.data;
  return link === undefined || link.length > ikeSa.machine.limits.linkLength ? undefined : link.slice();
}

/**
 * RFC 9370 section 2.2.4: a peer that again and again knows nothing of what it has begun with us is no good, and the IKE SA is deleted.
 */
export function isForgotten(ikeSa: IkeSa, error: PayloadOf<"notify">, now: number): boolean {
  if (error.notifyType !== NotifyType.STATE_NOT_FOUND) return false;
  ikeSa.statesNotFound++;
  if (ikeSa.statesNotFound < ikeSa.machine.limits.stateNotFoundCount) return false;
  const message = "the peer has forgotten every key exchange that it has begun (STATE_NOT_FOUND)";
  ikeSa.terminate({ reason: "STATE_NOT_FOUND", message }, now);
  return true;
}

/** What to say where a peer refuses all proposals of ours, and may only lack this exchange. */
export const INSISTING =
  ", and each of our proposals insists on further key exchanges (with ke1_none it would not)";

/** The next key exchange. Nothing of ours but this may go out before it. */
export function followUp(ikeSa: IkeSa, followUps: FollowUps): void {
  const [group] = followUps.remaining;
  if (group === undefined) return;
  ikeSa.outbox.requests.hold();
  ikeSa.machine.compute({ kind: "generate-key-pair", group }, (result, now) => {
    ikeSa.outbox.requests.release();
    if (result.kind === "key-pair" && followUps.standing() === "wanted") {
      const { privateKey, publicValue } = result;
      ikeSa.outbox.request(
        {
          purpose: { kind: "follow-up", followUps, privateKey },
          exchangeType: ExchangeType.IKE_FOLLOWUP_KE,
          build: (owner) => buildRequest(owner, { ikeSa, followUps, group, publicValue }),
        },
        now,
      );
    } else if (followUps.standing() === "wanted") {
      const message = `no key pair of group ${group}: ${reasonOf(result)}`;
      followUps.fail({ kind: "broken", message, isMade: false }, now);
    } else giveUpMoot(followUps);
    ikeSa.outbox.sendNext(now);
  });
}

/** Undefined when it has become pointless while it waited. */
function buildRequest(
  owner: IkeSa,
  facts: {
    readonly ikeSa: IkeSa;
    readonly followUps: FollowUps;
    readonly group: number;
    readonly publicValue: Uint8Array;
  },
): readonly Payload[] | undefined {
  const { ikeSa, followUps, group, publicValue } = facts;
  if (owner !== ikeSa || followUps.standing() !== "wanted") {
    giveUpMoot(followUps);
    return undefined;
  }
  return [keyExchange(group, publicValue), notify(NotifyType.ADDITIONAL_KEY_EXCHANGE, followUps.link)];
}

function giveUpMoot(followUps: FollowUps): void {
  wipe(...followUps.secrets);
  if (followUps.standing() !== "over") followUps.abandon();
}

export function processFollowUpResponse(
  ikeSa: IkeSa,
  answer: {
    readonly followUps: FollowUps;
    readonly privateKey: PrivateKey;
    readonly payloads: readonly Payload[];
    readonly now: number;
  },
): void {
  const { followUps, privateKey, payloads, now } = answer;
  const [group = 0, ...rest] = followUps.remaining;
  if (followUps.standing() === "over") return;
  const isMade = rest.length === 0;
  const ke = find(payloads, "key-exchange");
  const error = findError(payloads);
  if (ke === undefined && error !== undefined) {
    followUps.fail({ kind: "refused", error }, now);
    return;
  }
  const link = linkIn(ikeSa, payloads);
  if (ke?.group !== group || (link === undefined && !isMade)) {
    const message = `the peer's answer has no key exchange ${group}${isMade ? "" : ", or no link to the next"}`;
    followUps.fail({ kind: "broken", message, isMade }, now);
    return;
  }
  ikeSa.outbox.requests.hold();
  const job = { kind: "agree", group, privateKey, peerPublicValue: ke.data } as const;
  ikeSa.machine.compute(job, (result, then) => {
    ikeSa.outbox.requests.release();
    if (result.kind !== "shared-secret") {
      const message = `key exchange of group ${group}: ${reasonOf(result)}`;
      if (followUps.standing() !== "over") followUps.fail({ kind: "broken", message, isMade }, then);
    } else if (followUps.standing() === "over") {
      wipe(result.sharedSecret);
    } else {
      followUps.secrets.push(result.sharedSecret);
      followUps.remaining = rest;
      if (isMade) {
        withSecrets(followUps.secrets, (secrets) => followUps.finish(secrets, then));
      } else if (followUps.standing() === "wanted") {
        followUps.link = link ?? followUps.link;
        followUp(ikeSa, followUps);
      } else giveUpMoot(followUps);
    }
    ikeSa.outbox.sendNext(then);
  });
}

// ---- Responder ----------------------------------------------------------------------------------------------

export function processFollowUpRequest(
  ikeSa: IkeSa,
  request: { readonly payloads: readonly Payload[]; readonly messageId: number },
): Answer | "later" {
  const { payloads, messageId } = request;
  const ke = find(payloads, "key-exchange");
  if (ke === undefined) return nonsense("IKE_FOLLOWUP_KE without KE");
  const link = findNotify(payloads, NotifyType.ADDITIONAL_KEY_EXCHANGE);
  const pending = link && ikeSa.pending.take(link.data);
  if (pending === undefined) return refusal(NotifyType.STATE_NOT_FOUND);
  const [group = 0] = pending.remaining;
  if (ke.group !== group) {
    ikeSa.pending.drop(pending);
    return nonsense(`IKE_FOLLOWUP_KE without key exchange ${group}`);
  }
  ikeSa.machine.compute({ kind: "respond", group, peerPublicValue: ke.data }, (result, now) => {
    const { answer, afterwards } =
      result.kind === "response"
        ? goOn(ikeSa, { pending, sharedSecret: result.sharedSecret, publicValue: result.publicValue, now })
        : breakOff(ikeSa, pending, `key exchange of group ${group}: ${reasonOf(result)}`);
    const { closing } = answer;
    ikeSa.outbox.answer({
      exchangeType: ExchangeType.IKE_FOLLOWUP_KE,
      messageId,
      payloads: answer.payloads,
    });
    if (closing === undefined) afterwards?.(now);
    else ikeSa.close(closing, now);
  });
  return "later";
}

interface Step {
  readonly answer: Answer;
  readonly afterwards?: (now: number) => void;
}

function goOn(
  ikeSa: IkeSa,
  facts: {
    readonly pending: PendingExchange;
    readonly sharedSecret: Uint8Array;
    readonly publicValue: Uint8Array;
    readonly now: number;
  },
): Step {
  const { pending, sharedSecret, publicValue, now } = facts;
  const [group = 0, ...rest] = pending.remaining;
  if (!ikeSa.pending.has(pending)) {
    wipe(sharedSecret);
    return { answer: refusal(NotifyType.STATE_NOT_FOUND) };
  }
  pending.secrets.push(sharedSecret);
  pending.remaining = rest;
  const ke = keyExchange(group, publicValue);
  if (rest.length > 0) {
    const link = ikeSa.pending.await(pending, now);
    return { answer: { payloads: [ke, notify(NotifyType.ADDITIONAL_KEY_EXCHANGE, link)] } };
  }
  ikeSa.pending.remove(pending);
  const conclusion = withSecrets(pending.secrets, (secrets) => pending.conclude(secrets, now));
  if (typeof conclusion === "function") return { answer: { payloads: [ke] }, afterwards: conclusion };
  pending.giveBack();
  return { answer: { payloads: [conclusion] }, afterwards: (then) => ikeSa.outbox.sendNext(then) };
}

function breakOff(ikeSa: IkeSa, pending: PendingExchange, why: string): Step {
  ikeSa.pending.drop(pending);
  return { answer: nonsense(why) };
}

// ---- Both ---------------------------------------------------------------------------------------------------

function keyExchange(group: number, data: Uint8Array): PayloadOf<"key-exchange"> {
  return { kind: "key-exchange", critical: false, group, data };
}

/** All of them, for as long as `use` takes. */
function withSecrets<T>(secrets: readonly Uint8Array[], use: (secrets: SharedSecrets) => T): T {
  const [sharedSecret = new Uint8Array(0), ...further] = secrets;
  const furtherSecrets = concat(...further);
  try {
    return use({ sharedSecret, furtherSecrets });
  } finally {
    wipe(furtherSecrets, ...secrets);
  }
}
