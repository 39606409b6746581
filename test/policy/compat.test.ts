import { expect, test } from "vitest";
import { offersGroup2Alone, withCompat } from "../../src/policy/compat.ts";
import { formatProposal } from "../../src/policy/keywords.ts";
import { selectProposal } from "../../src/policy/select-proposal.ts";
import { responderPolicy } from "../support/simulator/policies.ts";

const STRICT = responderPolicy({ ike: ["aes256gcm16-prfsha256-x25519"], esp: ["aes256gcm16"] });
const COMPAT = { ...STRICT, compat: ["windows-default"] } as const;

test("nothing changes for a connection that does not say so", () => {
  expect(withCompat(STRICT)).toBe(STRICT);
});

test("what Windows offers by default stands behind everything else", () => {
  const { ikeProposals, children } = withCompat(COMPAT);
  expect(ikeProposals.map(formatProposal)).toEqual([
    "aes256gcm16-prfsha256-x25519",
    "aes256-aes128-sha384-modp1024",
    "aes256-aes128-sha256-modp1024",
    "aes256-aes128-sha1-modp1024",
  ]);
  expect(children[0]!.espProposals.map(formatProposal)).toEqual(["aes256gcm16", "aes256-aes128-sha1"]);
  expect(ikeProposals.map(({ number }) => number)).toEqual([1, 2, 3, 4]);
});

test("a peer that offers MODP-1024 alone is told from one that has better", () => {
  const [strong, weak] = withCompat(COMPAT).ikeProposals;
  expect(offersGroup2Alone([weak!])).toBe(true);
  expect(offersGroup2Alone([weak!, strong!])).toBe(false);
  expect(offersGroup2Alone([])).toBe(false);
  const verdict = selectProposal({ offered: [weak!, strong!], allowed: withCompat(COMPAT).ikeProposals });
  expect(verdict.kind === "chosen" && formatProposal(verdict.proposal)).toBe("aes256gcm16-prfsha256-x25519");
});
