import { createPublicKey, type KeyObject } from "node:crypto";
import { contextConstructed, contextPrimitive, DerReader, Tag } from "./der-reader.ts";
import { type Extensions, readExtensions } from "./extensions.ts";
import { formatName, type Name, readName } from "./names.ts";
import { nameOfOid } from "./object-identifiers.ts";
import { type SignatureAlgorithm, signatureAlgorithmOf } from "./signature-algorithms.ts";

/** An X.509 certificate (RFC 5280 section 4.1). Its parts are views into `der`. */
export interface Certificate {
  readonly der: Uint8Array;
  /** 1 to 3. */
  readonly version: number;
  /** Two's complement octets. */
  readonly serialNumber: Uint8Array;
  readonly issuer: Name;
  readonly subject: Name;
  /** Milliseconds since 1970; the second named in notAfter still counts. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** SubjectPublicKeyInfo in DER. */
  readonly publicKeyInfo: Uint8Array;
  readonly publicKey: KeyObject;
  readonly extensions: Extensions;
  readonly signed: Signed;
}

/** Octets with a signature over them: a certificate, a CRL, an OCSP response. */
export interface Signed {
  readonly octets: Uint8Array;
  /** Undefined for one that is not supported. */
  readonly algorithm: SignatureAlgorithm | undefined;
  /** For messages. */
  readonly algorithmName: string;
  readonly signature: Uint8Array;
}

/** Longer ones are refused unread. */
const MAXIMUM_LENGTH = 32 * 1024;

/** Reads one certificate. Throws WireError; nothing is verified. */
export function readCertificate(der: Uint8Array): Certificate {
  const outer = new DerReader(der, "certificate");
  if (der.length > MAXIMUM_LENGTH) outer.fail("length", `of ${der.length} octets is too much`);
  const { to, body, algorithm: outerAlgorithm } = readSigned(outer);
  outer.end();

  const version = 1 + (body.enterOptional(contextConstructed(0), "version")?.small("version") ?? 0);
  const serialNumber = body.integer("serialNumber");
  const algorithm = body.element("signature algorithm").encoded;
  // RFC 5280 section 4.1.1.2: both places name the same one.
  if (!Buffer.from(algorithm).equals(outerAlgorithm))
    body.fail("signature algorithm", "is not the same in both places");
  const issuer = readName(body, "issuer");
  const validity = body.sequence("validity");
  const notBeforeMs = validity.time("notBefore");
  const notAfterMs = validity.time("notAfter") + 999;
  validity.end();
  const subject = readName(body, "subject");
  const publicKeyInfo = body.element("subjectPublicKeyInfo").encoded;
  const publicKey = readPublicKey(publicKeyInfo, body);
  for (const unique of [1, 2])
    if (body.nextTag === contextPrimitive(unique)) body.element("unique identifier");
  const extensions = body.enterOptional(contextConstructed(3), "extensions")?.sequence("extensions");
  body.end();
  if (version > 3 || (extensions !== undefined && version < 3))
    body.fail("version", `${version} does not fit`);
  return {
    der,
    version,
    serialNumber,
    issuer,
    subject,
    notBeforeMs,
    notAfterMs,
    publicKeyInfo,
    publicKey,
    extensions: extensions === undefined ? { unknownCritical: [] } : readExtensions(extensions),
    signed: to,
  };
}

/** `SEQUENCE { octets, AlgorithmIdentifier, BIT STRING }`, the frame that certificates and CRLs have in common. */
export function readSigned(outer: DerReader): {
  readonly to: Signed;
  readonly body: DerReader;
  readonly algorithm: Uint8Array;
} {
  const frame = outer.sequence("signed");
  const { tag, content, encoded: octets } = frame.element("signed part");
  if (tag !== Tag.SEQUENCE) frame.fail("signed part", "is no SEQUENCE");
  const body = frame.inside(content);
  const algorithm = frame.element("signatureAlgorithm");
  const signature = frame.bitStringOctets("signatureValue");
  frame.end();
  const to: Signed = {
    octets,
    algorithm: signatureAlgorithmOf(algorithm.encoded),
    algorithmName: nameOfOid(frame.inside(algorithm.content).objectIdentifier("signatureAlgorithm")),
    signature,
  };
  return { to, body, algorithm: algorithm.encoded };
}

/** How messages name a certificate. */
export function describeCertificate({ subject }: Certificate): string {
  return `certificate "${formatName(subject)}"`;
}

/** What OpenSSL makes of SubjectPublicKeyInfo. */
function readPublicKey(publicKeyInfo: Uint8Array, from: DerReader): KeyObject {
  try {
    return createPublicKey({ key: Buffer.from(publicKeyInfo), format: "der", type: "spki" });
  } catch {
    return from.fail("subjectPublicKeyInfo", "holds no key that can be read");
  }
}
