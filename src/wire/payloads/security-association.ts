import type { Reader } from "../../bytes/reader.ts";
import type { Writer } from "../../bytes/writer.ts";
import { decodeProposal, encodeProposal, type Proposal } from "./proposal.ts";

/**
 * Security Association payload, RFC 7296 section 3.3.
 *
 *   Proposals
 */
export interface SecurityAssociation {
  /** At least one, in order of preference. */
  readonly proposals: readonly Proposal[];
}

/** Proposals are numbered from 1 in one octet (RFC 7296 section 3.3.1), so there can be no more. */
const MAXIMUM_PROPOSAL_COUNT = 255;

export function decodeSecurityAssociation(body: Reader): SecurityAssociation {
  const proposals: Proposal[] = [];
  do {
    if (proposals.length === MAXIMUM_PROPOSAL_COUNT) {
      body.fail("Proposals", `are more than ${MAXIMUM_PROPOSAL_COUNT}`);
    }
    proposals.push(decodeProposal(body));
  } while (body.remaining > 0);
  return { proposals };
}

export function encodeSecurityAssociation(value: SecurityAssociation, writer: Writer): void {
  const count = value.proposals.length;
  if (count < 1 || count > MAXIMUM_PROPOSAL_COUNT)
    throw new RangeError(`${count} proposals in one SA payload`);
  for (const [i, proposal] of value.proposals.entries()) encodeProposal(proposal, i === count - 1, writer);
}
