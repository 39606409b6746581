import type { JudgePeer } from "../eap/tls/verdict.ts";
import { type Certificate, describeCertificate } from "../pki/certificate.ts";
import type { ClaimedIdentity } from "../pki/identity-match.ts";
import { commonNames } from "../pki/names.ts";
import type { TrustPolicy } from "../pki/trust.ts";
import { verifyChainAndRevocation } from "../pki/verify-chain.ts";

/** How EAP-TLS judges a peer: by the same rules as certificates in IKE_AUTH. Whoever is trusted goes by a name of the certificate. */
export function judgeByTrust(settings: {
  readonly trust: TrustPolicy;
  /** Whom the certificate has to be of; undefined for anybody whom the trust anchors vouch for. */
  readonly identity?: ClaimedIdentity;
  /** Milliseconds since 1970. */
  readonly wallClock: () => number;
}): JudgePeer {
  const { trust, identity, wallClock } = settings;
  return async (certificates) => {
    const verdict = await verifyChainAndRevocation({ certificates, trust, identity, nowMs: wallClock() });
    if (verdict.kind === "refused") return verdict;
    return { kind: "trusted", identity: userNameOf(verdict.path[0]!) };
  };
}

/** Who logs in with a certificate. RFC 5216 section 5.2: the alternative names say so, and the common name only where there are none. */
export function userNameOf(certificate: Certificate): string {
  const { subject, extensions } = certificate;
  for (const name of extensions.subjectAltNames ?? []) {
    if (name.kind === "email") return name.address;
    if (name.kind === "dns") return name.name;
  }
  return commonNames(subject)[0] ?? describeCertificate(certificate);
}
