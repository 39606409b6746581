import { equal } from "../../bytes/constant-time.ts";
import { wipe } from "../../bytes/wipe.ts";
import { deriveRekeyedIkeKeys } from "../../crypto/keymat.ts";
import { prfKeyLength } from "../../crypto/prf.ts";
import { keyLengths } from "../../crypto/suites.ts";
import { ExchangeType, NotifyType, TransformType } from "../../iana/ikev2-parameters.ts";
import { checkChosen, selectProposal } from "../../policy/select-proposal.ts";
import { findTransform, numberProposals, offeredGroups, withoutAdditional } from "../../policy/transforms.ts";
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
import { suiteOf } from "../proposals.ts";
import { bequeath, retire, standAside } from "../succession.ts";

// CREATE_CHILD_SA that replaces the IKE SA itself, RFC 7296 sections 1.3.2, 2.8.2 and 2.18:
//
//   --> HDR, SK { SA, Ni, KEi }
//   <-- HDR, SK { SA, Nr, KEr }
//
// Child SAs move to the new IKE SA, where message IDs begin at 0 again. Who began deletes the old one. When both begin at
// once, two new ones come to be: the one with the lowest nonce goes, and who made it deletes it.

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
}

// ---- Initiator ----------------------------------------------------------------------------------------------

/** Replaces the IKE SA, unless that is under way already, from either side. */
export function rekeyIkeSa(ikeSa: IkeSa): void {
  const { state, connection, machine } = ikeSa;
  if (state.name !== "established" || connection === undefined) return;
  if (ikeSa.attempt !== undefined || ikeSa.predecessor !== undefined) return;
  const spi = machine.newIkeSpi();
  const proposals = numberProposals(withoutAdditional(connection.ikeProposals), encodeIkeSpi(spi));
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
    // The peer believes in an IKE SA that we cannot have, and has moved everything there.
    ikeSa.attempt = undefined;
    ikeSa.terminate({ reason: "protocol-error", message: `rekeying failed: ${chosen}` }, now);
    return;
  }
  const { proposal, nr, peerPublicValue } = chosen;
  const { group } = attempt;
  const { privateKey } = attempt.keyPair;
  ikeSa.outbox.requests.hold();
  ikeSa.machine.compute({ kind: "agree", group, privateKey, peerPublicValue }, (result, then) => {
    ikeSa.outbox.requests.release();
    if (ikeSa.attempt === attempt && result.kind === "shared-secret") {
      finish(ikeSa, { attempt, proposal, nr, sharedSecret: result.sharedSecret, now: then });
    } else if (ikeSa.attempt === attempt) {
      ikeSa.attempt = undefined;
      ikeSa.terminate({ reason: "protocol-error", message: "the key exchange of rekeying failed" }, then);
    }
    if (result.kind === "shared-secret") wipe(result.sharedSecret);
    ikeSa.outbox.sendNext(then);
  });
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
    readonly sharedSecret: Uint8Array;
    readonly now: number;
  },
): void {
  const { attempt, proposal, nr, sharedSecret, now } = facts;
  const { rival, ni, spi } = attempt;
  ikeSa.attempt = undefined;
  if (!isLive(ikeSa)) return;
  const fresh = derive(ikeSa, {
    role: "initiator",
    localSpi: spi,
    peerSpi: decodeIkeSpi(proposal.spi),
    proposal,
    ni,
    nr,
    sharedSecret,
    now,
  });
  if (ikeSa.state.name !== "established") {
    // The user has taken the connection down meanwhile, or the peer uses its own new one already.
    retire(fresh, now);
    return;
  }
  if (rival !== undefined && Buffer.compare(fresh.lowestNonce, rival.lowestNonce) < 0) {
    inherit(ikeSa, rival, now);
    retire(fresh, now);
    return;
  }
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
  if (error.notifyType === NotifyType.INVALID_KE_PAYLOAD && attempt.rival === undefined) {
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
  const { rival } = attempt;
  if (rival === undefined && error.notifyType !== NotifyType.TEMPORARY_FAILURE) {
    const message = `the peer answered ${reason} when the IKE SA was to be rekeyed`;
    const offered = formatProposals(attempt.proposals);
    ikeSa.reportRekeyFailure({ child: "", reason, message, offered });
  }
  fail(ikeSa, now);
}

/** The attempt is over; the peer's takes its place, or it comes again. */
function fail(ikeSa: IkeSa, now: number): void {
  const rival = ikeSa.attempt?.rival;
  ikeSa.attempt = undefined;
  if (ikeSa.state.name !== "established") return;
  if (rival !== undefined) inherit(ikeSa, rival, now);
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
    allowed: withoutAdditional(connection?.ikeProposals ?? []),
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
  const { machine, attempt } = ikeSa;
  if (isBusy(ikeSa)) {
    ikeSa.answerLater(messageId, refusal(NotifyType.TEMPORARY_FAILURE), now);
    return;
  }
  const nr = machine.random.bytes(NONCE_LENGTH);
  const localSpi = machine.newIkeSpi();
  const peerSpi = decodeIkeSpi(proposal.spi);
  const fresh = derive(ikeSa, {
    role: "responder",
    localSpi,
    peerSpi,
    proposal,
    ni,
    nr,
    sharedSecret,
    now,
  });
  fresh.isUnconfirmed = true;
  const proposals = [{ ...proposal, spi: encodeIkeSpi(localSpi) }];
  const ticket = wantsTicket ? [notify(NotifyType.TICKET_ACK)] : [];
  const payloads = [...buildPayloads({ proposals, nonce: nr, group, publicValue }), ...ticket];
  ikeSa.answerLater(messageId, { payloads }, now);
  if (attempt?.isSent) {
    attempt.rival = fresh;
    fresh.predecessor = ikeSa;
  } else {
    ikeSa.attempt = undefined;
    inherit(ikeSa, fresh, now);
  }
}

/** RFC 7296 section 2.25.2: what makes us answer TEMPORARY_FAILURE. A rekeying of our own does not. */
function isBusy(ikeSa: IkeSa): boolean {
  const { state, outbox, attempt, predecessor } = ikeSa;
  const { requests } = outbox;
  if (state.name !== "established" || predecessor !== undefined || attempt?.rival !== undefined) return true;
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
    readonly sharedSecret: Uint8Array;
    readonly now: number;
  },
): IkeSa {
  const { role, localSpi, peerSpi, proposal, ni, nr, sharedSecret, now } = facts;
  const { machine } = old;
  const before = old.state as Established;
  const { encryption, integrity, prfId } = suiteOf(proposal);
  const keys = deriveRekeyedIkeKeys({
    oldPrfId: suiteOf(before.proposal).prfId,
    oldSkD: before.keys.skD,
    prfId,
    sharedSecret,
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

function isNonceFit(nonce: Uint8Array, proposal: Proposal): boolean {
  const half = prfKeyLength(suiteOf(proposal).prfId) / 2;
  return nonce.length >= half;
}
