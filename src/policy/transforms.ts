import { IntegrityTransform, KeyExchangeMethod, TransformType } from "../iana/ikev2-parameters.ts";
import type { Proposal } from "../wire/payloads/proposal.ts";
import type { Transform } from "../wire/payloads/transform.ts";

/** The first transform of a type: of a chosen proposal, the one that was chosen. */
export function findTransform(proposal: Proposal, type: number): Transform | undefined {
  return proposal.transforms.find((transform) => transform.type === type);
}

export function transformsOf(proposal: Proposal, type: number): readonly Transform[] {
  return proposal.transforms.filter((transform) => transform.type === type);
}

/** Same type, id and key length, and nothing unknown about either. */
export function sameTransform(a: Transform, b: Transform): boolean {
  return (
    a.type === b.type &&
    a.id === b.id &&
    a.keyLength === b.keyLength &&
    a.hasUnknownAttribute !== true &&
    b.hasUnknownAttribute !== true
  );
}

/** NONE of integrity or key exchange, which says the same as no transform of that type (RFC 7296 section 3.3.2). */
export function isNone({ type, id }: Transform): boolean {
  return (
    (type === TransformType.INTEG && id === IntegrityTransform.NONE) ||
    (isKeyExchange({ type, id }) && id === KeyExchangeMethod.NONE)
  );
}

/** Transform types of further key exchanges, in the order in which these take place (RFC 9370 section 2.2.1). */
export const ADDITIONAL_KEY_EXCHANGES: readonly number[] = [
  TransformType.ADDKE1,
  TransformType.ADDKE2,
  TransformType.ADDKE3,
  TransformType.ADDKE4,
  TransformType.ADDKE5,
  TransformType.ADDKE6,
  TransformType.ADDKE7,
];

/** Methods of the further key exchanges of a chosen proposal, in their order. */
export function additionalMethods(proposal: Proposal): readonly number[] {
  return ADDITIONAL_KEY_EXCHANGES.flatMap((type) => {
    const transform = findTransform(proposal, type);
    return transform === undefined || isNone(transform) ? [] : [transform.id];
  });
}

/** Every further key exchange that proposals name, most wanted first, and doing without each of them. */
export function additionalTransforms(proposals: readonly Proposal[]): readonly Transform[] {
  return ADDITIONAL_KEY_EXCHANGES.flatMap((type) => {
    const named = proposals.flatMap((proposal) => transformsOf(proposal, type)).filter((one) => !isNone(one));
    const distinct = named.filter((one, i) => named.findIndex((other) => sameTransform(one, other)) === i);
    return distinct.length === 0 ? [] : [...distinct, { type, id: KeyExchangeMethod.NONE }];
  });
}

/** Whether a proposal asks for further key exchanges, or could. */
export function hasAdditional({ transforms }: Proposal): boolean {
  return transforms.some(({ type }) => ADDITIONAL_KEY_EXCHANGES.includes(type));
}

/** Whether there is no way to take a proposal without further key exchanges. */
export function insistsOnAdditional(proposal: Proposal): boolean {
  return ADDITIONAL_KEY_EXCHANGES.some((type) => {
    const transforms = transformsOf(proposal, type);
    return transforms.length > 0 && !transforms.some(isNone);
  });
}

/**
 * Proposals as an initiator writes them: one that may go without further key exchanges stands once more without them, for a peer that does
 * not know such types, and passes over what has them (RFC 7296 section 3.3.6).
 */
export function withPlain(proposals: readonly Proposal[]): readonly Proposal[] {
  return proposals.flatMap((proposal) => {
    if (!hasAdditional(proposal) || insistsOnAdditional(proposal)) return [proposal];
    const transforms = proposal.transforms.filter(({ type }) => !ADDITIONAL_KEY_EXCHANGES.includes(type));
    return [proposal, { ...proposal, transforms }];
  });
}

/** Whether a type stands for a key exchange, the first or a further one. */
export function isKeyExchange({ type }: Transform): boolean {
  return type === TransformType.KE || ADDITIONAL_KEY_EXCHANGES.includes(type);
}

/** Numbers proposals 1, 2, ... for an SA payload, each with the SPI: none in IKE_SA_INIT, 4 octets for ESP, 8 when an IKE SA is rekeyed. */
export function numberProposals(
  proposals: readonly Proposal[],
  spi: Uint8Array = new Uint8Array(0),
): Proposal[] {
  return proposals.map((proposal, i) => ({ ...proposal, number: i + 1, spi }));
}

/** ESP proposals as they are offered in IKE_AUTH, which has no key exchange of its own (RFC 7296 section 1.2). */
export function withoutKeyExchange(proposals: readonly Proposal[]): Proposal[] {
  return proposals.map((proposal) => ({
    ...proposal,
    transforms: proposal.transforms.filter((transform) => !isKeyExchange(transform)),
  }));
}

/** Every group that proposals offer, most wanted first, NONE left out. An initiator sends KE for the first and accepts INVALID_KE_PAYLOAD for the others. */
export function offeredGroups(proposals: readonly Proposal[]): readonly number[] {
  const groups = proposals.flatMap((proposal) => transformsOf(proposal, TransformType.KE));
  return [...new Set(groups.filter((group) => !isNone(group)).map(({ id }) => id))];
}
