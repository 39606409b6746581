import { deriveChildKeys } from "../crypto/keymat.ts";
import { keyLengths } from "../crypto/suites.ts";
import { EsnTransform, NotifyType, ProtocolId, TransformType } from "../iana/ikev2-parameters.ts";
import type { ChildPolicy, ConnectionPolicy } from "../policy/connection.ts";
import { isSubset, narrow } from "../policy/narrow.ts";
import { checkChosen, selectProposal } from "../policy/select-proposal.ts";
import { formatTrafficSelectors } from "../policy/traffic-selectors.ts";
import { findTransform, numberProposals, withoutKeyExchange } from "../policy/transforms.ts";
import type { Payload, PayloadOf } from "../wire/payloads/payload.ts";
import type { Proposal } from "../wire/payloads/proposal.ts";
import type { TrafficSelector } from "../wire/payloads/traffic-selector.ts";
import { childSaEstablished, childSaFailed, formatProposals } from "./events.ts";
import type { IkeSa } from "./ike-sa.ts";
import type { Keyed } from "./ike-sa-state.ts";
import { decodeSpi, encodeSpi, find, findError, notify, notifyName } from "./payloads.ts";
import { suiteOf } from "./proposals.ts";

/** A child SA that is up: what was agreed on. Its keys are in the data plane only. */
export interface ChildSa {
  /** Name of its ChildPolicy. */
  readonly name: string;
  readonly inboundSpi: number;
  readonly outboundSpi: number;
  readonly proposal: Proposal;
  /** Seen from us. */
  readonly local: readonly TrafficSelector[];
  readonly remote: readonly TrafficSelector[];
  readonly establishedAt: number;
}

/** A child SA that we have offered and that is not answered yet. */
export interface ChildOffer {
  readonly policy: ChildPolicy;
  readonly inboundSpi: number;
  readonly proposals: readonly Proposal[];
}

/** The secrets and nonces that a child SA is keyed from (RFC 7296 section 2.17). */
export interface ChildKeying extends Pick<Keyed, "proposal" | "keys"> {
  readonly ni: Uint8Array;
  readonly nr: Uint8Array;
}

/** Why there is no child SA: what the peer is told and what the user is told. */
interface ChildRefusal {
  readonly child: string;
  readonly notifyType: number;
  readonly message: string;
  readonly offered?: readonly string[];
  readonly allowed?: readonly string[];
}

// ---- Initiator ----------------------------------------------------------------------------------------------

/** Takes an inbound SPI for the child and puts it into its proposals. Undefined when the data plane has no SPI left. */
export function offerChild(ikeSa: IkeSa, policy: ChildPolicy): ChildOffer | undefined {
  const inboundSpi = ikeSa.machine.allocateSpi();
  if (inboundSpi === undefined) return undefined;
  const proposals = numberProposals(withoutKeyExchange(policy.espProposals), encodeSpi(inboundSpi));
  return { policy, inboundSpi, proposals };
}

/** SAi2, TSi, TSr. Tunnel mode goes without saying; so does that we take TFC padding. */
export function buildChildOffer({ policy, proposals }: ChildOffer): readonly Payload[] {
  return [
    { kind: "security-association", critical: false, proposals },
    { kind: "traffic-selectors-initiator", critical: false, selectors: policy.local },
    { kind: "traffic-selectors-responder", critical: false, selectors: policy.remote },
  ];
}

/** Installs what the responder chose, or says why not. A child SA that is not what we offered is deleted at the responder too. */
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
  const { policy, inboundSpi } = offer;
  const sa = find(payloads, "security-association");
  const local = find(payloads, "traffic-selectors-initiator");
  const remote = find(payloads, "traffic-selectors-responder");
  if (sa === undefined || local === undefined || remote === undefined) {
    ikeSa.machine.emit({ kind: "release-spi", inboundSpi });
    report(ikeSa, refusalByPeer(offer, findError(payloads)));
    return;
  }

  const verdict = judge(offer, { sa, local, remote });
  if (verdict.kind === "refused") {
    ikeSa.machine.emit({ kind: "release-spi", inboundSpi });
    report(ikeSa, verdict.refusal);
    ikeSa.askToDelete([inboundSpi], now);
    return;
  }
  const outboundSpi = decodeSpi(verdict.proposal.spi);
  const { kind: _, ...agreed } = verdict;
  install(ikeSa, {
    childSa: { name: policy.name, inboundSpi, outboundSpi, ...agreed, establishedAt: now },
    keying,
    isInitiator: true,
  });
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
    const message = `the peer accepts none of our ESP proposals (${reason}); offered ${offered.join(", ")}`;
    return { child, notifyType, message, offered };
  }
  if (notifyType === NotifyType.TS_UNACCEPTABLE) {
    const offered = formatPairs(policy.local, policy.remote);
    const message = `the peer accepts none of our traffic selectors (${reason}); offered ${offered.join(", ")}`;
    return { child, notifyType, message, offered };
  }
  return { child, notifyType, message: `the peer answered ${reason}` };
}

type Verdict =
  | ({ readonly kind: "accepted" } & Pick<ChildSa, "proposal" | "local" | "remote">)
  | { readonly kind: "refused"; readonly refusal: ChildRefusal };

/** Whether the responder chose from what we offered (RFC 7296 sections 2.7 and 2.9). */
function judge(
  offer: ChildOffer,
  answer: {
    readonly sa: PayloadOf<"security-association">;
    readonly local: PayloadOf<"traffic-selectors-initiator">;
    readonly remote: PayloadOf<"traffic-selectors-responder">;
  },
): Verdict {
  const { policy, proposals } = offer;
  const { sa, local, remote } = answer;
  const child = policy.name;
  const chosen = checkChosen({ offered: proposals, answer: sa.proposals });
  if (chosen.kind === "refused") {
    const notifyType = NotifyType.NO_PROPOSAL_CHOSEN;
    const message = `the peer chose what we did not offer: ${chosen.reason}`;
    return { kind: "refused", refusal: { child, notifyType, message, offered: formatProposals(proposals) } };
  }
  const { proposal } = chosen;
  if (!isEspSpi(decodeSpi(proposal.spi))) {
    const message = "the peer's ESP SPI is reserved";
    return { kind: "refused", refusal: { child, notifyType: NotifyType.INVALID_SYNTAX, message } };
  }
  const isWithin = isSubset(local.selectors, policy.local) && isSubset(remote.selectors, policy.remote);
  const narrowed = {
    local: narrow({ offered: local.selectors, allowed: policy.local }),
    remote: narrow({ offered: remote.selectors, allowed: policy.remote }),
  };
  if (isWithin && narrowed.local.length > 0 && narrowed.remote.length > 0) {
    return { kind: "accepted", proposal, ...narrowed };
  }
  const allowed = formatPairs(policy.local, policy.remote);
  const offered = formatPairs(local.selectors, remote.selectors);
  const message = `the peer's traffic selectors ${offered.join(", ")} are not within ours, ${allowed.join(", ")}`;
  const notifyType = NotifyType.TS_UNACCEPTABLE;
  return { kind: "refused", refusal: { child, notifyType, message, offered, allowed } };
}

// ---- Responder ----------------------------------------------------------------------------------------------

/** Installs a child SA that the initiator offers and a policy allows: SAr2, TSi, TSr. Or one notification that says why not. */
export function acceptChild(
  ikeSa: IkeSa,
  request: {
    readonly connection: ConnectionPolicy;
    readonly sa: PayloadOf<"security-association">;
    readonly tsi: PayloadOf<"traffic-selectors-initiator">;
    readonly tsr: PayloadOf<"traffic-selectors-responder">;
    readonly keying: ChildKeying;
    readonly now: number;
  },
): readonly Payload[] {
  const { sa, keying, now } = request;
  const choice = choose(ikeSa, request);
  if ("notifyType" in choice) {
    report(ikeSa, choice);
    return [notify(choice.notifyType)];
  }
  const inboundSpi = ikeSa.machine.allocateSpi();
  if (inboundSpi === undefined) {
    const notifyType = NotifyType.NO_ADDITIONAL_SAS;
    report(ikeSa, { child: choice.policy.name, notifyType, message: "the data plane has no SPI left" });
    return [notify(notifyType)];
  }
  const { policy, proposal, local, remote } = choice;
  const outboundSpi = decodeSpi(proposal.spi);
  install(ikeSa, {
    childSa: { name: policy.name, inboundSpi, outboundSpi, proposal, local, remote, establishedAt: now },
    keying,
    isInitiator: false,
  });
  return [
    { ...sa, proposals: [{ ...proposal, spi: encodeSpi(inboundSpi) }] },
    { ...request.tsi, selectors: remote },
    { ...request.tsr, selectors: local },
  ];
}

interface ChildChoice {
  readonly policy: ChildPolicy;
  readonly proposal: Proposal;
  readonly local: readonly TrafficSelector[];
  readonly remote: readonly TrafficSelector[];
}

function choose(ikeSa: IkeSa, request: Parameters<typeof acceptChild>[1]): ChildChoice | ChildRefusal {
  const { connection, sa, tsi, tsr } = request;
  if (ikeSa.childSas.length >= ikeSa.machine.limits.childSaCount) {
    const notifyType = NotifyType.NO_ADDITIONAL_SAS;
    return { child: "", notifyType, message: `this IKE SA has ${ikeSa.childSas.length} child SAs already` };
  }
  const matches = connection.children
    .map((policy) => ({
      policy,
      local: narrow({ offered: tsr.selectors, allowed: policy.local }),
      remote: narrow({ offered: tsi.selectors, allowed: policy.remote }),
    }))
    .filter(({ local, remote }) => local.length > 0 && remote.length > 0);
  if (matches.length === 0) {
    const offered = formatPairs(tsr.selectors, tsi.selectors);
    const allowed = connection.children.flatMap(({ local, remote }) => formatPairs(local, remote));
    const message = `no common traffic selectors: offered ${offered.join(", ")}; allowed ${allowed.join(", ")}`;
    const child = connection.children.map(({ name }) => name).join(", ");
    return { child, notifyType: NotifyType.TS_UNACCEPTABLE, message, offered, allowed };
  }

  // A child whose policy covers all that is offered comes before one that only overlaps with it.
  const covers = ({ policy }: (typeof matches)[number]): boolean =>
    isSubset(tsr.selectors, policy.local) && isSubset(tsi.selectors, policy.remote);
  const ordered = [...matches.filter(covers), ...matches.filter((match) => !covers(match))];
  const esp = sa.proposals.filter(
    ({ protocolId, spi }) => protocolId === ProtocolId.ESP && isEspSpi(decodeSpi(spi)),
  );
  for (const match of ordered) {
    const allowed = match.policy.espProposals;
    const verdict = selectProposal({ offered: esp, allowed, ignoreKeyExchange: true });
    if (verdict.kind === "chosen") return { ...match, proposal: verdict.proposal };
  }
  const allowed = withoutKeyExchange(ordered.flatMap(({ policy }) => policy.espProposals));
  const verdict = selectProposal({ offered: esp, allowed, ignoreKeyExchange: true });
  return {
    child: ordered.map(({ policy }) => policy.name).join(", "),
    notifyType: NotifyType.NO_PROPOSAL_CHOSEN,
    message: verdict.kind === "refused" ? verdict.reason : "no common ESP proposal",
    offered: formatProposals(sa.proposals),
    allowed: formatProposals(allowed),
  };
}

// ---- Both ---------------------------------------------------------------------------------------------------

/** Derives the keys and hands them to the data plane; nothing of them stays here. */
function install(
  ikeSa: IkeSa,
  facts: {
    readonly childSa: ChildSa;
    readonly keying: ChildKeying;
    /** Whether we began the exchange that makes this child SA. */
    readonly isInitiator: boolean;
  },
): void {
  const { childSa, keying, isInitiator } = facts;
  const { ni, nr, keys } = keying;
  const encryption = findTransform(childSa.proposal, TransformType.ENCR)!;
  const { encryptionKeyLength } = keyLengths({ encryption });
  const { prfId } = suiteOf(keying.proposal);
  const { skD } = keys;
  const derived = deriveChildKeys({ prfId, skD, ni, nr, keyLength: encryptionKeyLength });
  const { initiatorToResponder, responderToInitiator } = derived;
  ikeSa.childSas.push(childSa);
  ikeSa.machine.emit({
    kind: "install-child-sa",
    childSa: {
      connection: ikeSa.connection?.name ?? "",
      child: childSa.name,
      inboundSpi: childSa.inboundSpi,
      outboundSpi: childSa.outboundSpi,
      encryption,
      esn: findTransform(childSa.proposal, TransformType.ESN)?.id === EsnTransform.ESN,
      inboundKey: isInitiator ? responderToInitiator : initiatorToResponder,
      outboundKey: isInitiator ? initiatorToResponder : responderToInitiator,
      local: childSa.local,
      remote: childSa.remote,
      path: ikeSa.path,
    },
  });
  ikeSa.machine.report(childSaEstablished(ikeSa, childSa));
}

function report(ikeSa: IkeSa, refusal: ChildRefusal): void {
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
