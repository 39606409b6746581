import { deriveChildKeys } from "../crypto/keymat.ts";
import { keyLengths } from "../crypto/suites.ts";
import { EsnTransform, NotifyType, ProtocolId, TransformType } from "../iana/ikev2-parameters.ts";
import type { Path } from "../platform/address.ts";
import type { ChildPolicy, ConnectionPolicy } from "../policy/connection.ts";
import { isSubset, MAXIMUM_SELECTORS, narrowBoth } from "../policy/narrow.ts";
import { checkChosen, selectProposal } from "../policy/select-proposal.ts";
import { formatTrafficSelectors } from "../policy/traffic-selectors.ts";
import {
  additionalTransforms,
  findTransform,
  insistsOnAdditional,
  numberProposals,
  offeredGroups,
  withoutKeyExchange,
  withPlain,
} from "../policy/transforms.ts";
import type { Payload, PayloadOf } from "../wire/payloads/payload.ts";
import type { Proposal } from "../wire/payloads/proposal.ts";
import type { TrafficSelector } from "../wire/payloads/traffic-selector.ts";
import { type ChildMode, mayBeTransport, modeOf, TRANSPORT_NOTIFIES } from "./child-mode.ts";
import { askToDelete } from "./child-sa-deletion.ts";
import { childSaEstablished, childSaFailed, childSaRekeyed, formatProposals } from "./events.ts";
import { type FollowUps, INSISTING } from "./exchanges/ike-followup-ke.ts";
import type { IkeSa } from "./ike-sa.ts";
import type { Keyed, KeyPair } from "./ike-sa-state.ts";
import type { Trigger } from "./io.ts";
import { scheduleChild } from "./lifetimes.ts";
import { decodeSpi, encodeSpi, find, findError, notify, notifyName } from "./payloads.ts";
import type { SharedSecrets } from "./pending-exchanges.ts";
import { suiteOf } from "./proposals.ts";
import type { TimerHandle } from "./timers.ts";

/** A child SA that is up: what was agreed on, and what is becoming of it. Its keys are in the data plane only. */
export interface ChildSa {
  /** Name of its ChildPolicy. */
  readonly name: string;
  readonly policy: ChildPolicy;
  readonly inboundSpi: number;
  readonly outboundSpi: number;
  readonly proposal: Proposal;
  /** Seen from us. */
  readonly local: readonly TrafficSelector[];
  readonly remote: readonly TrafficSelector[];
  readonly isTransport: boolean;
  readonly establishedAt: number;
  /** The lower nonce of the exchange that made it: settles simultaneous rekeying (RFC 7296 section 2.8.1). */
  readonly lowestNonce: Uint8Array;
  /** The IKE SA that carries it now; another one after that is rekeyed. */
  owner: IkeSa;
  /** Our attempt to replace it, from the first thought to the last. */
  attempt: ChildAttempt | undefined;
  /** What the peer has replaced it by; the peer deletes this one, unless the nonces say otherwise. */
  successor: ChildSa | undefined;
  /** We have asked the peer to delete it. Until the answer comes it still opens what arrives. */
  isDeleting: boolean;
  /** Attempts to rekey it that came to nothing. */
  failedRekeys: number;
  readonly timers: {
    rekey?: TimerHandle | undefined;
    renew?: TimerHandle | undefined;
    expire?: TimerHandle | undefined;
  };
}

/** A CREATE_CHILD_SA exchange of ours that makes a child SA, from the key pair to the keys. */
export interface ChildAttempt {
  readonly policy: ChildPolicy;
  /** The child SA that is rekeyed; undefined for one more. */
  readonly replaces: ChildSa | undefined;
  readonly ni: Uint8Array;
  /** KeyExchangeMethod of the KE payload; undefined without one. */
  group: number | undefined;
  groupsTried: readonly number[];
  keyPair: KeyPair | undefined;
  /** Undefined until the request is built. */
  offer: ChildOffer | undefined;
  /** What the peer has made of `replaces` while this attempt was under way. */
  rival: ChildSa | undefined;
  /** Further key exchanges, from the answer on. */
  followUps: FollowUps | undefined;
  /** The user wants the child down: what comes of this is deleted. */
  isUnwanted: boolean;
  /** SPIs that the peer has deleted meanwhile and that nobody here knows: what it has made for us may be among them. */
  deletedSpis: readonly number[];
}

/** A child SA that we have offered and that is not answered yet. */
export interface ChildOffer {
  readonly policy: ChildPolicy;
  /** The same with the addresses that we have got meanwhile. */
  readonly narrowed?: ChildPolicy | undefined;
  readonly inboundSpi: number;
  readonly proposals: readonly Proposal[];
  readonly trigger: Trigger | undefined;
  readonly path: Path;
}

/** The secrets and nonces that a child SA is keyed from (RFC 7296 section 2.17). */
export interface ChildKeying extends Pick<Keyed, "proposal" | "keys"> {
  readonly ni: Uint8Array;
  readonly nr: Uint8Array;
  /** Of key exchanges in CREATE_CHILD_SA and behind it; undefined without one. */
  readonly secrets?: SharedSecrets | undefined;
}

/** How a new child SA comes in: from the start, or beside one that still carries our packets. */
interface Arrival {
  /** Whether we began the exchange that makes this child SA. */
  readonly isInitiator: boolean;
  /** Whether our packets take it at once (RFC 7296 section 2.8). */
  readonly carriesOutbound: boolean;
  /** Inbound SPI of the child SA that it replaces. */
  readonly replaces?: number | undefined;
}

/** Why there is no child SA: what the peer is told and what the user is told. */
export interface ChildRefusal {
  readonly child: string;
  readonly notifyType: number;
  readonly message: string;
  readonly offered?: readonly string[];
  readonly allowed?: readonly string[];
}

// ---- Initiator ----------------------------------------------------------------------------------------------

/** Takes an inbound SPI for the child and puts it into its proposals. Undefined when the data plane has no SPI left. */
export function offerChild(
  ikeSa: IkeSa,
  policy: ChildPolicy,
  /** Whether the exchange has a place for key exchange payloads: CREATE_CHILD_SA has, IKE_AUTH has not. */
  hasKeyExchange = false,
): ChildOffer | undefined {
  const inboundSpi = ikeSa.machine.allocateSpi();
  if (inboundSpi === undefined) return undefined;
  const offered = hasKeyExchange ? policy.espProposals : withoutKeyExchange(policy.espProposals);
  const { trigger } = ikeSa;
  const isCalled = trigger?.child === policy.name;
  if (isCalled) ikeSa.trigger = undefined;
  const proposals = numberProposals(withPlain(offered), encodeSpi(inboundSpi));
  return { policy, inboundSpi, proposals, trigger: isCalled ? trigger : undefined, path: ikeSa.path };
}

/** SAi2, TSi, TSr, and where it may be, that transport mode is wanted. Tunnel mode goes without saying; so does that we take TFC padding. */
export function buildChildOffer({ policy, proposals, trigger, path }: ChildOffer): readonly Payload[] {
  const local = led(trigger?.local, policy.local);
  const remote = led(trigger?.remote, policy.remote);
  const asksForTransport = mayBeTransport(policy, { ...policy, path });
  return [
    { kind: "security-association", critical: false, proposals },
    { kind: "traffic-selectors-initiator", critical: false, selectors: local },
    { kind: "traffic-selectors-responder", critical: false, selectors: remote },
    ...(asksForTransport ? TRANSPORT_NOTIFIES : []),
  ];
}

/** RFC 7296 section 2.9: in front stands the packet that calls for the SA, so that a responder that must narrow keeps what is needed. */
function led(
  packet: TrafficSelector | undefined,
  selectors: readonly TrafficSelector[],
): readonly TrafficSelector[] {
  return packet === undefined || selectors.length >= MAXIMUM_SELECTORS ? selectors : [packet, ...selectors];
}

/** Installs what the responder chose in IKE_AUTH, or says why not. A child SA that is not what we offered is deleted at the responder too. */
export function processChildAnswer(
  ikeSa: IkeSa,
  answer: {
    readonly offer: ChildOffer;
    readonly payloads: readonly Payload[];
    readonly keying: ChildKeying;
    readonly now: number;
  },
): void {
  const { offer, payloads, keying, now } = answer;
  const verdict = judgeChildAnswer(offer, payloads);
  if (verdict.kind === "refused") {
    ikeSa.machine.emit({ kind: "release-spi", inboundSpi: offer.inboundSpi });
    reportChildRefusal(ikeSa, verdict.refusal);
    if (verdict.isMade) askToDelete(ikeSa, [offer.inboundSpi], { now });
    return;
  }
  const { agreed } = verdict;
  const { inboundSpi } = offer;
  installChild(ikeSa, { agreed, inboundSpi, keying, isInitiator: true, carriesOutbound: true, now });
}

export type ChildVerdict =
  | { readonly kind: "accepted"; readonly agreed: AgreedChild }
  | {
      readonly kind: "refused";
      readonly refusal: ChildRefusal;
      /** Whether the responder has made a child SA all the same. */
      readonly isMade: boolean;
    };

/** What both sides agreed on for a child SA; the proposal carries the peer's SPI. */
export interface AgreedChild {
  readonly mode: ChildMode;
  readonly policy: ChildPolicy;
  readonly proposal: Proposal;
  readonly local: readonly TrafficSelector[];
  readonly remote: readonly TrafficSelector[];
}

/** Whether the responder's SA, TSi and TSr are what we can take. */
export function judgeChildAnswer(offer: ChildOffer, payloads: readonly Payload[]): ChildVerdict {
  const sa = find(payloads, "security-association");
  const local = find(payloads, "traffic-selectors-initiator");
  const remote = find(payloads, "traffic-selectors-responder");
  if (sa === undefined || local === undefined || remote === undefined) {
    return { kind: "refused", refusal: refusalByPeer(offer, findError(payloads)), isMade: false };
  }
  return judge(offer, { sa, local, remote, mode: modeOf(payloads) });
}

function refusalByPeer(offer: ChildOffer, error: PayloadOf<"notify"> | undefined): ChildRefusal {
  const { policy, proposals } = offer;
  const child = policy.name;
  if (error === undefined) {
    const notifyType = NotifyType.INVALID_SYNTAX;
    return { child, notifyType, message: "the peer's answer holds neither a child SA nor a reason" };
  }
  const { notifyType } = error;
  const reason = notifyName(notifyType);
  if (notifyType === NotifyType.NO_PROPOSAL_CHOSEN) {
    const offered = formatProposals(proposals);
    const hint = proposals.every(insistsOnAdditional) ? INSISTING : "";
    const message = `the peer accepts none of our ESP proposals (${reason}); offered ${offered.join(", ")}${hint}`;
    return { child, notifyType, message, offered };
  }
  if (notifyType === NotifyType.TS_UNACCEPTABLE) {
    const offered = formatPairs(policy.local, policy.remote);
    const message = `the peer accepts none of our traffic selectors (${reason}); offered ${offered.join(", ")}`;
    return { child, notifyType, message, offered };
  }
  return { child, notifyType, message: `the peer answered ${reason}` };
}

/** Whether the responder chose from what we offered (RFC 7296 sections 2.7 and 2.9). */
function judge(
  offer: ChildOffer,
  answer: {
    readonly sa: PayloadOf<"security-association">;
    readonly local: PayloadOf<"traffic-selectors-initiator">;
    readonly remote: PayloadOf<"traffic-selectors-responder">;
    readonly mode: ChildMode;
  },
): ChildVerdict {
  const { policy, narrowed: own = policy, proposals } = offer;
  const { sa, local, remote, mode } = answer;
  const child = policy.name;
  const chosen = checkChosen({ offered: proposals, answer: sa.proposals });
  if (chosen.kind === "refused") {
    const notifyType = NotifyType.NO_PROPOSAL_CHOSEN;
    const message = `the peer chose what we did not offer: ${chosen.reason}`;
    return refused({ child, notifyType, message, offered: formatProposals(proposals) });
  }
  const { proposal } = chosen;
  if (!isEspSpi(decodeSpi(proposal.spi))) {
    const message = "the peer's ESP SPI is reserved";
    return refused({ child, notifyType: NotifyType.INVALID_SYNTAX, message });
  }
  if (mode.isTransport && !mayBeTransport(policy, { ...policy, path: offer.path })) {
    const message = "the peer chose transport mode, which we did not ask for";
    return refused({ child, notifyType: NotifyType.INVALID_SYNTAX, message });
  }
  const isWithin = isSubset(local.selectors, policy.local) && isSubset(remote.selectors, policy.remote);
  const narrowed = narrowBoth({
    offered: { local: local.selectors, remote: remote.selectors },
    allowed: own,
  });
  if (isWithin && narrowed.local.length > 0 && narrowed.remote.length > 0) {
    return { kind: "accepted", agreed: { policy: own, proposal, mode, ...narrowed } };
  }
  const allowed = formatPairs(policy.local, policy.remote);
  const offered = formatPairs(local.selectors, remote.selectors);
  const message = `the peer's traffic selectors ${offered.join(", ")} are not within ours, ${allowed.join(", ")}`;
  return refused({ child, notifyType: NotifyType.TS_UNACCEPTABLE, message, offered, allowed });
}

function refused(refusal: ChildRefusal): ChildVerdict {
  return { kind: "refused", refusal, isMade: true };
}

// ---- Responder ----------------------------------------------------------------------------------------------

/** What the initiator asks for. */
export interface ChildRequest {
  readonly connection: ConnectionPolicy;
  readonly sa: PayloadOf<"security-association">;
  readonly tsi: PayloadOf<"traffic-selectors-initiator">;
  readonly tsr: PayloadOf<"traffic-selectors-responder">;
  readonly mode: ChildMode;
}

/** Installs a child SA that the initiator offers in IKE_AUTH and a policy allows: SAr2, TSi, TSr. Or one notification that says why not. */
export function acceptChild(
  ikeSa: IkeSa,
  request: ChildRequest & { readonly keying: ChildKeying; readonly now: number },
): readonly Payload[] {
  const { keying, now } = request;
  const choice = chooseChild(ikeSa, request, { ignoreKeyExchange: true });
  if ("notifyType" in choice) {
    reportChildRefusal(ikeSa, choice);
    return [notify(choice.notifyType)];
  }
  const accepted = answerChild(ikeSa, request, {
    agreed: choice,
    keying,
    isInitiator: false,
    carriesOutbound: true,
    now,
  });
  return accepted === undefined ? [notify(NotifyType.NO_ADDITIONAL_SAS)] : accepted.payloads;
}

/** Installs what was chosen and builds SAr, TSi, TSr. Undefined, and reported, when the data plane has no SPI left. */
export function answerChild(
  ikeSa: IkeSa,
  request: ChildRequest,
  facts: Omit<Parameters<typeof installChild>[1], "inboundSpi">,
): { readonly childSa: ChildSa; readonly payloads: readonly Payload[] } | undefined {
  const promised = promiseChild(ikeSa, request, facts.agreed);
  if (promised === undefined) return undefined;
  const { inboundSpi, payloads } = promised;
  return { childSa: installChild(ikeSa, { ...facts, inboundSpi }), payloads };
}

/** The same, without a child SA so far: takes the SPI for it. */
export function promiseChild(
  ikeSa: IkeSa,
  request: ChildRequest,
  agreed: AgreedChild,
): { readonly inboundSpi: number; readonly payloads: readonly Payload[] } | undefined {
  const inboundSpi = ikeSa.machine.allocateSpi();
  if (inboundSpi === undefined) {
    const notifyType = NotifyType.NO_ADDITIONAL_SAS;
    const message = "the data plane has no SPI left";
    reportChildRefusal(ikeSa, { child: agreed.policy.name, notifyType, message });
    return undefined;
  }
  const payloads = [
    { ...request.sa, proposals: [{ ...agreed.proposal, spi: encodeSpi(inboundSpi) }] },
    { ...request.tsi, selectors: agreed.remote },
    { ...request.tsr, selectors: agreed.local },
    ...(agreed.mode.isTransport ? TRANSPORT_NOTIFIES : []),
  ];
  return { inboundSpi, payloads };
}

/** Which policy, proposal and selectors a request comes to, or why none. */
export function chooseChild(
  ikeSa: IkeSa,
  request: ChildRequest,
  facts: {
    /** IKE_AUTH has no key exchange for the child. */
    readonly ignoreKeyExchange?: boolean;
    /** Group of the peer's KE payload. */
    readonly preferredGroup?: number | undefined;
    /** The child SA that is rekeyed: its policy stays (RFC 7296 section 2.8). */
    readonly replaces?: ChildSa | undefined;
  },
): AgreedChild | ChildRefusal {
  const { connection, sa, tsi, tsr } = request;
  const { ignoreKeyExchange = false, preferredGroup, replaces } = facts;
  if (isCrowded(ikeSa, replaces)) {
    const notifyType = NotifyType.NO_ADDITIONAL_SAS;
    return { child: "", notifyType, message: `this IKE SA has ${ikeSa.childSas.length} child SAs already` };
  }
  const policies = replaces === undefined ? connection.children : [replaces.policy];
  const matches = policies
    .map((policy) => ({
      policy,
      ...narrowBoth({ offered: { local: tsr.selectors, remote: tsi.selectors }, allowed: policy }),
    }))
    .filter(({ local, remote }) => local.length > 0 && remote.length > 0);
  if (matches.length === 0) {
    const offered = formatPairs(tsr.selectors, tsi.selectors);
    const allowed = policies.flatMap(({ local, remote }) => formatPairs(local, remote));
    const message = `no common traffic selectors: offered ${offered.join(", ")}; allowed ${allowed.join(", ")}`;
    const child = policies.map(({ name }) => name).join(", ");
    return { child, notifyType: NotifyType.TS_UNACCEPTABLE, message, offered, allowed };
  }

  // A child whose policy covers all that is offered comes before one that only overlaps with it, and of these the one that
  // takes the packet which may stand in front (RFC 7296 section 2.9).
  const covers = ({ policy }: (typeof matches)[number], count?: number): boolean =>
    isSubset(tsr.selectors.slice(0, count), policy.local) &&
    isSubset(tsi.selectors.slice(0, count), policy.remote);
  const rank = (match: (typeof matches)[number]): number => (covers(match) ? 0 : covers(match, 1) ? 1 : 2);
  const ordered = matches.toSorted((a, b) => rank(a) - rank(b));
  const esp = sa.proposals.filter(
    ({ protocolId, spi }) => protocolId === ProtocolId.ESP && isEspSpi(decodeSpi(spi)),
  );
  const selection = { offered: esp, preferredGroup, ignoreKeyExchange };
  // Tunnel mode goes without saying: what is not answered is declined.
  const modeFor = (match: (typeof matches)[number]): ChildMode => ({
    ...request.mode,
    isTransport: request.mode.isTransport && mayBeTransport(match.policy, { ...match, path: ikeSa.path }),
  });
  for (const match of ordered) {
    const allowed = proposalsFor(match.policy, connection, { hasKeyExchange: preferredGroup !== undefined });
    const verdict = selectProposal({ ...selection, allowed });
    if (verdict.kind === "chosen") return { ...match, proposal: verdict.proposal, mode: modeFor(match) };
  }
  const allProposals = ordered.flatMap(({ policy }) => policy.espProposals);
  const allowed = ignoreKeyExchange ? withoutKeyExchange(allProposals) : allProposals;
  const verdict = selectProposal({ ...selection, allowed });
  return {
    child: ordered.map(({ policy }) => policy.name).join(", "),
    notifyType: NotifyType.NO_PROPOSAL_CHOSEN,
    message: verdict.kind === "refused" ? verdict.reason : "no common ESP proposal",
    offered: formatProposals(sa.proposals),
    allowed: formatProposals(allowed),
  };
}

/**
 * What a peer may choose from. A policy that says nothing about groups leaves it to the peer whether there is a key exchange: Apple's and
 * Windows' profiles ask for one, and clients that were set up by hand for none. Then a group that is good enough for the IKE SA will do, and
 * further key exchanges as there, or none.
 */
function proposalsFor(
  { espProposals }: ChildPolicy,
  { ikeProposals }: ConnectionPolicy,
  { hasKeyExchange }: { readonly hasKeyExchange: boolean },
): readonly Proposal[] {
  if (!hasKeyExchange || offeredGroups(espProposals).length > 0) return espProposals;
  const groups = offeredGroups(ikeProposals).map((id) => ({ type: TransformType.KE, id }));
  const further = additionalTransforms(ikeProposals);
  return espProposals.flatMap((each) => [
    { ...each, transforms: [...each.transforms, ...groups, ...further] },
    each,
  ]);
}

/** Whether the IKE SA carries as many child SAs as it may. */
export function isCrowded(ikeSa: IkeSa, replaces: ChildSa | undefined): boolean {
  const { childSaCount } = ikeSa.machine.limits;
  // A rekeyed child SA stays beside its successor until the peer deletes it, which a bad one never does.
  return ikeSa.childSas.length >= (replaces === undefined ? childSaCount : 2 * childSaCount);
}

// ---- Both ---------------------------------------------------------------------------------------------------

/** Derives the keys and hands them to the data plane; nothing of them stays here. */
export function installChild(
  ikeSa: IkeSa,
  facts: Arrival & {
    readonly agreed: AgreedChild;
    readonly inboundSpi: number;
    readonly keying: ChildKeying;
    readonly now: number;
  },
): ChildSa {
  const { agreed, inboundSpi, keying, isInitiator, carriesOutbound, replaces, now } = facts;
  const { policy, proposal, local, remote } = agreed;
  const { ni, nr, secrets, keys } = keying;
  const outboundSpi = decodeSpi(proposal.spi);
  const childSa: ChildSa = {
    name: policy.name,
    policy,
    inboundSpi,
    outboundSpi,
    proposal,
    local,
    remote,
    isTransport: agreed.mode.isTransport,
    establishedAt: now,
    lowestNonce: lowestOf(ni, nr),
    owner: ikeSa,
    attempt: undefined,
    successor: undefined,
    isDeleting: false,
    failedRekeys: 0,
    timers: {},
  };
  const encryption = findTransform(proposal, TransformType.ENCR)!;
  const integrity = findTransform(proposal, TransformType.INTEG);
  const { encryptionKeyLength, integrityKeyLength } = keyLengths({ encryption, integrity });
  const { prfId } = suiteOf(keying.proposal);
  const derived = deriveChildKeys({
    prfId,
    skD: keys.skD,
    ni,
    nr,
    ...secrets,
    keyLength: encryptionKeyLength + integrityKeyLength,
  });
  const { initiatorToResponder, responderToInitiator } = derived;
  ikeSa.childSas.push(childSa);
  ikeSa.postponed.cancel(policy.name);
  ikeSa.machine.emit({
    kind: "install-child-sa",
    childSa: {
      connection: ikeSa.connection?.name ?? "",
      child: childSa.name,
      session: (ikeSa.session ?? ikeSa.predecessor?.session)?.number,
      inboundSpi,
      outboundSpi,
      encryption,
      integrity,
      esn: findTransform(proposal, TransformType.ESN)?.id === EsnTransform.ESN,
      inboundKey: isInitiator ? responderToInitiator : initiatorToResponder,
      outboundKey: isInitiator ? initiatorToResponder : responderToInitiator,
      local,
      remote,
      path: ikeSa.mobility.espPath,
      pathMtu: ikeSa.prober.limit,
      carriesOutbound,
      takesTfcPadding: agreed.mode.takesTfcPadding,
      isTransport: agreed.mode.isTransport,
    },
  });
  scheduleChild(childSa, now);
  ikeSa.machine.report(
    replaces === undefined
      ? childSaEstablished(ikeSa, childSa)
      : childSaRekeyed(ikeSa, { childSa, replaces }),
  );
  return childSa;
}

export function lowestOf(a: Uint8Array, b: Uint8Array): Uint8Array {
  return Buffer.compare(a, b) < 0 ? a : b;
}

export function reportChildRefusal(ikeSa: IkeSa, refusal: ChildRefusal): void {
  ikeSa.machine.report(childSaFailed(ikeSa, { ...refusal, reason: notifyName(refusal.notifyType) }));
}

function formatPairs(
  local: readonly TrafficSelector[],
  remote: readonly TrafficSelector[],
): readonly string[] {
  return [`${formatTrafficSelectors(local)} === ${formatTrafficSelectors(remote)}`];
}

/** RFC 4303 section 2.1: 0 to 255 are reserved. */
function isEspSpi(spi: number): boolean {
  return spi > 255;
}
