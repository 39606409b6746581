import { createHash, X509Certificate } from "node:crypto";
import { rootCertificates } from "node:tls";
import { expect, test } from "vitest";
import { toHex } from "../../src/bytes/hex.ts";
import { faultOfCertificate } from "../../src/pki/certificate-checks.ts";
import { systemTrustAnchors, TrustAnchors } from "../../src/pki/trust-anchors.ts";
import { makeAuthority, makeLeaf, NOW } from "../support/certificates.ts";

test("each root that comes with Node is read", () => {
  const { all } = systemTrustAnchors();
  expect(all).toHaveLength(rootCertificates.length);
  expect(all.length).toBeGreaterThan(50);
  for (const [i, root] of all.entries()) {
    const theirs = new X509Certificate(rootCertificates[i]!);
    expect(theirs.publicKey.equals(root.publicKey)).toBe(true);
    expect(Date.parse(theirs.validTo)).toBe(root.notAfterMs - 999);
    expect(root.extensions.unknownCritical).toEqual([]);
    expect(faultOfCertificate(root, root.notBeforeMs)).toBeUndefined();
  }
});

test("a CA is found by the name of the issuer, and named in a CERTREQ by SHA-1 of its key", () => {
  const one = makeAuthority({ name: "CN=One" });
  const two = makeAuthority({ name: "CN=Two" });
  const anchors = new TrustAnchors([one.certificate, two.certificate]);
  const leaf = makeLeaf({ name: "CN=leaf", by: two }, ["leaf.example.org"]);
  expect(anchors.issuersOf(leaf.certificate)).toEqual([two.certificate]);
  expect(anchors.has(one.certificate)).toBe(true);
  expect(anchors.has(leaf.certificate)).toBe(false);
  const spki = new X509Certificate(one.der).publicKey.export({ format: "der", type: "spki" });
  expect(toHex(anchors.hashes[0]!)).toBe(createHash("sha1").update(spki).digest("hex"));
  expect(faultOfCertificate(one.certificate, NOW)).toBeUndefined();
});
