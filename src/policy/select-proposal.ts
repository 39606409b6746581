import { isAead } from "../crypto/suites.ts";
import { ProtocolId, TransformType } from "../iana/ikev2-parameters.ts";
import type { Proposal } from "../wire/payloads/proposal.ts";
import type { Transform } from "../wire/payloads/transform.ts";
import { formatProposal } from "./keywords.ts";
import {
  ADDITIONAL_KEY_EXCHANGES,
  isKeyExchange,
  isNone,
  sameTransform,
  transformsOf,
  withoutKeyExchange,
} from "./transforms.ts";

const { ENCR, PRF, INTEG, KE, ESN } = TransformType;

/** What came of comparing proposals. `reason` is a sentence that says what was offered and what was allowed. */
export type Selection =
  | { readonly kind: "chosen"; readonly proposal: Proposal }
  /** The reason is put into words when it is read: it costs more than the refusal. */
  | { readonly kind: "refused"; readonly reason: string };

/**
 * The responder's choice, RFC 7296 sections 2.7 and 3.3.6: one offered proposal with one transform of each type, its number
 * and SPI as offered. Our order decides: the first allowed proposal that fits any offered one, and in it our first transform
 * that the peer has too. Proposals with a type that we do not know, or without one that they need, are passed over; so are
 * transforms that we do not know. Of a very long offer the beginning counts.
 */
export function selectProposal(input: {
  readonly offered: readonly Proposal[];
  readonly allowed: readonly Proposal[];
  /** Group of the peer's KE payload: taken where it is allowed, even if we would rather have another, to spare a round trip. */
  readonly preferredGroup?: number | undefined;
  /** In IKE_AUTH: groups of ESP proposals are left aside on both sides (RFC 7296 section 1.2). */
  readonly ignoreKeyExchange?: boolean;
}): Selection {
  const { preferredGroup, ignoreKeyExchange = false } = input;
  const asCompared = (proposals: readonly Proposal[]): readonly Proposal[] =>
    ignoreKeyExchange ? proposals.map(withoutGroups) : proposals;
  const offered = asCompared(withinBounds(input.offered));
  const allowed = ignoreKeyExchange ? withoutKeyExchange(input.allowed) : input.allowed;
  for (const ours of allowed) {
    for (const theirs of offered) {
      const transforms = match(theirs, ours, preferredGroup);
      if (transforms !== undefined) return { kind: "chosen", proposal: { ...theirs, transforms } };
    }
  }
  return {
    kind: "refused",
    get reason() {
      return explain(asCompared(input.offered), allowed);
    },
  };
}

/**
 * The initiator's check of the answer, RFC 7296 section 2.7: a single proposal, one of those offered by its number, with
 * exactly one transform of each type and none that was not offered. The chosen proposal carries the peer's SPI.
 */
export function checkChosen(input: {
  readonly offered: readonly Proposal[];
  readonly answer: readonly Proposal[];
}): Selection {
  const { offered, answer } = input;
  const [chosen] = answer;
  if (chosen === undefined || answer.length !== 1) {
    return refused(`the answer holds ${answer.length} proposals instead of one`);
  }
  const asOffered = offered.find(({ number }) => number === chosen.number);
  const text = formatProposal(chosen);
  if (asOffered === undefined)
    return refused(`the answer ${text} is numbered ${chosen.number}, which was not offered`);
  if (asOffered.protocolId !== chosen.protocolId) {
    return refused(
      `the answer is for protocol ${chosen.protocolId}, proposal ${chosen.number} for ${asOffered.protocolId}`,
    );
  }
  if (chosen.protocolId === ProtocolId.ESP && chosen.spi.length !== 4) {
    return refused(`the answer has an SPI of ${chosen.spi.length} octets instead of 4`);
  }
  const twice = chosen.transforms.find(({ type }) => transformsOf(chosen, type).length > 1);
  if (twice !== undefined)
    return refused(`the answer ${text} holds more than one transform of type ${twice.type}`);
  const isOffered = (transform: Transform): boolean =>
    isNone(transform) || asOffered.transforms.some((offer) => sameTransform(offer, transform));
  if (!chosen.transforms.every(isOffered) || match(asOffered, chosen, undefined) === undefined) {
    return refused(`the answer ${text} is not part of the offer ${formatProposal(asOffered)}`);
  }
  const transforms = chosen.transforms.filter((transform) => !isNone(transform));
  return { kind: "chosen", proposal: { ...chosen, transforms } };
}

/** Whether what was chosen before the peer was known is allowed to it. */
export function isAllowed(chosen: Proposal, allowed: readonly Proposal[]): boolean {
  return selectProposal({ offered: [chosen], allowed }).kind === "chosen";
}

/** Those of these lists that allow it, as `isAllowed` has it. Many connections have the same list, which is looked at once. */
export function allowing<T>(
  chosen: Proposal,
  all: readonly T[],
  listOf: (each: T) => readonly Proposal[],
): readonly T[] {
  const verdicts = new Map<string, boolean>();
  return all.filter((each) => {
    const list = listOf(each);
    const text = textOf(list);
    const verdict = verdicts.get(text) ?? isAllowed(chosen, list);
    verdicts.set(text, verdict);
    return verdict;
  });
}

const texts = new WeakMap<readonly Proposal[], string>();

/** The same for lists with the same proposals. */
function textOf(list: readonly Proposal[]): string {
  const known = texts.get(list) ?? JSON.stringify(list);
  texts.set(list, known);
  return known;
}

/** Types that a proposal must have, and types that may be missing or NONE. Integrity depends on the cipher. */
const TYPES: ReadonlyMap<
  number,
  { readonly mandatory: readonly number[]; readonly optional: readonly number[] }
> = new Map([
  [ProtocolId.IKE, { mandatory: [PRF, KE], optional: ADDITIONAL_KEY_EXCHANGES }],
  [ProtocolId.ESP, { mandatory: [ESN], optional: [KE, ...ADDITIONAL_KEY_EXCHANGES] }],
]);

/** The transforms that both have, one of each type in the order ENCR, INTEG, then the rest; undefined when a type has none. */
function match(
  theirs: Proposal,
  ours: Proposal,
  preferredGroup: number | undefined,
): readonly Transform[] | undefined {
  const types = TYPES.get(ours.protocolId);
  if (types === undefined || theirs.protocolId !== ours.protocolId) return undefined;
  const { mandatory, optional } = types;
  const known = [ENCR, INTEG, ...mandatory, ...optional];
  // RFC 7296 section 3.3.6: a type that is not understood makes the proposal unacceptable.
  if (theirs.transforms.some(({ type }) => !known.includes(type))) return undefined;

  const rest: Transform[] = [];
  for (const type of [...mandatory, ...optional]) {
    const candidates =
      type === KE ? preferred(transformsOf(ours, KE), preferredGroup) : transformsOf(ours, type);
    // RFC 9370 section 2.2.4: a further key exchange comes behind a first one, which child SAs may do without.
    const isFurther = ADDITIONAL_KEY_EXCHANGES.includes(type);
    const isAlone = isFurther && !rest.some((taken) => taken.type === KE && !isNone(taken));
    // RFC 9370 section 2.2.2: no method twice.
    const fresh = candidates.filter(
      (one) => isNone(one) || !(isAlone || rest.some((taken) => isSameMethod(taken, one))),
    );
    if (fresh.length < candidates.length && fresh.length === 0) return undefined;
    const chosen = pick({ type, candidates: fresh, theirs, isOptional: optional.includes(type) });
    if (chosen === undefined) return undefined;
    rest.push(...chosen);
  }
  for (const encryption of transformsOf(ours, ENCR)) {
    if (!transformsOf(theirs, ENCR).some((offered) => sameTransform(offered, encryption))) continue;
    const aead = isAead(encryption);
    const candidates = transformsOf(ours, INTEG).filter((transform) => isNone(transform) === aead);
    const integrity = pick({ type: INTEG, candidates, theirs, isOptional: aead });
    if (integrity !== undefined) return [encryption, ...integrity, ...rest];
  }
  return undefined;
}

function isSameMethod(taken: Transform, one: Transform): boolean {
  return isKeyExchange(taken) && isKeyExchange(one) && taken.id === one.id;
}

function preferred(groups: readonly Transform[], first: number | undefined): readonly Transform[] {
  return [...groups.filter(({ id }) => id === first), ...groups.filter(({ id }) => id !== first)];
}

/** Our first candidate that is offered. Where a type may be missing, "missing" and NONE are the same choice; an empty array means that the answer leaves the type out. */
function pick(input: {
  readonly type: number;
  readonly candidates: readonly Transform[];
  readonly theirs: Proposal;
  readonly isOptional: boolean;
}): readonly Transform[] | undefined {
  const { type, candidates, theirs, isOptional } = input;
  const offered = transformsOf(theirs, type);
  const choices = isOptional && candidates.length === 0 ? [undefined] : candidates;
  for (const candidate of choices) {
    if (candidate === undefined || isNone(candidate)) {
      if (!isOptional) continue;
      const none = offered.find(isNone);
      // One transform of each type that was offered: an offered NONE is answered with NONE.
      if (none !== undefined) return [none];
      if (offered.length === 0) return [];
    } else if (offered.some((transform) => sameTransform(transform, candidate))) {
      return [candidate];
    }
  }
  return undefined;
}

function refused(reason: string): Selection {
  return { kind: "refused", reason };
}

/** Transforms of an offer that are looked at. Honest ones have a few dozen; each costs time for each proposal of ours, and strangers offer too. */
const TRANSFORM_LIMIT = 256;

/** The first proposals that hold so many together; what comes behind them is passed over. */
function withinBounds(offered: readonly Proposal[]): readonly Proposal[] {
  let total = 0;
  const end = offered.findIndex(({ transforms }) => {
    total += 1 + transforms.length;
    return total > TRANSFORM_LIMIT;
  });
  return end < 0 ? offered : offered.slice(0, end);
}

/** A peer that names groups in IKE_AUTH has no way to use them. NONE stays, to be answered. */
function withoutGroups(proposal: Proposal): Proposal {
  const transforms = proposal.transforms.filter(
    (transform) => !isKeyExchange(transform) || isNone(transform),
  );
  return { ...proposal, transforms };
}

const TYPE_NAMES: ReadonlyMap<number, string> = new Map<number, string>([
  [ENCR, "encryption"],
  [PRF, "PRF"],
  [INTEG, "integrity"],
  [KE, "key exchange"],
  [ESN, "sequence numbers"],
  ...ADDITIONAL_KEY_EXCHANGES.map((type, i) => [type, `further key exchange ${i + 1}`] as const),
]);

function explain(offered: readonly Proposal[], allowed: readonly Proposal[]): string {
  const lists = `offered ${listProposals(offered)}; allowed ${listProposals(allowed)}`;
  const causes = [...TYPE_NAMES].flatMap(([type, name]) => explainType({ type, name, offered, allowed }));
  return causes.length === 0 ? lists : `no common ${causes.join(", no common ")}: ${lists}`;
}

/** Whether a type alone is reason enough: both sides name some, and share none. */
function explainType(input: {
  readonly type: number;
  readonly name: string;
  readonly offered: readonly Proposal[];
  readonly allowed: readonly Proposal[];
}): readonly string[] {
  const { type, name } = input;
  const theirs = input.offered.flatMap((proposal) => transformsOf(proposal, type));
  const ours = input.allowed.flatMap((proposal) => transformsOf(proposal, type));
  const isCause =
    theirs.length > 0 &&
    ours.length > 0 &&
    !ours.some((own) => theirs.some((other) => sameTransform(own, other)));
  return isCause ? [name] : [];
}

/** A peer may offer hundreds; a sentence ends. */
const LISTED_PROPOSALS = 8;
const LISTED_LENGTH = 200;

function listProposals(proposals: readonly Proposal[]): string {
  if (proposals.length === 0) return "nothing";
  const listed = proposals.slice(0, LISTED_PROPOSALS).map((proposal) => {
    // Enough transforms to fill the line; a peer may send thousands.
    const text = formatProposal({ ...proposal, transforms: proposal.transforms.slice(0, 64) });
    return text.length > LISTED_LENGTH ? `${text.slice(0, LISTED_LENGTH)}...` : text;
  });
  const more = proposals.length - listed.length;
  return `${listed.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}
