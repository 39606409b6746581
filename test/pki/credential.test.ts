import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { describe, expect, test } from "vitest";
import { toHex } from "../../src/bytes/hex.ts";
import { HashAlgorithm, IdType } from "../../src/iana/ikev2-parameters.ts";
import {
  authorityHash,
  decodeAuthorityHashes,
  encodeAuthorityHashes,
} from "../../src/pki/certificate-request.ts";
import { chooseCredential } from "../../src/pki/choose-credential.ts";
import { type Credential, readCredential } from "../../src/pki/credential.ts";
import { writePem } from "../../src/pki/pem.ts";
import { encodeRawPublicKey, findRawPublicKey, readPublicKeys } from "../../src/pki/raw-public-key.ts";
import { TrustAnchors } from "../../src/pki/trust-anchors.ts";
import { makeAuthority, makeLeaf, type TestCertificate } from "../support/certificates.ts";
import { signingKeys } from "../support/signing-keys.ts";

const root = makeAuthority({ name: "CN=Root" });
const intermediate = makeAuthority({ name: "CN=Intermediate", by: root });
const other = makeAuthority({ name: "CN=Other" });
const leaf = makeLeaf({ name: "CN=vpn", by: intermediate }, ["vpn.example.org"]);
const roots = new TrustAnchors([root.certificate, other.certificate]);
const files = { certificate: "fullchain.pem", key: "privkey.pem" };

const pem = (...all: readonly TestCertificate[]) =>
  all.map(({ der }) => writePem("CERTIFICATE", der)).join("\n");
const keyPem = (key: KeyObject, type: "pkcs8" | "pkcs1" | "sec1" = "pkcs8") =>
  key.export({ format: "pem", type }) as string;
const read = (certificates: string, key: string, passphrase?: string) =>
  readCredential({ certificates, key, passphrase, files, roots });

describe("what is read from files", () => {
  test.each([
    ["in order", pem(leaf, intermediate)],
    ["in disorder, with a root and another's CA", pem(root, other, intermediate, leaf)],
    ["with text around", `subject=CN = vpn\n${pem(leaf)}issuer=CN = x\n${pem(intermediate)}\n`],
    ["with DOS line ends", pem(leaf, intermediate).replaceAll("\n", "\r\n")],
  ])("a chain %s: our own first, then those that signed, without the root", (_, certificates) => {
    const credential = read(certificates, keyPem(leaf.privateKey));
    expect(credential.chain.map(toHex)).toEqual([leaf.der, intermediate.der].map(toHex));
    expect(credential.keyType).toBe("ec");
    expect(credential.issuerKeyHashes.map(toHex).sort()).toEqual(
      [intermediate, root].map(({ certificate }) => toHex(authorityHash(certificate))).sort(),
    );
  });

  test("keys in PKCS #8, SEC 1 and PKCS #1, plain and encrypted", () => {
    const passphrase = "open sesame";
    const rsa = makeLeaf({ name: "CN=vpn", by: root, keys: signingKeys("rsa") }, ["vpn.example.org"]);
    const encrypted = (key: KeyObject, type: "pkcs8" | "pkcs1" | "sec1") =>
      key.export({ format: "pem", type, cipher: "aes-256-cbc", passphrase }) as string;
    for (const [certificate, old] of [
      [leaf, "sec1"],
      [rsa, "pkcs1"],
    ] as const) {
      const { privateKey } = certificate;
      for (const type of ["pkcs8", old] as const) {
        expect(read(pem(certificate), keyPem(privateKey, type)).key.equals(privateKey)).toBe(true);
        const sealed = encrypted(privateKey, type);
        expect(read(pem(certificate), sealed, passphrase).key.equals(privateKey)).toBe(true);
        expect(() => read(pem(certificate), sealed)).toThrow(/privkey\.pem is encrypted, and no file/);
        expect(() => read(pem(certificate), sealed, "guess")).toThrow(
          /cannot be decrypted with the passphrase/,
        );
      }
    }
  });

  test.each<[string, string, string, RegExp]>([
    [
      "another key",
      pem(leaf),
      keyPem(root.privateKey),
      /^privkey\.pem does not belong to the certificate "CN=vpn" in fullchain\.pem$/,
    ],
    [
      "another key and many certificates",
      pem(leaf, intermediate),
      keyPem(root.privateKey),
      /any of the 2 certificates/,
    ],
    [
      "no certificate",
      keyPem(leaf.privateKey),
      keyPem(leaf.privateKey),
      /^fullchain\.pem holds no certificate/,
    ],
    ["no key", pem(leaf), pem(leaf), /^privkey\.pem holds no private key/],
    [
      "a certificate cut short",
      pem(leaf).slice(0, -60),
      keyPem(leaf.privateKey),
      /^fullchain\.pem: a block begins and does not end/,
    ],
    [
      "a certificate that is none",
      `${pem(leaf)}${writePem("CERTIFICATE", Buffer.from("none"))}`,
      keyPem(leaf.privateKey),
      /certificate 2 of 2 cannot be read: certificate: /,
    ],
    [
      "a key that is none",
      pem(leaf),
      writePem("PRIVATE KEY", Buffer.from("none")),
      /holds a PRIVATE KEY that cannot be read$/,
    ],
    [
      "a block that is not base64",
      pem(leaf).replace("MII", "M*I"),
      keyPem(leaf.privateKey),
      /is not base64$/,
    ],
    [
      "a short key",
      pem(leaf),
      keyPem(generateKeyPairSync("rsa", { modulusLength: 1024 }).privateKey),
      /^privkey\.pem: an RSA key of 1024 bits is too short/,
    ],
    [
      "a key for agreement",
      pem(leaf),
      keyPem(generateKeyPairSync("x25519").privateKey),
      /a key of type x25519 is not supported$/,
    ],
  ])("%s is refused with a sentence", (_, certificates, key, reason) => {
    expect(() => read(certificates, key)).toThrow(reason);
  });
});

describe("which one a client gets", () => {
  const { SHA2_256, IDENTITY } = HashAlgorithm;
  const credential = (
    name: "rsa" | "p256" | "ed25519",
    by: TestCertificate,
    host = "vpn.example.org",
  ): Credential => {
    const keys = signingKeys(name);
    const certificate = makeLeaf({ name: `CN=${name}`, by, keys }, [host]);
    return read(pem(certificate), keyPem(keys.privateKey));
  };
  const rsa = credential("rsa", root);
  const curve = credential("p256", other);
  const hash = (of: TestCertificate) => authorityHash(of.certificate);

  test.each([
    ["names nothing (iOS, Android)", [], [], "rsa"],
    ["names the CA of the curve alone", [], [hash(other)], "ec"],
    ["names both", [], [hash(root), hash(other)], "ec"],
    ["names the CA of RSA", [SHA2_256], [hash(root)], "rsa"],
    ["names CAs that we do not know", [SHA2_256], [new Uint8Array(20)], "rsa"],
    ["can verify no RSA of ours", [IDENTITY], [], "ec"],
  ] as const)("a client that %s", (_, hashes, authorities, keyType) => {
    for (const order of [
      [curve, rsa],
      [rsa, curve],
    ])
      expect(chooseCredential(order, { hashes, authorities })?.keyType).toBe(keyType);
  });

  test("a name that the client wants goes before the kind of key", () => {
    const named = credential("p256", other, "second.example.org");
    const identity = { type: IdType.ID_FQDN, data: Buffer.from("second.example.org") };
    expect(chooseCredential([rsa, named], { hashes: [], authorities: [], identity })).toBe(named);
    const unknown = { type: IdType.ID_FQDN, data: Buffer.from("third.example.org") };
    expect(chooseCredential([rsa, named], { hashes: [], authorities: [], identity: unknown })).toBe(rsa);
  });

  test("a key that cannot sign for the client is none", () => {
    const edwards = credential("ed25519", root);
    expect(chooseCredential([edwards], { hashes: [SHA2_256], authorities: [] })).toBeUndefined();
    expect(chooseCredential([edwards], { hashes: [IDENTITY], authorities: [] })).toBe(edwards);
    expect(chooseCredential([], { hashes: [], authorities: [] })).toBeUndefined();
  });

  test("the hashes of a CERTREQ payload read back; a rest and a flood are passed over", () => {
    const hashes = [hash(root), hash(other)];
    const field = encodeAuthorityHashes(hashes);
    expect(field).toHaveLength(40);
    expect(decodeAuthorityHashes(field)).toEqual(hashes);
    expect(decodeAuthorityHashes(field.subarray(0, 39))).toEqual([hash(root)]);
    expect(decodeAuthorityHashes(new Uint8Array(60_000))).toHaveLength(1024);
  });
});

describe("raw public keys (RFC 7670)", () => {
  const { publicKey, privateKey } = signingKeys("p256");

  test("are found among those that are trusted, octet by octet", () => {
    const sent = encodeRawPublicKey(privateKey);
    expect(findRawPublicKey(sent, [signingKeys("rsa").publicKey, publicKey])).toBe(publicKey);
    expect(findRawPublicKey(sent, [signingKeys("rsa").publicKey])).toBeUndefined();
    expect(findRawPublicKey(Buffer.concat([sent, Buffer.of(0)]), [publicKey])).toBeUndefined();
  });

  test("are read from PEM", () => {
    const text = publicKey.export({ format: "pem", type: "spki" }) as string;
    expect(readPublicKeys(text, "peer.pem")[0]?.equals(publicKey)).toBe(true);
    expect(() => readPublicKeys(pem(leaf), "peer.pem")).toThrow(/^peer\.pem holds no public key$/);
    expect(() => readPublicKeys(writePem("PUBLIC KEY", Uint8Array.of(1)), "peer.pem")).toThrow(
      /cannot be read$/,
    );
    const short = generateKeyPairSync("rsa", { modulusLength: 1024 }).publicKey;
    expect(() => readPublicKeys(short.export({ format: "pem", type: "spki" }) as string, "peer.pem")).toThrow(
      /^peer\.pem: an RSA key of 1024 bits/,
    );
  });
});
