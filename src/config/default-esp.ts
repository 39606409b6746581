import { hasAesInstructions } from "../platform/native-ciphers/processor.ts";
import { DEFAULT_ESP_PROPOSALS, DEFAULT_ESP_PROPOSALS_WITHOUT_AES } from "../policy/default-proposals.ts";
import type { Proposal } from "../wire/payloads/proposal.ts";

/** What ESP offers and accepts on this machine when nothing is configured: the fastest cipher first. */
export function defaultEspProposals(): readonly Proposal[] {
  return hasAesInstructions() ? DEFAULT_ESP_PROPOSALS : DEFAULT_ESP_PROPOSALS_WITHOUT_AES;
}
