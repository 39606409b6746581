import { wipe } from "../../bytes/wipe.ts";
import { ExchangeType, NotifyType, ProtocolId } from "../../iana/ikev2-parameters.ts";
import type { ChildPolicy } from "../../policy/connection.ts";
import { offeredGroups } from "../../policy/transforms.ts";
import type { Payload, PayloadOf } from "../../wire/payloads/payload.ts";
import { buildChildOffer, type ChildAttempt, type ChildSa, offerChild } from "../child-sa.ts";
import { deleteOnBothSides } from "../child-sa-deletion.ts";
import type { IkeSa } from "../ike-sa.ts";
import { retryChild, retryTime } from "../lifetimes.ts";
import { NONCE_LENGTH } from "../nonces.ts";
import { encodeSpi, notify } from "../payloads.ts";

// CREATE_CHILD_SA for child SAs, RFC 7296 sections 1.3.1 and 1.3.3:
//
//   --> HDR, SK { [N(REKEY_SA)], SA, Ni, [KEi], TSi, TSr }
//   <-- HDR, SK { SA, Nr, [KEr], TSi, TSr }
//   <-- HDR, SK { N(NO_PROPOSAL_CHOSEN | INVALID_KE_PAYLOAD | TS_UNACCEPTABLE | NO_ADDITIONAL_SAS |
//                   TEMPORARY_FAILURE | CHILD_SA_NOT_FOUND) }
//
// When a child SA is rekeyed, the new one opens what arrives from the moment it exists. Who began sends through it at once
// and deletes the old one; the other goes on sending through the old one until it is deleted or the new one carries
// something (section 2.8). Further key exchanges (`ike-followup-ke.ts`) come between the answer and the new child SA.
//
// Here is how an attempt of ours begins, waits and ends; `create-child-sa-response.ts` takes the answer to it, and
// `create-child-sa-request.ts` the peer's attempts.

/** Asks for one more child SA, unless that is under way already. */
export function createChild(ikeSa: IkeSa, policy: ChildPolicy, now: number): void {
  const isUnderWay = [...ikeSa.childAttempts].some((attempt) => attempt.policy.name === policy.name);
  if (ikeSa.state.name !== "established" || isUnderWay) return;
  beginAttempt(ikeSa, newAttempt(ikeSa, { policy, replaces: undefined }), now);
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
  if (ikeSa.pending.replacing(childSa) !== undefined) {
    // The peer is about to.
    retryChild(childSa, { at: retryTime(ikeSa, { now, failures: 0 }) });
    return;
  }
  if (ikeSa.childSas.some(({ successor, isDeleting }) => successor === childSa && !isDeleting)) {
    // The peer has asked for it, and may not have heard of it before it deletes what it replaces.
    retryChild(childSa, { at: retryTime(ikeSa, { now, failures: 0 }) });
    return;
  }
  childSa.attempt = newAttempt(ikeSa, { policy: childSa.policy, replaces: childSa });
  beginAttempt(ikeSa, childSa.attempt, now);
}

/** A hard lifetime is over: the child SA goes, and another one comes if it is us who begin. */
export function expireChild(childSa: ChildSa, now: number): void {
  const ikeSa = childSa.owner;
  if (!ikeSa.childSas.includes(childSa) || childSa.isDeleting) return;
  const isReplaced = childSa.successor !== undefined;
  deleteOnBothSides(ikeSa, [childSa], { reason: "its lifetime is over", now });
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
    followUps: undefined,
    isUnwanted: false,
    deletedSpis: [],
  };
  ikeSa.childAttempts.add(attempt);
  return attempt;
}

/** The key pair first, then the request takes its place in the queue. */
export function beginAttempt(ikeSa: IkeSa, attempt: ChildAttempt, now: number): void {
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
    failAttempt(ikeSa.heir, attempt, then);
  });
}

function enqueue(ikeSa: IkeSa, attempt: ChildAttempt, now: number): void {
  if (!ikeSa.childAttempts.has(attempt)) return;
  const isQueued = ikeSa.outbox.request(
    {
      purpose: { kind: "create-child-sa", attempt },
      exchangeType: ExchangeType.CREATE_CHILD_SA,
      build: (owner) => buildRequest(owner, attempt, now),
    },
    now,
  );
  if (!isQueued) failAttempt(ikeSa, attempt, now);
}

/** Undefined when the attempt has become pointless while it waited. */
function buildRequest(ikeSa: IkeSa, attempt: ChildAttempt, now: number): readonly Payload[] | undefined {
  const { replaces, policy, ni, group, keyPair } = attempt;
  if (replaces !== undefined && ikeSa.pending.replacing(replaces) !== undefined) {
    giveWay(ikeSa, attempt, now);
    return undefined;
  }
  const isMoot = attempt.isUnwanted || (replaces !== undefined && !isReplaceable(ikeSa, replaces));
  const offer =
    isMoot || ikeSa.state.name !== "established"
      ? undefined
      : offerChild(ikeSa, policy, keyPair !== undefined);
  if (offer === undefined) {
    forgetAttempt(ikeSa, attempt);
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

/** Ends an attempt; one that was to replace a child SA, or that met a peer who was busy, comes again. */
export function failAttempt(ikeSa: IkeSa, attempt: ChildAttempt, now: number): void {
  const { replaces, policy, isUnwanted } = attempt;
  forgetAttempt(ikeSa, attempt);
  if (ikeSa.state.name !== "established" || isUnwanted) return;
  if (replaces === undefined) {
    ikeSa.postponed.add(policy, now);
  } else if (isReplaceable(ikeSa, replaces)) {
    const failures = ++replaces.failedRekeys;
    retryChild(replaces, { at: retryTime(ikeSa, { now, failures }) });
  }
}

/** The peer's attempt takes the place of ours. If nothing comes of that, ours comes again. */
export function giveWay(ikeSa: IkeSa, attempt: ChildAttempt, now: number): void {
  const { replaces } = attempt;
  forgetAttempt(ikeSa, attempt);
  if (replaces === undefined || !isReplaceable(ikeSa, replaces)) return;
  retryChild(replaces, { at: retryTime(ikeSa, { now, failures: 0 }) });
}

export function forgetAttempt(ikeSa: IkeSa, attempt: ChildAttempt): void {
  ikeSa.childAttempts.delete(attempt);
  wipe(...(attempt.followUps?.secrets ?? []));
  if (attempt.replaces?.attempt === attempt) attempt.replaces.attempt = undefined;
  releaseOffer(ikeSa, attempt);
}

export function releaseOffer({ machine }: IkeSa, attempt: ChildAttempt): void {
  if (attempt.offer === undefined) return;
  machine.emit({ kind: "release-spi", inboundSpi: attempt.offer.inboundSpi });
  attempt.offer = undefined;
}

export function isReplaceable(ikeSa: IkeSa, childSa: ChildSa): boolean {
  return ikeSa.childSas.includes(childSa) && !childSa.isDeleting && childSa.successor === undefined;
}
