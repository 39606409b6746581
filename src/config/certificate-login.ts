import { judgeByTrust } from "../auth/eap-tls-judge.ts";
import { createEapClient } from "../eap/client.ts";
import type { EapClient, EapSession } from "../eap/session.ts";
import { eapTlsClient } from "../eap/tls/client.ts";
import { EapType } from "../iana/eap.ts";
import type { TrustPolicy } from "../pki/trust.ts";
import type { Identity } from "../policy/connection.ts";
import type { LiveCertificates } from "./live-certificates.ts";

/** A login of ours by EAP-TLS, each time with the certificate as it is by then. */
export class CertificateLogin implements EapClient {
  readonly user: string;
  readonly certificates: LiveCertificates;
  /** What the other end of TLS is judged by. */
  readonly trust: TrustPolicy;
  /** Whom its certificate has to be of. */
  readonly server: Identity | undefined;

  constructor(facts: {
    readonly user: string;
    readonly certificates: LiveCertificates;
    readonly trust: TrustPolicy;
    readonly server: Identity | undefined;
  }) {
    this.user = facts.user;
    this.certificates = facts.certificates;
    this.trust = facts.trust;
    this.server = facts.server;
  }

  begin(): EapSession {
    const { user: identity, certificates, trust, server } = this;
    const judge = judgeByTrust({ trust, ...(server && { identity: server }), wallClock: Date.now });
    const begin = () => eapTlsClient({ credentials: certificates.credentials, identity, judge }).begin();
    return createEapClient({ identity, methods: [{ type: EapType.EAP_TLS, begin }] }).begin();
  }
}
