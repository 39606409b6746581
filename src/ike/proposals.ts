import { TransformType } from "../iana/ikev2-parameters.ts";
import { findTransform } from "../policy/transforms.ts";
import type { Proposal } from "../wire/payloads/proposal.ts";
import type { Transform } from "../wire/payloads/transform.ts";

/** What keys of an IKE SA are made from. Throws TypeError for a proposal without encryption or PRF, which selection never yields. */
export function suiteOf(proposal: Proposal): {
  readonly encryption: Transform;
  readonly integrity: Transform | undefined;
  readonly prfId: number;
} {
  const encryption = findTransform(proposal, TransformType.ENCR);
  const prf = findTransform(proposal, TransformType.PRF);
  if (encryption === undefined || prf === undefined)
    throw new TypeError("a proposal without encryption or PRF");
  return { encryption, integrity: findTransform(proposal, TransformType.INTEG), prfId: prf.id };
}
