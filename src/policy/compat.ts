import { KeyExchangeMethod, TransformType } from "../iana/ikev2-parameters.ts";
import type { Proposal } from "../wire/payloads/proposal.ts";
import type { ConnectionPolicy } from "./connection.ts";
import { parseEspProposal, parseIkeProposal } from "./keywords.ts";
import { findTransform, numberProposals } from "./transforms.ts";

// `compat: windows-default`: what Windows 10 and 11 offer unless somebody has told them better. No configuration can name the group.

/**
 * AES-CBC with HMAC, each with the group of 1024 bits alone: RFC 8247 section 2.4 says SHOULD NOT. Windows has a proposal for each hash, SHA-1 first;
 * so have we, in the other order, which is the one that counts.
 */
const WINDOWS_IKE: readonly Proposal[] = ["sha384", "sha256", "sha1"].map((hash) =>
  withGroup2(parseIkeProposal(`aes256-aes128-${hash}-modp2048`)),
);

/** HMAC-SHA1-96 is all that Windows has beside AES-CBC. */
const WINDOWS_ESP: readonly Proposal[] = [parseEspProposal("aes256-aes128-sha1")];

/** The connection with what its `compat` allows behind everything else. */
export function withCompat(policy: ConnectionPolicy): ConnectionPolicy {
  if (policy.compat?.includes("windows-default") !== true) return policy;
  return {
    ...policy,
    ikeProposals: numberProposals([...policy.ikeProposals, ...WINDOWS_IKE]),
    children: policy.children.map((child) => ({
      ...child,
      espProposals: numberProposals([...child.espProposals, ...WINDOWS_ESP]),
    })),
  };
}

/** Whether a peer offers the group of 1024 bits and nothing better, as Windows does. */
export function offersGroup2Alone(proposals: readonly Proposal[]): boolean {
  const groups = proposals.flatMap(({ transforms }) =>
    transforms.filter(({ type }) => type === TransformType.KE),
  );
  return groups.length > 0 && groups.every(({ id }) => id === KeyExchangeMethod.MODP_1024);
}

function withGroup2(proposal: Proposal): Proposal {
  const group = findTransform(proposal, TransformType.KE);
  const transforms = proposal.transforms.map((transform) =>
    transform === group ? { ...transform, id: KeyExchangeMethod.MODP_1024 } : transform,
  );
  return { ...proposal, transforms };
}
