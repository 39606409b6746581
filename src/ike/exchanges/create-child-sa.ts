import { equal } from "../../bytes/constant-time.ts";
import { ExchangeType, NotifyType, ProtocolId, TransformType } from "../../iana/ikev2-parameters.ts";
import type { ChildPolicy } from "../../policy/connection.ts";
import { findTransform, isNone, offeredGroups } from "../../policy/transforms.ts";
import type { Payload, PayloadOf } from "../../wire/payloads/payload.ts";
import {
  type AgreedChild,
  answerChild,
  buildChildOffer,
  type ChildAttempt,
  type ChildRefusal,
  type ChildRequest,
  type ChildSa,
  chooseChild,
  installChild,
  judgeChildAnswer,
  lowestOf,
  offerChild,
  reportChildRefusal,
} from "../child-sa.ts";
import type { Answer, IkeSa } from "../ike-sa.ts";
import { retryChild, retryTime, scheduleChild } from "../lifetimes.ts";
import { hasNonceLength, NONCE_LENGTH } from "../nonces.ts";
import { decodeSpi, encodeSpi, find, findError, findNotify, notify, notifyName } from "../payloads.ts";
import { processIkeRekeyRequest } from "./rekey-ike-sa.ts";

// CREATE_CHILD_SA for child SAs, RFC 7296 sections 1.3.1 and 1.3.3:
//
//   --> HDR, SK { [N(REKEY_SA)], SA, Ni, [KEi], TSi, TSr }
//   <-- HDR, SK { SA, Nr, [KEr], TSi, TSr }
//   <-- HDR, SK { N(NO_PROPOSAL_CHOSEN | INVALID_KE_PAYLOAD | TS_UNACCEPTABLE | NO_ADDITIONAL_SAS |
//                   TEMPORARY_FAILURE | CHILD_SA_NOT_FOUND) }
//
// When a child SA is rekeyed, the new one opens what arrives from the moment it exists. Who began sends through it at once
// and deletes the old one; the other goes on sending through the old one until it is deleted or the new one carries
// something (section 2.8).

// ---- Initiator ----------------------------------------------------------------------------------------------

/** Asks for one more child SA, unless that is under way already. */
export function createChild(ikeSa: IkeSa, policy: ChildPolicy, now: number): void {
  const isUnderWay = [...ikeSa.childAttempts].some((attempt) => attempt.policy.name === policy.name);
  if (ikeSa.state.name !== "established" || isUnderWay) return;
  begin(ikeSa, newAttempt(ikeSa, { policy, replaces: undefined }), now);
}

/** Asks for the child SAs of the connection that are missing. */
export function createMissingChildren(ikeSa: IkeSa, now: number): void {
  for (const policy of ikeSa.connection?.children ?? []) {
    if (!ikeSa.childSas.some(({ name }) => name === policy.name)) createChild(ikeSa, policy, now);
  }
}

/** Replaces a child SA, unless that is under way already, from either side. */
export function rekeyChild(childSa: ChildSa, now: number): void {
  const ikeSa = childSa.owner;
  if (ikeSa.state.name !== "established" || childSa.attempt !== undefined) return;
  if (!isReplaceable(ikeSa, childSa)) return;
  childSa.attempt = newAttempt(ikeSa, { policy: childSa.policy, replaces: childSa });
  begin(ikeSa, childSa.attempt, now);
}

/** A hard lifetime is over: the child SA goes, and another one comes if it is us who begin. */
export function expireChild(childSa: ChildSa, now: number): void {
  const ikeSa = childSa.owner;
  if (!ikeSa.childSas.includes(childSa) || childSa.isDeleting) return;
  const isReplaced = childSa.successor !== undefined;
  ikeSa.deleteChildSas([childSa], { reason: "its lifetime is over", now });
  if (!isReplaced && childSa.attempt === undefined && ikeSa.connection?.start === "start") {
    createChild(ikeSa, childSa.policy, now);
  }
}

function newAttempt(
  ikeSa: IkeSa,
  facts: { readonly policy: ChildPolicy; readonly replaces: ChildSa | undefined },
): ChildAttempt {
  const [group] = offeredGroups(facts.policy.espProposals);
  const attempt: ChildAttempt = {
    ...facts,
    ni: ikeSa.machine.random.bytes(NONCE_LENGTH),
    group,
    groupsTried: group === undefined ? [] : [group],
    keyPair: undefined,
    offer: undefined,
    rival: undefined,
    isUnwanted: false,
  };
  ikeSa.childAttempts.add(attempt);
  return attempt;
}

/** The key pair first, then the request takes its place in the queue. */
function begin(ikeSa: IkeSa, attempt: ChildAttempt, now: number): void {
  const { group } = attempt;
  if (group === undefined) {
    enqueue(ikeSa, attempt, now);
    return;
  }
  ikeSa.machine.compute({ kind: "generate-key-pair", group }, (result, then) => {
    if (result.kind === "key-pair") {
      attempt.keyPair = result;
      enqueue(ikeSa.heir, attempt, then);
      return;
    }
    fail(ikeSa.heir, attempt, then);
  });
}

function enqueue(ikeSa: IkeSa, attempt: ChildAttempt, now: number): void {
  if (!ikeSa.childAttempts.has(attempt)) return;
  const isQueued = ikeSa.outbox.request(
    {
      purpose: { kind: "create-child-sa", attempt },
      exchangeType: ExchangeType.CREATE_CHILD_SA,
      build: (owner) => buildRequest(owner, attempt),
    },
    now,
  );
  if (!isQueued) fail(ikeSa, attempt, now);
}

/** Undefined when the attempt has become pointless while it waited. */
function buildRequest(ikeSa: IkeSa, attempt: ChildAttempt): readonly Payload[] | undefined {
  const { replaces, policy, ni, group, keyPair } = attempt;
  const isMoot = attempt.isUnwanted || (replaces !== undefined && !isReplaceable(ikeSa, replaces));
  const offer =
    isMoot || ikeSa.state.name !== "established"
      ? undefined
      : offerChild(ikeSa, policy, keyPair !== undefined);
  if (offer === undefined) {
    forget(ikeSa, attempt);
    return undefined;
  }
  attempt.offer = offer;
  const [sa, ...selectors] = buildChildOffer(offer);
  return [
    ...(replaces === undefined ? [] : [rekeySa(replaces.inboundSpi)]),
    sa!,
    { kind: "nonce", critical: false, nonce: ni },
    ...keyExchange(group, keyPair?.publicValue),
    ...selectors,
  ];
}

function rekeySa(inboundSpi: number): PayloadOf<"notify"> {
  const spi = encodeSpi(inboundSpi);
  return { ...notify(NotifyType.REKEY_SA), protocolId: ProtocolId.ESP, spi };
}

function keyExchange(group: number | undefined, publicValue: Uint8Array | undefined): readonly Payload[] {
  if (group === undefined || publicValue === undefined) return [];
  return [{ kind: "key-exchange", critical: false, group, data: publicValue }];
}

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
    forget(ikeSa, attempt);
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
    forget(ikeSa, attempt);
    if (state.name === "established") ikeSa.askToDelete([inboundSpi], now);
    return;
  }

  attempt.offer = undefined;
  forget(ikeSa, attempt);
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
    ikeSa.deleteReplaced(childSa, now);
    return;
  }
  if (replaces !== undefined && ikeSa.childSas.includes(replaces)) {
    replaces.successor = childSa;
    if (!replaces.isDeleting) ikeSa.deleteReplaced(replaces, now);
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
      begin(ikeSa, attempt, now);
      return;
    }
    case NotifyType.TEMPORARY_FAILURE:
      fail(ikeSa, attempt, now);
      return;
    case NotifyType.CHILD_SA_NOT_FOUND: {
      forget(ikeSa, attempt);
      if (replaces === undefined || !ikeSa.childSas.includes(replaces) || !isReplaceable(ikeSa, replaces))
        return;
      // RFC 7296 section 2.25: the peer has lost it, so there is nothing to replace or to delete there.
      ikeSa.removeChildSa(replaces, "the peer does not have it any more");
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
  fail(ikeSa, attempt, now);
  if (isMade && inboundSpi !== undefined && ikeSa.state.name === "established") {
    ikeSa.askToDelete([inboundSpi], now);
  }
}

/** Ends an attempt; one that was to replace a child SA, or that met a peer who was busy, comes again. */
function fail(ikeSa: IkeSa, attempt: ChildAttempt, now: number): void {
  const { replaces, policy, isUnwanted } = attempt;
  forget(ikeSa, attempt);
  if (ikeSa.state.name !== "established" || isUnwanted) return;
  const at = retryTime(ikeSa, now);
  if (replaces === undefined) ikeSa.createLater({ policy, at });
  else if (isReplaceable(ikeSa, replaces)) retryChild(replaces, { at });
}

function forget(ikeSa: IkeSa, attempt: ChildAttempt): void {
  ikeSa.childAttempts.delete(attempt);
  if (attempt.replaces?.attempt === attempt) attempt.replaces.attempt = undefined;
  releaseOffer(ikeSa, attempt);
}

function releaseOffer({ machine }: IkeSa, attempt: ChildAttempt): void {
  if (attempt.offer === undefined) return;
  machine.emit({ kind: "release-spi", inboundSpi: attempt.offer.inboundSpi });
  attempt.offer = undefined;
}

// ---- Responder ----------------------------------------------------------------------------------------------

/** "later": the answer waits for a key exchange, and goes out by `answerLater`. */
export function processCreateChildRequest(
  ikeSa: IkeSa,
  request: {
    readonly payloads: readonly Payload[];
    readonly messageId: number;
    readonly now: number;
  },
): Answer | "later" {
  const { payloads, messageId, now } = request;
  // RFC 7296 section 2.25.2: an IKE SA that is closing or replaced makes nothing new.
  if (ikeSa.state.name !== "established") return refusal(NotifyType.TEMPORARY_FAILURE);
  const sa = find(payloads, "security-association");
  const nonce = find(payloads, "nonce");
  if (sa === undefined || nonce === undefined || !hasNonceLength(nonce.nonce)) {
    return nonsense("CREATE_CHILD_SA without SA or Nonce");
  }
  const ke = find(payloads, "key-exchange");
  const isForIke =
    sa.proposals.length > 0 && sa.proposals.every(({ protocolId }) => protocolId === ProtocolId.IKE);
  if (isForIke) return processIkeRekeyRequest(ikeSa, { sa, ke, ni: nonce.nonce, messageId, now });

  const tsi = find(payloads, "traffic-selectors-initiator");
  const tsr = find(payloads, "traffic-selectors-responder");
  const { connection } = ikeSa;
  if (tsi === undefined || tsr === undefined || connection === undefined) {
    return nonsense("CREATE_CHILD_SA without TSi or TSr");
  }
  const rekey = findNotify(payloads, NotifyType.REKEY_SA);
  const wanted = { connection, sa, tsi, tsr };
  return acceptRequest(ikeSa, { wanted, ke, ni: nonce.nonce, rekey, messageId, now });
}

interface Wanted {
  readonly wanted: ChildRequest;
  readonly ke: PayloadOf<"key-exchange"> | undefined;
  readonly ni: Uint8Array;
  readonly rekey: PayloadOf<"notify"> | undefined;
  readonly messageId: number;
  readonly now: number;
}

function acceptRequest(ikeSa: IkeSa, request: Wanted): Answer | "later" {
  const { wanted, ke, rekey, messageId, now } = request;
  const replaces = rekey && findRekeyed(ikeSa, rekey);
  const hindrance = hindranceOf(ikeSa, { rekey, replaces });
  if (hindrance !== undefined) return { payloads: [hindrance] };
  const choice = chooseChild(ikeSa, wanted, { preferredGroup: ke?.group, replaces });
  if ("notifyType" in choice) {
    reportChildRefusal(ikeSa, choice);
    return refusal(choice.notifyType);
  }
  const transform = findTransform(choice.proposal, TransformType.KE);
  const group = transform === undefined || isNone(transform) ? undefined : transform.id;
  const accepted = { request, agreed: choice, replaces, now };
  if (group === undefined)
    return accept(ikeSa, { ...accepted, kePayload: undefined, sharedSecret: undefined });
  if (ke?.group !== group) return refusal(NotifyType.INVALID_KE_PAYLOAD, Uint8Array.of(group >>> 8, group));

  const { machine } = ikeSa;
  machine.compute({ kind: "generate-key-pair", group }, (pair) => {
    if (pair.kind !== "key-pair") {
      ikeSa.answerLater(messageId, refusal(NotifyType.TEMPORARY_FAILURE), now);
      return;
    }
    const { publicValue, privateKey } = pair;
    machine.compute({ kind: "agree", group, privateKey, peerPublicValue: ke.data }, (agreed, then) => {
      if (agreed.kind !== "shared-secret") {
        ikeSa.answerLater(messageId, nonsense("the peer's key exchange is no good"), then);
        return;
      }
      const { sharedSecret } = agreed;
      const kePayload: Payload = { kind: "key-exchange", critical: false, group, data: publicValue };
      // What was there before may be gone by now.
      const hindrance = hindranceOf(ikeSa, { rekey, replaces: rekey && findRekeyed(ikeSa, rekey) });
      const answer =
        hindrance === undefined
          ? accept(ikeSa, { ...accepted, now: then, kePayload, sharedSecret })
          : { payloads: [hindrance] };
      sharedSecret.fill(0);
      ikeSa.answerLater(messageId, answer, then);
    });
  });
  return "later";
}

/** RFC 7296 section 2.25: what stands in the way of making a child SA now. */
function hindranceOf(
  ikeSa: IkeSa,
  facts: {
    readonly rekey: PayloadOf<"notify"> | undefined;
    readonly replaces: ChildSa | undefined;
  },
): Payload | undefined {
  const { rekey, replaces } = facts;
  if (ikeSa.state.name !== "established" || ikeSa.attempt?.isSent)
    return notify(NotifyType.TEMPORARY_FAILURE);
  if (rekey === undefined) return undefined;
  if (replaces === undefined) {
    if (ikeSa.isDeletingChild(decodeSpi(rekey.spi))) return notify(NotifyType.TEMPORARY_FAILURE);
    const { protocolId, spi } = rekey;
    return { ...notify(NotifyType.CHILD_SA_NOT_FOUND), protocolId, spi };
  }
  if (replaces.isDeleting || replaces.successor !== undefined) return notify(NotifyType.TEMPORARY_FAILURE);
  return undefined;
}

function findRekeyed(ikeSa: IkeSa, { protocolId, spi }: PayloadOf<"notify">): ChildSa | undefined {
  if (protocolId !== ProtocolId.ESP) return undefined;
  const outboundSpi = decodeSpi(spi);
  return ikeSa.childSas.find((childSa) => childSa.outboundSpi === outboundSpi);
}

function accept(
  ikeSa: IkeSa,
  facts: {
    readonly request: Wanted;
    readonly agreed: AgreedChild;
    readonly replaces: ChildSa | undefined;
    readonly kePayload: Payload | undefined;
    readonly sharedSecret: Uint8Array | undefined;
    readonly now: number;
  },
): Answer {
  const { request, agreed, replaces, kePayload, sharedSecret, now } = facts;
  const { state, machine } = ikeSa;
  if (state.name !== "established") return refusal(NotifyType.TEMPORARY_FAILURE);
  const nr = machine.random.bytes(NONCE_LENGTH);
  const { proposal, keys } = state;
  const accepted = answerChild(ikeSa, request.wanted, {
    agreed,
    keying: { proposal, keys, ni: request.ni, nr, sharedSecret },
    isInitiator: false,
    carriesOutbound: replaces === undefined,
    replaces: replaces?.inboundSpi,
    now,
  });
  if (accepted === undefined) return refusal(NotifyType.NO_ADDITIONAL_SAS);
  const { childSa, payloads } = accepted;
  if (replaces !== undefined) {
    replaces.successor = childSa;
    if (replaces.attempt !== undefined) replaces.attempt.rival = childSa;
    awaitDeletion(replaces, now);
  }
  const [sa, ...selectors] = payloads;
  const nonce: Payload = { kind: "nonce", critical: false, nonce: nr };
  return { payloads: [sa!, nonce, ...(kePayload === undefined ? [] : [kePayload]), ...selectors] };
}

// ---- Both ---------------------------------------------------------------------------------------------------

/** A child SA that the peer is to delete; after a while we do it ourselves. */
function awaitDeletion(childSa: ChildSa, now: number): void {
  const { machine } = childSa.owner;
  machine.timers.cancel(childSa.timers.rekey);
  machine.timers.cancel(childSa.timers.expire);
  childSa.timers.expire = machine.timers.set({
    at: now + machine.limits.replacedTimeoutMs,
    reason: "expire",
    fire: (then) => {
      const ikeSa = childSa.owner;
      const isThere = ikeSa.state.name === "established" && ikeSa.childSas.includes(childSa);
      if (isThere && !childSa.isDeleting) ikeSa.deleteReplaced(childSa, then);
    },
  });
}

/** What was to take the place of `childSa` has been deleted: it goes on as before. */
export function reinstate(childSa: ChildSa, now: number): void {
  childSa.successor = undefined;
  if (!childSa.isDeleting) scheduleChild(childSa, now);
}

function isReplaceable(ikeSa: IkeSa, childSa: ChildSa): boolean {
  return ikeSa.childSas.includes(childSa) && !childSa.isDeleting && childSa.successor === undefined;
}

function refusal(notifyType: number, data?: Uint8Array): Answer {
  return { payloads: [notify(notifyType, data)] };
}

/** RFC 7296 section 2.21.3: who sends nonsense with the right keys loses the SA. */
function nonsense(why: string): Answer {
  return {
    payloads: [notify(NotifyType.INVALID_SYNTAX)],
    closing: { reason: "INVALID_SYNTAX", message: `the peer's request makes no sense: ${why}` },
  };
}
