import fc from "fast-check";
import { expect, test } from "vitest";
import { WireError } from "../../src/errors/index.ts";
import { readCertificate } from "../../src/pki/certificate.ts";
import { systemTrustAnchors, TrustAnchors } from "../../src/pki/trust-anchors.ts";
import { verifyChain } from "../../src/pki/verify-chain.ts";
import { makeAuthority, makeLeaf, NOW } from "../support/certificates.ts";

const root = makeAuthority({ name: "O=Example, CN=Root" });
const leaf = makeLeaf({ name: "CN=gateway", by: root }, ["vpn.example.org", "192.0.2.1", "anna@example.org"]);
const seeds = [
  root.der,
  leaf.der,
  ...systemTrustAnchors()
    .all.slice(0, 20)
    .map(({ der }) => der),
];

/** A certificate with octets changed, taken out, doubled or put in. */
const mangled = fc
  .tuple(
    fc.constantFrom(...seeds),
    fc.array(fc.tuple(fc.nat(4000), fc.nat(255), fc.nat(3)), { minLength: 1, maxLength: 6 }),
  )
  .map(([seed, changes]) => {
    const octets = Array.from(seed);
    for (const [place, value, how] of changes) {
      const at = place % octets.length;
      if (how === 0) octets[at] = value;
      else if (how === 1) octets.splice(at, 1 + (value & 7));
      else if (how === 2) octets.splice(at, 0, value);
      else octets.splice(at, 0, ...octets.slice(at, at + (value & 31)));
    }
    return Uint8Array.from(octets);
  });

const runs = { seed: 5280, numRuns: Number(process.env.IKEBANA_FUZZ_RUNS ?? 3000) };

test("any octets are a certificate or end in a WireError", () => {
  fc.assert(
    fc.property(fc.oneof(mangled, fc.uint8Array({ maxLength: 200 })), (octets) => {
      try {
        readCertificate(octets);
      } catch (error) {
        expect(error).toBeInstanceOf(WireError);
      }
    }),
    runs,
  );
});

test("any octets that a peer sends as certificates end in a verdict, and none but the good one in trust", () => {
  const anchors = new TrustAnchors([root.certificate]);
  fc.assert(
    fc.property(fc.array(mangled, { minLength: 1, maxLength: 4 }), (certificates) => {
      const verdict = verifyChain({
        certificates,
        trust: { anchors, purpose: "server" },
        identity: undefined,
        nowMs: NOW,
      });
      const isOriginal = [root, leaf].some(({ der }) => Buffer.from(der).equals(certificates[0]!));
      if (!isOriginal) expect(verdict.kind).toBe("refused");
    }),
    { ...runs, numRuns: Math.ceil(runs.numRuns / 3) },
  );
});
