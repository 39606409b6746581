import { equal } from "../bytes/constant-time.ts";
import { WireError } from "../errors/index.ts";
import { type Certificate, describeCertificate, readCertificate } from "./certificate.ts";
import { faultOfCertificate, faultOfIssuer, faultOfSigning, faultOfUsage } from "./certificate-checks.ts";
import { type ClaimedIdentity, faultOfIdentity } from "./identity-match.ts";
import { formatName } from "./names.ts";
import type { ChainVerdict, TrustPolicy } from "./trust.ts";

/** Certificates of one peer that are looked at; the rest is passed over. */
const MAXIMUM_CERTIFICATES = 16;
/** From the peer's own certificate to the anchor, both counted. */
const MAXIMUM_PATH_LENGTH = 8;
/** Cross-certificates make trees out of chains; this many signatures are checked, however the tree looks. */
const MAXIMUM_SIGNATURES = 24;

export interface ChainClaim {
  readonly certificates: readonly Uint8Array[];
  readonly trust: TrustPolicy;
  readonly identity: ClaimedIdentity | undefined;
  /** Wall clock, milliseconds since 1970. */
  readonly nowMs: number;
}

/**
 * As `verifyChain`, and then asks about revocation, where the policy says so; for peers that have shown their key. Never rejects on what a
 * peer or a server sends.
 */
export async function verifyChainAndRevocation(claim: ChainClaim): Promise<ChainVerdict> {
  const { trust, nowMs } = claim;
  const verdict = verifyChain(claim);
  if (verdict.kind === "refused" || trust.revocation === undefined) return verdict;
  const answer = await trust.revocation.check(verdict.path, nowMs);
  return answer.kind === "refused" ? refused(answer.reason) : { ...verdict, note: answer.note };
}

/**
 * Looks for a path from the peer's certificate to a trust anchor (RFC 5280 section 6, RFC 4158), and checks each step of it.
 *
 * `certificates` are DER, as the peer sent them: its own first (RFC 7296 section 3.6), the others in any order. `identity` is what
 * its Identification payload says. Never throws on what a peer sends. Nothing is fetched: where to ask about
 * revocation stands in the verdict's path, and is to be followed only from there.
 */
export function verifyChain(input: ChainClaim): ChainVerdict {
  const { trust, identity, nowMs } = input;
  const [own, ...others] = input.certificates.slice(0, MAXIMUM_CERTIFICATES);
  if (own === undefined) return refused("the peer sent no certificate");
  const leaf = read(own);
  if (typeof leaf === "string") return refused(`the peer's certificate cannot be read: ${leaf}`);
  const fault =
    faultOfCertificate(leaf, nowMs) ??
    faultOfUsage(leaf, trust.purpose) ??
    (identity && faultOfIdentity(leaf, identity, trust));
  if (fault !== undefined) return refused(fault);
  const intermediates = others.map(read).filter((certificate) => typeof certificate !== "string");
  const found = new PathSearch(trust, intermediates, nowMs).from([leaf]);
  return typeof found === "string"
    ? refused(found)
    : { kind: "trusted", publicKey: leaf.publicKey, path: found };
}

/** Depth first: anchors before intermediates, the first path that holds. */
class PathSearch {
  readonly #trust: TrustPolicy;
  readonly #intermediates: readonly Certificate[];
  readonly #nowMs: number;
  #signatureCount = 0;

  constructor(trust: TrustPolicy, intermediates: readonly Certificate[], nowMs: number) {
    this.#trust = trust;
    this.#intermediates = intermediates;
    this.#nowMs = nowMs;
  }

  /** The whole path, or why the one that led furthest does not hold. */
  from(below: readonly Certificate[]): readonly Certificate[] | string {
    const certificate = below[below.length - 1]!;
    const { anchors } = this.#trust;
    if (anchors.has(certificate)) return below;
    if (below.length >= MAXIMUM_PATH_LENGTH)
      return `${describeCertificate(below[0]!)}: more than ${MAXIMUM_PATH_LENGTH} certificates up to a trusted CA`;
    let reason: string | undefined;
    for (const issuer of anchors.issuersOf(certificate)) {
      const fault = this.#faultOfStep(issuer, true, below);
      if (fault === undefined) return [...below, issuer];
      reason ??= fault;
    }
    for (const issuer of this.#candidates(certificate, below)) {
      const fault = this.#faultOfStep(issuer, false, below);
      const found = fault ?? this.from([...below, issuer]);
      if (typeof found !== "string") return found;
      reason = reason === undefined || fault === undefined ? found : reason;
    }
    return reason ?? this.#withoutIssuer(certificate);
  }

  /** By name and key identifier; none whose key is on the path already, so that no circle is walked. */
  #candidates(certificate: Certificate, below: readonly Certificate[]): readonly Certificate[] {
    return this.#intermediates.filter(
      (issuer) =>
        issuer.subject.canonical === certificate.issuer.canonical &&
        !below.some((seen) => isSameEntity(seen, issuer)),
    );
  }

  #faultOfStep(issuer: Certificate, isAnchor: boolean, below: readonly Certificate[]): string | undefined {
    const certificate = below[below.length - 1]!;
    const fault =
      faultOfKeyId(certificate, issuer) ??
      faultOfCertificate(issuer, this.#nowMs) ??
      faultOfIssuer({ issuer, isAnchor, below, purpose: this.#trust.purpose });
    if (fault !== undefined) return fault;
    if (this.#signatureCount >= MAXIMUM_SIGNATURES)
      return `${describeCertificate(below[0]!)}: too many ways up to a trusted CA`;
    this.#signatureCount++;
    return faultOfSigning(certificate, issuer);
  }

  #withoutIssuer(certificate: Certificate): string {
    const { subject, issuer } = certificate;
    if (subject.canonical === issuer.canonical)
      return `${describeCertificate(certificate)}: it is issued by itself and not trusted`;
    return `${describeCertificate(certificate)}: its issuer "${formatName(issuer)}" is not trusted, nor was its certificate sent`;
  }
}

function isSameEntity(a: Certificate, b: Certificate): boolean {
  return a.subject.canonical === b.subject.canonical && equal(a.publicKeyInfo, b.publicKeyInfo);
}

function faultOfKeyId(certificate: Certificate, issuer: Certificate): string | undefined {
  const { authorityKeyId } = certificate.extensions;
  const { subjectKeyId } = issuer.extensions;
  if (authorityKeyId === undefined || subjectKeyId === undefined) return undefined;
  return equal(authorityKeyId, subjectKeyId)
    ? undefined
    : `${describeCertificate(certificate)}: it was issued with another key of ${describeCertificate(issuer)}`;
}

/** The certificate, or why there is none. */
function read(der: Uint8Array): Certificate | string {
  try {
    return readCertificate(der);
  } catch (error) {
    if (error instanceof WireError) return error.message;
    throw error;
  }
}

function refused(reason: string): ChainVerdict {
  return { kind: "refused", reason };
}
