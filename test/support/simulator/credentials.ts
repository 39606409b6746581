import { randomBytes } from "node:crypto";
import { judgeByTrust } from "../../../src/auth/eap-tls-judge.ts";
import { ntHash } from "../../../src/crypto/nt-hash.ts";
import { createEapClient } from "../../../src/eap/client.ts";
import { LoginGuard } from "../../../src/eap/login-guard.ts";
import { mschapv2Client } from "../../../src/eap/mschapv2/client.ts";
import { mschapv2Server } from "../../../src/eap/mschapv2/server.ts";
import { createEapServer } from "../../../src/eap/server.ts";
import type { EapClient, EapGrants, EapServer, EapStep } from "../../../src/eap/session.ts";
import { eapTlsClient } from "../../../src/eap/tls/client.ts";
import { eapTlsServer } from "../../../src/eap/tls/server.ts";
import {
  type Authority,
  createAuthority,
  generateKeys,
  issue,
  type NewKey,
} from "../../../src/pki/authority.ts";
import { readCertificate } from "../../../src/pki/certificate.ts";
import type { Credential } from "../../../src/pki/credential.ts";
import { readRevocationList } from "../../../src/pki/crl.ts";
import { keyTypeOf } from "../../../src/pki/public-keys.ts";
import { RevocationChecker } from "../../../src/pki/revocation.ts";
import type { TrustPolicy } from "../../../src/pki/trust.ts";
import { TrustAnchors } from "../../../src/pki/trust-anchors.ts";
import { parseIdentity } from "../../../src/policy/identity.ts";
import { makeList } from "../revocation.ts";

/** A CA of the test's own, and what it issues. */
export class TestAuthority {
  readonly anchors: TrustAnchors;
  readonly #authority: Authority;

  private constructor(authority: Authority) {
    this.#authority = authority;
    this.anchors = new TrustAnchors([readCertificate(authority.certificate)]);
  }

  static async create(name = "CN=Test CA"): Promise<TestAuthority> {
    return new TestAuthority(createAuthority({ name, keys: await generateKeys("p256"), nowMs: Date.now() }));
  }

  async issue(
    altName: string,
    { purpose = "server", kind = "p256" }: { purpose?: "server" | "client"; kind?: NewKey } = {},
  ): Promise<Credential> {
    const keys = await generateKeys(kind);
    const nowMs = Date.now();
    const name = `CN=${altName}`;
    const { certificate } = issue(this.#authority, { purpose, name, altNames: [altName], keys, nowMs });
    return {
      chain: [certificate],
      certificate: readCertificate(certificate),
      key: keys.privateKey,
      keyType: keyTypeOf(keys.privateKey)!,
      issuerKeyHashes: this.anchors.hashes,
    };
  }

  trust(purpose: TrustPolicy["purpose"]): TrustPolicy {
    return { anchors: this.anchors, purpose };
  }

  /** As `trust`, with a CRL that has these in it, and that lasts for so long from now. */
  trustWithList(
    purpose: TrustPolicy["purpose"],
    revoked: readonly Credential[],
    lastsMs = 3_600_000,
  ): TrustPolicy {
    const { certificate: der, privateKey } = this.#authority;
    const by = { der, certificate: readCertificate(der), privateKey };
    const nowMs = Date.now();
    const dates = { thisUpdate: nowMs - 7_200_000, nextUpdate: nowMs + lastsMs };
    const current = [readRevocationList(makeList({ by, revoked, ...dates }))];
    const revocation = new RevocationChecker({
      mode: "relaxed",
      lists: { current },
      isOnline: false,
      allowsPrivateAddresses: false,
      timeoutMs: 1000,
    });
    return { ...this.trust(purpose), revocation };
  }
}

const random = { bytes: (length: number) => new Uint8Array(randomBytes(length)) };

/** A gateway's EAP-MSCHAPv2 with these users and passwords. */
export function logins(users: Readonly<Record<string, string>>): EapServer {
  const find = (name: string) => {
    const password = users[name];
    return password === undefined ? undefined : { name, ntHash: ntHash(password) };
  };
  const guard = new LoginGuard({ now: () => 0 });
  return createEapServer({
    methods: [mschapv2Server({ users: { find }, guard, name: "gateway", random })],
    random,
  });
}

/** Logins that bring grants along, as those by RADIUS do. */
export function granting(server: EapServer, grants: EapGrants): EapServer {
  const withGrants = (step: EapStep): EapStep => (step.kind === "success" ? { ...step, grants } : step);
  return {
    begin: (peer) => {
      const { session, first } = server.begin(peer);
      const receive = async (packet: Uint8Array) => withGrants(await session.receive(packet));
      return { first, session: { receive, dispose: () => session.dispose() } };
    },
  };
}

export function login(user: string, password: string): EapClient {
  const method = mschapv2Client({ user, ntHash: ntHash(password), random });
  return createEapClient({ identity: user, methods: [method] });
}

/** A gateway's EAP-TLS, for clients with certificates of the CA. */
export function tlsLogins(ca: TestAuthority, credential: Credential): EapServer {
  const judge = judgeByTrust({ trust: ca.trust("client"), wallClock: Date.now });
  return createEapServer({ methods: [eapTlsServer({ credentials: [credential], judge })], random });
}

/** A login by EAP-TLS at the gateway of this name. */
export function tlsLogin(
  ca: TestAuthority,
  facts: { readonly credential: Credential; readonly identity: string; readonly gateway: string },
): EapClient {
  const { credential, identity, gateway } = facts;
  const trust = ca.trust("server");
  const judge = judgeByTrust({ trust, identity: parseIdentity(gateway), wallClock: Date.now });
  return createEapClient({
    identity,
    methods: [eapTlsClient({ credentials: [credential], identity, judge })],
  });
}
