import type { AuthenticationJob } from "../auth/jobs.ts";
import { CertificateEncoding } from "../iana/ikev2-parameters.ts";
import type { ConnectionPolicy, Identity } from "../policy/connection.ts";
import type { Payload, PayloadOf } from "../wire/payloads/payload.ts";
import { peerOctets } from "./auth-payload.ts";
import { certificatesIn, rawKeyIn } from "./certificates.ts";
import type { IkeSa } from "./ike-sa.ts";
import type { Authenticating } from "./ike-sa-state.ts";

/**
 * What a signature of the peer may be verified with, by what it shows in CERT, the likeliest first. One whose key we have need not show
 * anything (RFC 7296 section 3.6 leaves CERT to the sender), and may show a certificate that means nothing to us.
 */
export function signerKinds(payloads: readonly Payload[]): readonly ("certificate" | "raw-key")[] {
  const shown = payloads.flatMap((payload) => (payload.kind === "certificate" ? [payload.encoding] : []));
  if (shown.includes(CertificateEncoding.X509_SIGNATURE)) return ["certificate", "raw-key"];
  return shown.includes(CertificateEncoding.RAW_PUBLIC_KEY) ? ["raw-key"] : ["raw-key", "certificate"];
}

/** Verifies a signature away from here, by certificate or raw key as the connection takes them; undefined when it takes neither that is shown. */
export function signatureJob(
  ikeSa: IkeSa,
  facts: {
    readonly state: Authenticating;
    readonly connection: ConnectionPolicy;
    readonly payloads: readonly Payload[];
    readonly identity: Identity;
    readonly auth: PayloadOf<"authentication">;
  },
): AuthenticationJob | undefined {
  const { state, connection, payloads, identity, auth } = facts;
  const claim = {
    authentication: auth,
    octets: peerOctets(ikeSa, state, identity),
    allowsSha1: connection.compat?.includes("windows-default") === true,
  };
  for (const kind of signerKinds(payloads)) {
    const trusted = connection.remote.authentication.find((each) => each.kind === kind);
    if (trusted?.kind === "certificate") {
      const certificates = certificatesIn(payloads, ikeSa.machine.limits.certificateCount);
      return { kind: "verify", certificates, trust: trusted.trust, identity, ...claim };
    }
    if (trusted?.kind === "raw-key") {
      return { kind: "verify-raw-key", sent: rawKeyIn(payloads), keys: trusted.keys, ...claim };
    }
  }
  return undefined;
}
