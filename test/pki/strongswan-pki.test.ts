import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { IdType } from "../../src/iana/ikev2-parameters.ts";
import { readCertificate } from "../../src/pki/certificate.ts";
import { readCredential } from "../../src/pki/credential.ts";
import { faultOfList, readRevocationList, statusInList } from "../../src/pki/crl.ts";
import { encodeName } from "../../src/pki/names.ts";
import { TrustAnchors } from "../../src/pki/trust-anchors.ts";
import { verifyChain } from "../../src/pki/verify-chain.ts";

// What strongSwan's own `pki` makes, read and judged by us.

const PKI = "pki";
const directory = mkdtempSync(join(tmpdir(), "ikebana-"));
afterAll(() => rmSync(directory, { recursive: true }));

const file = (name: string) => join(directory, name);
const pki = (...args: readonly string[]) => execFileSync(PKI, args, { stdio: ["ignore", "pipe", "ignore"] });
const save = (name: string, octets: Uint8Array) => {
  writeFileSync(file(name), octets);
  return file(name);
};

describe.skipIf(spawnSync(PKI, ["--version"]).error !== undefined).each([
  ["RSA, PKCS #1", "rsa", ["--type", "rsa", "--size", "2048"], [], "rsa"],
  ["RSA, PSS", "pss", ["--type", "rsa", "--size", "2048"], ["--rsa-padding", "pss"], "rsa"],
  ["ECDSA on P-384", "p384", ["--type", "ecdsa", "--size", "384"], [], "ec"],
  ["ECDSA on P-521", "p521", ["--type", "ecdsa", "--size", "521"], [], "ec"],
  ["Ed25519", "ed25519", ["--type", "ed25519"], [], "ed25519"],
] as const)("certificates of strongSwan: %s", (_, name, generation, padding, keyType) => {
  test("are trusted, with the names and CRL that they have", () => {
    const make = (kind: string) =>
      save(`${name}-${kind}.key`, pki("--gen", ...generation, "--outform", "pem"));
    const [caKey, key] = [make("ca"), make("leaf")];
    const dn = "C=CH, O=Example, CN=gateway";
    const ca = pki(
      "--self",
      "--ca",
      "--in",
      caKey,
      "--dn",
      "C=CH, O=Example, CN=CA",
      "--lifetime",
      "10",
      ...padding,
    );
    const caFile = save(`${name}-ca.der`, ca);
    const issue = [
      "--issue",
      "--cacert",
      caFile,
      "--cakey",
      caKey,
      "--type",
      "priv",
      "--in",
      key,
      "--dn",
      dn,
      "--lifetime",
      "5",
    ];
    const more = [
      "--san",
      "vpn.example.org",
      "--san",
      "192.0.2.1",
      "--flag",
      "serverAuth",
      "--flag",
      "ikeIntermediate",
      "--crl",
      "http://crl.example.org/",
    ];
    const leaf = pki(...issue, ...more, ...padding, "--outform", "pem").toString();
    const root = readCertificate(ca);
    const anchors = new TrustAnchors([root]);
    const files = { certificate: "leaf.pem", key: "leaf.key" };
    const credential = readCredential({
      certificates: leaf,
      key: readFileSync(key, "utf8"),
      passphrase: undefined,
      files,
      roots: anchors,
    });
    expect(credential.keyType).toBe(keyType);
    expect(credential.issuerKeyHashes).toEqual(anchors.hashes);
    const judge = (type: number, data: Uint8Array) =>
      verifyChain({
        certificates: credential.chain,
        trust: { anchors, purpose: "server" },
        identity: { type, data },
        nowMs: Date.now() + 1000,
      });
    expect(judge(IdType.ID_FQDN, Buffer.from("vpn.example.org"))).toMatchObject({ kind: "trusted" });
    expect(judge(IdType.ID_IPV4_ADDR, Uint8Array.of(192, 0, 2, 1))).toMatchObject({ kind: "trusted" });
    expect(judge(IdType.ID_DER_ASN1_DN, encodeName(dn)!)).toMatchObject({ kind: "trusted" });
    expect(judge(IdType.ID_FQDN, Buffer.from("evil.example.org"))).toMatchObject({ kind: "refused" });

    const serial = Buffer.from(credential.certificate.serialNumber).toString("hex");
    const signed = pki(
      "--signcrl",
      "--cacert",
      caFile,
      "--cakey",
      caKey,
      "--serial",
      serial,
      "--reason",
      "key-compromise",
      ...padding,
    );
    const list = readRevocationList(signed);
    expect(faultOfList(list, root)).toBeUndefined();
    expect(statusInList(list, credential.certificate, Date.now() + 1000)).toEqual({ kind: "revoked" });
    expect(statusInList(list, root, Date.now() + 1000)).toMatchObject({ kind: "good" });
  });
});
