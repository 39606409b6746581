import { type Certificate, describeCertificate } from "./certificate.ts";
import { KeyUsage } from "./extensions.ts";
import { faultOfConstraints } from "./name-constraints.ts";
import { nameOfOid, Oid } from "./object-identifiers.ts";
import { faultOfKey } from "./public-keys.ts";
import type { Purpose } from "./trust.ts";
import { faultOfRawSignature } from "./verify-signature.ts";

/** What makes any certificate useless: dates, its key, critical extensions that nobody evaluates. Undefined when there is nothing. */
export function faultOfCertificate(certificate: Certificate, nowMs: number): string | undefined {
  const { notBeforeMs, notAfterMs, publicKey, extensions } = certificate;
  const fault =
    (nowMs < notBeforeMs ? `is not valid before ${dateOf(notBeforeMs)}` : undefined) ??
    (nowMs > notAfterMs ? `expired on ${dateOf(notAfterMs)}` : undefined) ??
    faultOfKey(publicKey) ??
    (extensions.unknownCritical.length > 0
      ? `has a critical extension that is not supported: ${extensions.unknownCritical.slice(0, 3).map(nameOfOid).join(", ")}`
      : undefined);
  return fault && `${describeCertificate(certificate)}: ${fault}`;
}

/**
 * Why the peer's own certificate is not for signing AUTH (RFC 4945 section 5.1.3), or undefined. A server needs extended key usage
 * that says so: otherwise each user of the same CA could be the gateway.
 */
export function faultOfUsage(certificate: Certificate, purpose: Purpose): string | undefined {
  const { keyUsage, extendedKeyUsage } = certificate.extensions;
  const name = describeCertificate(certificate);
  if (keyUsage !== undefined && !SIGNING_USAGES.some((bit) => keyUsage.has(bit)))
    return `${name}: its key usage does not include digitalSignature`;
  if (extendedKeyUsage === undefined)
    return purpose === "server" ? `${name}: it has no extended key usage, serverAuth is needed` : undefined;
  return serves(extendedKeyUsage, purpose)
    ? undefined
    : `${name}: its extended key usage (${extendedKeyUsage.slice(0, 5).map(nameOfOid).join(", ")}) does not include ${WANTED[purpose]}`;
}

/**
 * Why `issuer` cannot have issued `certificate`, or undefined. `below` is the path from the peer's own certificate up to
 * `certificate`. An anchor of version 1 counts as a CA, since it could not say so.
 */
export function faultOfIssuer(input: {
  readonly issuer: Certificate;
  readonly isAnchor: boolean;
  readonly below: readonly Certificate[];
  readonly purpose: Purpose;
}): string | undefined {
  const { issuer, isAnchor, below, purpose } = input;
  const { isAuthority, pathLength, keyUsage, extendedKeyUsage, nameConstraints } = issuer.extensions;
  const fault = ((): string | undefined => {
    if (isAuthority !== true && !(isAnchor && issuer.version < 3)) return "it is no CA";
    if (keyUsage?.has(KeyUsage.keyCertSign) === false) return "its key usage does not include keyCertSign";
    // RFC 5280 section 4.2.1.9: intermediates below, those not counted that a CA issued to itself.
    const depth = below
      .slice(1)
      .filter(({ subject, issuer: by }) => subject.canonical !== by.canonical).length;
    if (pathLength !== undefined && depth > pathLength)
      return `it allows ${pathLength} CAs below it, and there are ${depth}`;
    if (!isAnchor && extendedKeyUsage !== undefined && !serves(extendedKeyUsage, purpose))
      return `its extended key usage does not include ${WANTED[purpose]}`;
    return undefined;
  })();
  if (fault !== undefined) return `${describeCertificate(issuer)}: ${fault}`;
  if (nameConstraints === undefined) return undefined;
  for (const [i, certificate] of below.entries()) {
    const isSelfIssued = i > 0 && certificate.subject.canonical === certificate.issuer.canonical;
    const forbidden = isSelfIssued ? undefined : faultOfConstraints(nameConstraints, certificate);
    if (forbidden !== undefined) return `${describeCertificate(certificate)}: ${forbidden}`;
  }
  return undefined;
}

/** Why `certificate` is not signed by `issuer`, or undefined. */
export function faultOfSigning(certificate: Certificate, issuer: Certificate): string | undefined {
  const { octets, algorithm, algorithmName, signature } = certificate.signed;
  const name = describeCertificate(certificate);
  if (algorithm === undefined) return `${name}: its signature algorithm ${algorithmName} is not supported`;
  if (algorithm.hash === "sha1") return `${name}: it is signed with SHA-1, which can be forged`;
  const fault = faultOfRawSignature({ publicKey: issuer.publicKey, algorithm, signature, octets });
  return fault && `${name}: it is not signed by ${describeCertificate(issuer)}: ${fault}`;
}

const SIGNING_USAGES = [KeyUsage.digitalSignature, KeyUsage.nonRepudiation] as const;

const WANTED = {
  server: "serverAuth",
  client: "clientAuth",
  peer: "serverAuth or clientAuth",
} as const satisfies Record<Purpose, string>;

const SERVING: Readonly<Record<Purpose, readonly string[]>> = {
  server: [Oid.serverAuth, Oid.ikeIntermediate, Oid.anyExtendedKeyUsage],
  client: [Oid.clientAuth, Oid.ikeIntermediate, Oid.anyExtendedKeyUsage],
  peer: [Oid.serverAuth, Oid.clientAuth, Oid.ikeIntermediate, Oid.anyExtendedKeyUsage],
};

function serves(extendedKeyUsage: readonly string[], purpose: Purpose): boolean {
  return extendedKeyUsage.some((oid) => SERVING[purpose].includes(oid));
}

function dateOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 16).replace("T", " ").concat(" UTC");
}
