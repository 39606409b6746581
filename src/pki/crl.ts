import { type Certificate, describeCertificate, readSigned, type Signed } from "./certificate.ts";
import { contextConstructed, contextPrimitive, DerReader, Tag } from "./der-reader.ts";
import { KeyUsage } from "./extensions.ts";
import { type GeneralName, readGeneralNames } from "./general-names.ts";
import { formatName, type Name, readName } from "./names.ts";
import { Oid } from "./object-identifiers.ts";
import { CLOCK_SKEW_MS, type RevocationStatus } from "./revocation-status.ts";
import { faultOfRawSignature } from "./verify-signature.ts";

/** A certificate revocation list (RFC 5280 section 5), whole: no delta, and of the CA that issued the certificates. */
export interface RevocationList {
  readonly issuer: Name;
  /** Milliseconds since 1970. */
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number | undefined;
  /** Serial numbers in hex. */
  readonly revoked: ReadonlySet<string>;
  readonly scope: ListScope;
  /** Why it cannot be used although it can be read. */
  readonly fault: string | undefined;
  readonly signed: Signed;
  /** Octets that it was read from. */
  readonly length: number;
}

/** What a list is about, RFC 5280 section 5.2.5. */
interface ListScope {
  readonly of: "all" | "users" | "authorities";
  /** A list in parts names the part that it is; certificates name theirs. */
  readonly uris: readonly string[] | undefined;
}

/** Some 28000 certificates. While a list is read, nobody logs in, so it is not to be much longer. */
export const MAXIMUM_LIST_LENGTH = 1024 * 1024;

/** Reads a list from DER. Throws WireError; nothing is verified. */
export function readRevocationList(der: Uint8Array): RevocationList {
  const outer = new DerReader(der, "CRL");
  if (der.length > MAXIMUM_LIST_LENGTH) outer.fail("length", `of ${der.length} octets is too much`);
  const { to: signed, body, algorithm: outerAlgorithm } = readSigned(outer);
  outer.end();
  if (body.nextTag === Tag.INTEGER) body.small("version");
  const algorithm = body.element("signature algorithm").encoded;
  if (!Buffer.from(algorithm).equals(outerAlgorithm))
    body.fail("signature algorithm", "is not the same in both places");
  const issuer = readName(body, "issuer");
  const thisUpdateMs = body.time("thisUpdate");
  const hasNext = body.nextTag === Tag.UTC_TIME || body.nextTag === Tag.GENERALIZED_TIME;
  const nextUpdateMs = hasNext ? body.time("nextUpdate") : undefined;
  const entries = body.enterOptional(Tag.SEQUENCE, "revokedCertificates");
  const { revoked, fault: entryFault } = readEntries(entries);
  const extensions = body.enterOptional(contextConstructed(0), "crlExtensions")?.sequence("crlExtensions");
  body.end();
  const { scope, fault } = readListExtensions(extensions);
  return {
    issuer,
    thisUpdateMs,
    nextUpdateMs,
    revoked,
    scope,
    fault: fault ?? entryFault,
    signed,
    length: der.length,
  };
}

/** Whether a list is by this CA and signed with its key, or why it is not. */
export function faultOfList(list: RevocationList, issuer: Certificate): string | undefined {
  const name = `the CRL of "${formatName(list.issuer)}"`;
  const { octets, algorithm, algorithmName, signature } = list.signed;
  if (list.issuer.canonical !== issuer.subject.canonical)
    return `${name} is not by ${describeCertificate(issuer)}`;
  if (list.fault !== undefined) return `${name} ${list.fault}`;
  if (issuer.extensions.keyUsage?.has(KeyUsage.cRLSign) === false)
    return `${describeCertificate(issuer)} may not sign CRLs`;
  if (algorithm === undefined || algorithm.hash === "sha1")
    return `${name} is signed with ${algorithmName}, which is not supported`;
  const fault = faultOfRawSignature({ publicKey: issuer.publicKey, algorithm, signature, octets });
  return fault && `${name}: ${fault}`;
}

/** What a list that has no fault says of a certificate, or why it says nothing. */
export function statusInList(
  list: RevocationList,
  certificate: Certificate,
  nowMs: number,
): RevocationStatus {
  const unknown = (reason: string): RevocationStatus => ({
    kind: "unknown",
    reason: `the CRL of "${formatName(list.issuer)}" ${reason}`,
  });
  const { scope, thisUpdateMs, nextUpdateMs } = list;
  if (thisUpdateMs > nowMs + CLOCK_SKEW_MS) return unknown("is from the future");
  if (nextUpdateMs !== undefined && nextUpdateMs < nowMs - CLOCK_SKEW_MS)
    return unknown(`is out of date since ${new Date(nextUpdateMs).toISOString()}`);
  const { isAuthority = false, crlUris = [] } = certificate.extensions;
  if (scope.of !== "all" && (scope.of === "authorities") !== isAuthority)
    return unknown("is about other certificates");
  if (scope.uris !== undefined && !scope.uris.some((uri) => crlUris.includes(uri)))
    return unknown("is about another part of the certificates");
  return list.revoked.has(serialText(certificate.serialNumber))
    ? { kind: "revoked" }
    : { kind: "good", untilMs: nextUpdateMs };
}

/** Of each entry only the serial number counts: whatever the reason and the date, it is not good any more. */
function readEntries(entries: DerReader | undefined): {
  readonly revoked: ReadonlySet<string>;
  readonly fault: string | undefined;
} {
  const revoked = new Set<string>();
  let fault: string | undefined;
  while (entries !== undefined && entries.remaining > 0) {
    const entry = entries.sequence("revoked certificate");
    revoked.add(serialText(entry.integer("userCertificate")));
    entry.element("revocationDate");
    const extensions = entry.enterOptional(Tag.SEQUENCE, "crlEntryExtensions");
    while (extensions !== undefined && extensions.remaining > 0) {
      const extension = extensions.sequence("entry extension");
      extension.objectIdentifier("entry extension type");
      // certificateIssuer, of indirect lists: the serial number is another CA's.
      if (extension.nextTag === Tag.BOOLEAN && extension.boolean("critical"))
        fault = "has critical entries that are not supported";
    }
  }
  return { revoked, fault };
}

/** In hex. A list has tens of thousands of them, which is why it is not done digit by digit. */
function serialText({ buffer, byteOffset, length }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, length).toString("hex");
}

function readListExtensions(extensions: DerReader | undefined): {
  readonly scope: ListScope;
  readonly fault: string | undefined;
} {
  let scope: ListScope = { of: "all", uris: undefined };
  let fault: string | undefined;
  while (extensions !== undefined && extensions.remaining > 0) {
    const extension = extensions.sequence("extension");
    const type = extension.objectIdentifier("extension type");
    const isCritical = extension.nextTag === Tag.BOOLEAN ? extension.boolean("critical") : false;
    const value = extension.enter(Tag.OCTET_STRING, "extension value");
    if (type === Oid.issuingDistributionPoint) {
      const read = readIssuingPoint(value);
      if (read === undefined) fault = "is for some reasons or of other issuers";
      else scope = read;
    } else if (isCritical) fault = `has a critical extension that is not supported: ${type}`;
  }
  return { scope, fault };
}

/** Undefined for a list that covers some reasons alone, attribute certificates, or other CAs' certificates. */
function readIssuingPoint(value: DerReader): ListScope | undefined {
  const point = value.sequence("issuingDistributionPoint");
  const name = point.enterOptional(contextConstructed(0), "distributionPoint");
  const full = name?.enterOptional(contextConstructed(0), "fullName");
  let of: ListScope["of"] = "all";
  while (point.remaining > 0) {
    const { tag, content } = point.element("issuingDistributionPoint");
    if (content[0] === 0) continue;
    if (tag === contextPrimitive(1)) of = "users";
    else if (tag === contextPrimitive(2)) of = "authorities";
    else return undefined;
  }
  if (name === undefined) return { of, uris: undefined };
  return { of, uris: full === undefined ? [] : readGeneralNames(full, "fullName").flatMap(uriOf) };
}

function uriOf(name: GeneralName): string[] {
  return name.kind === "uri" ? [name.uri] : [];
}
