import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { IdType } from "../../src/iana/ikev2-parameters.ts";
import {
  authorityKeyIdentifier,
  basicConstraints,
  extendedKeyUsage,
  extension,
  keyUsage,
  subjectAltNames,
  subjectKeyIdentifier,
} from "../../src/pki/certificate-writer.ts";
import { element, explicit, sequence, small } from "../../src/pki/der-writer.ts";
import { KeyUsage } from "../../src/pki/extensions.ts";
import { Oid } from "../../src/pki/object-identifiers.ts";
import { writePem } from "../../src/pki/pem.ts";
import { TrustAnchors } from "../../src/pki/trust-anchors.ts";
import { verifyChain } from "../../src/pki/verify-chain.ts";
import { freshKeys, makeAuthority, makeLeaf, NOW, type TestCertificate } from "../support/certificates.ts";

// Chains with a fault or two somewhere, judged by us and by `openssl verify`. We may be stricter, and say where; never laxer.

const OPENSSL = "openssl";
const directory = mkdtempSync(join(tmpdir(), "ikebana-"));
afterAll(() => rmSync(directory, { recursive: true }));

const usually = <T>(value: T, ...faults: readonly T[]): fc.Arbitrary<T> =>
  fc.oneof(
    { weight: 9, arbitrary: fc.constant(value) },
    { weight: 2, arbitrary: fc.constantFrom(...faults) },
  );

const dates = usually(
  { notBefore: "2026-01-01T00:00:00Z", notAfter: "2027-01-01T00:00:00Z" },
  { notBefore: "2026-01-01T00:00:00Z", notAfter: "2026-05-01T00:00:00Z" },
  { notBefore: "2026-07-01T00:00:00Z", notAfter: "2027-01-01T00:00:00Z" },
);

const authority = fc.record({
  dates,
  isAuthority: usually(true, false),
  pathLength: usually<number | undefined>(undefined, 0, 1),
  usage: usually<readonly number[] | undefined>([KeyUsage.keyCertSign], undefined, [
    KeyUsage.digitalSignature,
  ]),
  purposes: usually<readonly string[] | undefined>(undefined, [Oid.serverAuth], [Oid.clientAuth]),
  permitted: usually<string | undefined>(undefined, "example.org", "example.net"),
  isUnknownCritical: usually(false, true),
  isForged: usually(false, true),
});

const gateway = fc.record({
  dates,
  usage: usually<readonly number[] | undefined>([KeyUsage.digitalSignature], undefined, [KeyUsage.cRLSign]),
  purposes: usually<readonly string[] | undefined>([Oid.serverAuth], undefined, [Oid.clientAuth]),
  names: usually(["vpn.example.org"], ["*.example.org"], ["other.example.org"], ["*.org"], ["192.0.2.1"]),
  isUnknownCritical: usually(false, true),
  isForged: usually(false, true),
});

/** What we refuse and OpenSSL does not: our own rules for what a gateway's certificate has to be. */
const STRICTER = /no extended key usage|does not include digitalSignature/;

const root = makeAuthority({ name: "CN=Root", notAfter: "2030-01-01T00:00:00Z" });
let trustedCount = 0;

test.skipIf(spawnSync(OPENSSL, ["version"]).error !== undefined)(
  "we trust no chain that OpenSSL refuses, and refuse what it trusts only by rules of our own",
  () => {
    const rootFile = write("root", [root]);
    fc.assert(
      fc.property(fc.array(authority, { maxLength: 3 }), gateway, (recipes, recipe) => {
        const authorities: TestCertificate[] = [];
        for (const [i, given] of recipes.entries())
          authorities.unshift(make(`CN=CA ${i}`, authorities[0] ?? root, given));
        const leaf = makeGateway(authorities[0] ?? root, recipe);
        const verdict = verifyChain({
          certificates: [leaf, ...authorities].map(({ der }) => der),
          trust: { anchors: new TrustAnchors([root.certificate]), purpose: "server" },
          identity: { type: IdType.ID_FQDN, data: Buffer.from("vpn.example.org") },
          nowMs: NOW,
        });
        const theirs = openssl(
          rootFile,
          write("chain", authorities),
          write("leaf", [leaf]),
          authorities.length > 0,
        );
        const ours = verdict.kind === "trusted" ? "trusted" : verdict.reason;
        if (ours === "trusted") trustedCount++;
        const agrees = (ours === "trusted") === (theirs === "trusted");
        expect(agrees || (ours !== "trusted" && STRICTER.test(ours)), `we: ${ours}; OpenSSL: ${theirs}`).toBe(
          true,
        );
      }),
      { seed: 1, numRuns: 60 },
    );
    expect(trustedCount).toBeGreaterThan(3);
  },
);

type Of<A> = A extends fc.Arbitrary<infer T> ? T : never;

function make(name: string, by: TestCertificate, given: Of<typeof authority>): TestCertificate {
  const keys = freshKeys();
  const { isAuthority, pathLength, usage, purposes, permitted } = given;
  const trees = permitted === undefined ? undefined : sequence(element(0x82, Buffer.from(permitted)));
  return makeAuthority({
    name,
    by: given.isForged ? { ...by, privateKey: keys.privateKey } : by,
    keys,
    ...given.dates,
    extensions: [
      basicConstraints(isAuthority, isAuthority ? pathLength : undefined),
      subjectKeyIdentifier(keys.publicKey),
      authorityKeyIdentifier(by.certificate.publicKey),
      ...(usage === undefined ? [] : [keyUsage(usage)]),
      ...(purposes === undefined ? [] : [extendedKeyUsage(purposes)]),
      ...(trees === undefined ? [] : [extension(Oid.nameConstraints, sequence(explicit(0, trees)), true)]),
      ...(given.isUnknownCritical ? [extension("1.2.3.4", small(1), true)] : []),
    ],
  });
}

function makeGateway(by: TestCertificate, given: Of<typeof gateway>): TestCertificate {
  const keys = freshKeys();
  const { usage, purposes } = given;
  return makeLeaf(
    {
      name: "CN=gateway",
      by: given.isForged ? { ...by, privateKey: keys.privateKey } : by,
      keys,
      ...given.dates,
      extensions: [
        authorityKeyIdentifier(by.certificate.publicKey),
        subjectAltNames(given.names),
        ...(usage === undefined ? [] : [keyUsage(usage)]),
        ...(purposes === undefined ? [] : [extendedKeyUsage(purposes)]),
        ...(given.isUnknownCritical ? [extension("1.2.3.4", small(1), true)] : []),
      ],
    },
    [],
  );
}

function write(name: string, certificates: readonly TestCertificate[]): string {
  const path = join(directory, name);
  writeFileSync(path, certificates.map(({ der }) => writePem("CERTIFICATE", der)).join(""));
  return path;
}

function openssl(rootFile: string, chainFile: string, leafFile: string, hasChain: boolean): string {
  const args = ["verify", "-attime", String(NOW / 1000), "-CAfile", rootFile, "-no-CApath", "-no-CAstore"];
  const more = ["-purpose", "sslserver", "-verify_hostname", "vpn.example.org", leafFile];
  const { status, stderr } = spawnSync(
    OPENSSL,
    [...args, ...(hasChain ? ["-untrusted", chainFile] : []), ...more],
    {
      encoding: "utf8",
    },
  );
  return status === 0 ? "trusted" : stderr.trim().replaceAll("\n", " | ");
}
