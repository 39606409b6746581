import { equal } from "../../bytes/constant-time.ts";
import { wipe } from "../../bytes/wipe.ts";
import { deriveRekeyedIkeKeys } from "../../crypto/keymat.ts";
import { prfKeyLength } from "../../crypto/prf.ts";
import { keyLengths } from "../../crypto/suites.ts";
import { ExchangeType, NotifyType, TransformType } from "../../iana/ikev2-parameters.ts";
import { checkChosen, selectProposal } from "../../policy/select-proposal.ts";
import {
  additionalMethods,
  findTransform,
  insistsOnAdditional,
  numberProposals,
  offeredGroups,
  withPlain,
} from "../../policy/transforms.ts";
import type { Payload, PayloadOf } from "../../wire/payloads/payload.ts";
import type { Proposal } from "../../wire/payloads/proposal.ts";
import { type Answer, refusal } from "../answer.ts";
import { lowestOf } from "../child-sa.ts";
import { thinOut } from "../crowding.ts";
import { formatProposals, ikeSaRekeyed } from "../events.ts";
import type { IkeSa, Role } from "../ike-sa.ts";
import type { Established, KeyPair } from "../ike-sa-state.ts";
import { retryTime } from "../lifetimes.ts";
import { MessageProtection } from "../message-protection.ts";
import { NONCE_LENGTH } from "../nonces.ts";
import { decodeIkeSpi, encodeIkeSpi, find, findError, notify, notifyName } from "../payloads.ts";
import type { PendingExchange, SharedSecrets } from "../pending-exchanges.ts";
import { suiteOf } from "../proposals.ts";
import { bequeath, retire, standAside } from "../succession.ts";
import {
  type FollowUpFailure,
  type FollowUps,
  followUp,
  INSISTING,
  isForgotten,
  linkIn,
} from "./ike-followup-ke.ts";

// CREATE_CHILD_SA that replaces the IKE SA itself, RFC 7296 sections 1.3.2, 2.8.2 and 2.18:
//
//   --> HDR, SK { SA, Ni, KEi }
//   <-- HDR, SK { SA, Nr, KEr }
//
// Child SAs move to the new IKE SA, where message IDs begin at 0 again. Who began deletes the old one. When both begin at
// once, two new ones come to be: the one with the lowest nonce goes, and who made it deletes it.
//
// Further key exchanges (`ike-followup-ke.ts`) come between the answer and the new IKE SA. All nonces are known before them: whoever has
// the lowest one then does not begin with them, and waits for those of the other.

/** Our attempt to replace an IKE SA. */
export interface IkeAttempt {
  readonly ni: Uint8Array;
  /** Our SPI of the new IKE SA. */
  readonly spi: bigint;
  readonly proposals: readonly Proposal[];
  group: number;
  groupsTried: readonly number[];
  keyPair: KeyPair | undefined;
  /** The request has gone out: from here on child SAs have to wait (RFC 7296 section 2.25.2). */
  isSent: boolean;
  /** What the peer has made of the same IKE SA meanwhile. */
  rival: IkeSa | undefined;
  /** Further key exchanges, from the answer on. */
  followUps: FollowUps | undefined;
}

// ---- Initiator ----------------------------------------------------------------------------------------------

/** Replaces the IKE SA, unless that is under way already, from either side. */
export function rekeyIkeSa(ikeSa: IkeSa): void {
  const { state, connection, machine } = ikeSa;
  if (state.name !== "established" || connection === undefined) return;
  if (ikeSa.attempt !== undefined || ikeSa.predecessor !== undefined) return;
  const spi = machine.newIkeSpi();
  const proposals = numberProposals(withPlain(connection.ikeProposals), encodeIkeSpi(spi));
  const groups = offeredGroups(proposals);
  // The group of the present IKE SA will be accepted again; another one may cost a round trip.
  const present = findTransform(state.proposal, TransformType.KE)?.id ?? 0;
  const group = groups.includes(present) ? present : (groups[0] ?? 0);
  ikeSa.attempt = {
    ni: machine.random.bytes(NONCE_LENGTH),
    spi,
    proposals,
    group,
    groupsTried: [group],
    keyPair: undefined,
    isSent: false,
    rival: undefined,
    followUps: undefined,
  };
  begin(ikeSa, ikeSa.attempt);
}

function begin(ikeSa: IkeSa, attempt: IkeAttempt): void {
  const { group } = attempt;
  ikeSa.machine.compute({ kind: "generate-key-pair", group }, (result, now) => {
    if (ikeSa.attempt !== attempt) return;
    attempt.keyPair = result.kind === "key-pair" ? result : undefined;
    const isQueued =
      attempt.keyPair !== undefined &&
      ikeSa.outbox.request(
        {
          purpose: { kind: "rekey-ike-sa", attempt },
          exchangeType: ExchangeType.CREATE_CHILD_SA,
          build: (owner) => buildRequest(owner, attempt),
        },
        now,
      );
    if (!isQueued) fail(ikeSa, now);
  });
}

/** Undefined when the attempt has become pointless while it waited. */
function buildRequest(ikeSa: IkeSa, attempt: IkeAttempt): readonly Payload[] | undefined {
  if (ikeSa.attempt !== attempt) return undefined;
  if (ikeSa.state.name !== "established" || attempt.keyPair === undefined) {
    ikeSa.attempt = undefined;
    return undefined;
  }
  attempt.isSent = true;
  const { ni, proposals, group, keyPair } = attempt;
  return buildPayloads({ proposals, nonce: ni, group, publicValue: keyPair.publicValue });
}

function buildPayloads(facts: {
  readonly proposals: readonly Proposal[];
  readonly nonce: Uint8Array;
  readonly group: number;
  readonly publicValue: Uint8Array;
}): readonly Payload[] {
  const { proposals, nonce, group, publicValue } = facts;
  return [
    { kind: "security-association", critical: false, proposals },
    { kind: "nonce", critical: false, nonce },
    { kind: "key-exchange", critical: false, group, data: publicValue },
  ];
}

export function processIkeRekeyResponse(
  ikeSa: IkeSa,
  answer: { readonly attempt: IkeAttempt; readonly payloads: readonly Payload[]; readonly now: number },
): void {
  const { attempt, payloads, now } = answer;
  if (ikeSa.attempt !== attempt || attempt.keyPair === undefined) return;
  const sa = find(payloads, "security-association");
  const error = findError(payloads);
  if (sa === undefined && error !== undefined) {
    obeyError(ikeSa, { attempt, error, now });
    return;
  }
  const chosen = checkAnswer(attempt, payloads);
  if (typeof chosen === "string") {
    breakDown(ikeSa, `rekeying failed: ${chosen}`, now);
    return;
  }
  const { proposal, nr, peerPublicValue } = chosen;
  const { group } = attempt;
  const { privateKey } = attempt.keyPair;
  const remaining = additionalMethods(proposal);
  if (remaining.length > 0) {
    const link = linkIn(ikeSa, payloads);
    if (link === undefined) {
      const message = "the peer agrees to further key exchanges, and says nothing to link them by";
      ikeSa.reportRekeyFailure({ child: "", reason: "INVALID_SYNTAX", message });
      fail(ikeSa, now);
      return;
    }
    if (isOutdone(ikeSa, attempt, lowestOf(attempt.ni, nr))) {
      giveWay(ikeSa, now);
      return;
    }
    ikeSa.pending.drop(ikeSa.pending.replacing(ikeSa));
    attempt.followUps = followUpsOf(ikeSa, { attempt, proposal, nr, remaining, link });
  }
  ikeSa.outbox.requests.hold();
  ikeSa.machine.compute({ kind: "agree", group, privateKey, peerPublicValue }, (result, then) => {
    ikeSa.outbox.requests.release();
    if (ikeSa.attempt === attempt && result.kind === "shared-secret") {
      const { sharedSecret } = result;
      const { followUps } = attempt;
      if (followUps === undefined) {
        finish(ikeSa, { attempt, proposal, nr, secrets: { sharedSecret, furtherSecrets: NONE }, now: then });
        wipe(sharedSecret);
      } else {
        followUps.secrets.push(sharedSecret);
        followUp(ikeSa, followUps);
      }
    } else if (result.kind === "shared-secret") {
      wipe(result.sharedSecret);
    } else if (ikeSa.attempt === attempt) {
      breakDown(ikeSa, "the key exchange of rekeying failed", then);
    }
    ikeSa.outbox.sendNext(then);
  });
}

function followUpsOf(
  ikeSa: IkeSa,
  facts: Pick<FollowUps, "remaining" | "link"> & {
    readonly attempt: IkeAttempt;
    readonly proposal: Proposal;
    readonly nr: Uint8Array;
  },
): FollowUps {
  const { attempt, proposal, nr, remaining, link } = facts;
  return {
    isForIkeSa: true,
    remaining,
    link,
    secrets: [],
    standing: () => {
      if (ikeSa.attempt !== attempt) return "over";
      return ikeSa.state.name === "established" ? "wanted" : "moot";
    },
    finish: (secrets, now) => {
      ikeSa.statesNotFound = 0;
      finish(ikeSa, { attempt, proposal, nr, secrets, now });
    },
    fail: (failure, now) => failFollowUps(ikeSa, { attempt, failure, now }),
    abandon: () => endIkeAttempt(ikeSa),
  };
}

function failFollowUps(
  ikeSa: IkeSa,
  facts: { readonly attempt: IkeAttempt; readonly failure: FollowUpFailure; readonly now: number },
): void {
  const { attempt, failure, now } = facts;
  if (ikeSa.state.name !== "established") {
    endIkeAttempt(ikeSa);
  } else if (failure.kind === "refused") {
    obeyError(ikeSa, { attempt, error: failure.error, now });
  } else if (failure.isMade) {
    breakDown(ikeSa, `rekeying failed: ${failure.message}`, now);
  } else {
    ikeSa.reportRekeyFailure({ child: "", reason: "INVALID_SYNTAX", message: failure.message });
    fail(ikeSa, now);
  }
}

/** The peer believes in an IKE SA that we cannot have, and has moved everything there. */
function breakDown(ikeSa: IkeSa, message: string, now: number): void {
  endIkeAttempt(ikeSa);
  ikeSa.terminate({ reason: "protocol-error", message }, now);
}

/** RFC 7296 section 2.8.2: whether the lowest of the four nonces is one of ours. */
function isOutdone(ikeSa: IkeSa, { rival }: IkeAttempt, lowestNonce: Uint8Array): boolean {
  const other = rival ?? ikeSa.pending.replacing(ikeSa);
  return other !== undefined && Buffer.compare(lowestNonce, other.lowestNonce) < 0;
}

/** What the peer has made takes our attempt's place, or what it is about to make. */
function giveWay(ikeSa: IkeSa, now: number): void {
  const rival = ikeSa.attempt?.rival;
  endIkeAttempt(ikeSa);
  if (ikeSa.state.name !== "established") return;
  if (rival?.state.name === "established") inherit(ikeSa, rival, now);
  else ikeSa.rekeyAt(retryTime(ikeSa, { now, failures: 0 }));
}

/** The attempt is over. */
export function endIkeAttempt(ikeSa: IkeSa): void {
  wipe(...(ikeSa.attempt?.followUps?.secrets ?? []));
  ikeSa.attempt = undefined;
}

/** What the responder chose, or what is wrong with it. */
function checkAnswer(
  attempt: IkeAttempt,
  payloads: readonly Payload[],
): { readonly proposal: Proposal; readonly nr: Uint8Array; readonly peerPublicValue: Uint8Array } | string {
  const sa = find(payloads, "security-association");
  const nonce = find(payloads, "nonce");
  const ke = find(payloads, "key-exchange");
  if (sa === undefined || nonce === undefined || ke === undefined) {
    return "the peer's answer has no SA, Nonce or KE";
  }
  const verdict = checkChosen({ offered: attempt.proposals, answer: sa.proposals });
  if (verdict.kind === "refused") return verdict.reason;
  const { proposal } = verdict;
  const isSound =
    decodeIkeSpi(proposal.spi) !== 0n &&
    ke.group === attempt.group &&
    findTransform(proposal, TransformType.KE)?.id === attempt.group &&
    isNonceFit(nonce.nonce, proposal) &&
    !equal(nonce.nonce, attempt.ni) &&
    !equal(ke.data, attempt.keyPair?.publicValue ?? new Uint8Array(0));
  if (!isSound) return "the peer's answer contradicts itself or our request";
  return { proposal, nr: nonce.nonce, peerPublicValue: ke.data };
}

/** The new IKE SA exists on both sides; now it or its rival takes over. */
function finish(
  ikeSa: IkeSa,
  facts: {
    readonly attempt: IkeAttempt;
    readonly proposal: Proposal;
    readonly nr: Uint8Array;
    readonly secrets: SharedSecrets;
    readonly now: number;
  },
): void {
  const { attempt, proposal, nr, secrets, now } = facts;
  const { rival, ni, spi } = attempt;
  if (!isLive(ikeSa)) {
    endIkeAttempt(ikeSa);
    return;
  }
  const fresh = derive(ikeSa, {
    role: "initiator",
    localSpi: spi,
    peerSpi: decodeIkeSpi(proposal.spi),
    proposal,
    ni,
    nr,
    secrets,
    now,
  });
  if (ikeSa.state.name !== "established") {
    // The user has taken the connection down meanwhile, or the peer uses its own new one already.
    endIkeAttempt(ikeSa);
    retire(fresh, now);
    return;
  }
  if (isOutdone(ikeSa, attempt, fresh.lowestNonce)) {
    giveWay(ikeSa, now);
    retire(fresh, now);
    return;
  }
  endIkeAttempt(ikeSa);
  inherit(ikeSa, fresh, now);
  retire(ikeSa, now);
  if (rival !== undefined) standAside(rival, fresh, now);
}

function obeyError(
  ikeSa: IkeSa,
  facts: { readonly attempt: IkeAttempt; readonly error: PayloadOf<"notify">; readonly now: number },
): void {
  const { attempt, error, now } = facts;
  const reason = notifyName(error.notifyType);
  const isFirst = attempt.followUps === undefined && attempt.rival === undefined;
  if (error.notifyType === NotifyType.INVALID_KE_PAYLOAD && isFirst) {
    const group = error.data.length === 2 ? (error.data[0]! << 8) | error.data[1]! : 0;
    if (offeredGroups(attempt.proposals).includes(group) && !attempt.groupsTried.includes(group)) {
      attempt.group = group;
      attempt.groupsTried = [...attempt.groupsTried, group];
      attempt.keyPair = undefined;
      attempt.isSent = false;
      begin(ikeSa, attempt);
      return;
    }
  }
  if (error.notifyType === NotifyType.INVALID_SYNTAX) {
    ikeSa.close({ reason, message: "the peer calls our request nonsense" }, now);
    return;
  }
  if (isForgotten(ikeSa, error, now)) return;
  const { rival } = attempt;
  if (rival === undefined && error.notifyType !== NotifyType.TEMPORARY_FAILURE) {
    const isChoice = error.notifyType === NotifyType.NO_PROPOSAL_CHOSEN;
    const hint = isChoice && attempt.proposals.every(insistsOnAdditional) ? INSISTING : "";
    const message = `the peer answered ${reason} when the IKE SA was to be rekeyed${hint}`;
    const offered = formatProposals(attempt.proposals);
    ikeSa.reportRekeyFailure({ child: "", reason, message, offered });
  }
  fail(ikeSa, now);
}

/** The attempt is over; the peer's takes its place, or it comes again. */
function fail(ikeSa: IkeSa, now: number): void {
  const rival = ikeSa.attempt?.rival;
  endIkeAttempt(ikeSa);
  if (ikeSa.state.name !== "established") return;
  if (rival?.state.name === "established") inherit(ikeSa, rival, now);
  else ikeSa.rekeyAt(retryTime(ikeSa, { now, failures: ++ikeSa.failedRekeys }));
}

// ---- Responder ----------------------------------------------------------------------------------------------

export function processIkeRekeyRequest(
  ikeSa: IkeSa,
  request: {
    readonly sa: PayloadOf<"security-association">;
    readonly ke: PayloadOf<"key-exchange"> | undefined;
    readonly ni: Uint8Array;
    /** A ticket comes in an exchange of its own, once both sides have the new IKE SA. */
    readonly wantsTicket: boolean;
    readonly messageId: number;
    readonly now: number;
  },
): Answer | "later" {
  const { sa, ke, ni, wantsTicket, messageId, now } = request;
  const { machine, connection } = ikeSa;
  if (isBusy(ikeSa)) return refusal(NotifyType.TEMPORARY_FAILURE);
  const verdict = selectProposal({
    offered: sa.proposals.filter(({ spi }) => decodeIkeSpi(spi) !== 0n),
    allowed: connection?.ikeProposals ?? [],
    preferredGroup: ke?.group,
  });
  if (verdict.kind === "refused") {
    const message = `the peer wants to rekey the IKE SA: ${verdict.reason}`;
    ikeSa.reportRekeyFailure({ child: "", reason: "NO_PROPOSAL_CHOSEN", message });
    return refusal(NotifyType.NO_PROPOSAL_CHOSEN);
  }
  const { proposal } = verdict;
  const group = findTransform(proposal, TransformType.KE)?.id ?? 0;
  if (ke?.group !== group) return refusal(NotifyType.INVALID_KE_PAYLOAD, Uint8Array.of(group >>> 8, group));
  if (!isNonceFit(ni, proposal)) return refusal(NotifyType.NO_PROPOSAL_CHOSEN);

  machine.compute({ kind: "generate-key-pair", group }, (pair) => {
    if (pair.kind !== "key-pair") {
      ikeSa.answerLater(messageId, refusal(NotifyType.TEMPORARY_FAILURE), now);
      return;
    }
    const { publicValue, privateKey } = pair;
    machine.compute({ kind: "agree", group, privateKey, peerPublicValue: ke.data }, (result, then) => {
      if (result.kind !== "shared-secret") {
        const closing = { reason: "INVALID_SYNTAX", message: "the peer's key exchange is no good" };
        ikeSa.answerLater(messageId, { ...refusal(NotifyType.INVALID_SYNTAX), closing }, then);
        return;
      }
      const { sharedSecret } = result;
      accept(ikeSa, { proposal, ni, group, publicValue, sharedSecret, wantsTicket, messageId, now: then });
      wipe(sharedSecret);
    });
  });
  return "later";
}

function accept(
  ikeSa: IkeSa,
  facts: {
    readonly proposal: Proposal;
    readonly ni: Uint8Array;
    readonly group: number;
    readonly publicValue: Uint8Array;
    readonly sharedSecret: Uint8Array;
    readonly wantsTicket: boolean;
    readonly messageId: number;
    readonly now: number;
  },
): void {
  const { proposal, ni, group, publicValue, sharedSecret, wantsTicket, messageId, now } = facts;
  const { machine } = ikeSa;
  // A peer that asks anew has given up what it has begun before.
  ikeSa.pending.drop(ikeSa.pending.replacing(ikeSa));
  const remaining = additionalMethods(proposal);
  if (isBusy(ikeSa) || (remaining.length > 0 && ikeSa.pending.isFull)) {
    ikeSa.answerLater(messageId, refusal(NotifyType.TEMPORARY_FAILURE), now);
    ikeSa.outbox.sendNext(now);
    return;
  }
  const nr = machine.random.bytes(NONCE_LENGTH);
  const localSpi = machine.newIkeSpi();
  const proposals = [{ ...proposal, spi: encodeIkeSpi(localSpi) }];
  const ticket = wantsTicket ? [notify(NotifyType.TICKET_ACK)] : [];
  const payloads = [...buildPayloads({ proposals, nonce: nr, group, publicValue }), ...ticket];
  // What is kept does not keep the message.
  const agreed = { proposal: { ...proposal, spi: proposal.spi.slice() }, localSpi, ni: ni.slice(), nr };
  if (remaining.length === 0) {
    const fresh = makeResponder(ikeSa, { ...agreed, secrets: { sharedSecret, furtherSecrets: NONE }, now });
    ikeSa.answerLater(messageId, { payloads }, now);
    succeed(ikeSa, fresh, now);
    return;
  }
  const pending: PendingExchange = {
    replaces: ikeSa,
    lowestNonce: lowestOf(ni, nr).slice(),
    remaining,
    secrets: [sharedSecret.slice()],
    conclude: (secrets, then) => {
      if (isBusy(ikeSa)) return notify(NotifyType.TEMPORARY_FAILURE);
      const fresh = makeResponder(ikeSa, { ...agreed, secrets, now: then });
      return () => succeed(ikeSa, fresh, then);
    },
    giveBack: () => {},
  };
  const link = notify(NotifyType.ADDITIONAL_KEY_EXCHANGE, ikeSa.pending.await(pending, now));
  ikeSa.answerLater(messageId, { payloads: [...payloads, link] }, now);
}

/** The new IKE SA exists on our side, and the peer is told so. */
function makeResponder(
  ikeSa: IkeSa,
  facts: {
    readonly proposal: Proposal;
    readonly localSpi: bigint;
    readonly ni: Uint8Array;
    readonly nr: Uint8Array;
    readonly secrets: SharedSecrets;
    readonly now: number;
  },
): IkeSa {
  const peerSpi = decodeIkeSpi(facts.proposal.spi);
  const fresh = derive(ikeSa, { ...facts, role: "responder", peerSpi });
  fresh.isUnconfirmed = true;
  return fresh;
}

/** It takes over, unless our own attempt is under way: then that has to be decided first. */
function succeed(ikeSa: IkeSa, fresh: IkeSa, now: number): void {
  const { attempt } = ikeSa;
  if (attempt?.isSent) {
    attempt.rival = fresh;
    fresh.predecessor = ikeSa;
  } else {
    endIkeAttempt(ikeSa);
    inherit(ikeSa, fresh, now);
  }
}

/**
 * RFC 7296 section 2.25.2: what makes us answer TEMPORARY_FAILURE. A rekeying of our own does not, before its further key exchanges: then
 * it is known that the peer has no attempt that would be the stronger one.
 */
function isBusy(ikeSa: IkeSa): boolean {
  const { state, outbox, attempt, predecessor, childAttempts } = ikeSa;
  const { requests } = outbox;
  if (state.name !== "established" || predecessor !== undefined || attempt?.rival !== undefined) return true;
  const hasFollowUps = [...childAttempts].some(({ followUps }) => followUps !== undefined);
  if (hasFollowUps || attempt?.followUps !== undefined) return true;
  const isChangingChildren = requests.allOutstanding.some(
    ({ purpose }) => purpose.kind === "create-child-sa" || purpose.kind === "delete-child-sas",
  );
  return isChangingChildren || (requests.isHeld && attempt === undefined);
}

// ---- Both ---------------------------------------------------------------------------------------------------

/** The peer speaks through its new IKE SA: it has not heard of ours, so its is the one that stays. */
export function preferRival(fresh: IkeSa, now: number): void {
  const { predecessor } = fresh;
  if (predecessor?.state.name === "established") inherit(predecessor, fresh, now);
}

/** An IKE SA with keys of its own and all that the old one knows of the peer (RFC 7296 section 2.18). */
function derive(
  old: IkeSa,
  facts: {
    readonly role: Role;
    readonly localSpi: bigint;
    readonly peerSpi: bigint;
    readonly proposal: Proposal;
    readonly ni: Uint8Array;
    readonly nr: Uint8Array;
    readonly secrets: SharedSecrets;
    readonly now: number;
  },
): IkeSa {
  const { role, localSpi, peerSpi, proposal, ni, nr, secrets, now } = facts;
  const { machine } = old;
  const before = old.state as Established;
  const { encryption, integrity, prfId } = suiteOf(proposal);
  const keys = deriveRekeyedIkeKeys({
    oldPrfId: suiteOf(before.proposal).prfId,
    oldSkD: before.keys.skD,
    prfId,
    ...secrets,
    ni,
    nr,
    initiatorSpi: role === "initiator" ? localSpi : peerSpi,
    responderSpi: role === "initiator" ? peerSpi : localSpi,
    lengths: keyLengths({ encryption, integrity }),
  });
  const fragmentLength = old.supportsFragmentation ? machine.limits.fragmentLength : undefined;
  const protection = new MessageProtection({ proposal, keys, role, random: machine.random, fragmentLength });
  const fresh = machine.adopt({
    role,
    localSpi,
    path: old.path,
    state: { name: "established", proposal, keys, protection, establishedAt: now },
    connection: old.connection,
    now,
  });
  fresh.peerSpi = peerSpi;
  fresh.remoteIdentity = old.remoteIdentity;
  fresh.user = old.user;
  fresh.account = old.account;
  fresh.client = old.client;
  fresh.signsWithSha1 = old.signsWithSha1;
  fresh.supportsFragmentation = old.supportsFragmentation;
  fresh.isBehindNat = old.isBehindNat;
  fresh.isCaller = old.isCaller;
  fresh.isPeerBehindNat = old.isPeerBehindNat;
  fresh.traversesNats = old.traversesNats;
  fresh.mobility.descendFrom(old.mobility);
  fresh.lowestNonce = lowestOf(ni, nr).slice();
  fresh.negotiationMs = old.negotiationMs;
  fresh.creations = old.creations;
  fresh.authenticUntil = old.authenticUntil;
  fresh.isResumed = old.isResumed;
  fresh.outbox.transmittedAt = old.outbox.transmittedAt;
  fresh.forgetHandshake();
  fresh.begin(now);
  thinOut(fresh, now);
  return fresh;
}

/** Child SAs, and what waits to be said about them, move to the new IKE SA. */
function inherit(old: IkeSa, heir: IkeSa, now: number): void {
  bequeath(old, heir, now);
  old.machine.report(ikeSaRekeyed(old, heir));
  heir.outbox.sendNext(now);
}

function isLive({ state }: IkeSa): boolean {
  return state.name === "established" || state.name === "rekeyed" || state.name === "deleting";
}

const NONE = new Uint8Array(0);

function isNonceFit(nonce: Uint8Array, proposal: Proposal): boolean {
  const half = prfKeyLength(suiteOf(proposal).prfId) / 2;
  return nonce.length >= half;
}
