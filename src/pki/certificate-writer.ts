import { createHash, type KeyObject, type SignKeyObjectInput, sign } from "node:crypto";
import { parseAddress } from "../bytes/ip-address.ts";
import { DerReader, Tag } from "./der-reader.ts";
import {
  bitString,
  boolean,
  explicit,
  implicit,
  namedBits,
  objectIdentifier,
  octetString,
  sequence,
  small,
  time,
  unsigned,
} from "./der-writer.ts";
import { Oid } from "./object-identifiers.ts";
import { CURVES, curveOf, keyTypeOf } from "./public-keys.ts";
import { type SignatureAlgorithm, signatureAlgorithm } from "./signature-algorithms.ts";

/** A certificate that is to be made, RFC 5280 section 4.1. */
export interface CertificateFields {
  readonly serialNumber: Uint8Array;
  /** Names in DER. */
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly publicKey: KeyObject;
  /** From `extension`. */
  readonly extensions: readonly Uint8Array[];
}

/** A certificate in DER, signed with the issuer's key. */
export function writeCertificate(fields: CertificateFields, issuerKey: KeyObject): Uint8Array {
  const algorithm = signingAlgorithm(issuerKey);
  const { issuer, subject, extensions } = fields;
  const body = sequence(
    explicit(0, small(2)),
    unsigned(fields.serialNumber),
    algorithm.identifier,
    issuer,
    sequence(time(fields.notBeforeMs), time(fields.notAfterMs)),
    subject,
    publicKeyInfo(fields.publicKey),
    explicit(3, sequence(...extensions)),
  );
  return writeSigned(body, algorithm, issuerKey);
}

/** `SEQUENCE { octets, AlgorithmIdentifier, BIT STRING }`. */
export function writeSigned(octets: Uint8Array, algorithm: SignatureAlgorithm, key: KeyObject): Uint8Array {
  return sequence(octets, algorithm.identifier, bitString(signature(octets, algorithm, key)));
}

export function signature(octets: Uint8Array, { hash }: SignatureAlgorithm, key: KeyObject): Uint8Array {
  const input: SignKeyObjectInput = { key, dsaEncoding: "der" };
  return new Uint8Array(sign(hash, octets, input));
}

/** What a key signs certificates with: SHA-2 as strong as its curve. */
export function signingAlgorithm(key: KeyObject): SignatureAlgorithm {
  const type = keyTypeOf(key);
  if (type === "rsa") return signatureAlgorithm("rsa-pkcs1", "sha256");
  if (type === "ed25519" || type === "ed448") return signatureAlgorithm(type, undefined);
  const curve = curveOf(key);
  if (curve === undefined) throw new RangeError(`no certificate can be signed with this key`);
  const { length } = CURVES[curve];
  return signatureAlgorithm("ecdsa", length === 32 ? "sha256" : length === 48 ? "sha384" : "sha512");
}

/** SubjectPublicKeyInfo in DER. */
export function publicKeyInfo(key: KeyObject): Uint8Array {
  return new Uint8Array(key.export({ format: "der", type: "spki" }));
}

/** RFC 5280 section 4.2.1.2, method 1: SHA-1 of the key's bits. It names a key and secures nothing. */
function keyIdentifier(key: KeyObject): Uint8Array {
  return new Uint8Array(createHash("sha1").update(keyBits(key)).digest());
}

export function extension(oid: string, value: Uint8Array, isCritical = false): Uint8Array {
  const critical = isCritical ? [boolean(true)] : [];
  return sequence(objectIdentifier(oid), ...critical, octetString(value));
}

export const basicConstraints = (isAuthority: boolean, pathLength?: number): Uint8Array =>
  extension(
    Oid.basicConstraints,
    sequence(
      ...(isAuthority ? [boolean(true)] : []),
      ...(pathLength === undefined ? [] : [small(pathLength)]),
    ),
    true,
  );

export const keyUsage = (bits: readonly number[]): Uint8Array =>
  extension(Oid.keyUsage, namedBits(bits), true);

export const extendedKeyUsage = (purposes: readonly string[]): Uint8Array =>
  extension(Oid.extKeyUsage, sequence(...purposes.map(objectIdentifier)));

/** Addresses become iPAddress, what has an "@" rfc822Name, everything else dNSName. */
export const subjectAltNames = (names: readonly string[]): Uint8Array =>
  extension(Oid.subjectAltName, sequence(...names.map(generalName)));

export const subjectKeyIdentifier = (key: KeyObject): Uint8Array =>
  extension(Oid.subjectKeyIdentifier, octetString(keyIdentifier(key)));

export const authorityKeyIdentifier = (key: KeyObject): Uint8Array =>
  extension(Oid.authorityKeyIdentifier, sequence(implicit(0, keyIdentifier(key))));

/** By its look: an address, a mailbox or a DNS name; "dns:" in front settles that it is the last. */
function generalName(name: string): Uint8Array {
  if (name.startsWith(DNS)) return implicit(2, new TextEncoder().encode(name.slice(DNS.length)));
  const address = parseAddress(name);
  if (address !== undefined) return implicit(7, address);
  return implicit(name.includes("@") ? 1 : 2, new TextEncoder().encode(name));
}

const DNS = "dns:";

/** Contents of the BIT STRING in SubjectPublicKeyInfo, without its count of unused bits. */
export function keyBits(key: KeyObject): Uint8Array {
  const outer = new DerReader(publicKeyInfo(key), "public key").sequence("subjectPublicKeyInfo");
  outer.read(Tag.SEQUENCE, "algorithm");
  return outer.bitStringOctets("subjectPublicKey");
}
