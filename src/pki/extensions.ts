import { contextConstructed, contextPrimitive, type DerReader } from "./der-reader.ts";
import { type GeneralName, readGeneralNames } from "./general-names.ts";
import { type NameConstraints, readNameConstraints } from "./name-constraints.ts";
import { Oid } from "./object-identifiers.ts";

/** Bits of the keyUsage extension, RFC 5280 section 4.2.1.3. */
export const KeyUsage = {
  digitalSignature: 0,
  nonRepudiation: 1,
  keyEncipherment: 2,
  dataEncipherment: 3,
  keyAgreement: 4,
  keyCertSign: 5,
  cRLSign: 6,
} as const;

/** What a certificate's extensions say, RFC 5280 section 4.2. */
export interface Extensions {
  readonly isAuthority?: boolean;
  readonly pathLength?: number;
  readonly keyUsage?: ReadonlySet<number>;
  readonly extendedKeyUsage?: readonly string[];
  readonly subjectAltNames?: readonly GeneralName[];
  readonly subjectKeyId?: Uint8Array;
  readonly authorityKeyId?: Uint8Array;
  readonly nameConstraints?: NameConstraints;
  /** Where CRLs lie, of those reached by "http:". */
  readonly crlUris?: readonly string[];
  /** OCSP responders, of those reached by "http:". */
  readonly ocspUris?: readonly string[];
  /** RFC 6960 section 4.2.2.2.1: the certificate of an OCSP signer, which is not to be checked in turn. */
  readonly isOcspNoCheck?: boolean;
  /** Object identifiers of critical extensions that nobody here evaluates. */
  readonly unknownCritical: readonly string[];
}

/** Extensions, up to the end of `from`. */
export function readExtensions(from: DerReader): Extensions {
  const seen = new Set<string>();
  const unknownCritical: string[] = [];
  let extensions: Omit<Extensions, "unknownCritical"> = {};
  while (from.remaining > 0) {
    const extension = from.sequence("extension");
    const type = extension.objectIdentifier("extension type");
    // RFC 5280 section 4.2: never twice.
    if (seen.has(type)) extension.fail("extension", `${type} is there twice`);
    seen.add(type);
    const isCritical = extension.nextTag === 1 ? extension.boolean("critical") : false;
    const value = extension.enter(4, "extension value");
    extension.end();
    const read = READERS.get(type);
    if (read !== undefined) {
      extensions = { ...extensions, ...read(value) };
      value.end();
    } else if (isCritical && !HARMLESS.has(type)) unknownCritical.push(type);
  }
  return { ...extensions, unknownCritical };
}

type ExtensionReader = (value: DerReader) => Partial<Extensions>;

const READERS: ReadonlyMap<string, ExtensionReader> = new Map<string, ExtensionReader>([
  [Oid.basicConstraints, readBasicConstraints],
  [Oid.keyUsage, (value) => ({ keyUsage: value.namedBits("keyUsage") })],
  [Oid.extKeyUsage, readExtendedKeyUsage],
  [Oid.subjectAltName, readSubjectAltNames],
  [Oid.subjectKeyIdentifier, (value) => ({ subjectKeyId: value.octetString("subjectKeyIdentifier") })],
  [Oid.authorityKeyIdentifier, readAuthorityKeyId],
  [Oid.nameConstraints, (value) => ({ nameConstraints: readNameConstraints(value) })],
  [Oid.cRLDistributionPoints, (value) => ({ crlUris: readCrlUris(value) })],
  [Oid.authorityInfoAccess, (value) => ({ ocspUris: readOcspUris(value) })],
  [Oid.ocspNoCheck, readNoCheck],
]);

/** What asks nothing of those who want no particular certificate policy (RFC 5280 section 6.1.1: any-policy). */
const HARMLESS: ReadonlySet<string> = new Set([
  Oid.certificatePolicies,
  Oid.policyMappings,
  Oid.inhibitAnyPolicy,
]);

function readBasicConstraints(value: DerReader): Partial<Extensions> {
  const constraints = value.sequence("basicConstraints");
  const isAuthority = constraints.nextTag === 1 ? constraints.boolean("cA") : false;
  const pathLength = constraints.remaining > 0 ? constraints.small("pathLenConstraint") : undefined;
  constraints.end();
  return pathLength === undefined ? { isAuthority } : { isAuthority, pathLength };
}

function readExtendedKeyUsage(value: DerReader): Partial<Extensions> {
  const purposes = value.sequence("extKeyUsage");
  const extendedKeyUsage: string[] = [];
  do extendedKeyUsage.push(purposes.objectIdentifier("purpose"));
  while (purposes.remaining > 0);
  return { extendedKeyUsage };
}

function readSubjectAltNames(value: DerReader): Partial<Extensions> {
  const subjectAltNames = readGeneralNames(value.sequence("subjectAltName"), "subjectAltName");
  for (const name of subjectAltNames) {
    if (name.kind === "ip" && name.octets.length !== 4 && name.octets.length !== 16)
      value.fail("subjectAltName", `has an address of ${name.octets.length} octets`);
  }
  return { subjectAltNames };
}

function readAuthorityKeyId(value: DerReader): Partial<Extensions> {
  const identifier = value.sequence("authorityKeyIdentifier");
  if (identifier.nextTag !== contextPrimitive(0)) return {};
  return { authorityKeyId: identifier.read(contextPrimitive(0), "keyIdentifier") };
}

/** Full names that hold an http URI, of points that carry all reasons and are signed by the issuer itself. */
function readCrlUris(value: DerReader): readonly string[] {
  const points = value.sequence("cRLDistributionPoints");
  const uris: string[] = [];
  while (points.remaining > 0) {
    const point = points.sequence("distribution point");
    const names = point.enterOptional(contextConstructed(0), "distribution point");
    const isPartial = point.remaining > 0;
    const full = names?.enterOptional(contextConstructed(0), "full name");
    if (full !== undefined && !isPartial) uris.push(...httpUris(readGeneralNames(full, "full name")));
  }
  return uris;
}

function readOcspUris(value: DerReader): readonly string[] {
  const descriptions = value.sequence("authorityInfoAccess");
  const uris: string[] = [];
  while (descriptions.remaining > 0) {
    const description = descriptions.sequence("access description");
    const method = description.objectIdentifier("access method");
    const names = readGeneralNames(description, "access location");
    if (method === Oid.ocsp) uris.push(...httpUris(names));
  }
  return uris;
}

function readNoCheck(value: DerReader): Partial<Extensions> {
  value.read(5, "ocspNoCheck");
  return { isOcspNoCheck: true };
}

function httpUris(names: readonly GeneralName[]): string[] {
  return names.flatMap((name) => (name.kind === "uri" && /^http:\/\//i.test(name.uri) ? [name.uri] : []));
}
