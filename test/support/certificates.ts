import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { type Certificate, readCertificate } from "../../src/pki/certificate.ts";
import {
  authorityKeyIdentifier,
  basicConstraints,
  extendedKeyUsage,
  keyUsage,
  subjectAltNames,
  subjectKeyIdentifier,
  writeCertificate,
} from "../../src/pki/certificate-writer.ts";
import { element } from "../../src/pki/der-writer.ts";
import { KeyUsage } from "../../src/pki/extensions.ts";
import { encodeName } from "../../src/pki/names.ts";
import { Oid } from "../../src/pki/object-identifiers.ts";

/** The moment at which the tests' certificates are looked at. */
export const NOW = Date.parse("2026-06-01T12:00:00Z");
const YEAR = 365 * 86_400_000;

/** A certificate of a test, with the key that belongs to it. */
export interface TestCertificate {
  readonly der: Uint8Array;
  readonly certificate: Certificate;
  readonly privateKey: KeyObject;
}

export interface Recipe {
  readonly name: string;
  /** Signs; the certificate signs itself without one. */
  readonly by?: TestCertificate;
  readonly keys?: { readonly privateKey: KeyObject; readonly publicKey: KeyObject };
  readonly notBefore?: string;
  readonly notAfter?: string;
  /** In place of those that a certificate of its kind usually has. */
  readonly extensions?: readonly Uint8Array[];
  /** Beside them. */
  readonly more?: readonly Uint8Array[];
  /** What is written as the issuer's name, instead of its real one. */
  readonly issuerName?: string;
  readonly serialNumber?: Uint8Array;
}

/** A CA, unless `extensions` say otherwise. */
export function makeAuthority(recipe: Recipe, pathLength?: number): TestCertificate {
  const keys = recipe.keys ?? freshKeys();
  return make({
    extensions: [
      basicConstraints(true, pathLength),
      keyUsage([KeyUsage.keyCertSign, KeyUsage.cRLSign]),
      subjectKeyIdentifier(keys.publicKey),
      ...issuerKeyId(recipe),
    ],
    ...recipe,
    keys,
  });
}

/** A gateway's or client's certificate with these alternative names. */
export function makeLeaf(
  recipe: Recipe,
  altNames: readonly string[],
  purposes: readonly string[] = [Oid.serverAuth],
): TestCertificate {
  return make({
    extensions: [
      basicConstraints(false),
      keyUsage([KeyUsage.digitalSignature]),
      extendedKeyUsage(purposes),
      ...(altNames.length > 0 ? [subjectAltNames(altNames)] : []),
      ...issuerKeyId(recipe),
    ],
    ...recipe,
  });
}

export function freshKeys(): { privateKey: KeyObject; publicKey: KeyObject } {
  return generateKeyPairSync("ec", { namedCurve: "prime256v1" });
}

function make(recipe: Recipe): TestCertificate {
  const keys = recipe.keys ?? freshKeys();
  const subject = encodeName(recipe.name) ?? Uint8Array.of(0x30, 0);
  const issuer =
    recipe.issuerName === undefined
      ? (recipe.by?.certificate.subject.encoded ?? subject)
      : encodeName(recipe.issuerName)!;
  const der = writeCertificate(
    {
      serialNumber: recipe.serialNumber ?? Uint8Array.of(0x4a, nextSerial >>> 8, nextSerial++ & 0xff),
      issuer,
      subject,
      notBeforeMs: recipe.notBefore === undefined ? NOW - YEAR : Date.parse(recipe.notBefore),
      notAfterMs: recipe.notAfter === undefined ? NOW + YEAR : Date.parse(recipe.notAfter),
      publicKey: keys.publicKey,
      extensions: [...(recipe.extensions ?? []), ...(recipe.more ?? [])],
    },
    recipe.by?.privateKey ?? keys.privateKey,
  );
  return { der, certificate: readCertificate(der), privateKey: keys.privateKey };
}

let nextSerial = 1;

function issuerKeyId({ by }: Recipe): Uint8Array[] {
  return by === undefined ? [] : [authorityKeyIdentifier(by.certificate.publicKey)];
}

/** A certificate that a P-256 key has signed, with another algorithm named in both places. Its signature need not hold: what is named is refused before. */
export function withAlgorithm(der: Uint8Array, identifier: Uint8Array): Uint8Array {
  const hex = Buffer.from(der).toString("hex").replaceAll("300a06082a8648ce3d040302", "@");
  const [head, body, tail] = hex.split("@") as [string, string, string];
  const name = Buffer.from(identifier).toString("hex");
  const inner = head.slice(head.indexOf("3082", 8) + 8);
  const tbs = element(0x30, Buffer.from(inner + name + body, "hex"));
  return element(0x30, tbs, Buffer.from(name + tail, "hex"));
}
