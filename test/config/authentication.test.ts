import { chmodSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { toHex } from "../../src/bytes/hex.ts";
import { CertificateLogin } from "../../src/config/certificate-login.ts";
import type { Config } from "../../src/config/config.ts";
import { GatewayLogins } from "../../src/config/gateway-logins.ts";
import { LiveCertificates } from "../../src/config/live-certificates.ts";
import { parseConfig } from "../../src/config/load.ts";
import { ConfigError } from "../../src/config/problem.ts";
import { ntHash } from "../../src/crypto/nt-hash.ts";
import { createEapClient } from "../../src/eap/client.ts";
import { createEapServer } from "../../src/eap/server.ts";
import type { EapServer, EapSession } from "../../src/eap/session.ts";
import { eapTlsClient } from "../../src/eap/tls/client.ts";
import { eapTlsServer } from "../../src/eap/tls/server.ts";
import type { TlsCredential } from "../../src/eap/tls/tls-endpoint.ts";
import { EapCode, EapType } from "../../src/iana/eap.ts";
import { IdType } from "../../src/iana/ikev2-parameters.ts";
import { RadiusAttribute, RadiusCode } from "../../src/iana/radius.ts";
import { stampOf } from "../../src/ike/resumption/stamp.ts";
import { createAuthority, generateKeys, issue, type KeyPair } from "../../src/pki/authority.ts";
import { writePem } from "../../src/pki/pem.ts";
import { RevocationChecker } from "../../src/pki/revocation.ts";
import { systemTrustAnchors } from "../../src/pki/trust-anchors.ts";
import { systemRandom } from "../../src/platform/random.ts";
import type { ConnectionPolicy } from "../../src/policy/connection.ts";
import { formatIdentity } from "../../src/policy/identity.ts";
import { formatTrafficSelectors } from "../../src/policy/traffic-selectors.ts";
import { changeUsers } from "../../src/users/users-file.ts";
import { converse, passwordClient, response, result } from "../eap/conversation.ts";
import { startFakeServer } from "../radius/fake-server.ts";
import { makeAuthority } from "../support/certificates.ts";
import { makeList } from "../support/revocation.ts";

const HOUR = 3_600_000;

let folder: string;
let keys: { readonly authority: KeyPair; readonly own: KeyPair; readonly next: KeyPair };

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "ikebana-authentication-"));
  const [authority, own, next] = await Promise.all([
    generateKeys("p256"),
    generateKeys("p256"),
    generateKeys("p256"),
  ]);
  keys = { authority, own, next };
  writeCertificates(own);
  put("anna.secret", "correct horse\n");
  const cipher = { cipher: "aes-128-cbc", passphrase: "unknown" } as const;
  put("locked.pem", String(own.privateKey.export({ type: "pkcs8", format: "pem", ...cipher })));
  changeUsers(join(folder, "users.yaml"), (draft) =>
    draft.put({
      name: "anna",
      ntHash: ntHash("x"),
      isDisabled: false,
      devices: undefined,
      expires: undefined,
    }),
  );
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function put(name: string, text: string): void {
  writeFileSync(join(folder, name), text);
  chmodSync(join(folder, name), 0o600);
}

function writeCertificates(own: KeyPair): void {
  const nowMs = Date.now();
  const authority = createAuthority({ name: "CN=Test CA", keys: keys.authority, nowMs });
  const names = { name: "CN=gateway", altNames: ["vpn.example.org"] };
  const leaf = issue(authority, { purpose: "server", ...names, keys: own, nowMs });
  put("ca.pem", writePem("CERTIFICATE", authority.certificate));
  put("cert.pem", writePem("CERTIFICATE", leaf.certificate));
  put("key.pem", String(own.privateKey.export({ type: "pkcs8", format: "pem" })));
}

function parse(text: string) {
  return parseConfig({ text, file: join(folder, "ikebana.yaml") });
}

function connection(lines: string): ConnectionPolicy {
  return parse(`connections:\n  home:\n${lines.replace(/^/gm, "    ")}\n`).connections[0]!;
}

function problemsOf(lines: string): string {
  try {
    connection(lines);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems
      .map(({ line, column, message }) => `${line}:${column}: ${message.replaceAll(folder, "/etc/ikebana")}`)
      .join("\n");
  }
  throw new Error("the text was accepted");
}

describe("a login with name and password", () => {
  const LOGIN = "remote: vpn.example.org\nuser: anna\npassword: { file: anna.secret }";

  test("needs no more than the gateway's name: it asks for addresses and takes all there is", () => {
    const home = connection(LOGIN);
    expect(home.start).toBe("start");
    expect(home.asks).toEqual({ ipv4: true, ipv6: true });
    expect(home.children.map(({ remote }) => formatTrafficSelectors(remote))).toEqual(["0.0.0.0/0, ::/0"]);
    expect([home.local.identity, home.remote.identity!].map(formatIdentity)).toEqual([
      "anna",
      "vpn.example.org",
    ]);
  });

  test("proves the password by its hash, and the gateway by a CA that the web trusts", () => {
    const { local, remote } = connection(LOGIN);
    expect(local.authentication).toMatchObject({
      kind: "eap",
      client: { user: "anna", ntHash: ntHash("correct horse") },
    });
    expect(remote.authentication).toEqual([
      {
        kind: "certificate",
        trust: {
          anchors: systemTrustAnchors(),
          purpose: "server",
          revocation: expect.any(RevocationChecker),
        },
      },
    ]);
  });

  test("may trust another CA, name another identity and take less", () => {
    const { remote, children, local } = connection(
      'remote: { address: vpn.example.org, ca: ca.pem }\nuser: "HOME\\\\anna b"\npassword: "text"\nchildren: { office: { local: 0.0.0.0/0, remote: 10.0.0.0/8 } }',
    );
    const [way] = remote.authentication;
    expect(way?.kind === "certificate" && way.trust.anchors.all).toHaveLength(1);
    expect(children.map(({ name }) => name)).toEqual(["office"]);
    expect(local.identity).toEqual({
      type: IdType.ID_KEY_ID,
      data: new TextEncoder().encode("HOME\\anna b"),
    });
  });
});

describe("a login with a certificate", () => {
  const LOGIN =
    "remote: { address: vpn.example.org, ca: ca.pem }\nuser: berta@example.org\nlocal: { certificate: berta.pem, key: berta.key }";

  /** What becomes of the login at a gateway whose certificate is for this name. */
  async function ends(lines: string, name: string) {
    const { local } = connection(lines);
    if (local.authentication.kind !== "eap") throw new Error("no login");
    const method = eapTlsServer({
      credentials: [issued("server", name)],
      judge: () => ({ kind: "trusted", identity: "somebody" }),
    });
    const server = createEapServer({ methods: [method], random: systemRandom });
    return converse(server, local.authentication.client.begin());
  }

  beforeAll(() => {
    const { chain, key } = issued("client", "berta@example.org");
    put("berta.pem", writePem("CERTIFICATE", chain[0]!));
    put("berta.key", String(key.export({ type: "pkcs8", format: "pem" })));
  });

  test("asks for addresses as every login does, and is by EAP-TLS behind the gateway's certificate", async () => {
    const home = connection(LOGIN);
    expect(home.asks).toEqual({ ipv4: true, ipv6: true });
    expect(formatIdentity(home.local.identity)).toBe("berta@example.org");
    expect(home.remote.authentication).toMatchObject([{ kind: "certificate", trust: { purpose: "server" } }]);
    const { client, server } = await ends(LOGIN, "vpn.example.org");
    expect([client.kind, server?.kind]).toEqual(["success", "success"]);
  });

  test("shows nothing to a gateway of another name, unless it is told who stands behind the gateway", async () => {
    const { client } = await ends(LOGIN, "aaa.example.org");
    expect(client).toMatchObject({
      kind: "failure",
      reason: expect.stringContaining("not for vpn.example.org"),
    });
    const told = LOGIN.replace("ca: ca.pem", "ca: ca.pem, aaa: aaa.example.org");
    expect((await ends(told, "aaa.example.org")).client.kind).toBe("success");
    expect((await ends(told, "vpn.example.org")).client.kind).toBe("failure");
  });

  test("is with the certificate as it is by then", async () => {
    const { local } = connection(LOGIN);
    const client = local.authentication.kind === "eap" ? local.authentication.client : undefined;
    expect(client).toBeInstanceOf(CertificateLogin);
    expect((client as CertificateLogin).certificates.files[0]?.certificate).toBe(join(folder, "berta.pem"));
  });

  test("may do without the gateway's certificate before it, if it says so", () => {
    const { remote } = connection(`${LOGIN}\neapOnly: true`);
    expect(remote.authentication.map(({ kind }) => kind)).toEqual(["eap-only", "certificate"]);
  });
});

describe("certificates on both sides", () => {
  test("are read from files, and the peer's has to be of the CA", () => {
    const { local, remote } = connection(
      "local: { id: a.example.org, certificate: cert.pem, key: key.pem }\nremote: { address: 192.0.2.2, id: b.example.org, ca: ca.pem }\nchildren: { lan: { local: 10.1.0.0/16, remote: 10.2.0.0/16 } }",
    );
    expect(local.authentication.kind === "certificate" && local.authentication.credentials).toHaveLength(1);
    expect(remote.authentication).toMatchObject([{ kind: "certificate", trust: { purpose: "peer" } }]);
  });

  test("are taken from the files again when they are renewed, and only as a whole", async () => {
    const files = [{ certificate: join(folder, "cert.pem"), key: join(folder, "key.pem") }];
    const live = new LiveCertificates(files, 0);
    const [first] = live.credentials;
    put("key.pem", String(keys.next.privateKey.export({ type: "pkcs8", format: "pem" })));
    expect(live.credentials[0]).toBe(first);
    writeCertificates(keys.next);
    // Where a file system counts in seconds, the same second would be the same state.
    utimesSync(join(folder, "cert.pem"), 1, 1);
    const [second] = live.credentials;
    expect(second?.key.equals(keys.next.privateKey)).toBe(true);
    writeCertificates(keys.own);
  });
});

describe("raw public keys", () => {
  const LAN = "children: { lan: { local: 10.1.0.0/16, remote: 10.2.0.0/16 } }";
  const raw = (local: string, remote: string): string =>
    `local: { id: a.example.org, ${local} }\nremote: { address: 192.0.2.2, id: b.example.org, ${remote} }\n${LAN}`;

  beforeAll(() => {
    const pem = ({ publicKey }: KeyPair) => String(publicKey.export({ type: "spki", format: "pem" }));
    put("peer.pub", pem(keys.authority));
    put("peers.pub", pem(keys.next) + pem(keys.authority));
  });

  test("are read from files, on both sides or on either", () => {
    const { local, remote } = connection(raw("privateKey: key.pem", "publicKey: peer.pub"));
    const own = local.authentication;
    expect(own.kind === "raw-key" && own.key.equals(keys.own.privateKey)).toBe(true);
    const [way] = remote.authentication;
    expect(way?.kind === "raw-key" && way.keys.map((key) => key.equals(keys.authority.publicKey))).toEqual([
      true,
    ]);
    const many = connection(raw("psk: 0123456789abcdef", "publicKey: [peer.pub, peers.pub]"));
    const [three] = many.remote.authentication;
    expect(three?.kind === "raw-key" && three.keys).toHaveLength(3);
    const mixed = connection(raw("privateKey: key.pem", "ca: ca.pem"));
    expect(mixed.remote.authentication).toMatchObject([{ kind: "certificate", trust: { purpose: "peer" } }]);
  });

  test("of ours may be encrypted", () => {
    const cipher = { cipher: "aes-256-cbc", passphrase: "open sesame" } as const;
    put("sealed.pem", String(keys.own.privateKey.export({ type: "pkcs8", format: "pem", ...cipher })));
    put("passphrase", "open sesame\n");
    const { local } = connection(
      raw("privateKey: sealed.pem, passphrase: passphrase", "publicKey: peer.pub"),
    );
    expect(local.authentication.kind).toBe("raw-key");
  });

  test.each([
    ["privateKey: key.pem", "port: 500", "say how the peer shows who it is: publicKey or ca is missing"],
    ["privateKey: key.pem", "publicKey: peer.pub, ca: ca.pem", "leave out ca and revocation"],
    ["privateKey: key.pem", "publicKey: ca.pem", "/etc/ikebana/ca.pem holds no public key"],
    ["privateKey: peer.pub", "publicKey: peer.pub", "/etc/ikebana/peer.pub holds no private key"],
    ["privateKey: key.pem, psk: 0123456789abcdef", "publicKey: peer.pub", "here are psk and privateKey"],
  ])("{ %s } and { %s } are refused", (local, remote, problem) =>
    expect(problemsOf(raw(local, remote))).toContain(problem),
  );
});

describe("what is known of a peer's certificate", () => {
  const checker = (revocation: string) => {
    const { remote } = connection(
      `local: { id: a.example.org, certificate: cert.pem, key: key.pem }\nremote: { address: 192.0.2.2, id: b.example.org, ca: ca.pem, revocation: ${revocation} }\nchildren: { lan: { local: 10.1.0.0/16, remote: 10.2.0.0/16 } }`,
    );
    const [way] = remote.authentication;
    return way?.kind === "certificate" ? way.trust.revocation?.policy : undefined;
  };

  test("is asked for as the file says", () => {
    expect(checker("off")).toBeUndefined();
    expect(checker("strict")).toMatchObject({
      mode: "strict",
      isOnline: true,
      allowsPrivateAddresses: false,
      lists: { current: [] },
    });
    put("list.crl", writePem("X509 CRL", makeList({ by: makeAuthority({ name: "CN=CA" }) })));
    const offline = checker("{ mode: relaxed, crl: list.crl, online: false, private: true }");
    expect(offline).toMatchObject({ mode: "relaxed", isOnline: false, allowsPrivateAddresses: true });
    expect(offline?.lists.current).toHaveLength(1);
  });
});

test("an encrypted key is opened with the passphrase in a file", () => {
  const cipher = { cipher: "aes-256-cbc", passphrase: "open sesame" } as const;
  put("sealed.pem", String(keys.own.privateKey.export({ type: "pkcs8", format: "pem", ...cipher })));
  put("passphrase", "open sesame\n");
  const { local } = connection(
    "local: { id: a, certificate: cert.pem, key: sealed.pem, passphrase: passphrase }\nremote: { address: 192.0.2.2, ca: ca.pem }\nchildren: { lan: { local: 10.1.0.0/16, remote: 10.2.0.0/16 } }",
  );
  const { authentication } = local;
  expect(
    authentication.kind === "certificate" && authentication.credentials[0]?.key.equals(keys.own.privateKey),
  ).toBe(true);
});

test.each([
  [
    "a CRL that is none",
    "local: { id: a, certificate: cert.pem, key: key.pem }\nremote: { address: 192.0.2.2, ca: ca.pem, revocation: { mode: strict, crl: ca.pem } }\nchildren: { lan: { local: 10.1.0.0/16, remote: 10.2.0.0/16 } }",
    'ca.pem holds no CRL (in PEM, "-----BEGIN X509 CRL-----")',
  ],
  [
    "revocation without certificates",
    "local: { psk: 0123456789abcdef }\nremote: { address: 192.0.2.2, revocation: strict }\nchildren: { lan: { local: 10.1.0.0/16, remote: 10.2.0.0/16 } }",
    "a peer with a pre-shared key has no certificate to ask about",
  ],
  [
    "an encrypted key without a passphrase",
    "local: { id: a, certificate: cert.pem, key: locked.pem }\nremote: { address: 192.0.2.2, ca: ca.pem }\nchildren: { lan: { local: 10.1.0.0/16, remote: 10.2.0.0/16 } }",
    "locked.pem is encrypted, and no file with its passphrase is given",
  ],
  [
    "no way to show who we are",
    "local: { id: a }\nremote: 192.0.2.2",
    "3:5: say how we show who we are: local.psk",
  ],
  [
    "two of them",
    "local: { psk: 0123456789abcdef }\nremote: 192.0.2.2\nuser: anna\npassword: x",
    "3:5: one way to show who we are is enough, and here are psk and user",
  ],
  [
    "EAP only with a password, which a stranger could guess at",
    "remote: vpn.example.org\nuser: anna\npassword: x\neapOnly: true",
    "6:5: it needs a login with a certificate: user, local.certificate and key",
  ],
  [
    "somebody behind the gateway, and no login with a certificate",
    "remote: { address: vpn.example.org, aaa: aaa.example.org }\nuser: anna\npassword: x",
    "it is about logins with a certificate",
  ],
  [
    "EAP only with somebody behind the gateway",
    "remote: { address: vpn.example.org, aaa: a.example.org, ca: ca.pem }\nuser: anna\nlocal: { certificate: cert.pem, key: key.pem }\neapOnly: true",
    "with eapOnly the login has to show that the gateway is who it says",
  ],
  [
    "a user with a password and a certificate",
    "remote: vpn.example.org\nuser: anna\npassword: x\nlocal: { certificate: cert.pem, key: key.pem }",
    "one way to show who we are is enough, and here are certificate and user",
  ],
  ["a user without a password", "remote: vpn.example.org\nuser: anna", "user and password go together"],
  ["a password without a user", "remote: vpn.example.org\npassword: x", "user and password go together"],
  ["an empty password", 'remote: vpn.example.org\nuser: anna\npassword: ""', "5:5: the password is empty"],
  [
    "a password file that is not there",
    "remote: vpn.example.org\nuser: anna\npassword: { file: none }",
    "5:5: cannot read /etc/ikebana/none: ENOENT",
  ],
  [
    "a certificate without its key",
    "local: { id: a, certificate: cert.pem }\nremote: 192.0.2.2",
    "3:5: certificate and key go together, and one of them is missing",
  ],
  [
    "a certificate that is not there",
    "local: { id: a, certificate: none.pem, key: key.pem }\nremote: 192.0.2.2",
    "3:21: cannot read /etc/ikebana/none.pem: ENOENT",
  ],
  [
    "a key as a certificate",
    "local: { id: a, certificate: key.pem, key: key.pem }\nremote: 192.0.2.2",
    "3:21: /etc/ikebana/key.pem holds no certificate",
  ],
  [
    "a CA that is none",
    "remote: { address: vpn.example.org, ca: key.pem }\nuser: anna\npassword: x",
    "3:41: /etc/ikebana/key.pem holds no certificate",
  ],
])("%s is refused", (_, lines, problem) => expect(problemsOf(lines)).toContain(problem));

test("a password that stands in a file for everybody is warned of", () => {
  const text = "connections:\n  home:\n    remote: vpn.example.org\n    user: anna\n    password: x\n";
  const { warnings } = parseConfig({ text, file: join(folder, "ikebana.yaml"), isReadableByOthers: true });
  expect(warnings).toEqual([expect.stringContaining("ikebana.yaml:5:5: this file holds a password")]);
});

describe("a gateway", () => {
  const GATEWAY = `gateway:
  domain: vpn.example.org
  certificate: cert.pem
  key: key.pem
  users: users.yaml
  pool: [10.77.0.0/24, "fd77::/64"]
  dns: 10.77.0.1
  domains: corp.example.org
`;

  test("is a connection that whoever can log in may use, and that never rekeys by itself", () => {
    const { connections, gateway } = parse(GATEWAY);
    expect(gateway?.domain).toBe("vpn.example.org");
    expect(connections).toMatchObject([
      {
        name: "gateway",
        start: "respond",
        local: { address: undefined, authentication: { kind: "certificate" } },
        remote: { address: undefined, identity: undefined, authentication: [{ kind: "eap" }] },
        gives: { dns: ["10.77.0.1"], subnets: [], domains: [{ name: "corp.example.org", trustAnchors: [] }] },
        clientLifetimes: { childMs: 28 * HOUR, ikeMs: 28 * HOUR },
      },
    ]);
    const [{ local, children }] = connections as [ConnectionPolicy];
    expect(formatIdentity(local.identity)).toBe("vpn.example.org");
    expect(children.map((child) => [child.local, child.remote].map(formatTrafficSelectors))).toEqual([
      ["0.0.0.0/0, ::/0", "10.77.0.0/24, fd77::/64"],
    ]);
  });

  test("can be asked by Windows which networks lie behind it, where these are not everything", () => {
    const places = (more: string): string =>
      formatTrafficSelectors(parse(GATEWAY + more).connections[0]!.asksRoutesAt ?? []);
    expect(places("  subnets: 192.168.4.0/22\n")).toBe("255.255.255.255/32, 10.77.0.1/32");
    expect(places("")).toBe("nothing");
  });

  test("takes what is weak only when told to, and warns of it", () => {
    const { connections, warnings } = parse(`${GATEWAY}  compat: windows-default\n`);
    expect(connections[0]?.compat).toEqual(["windows-default"]);
    expect(warnings).toEqual([expect.stringContaining("windows-default takes MODP-1024")]);
    expect(parse(GATEWAY).connections[0]).not.toHaveProperty("compat");
  });

  test("ends what clients do not rekey when it is told to, and warns where that is before some of them do", () => {
    const { connections, warnings } = parse(`${GATEWAY}  childLifetime: 23h\n  ikeLifetime: never\n`);
    expect(connections[0]?.clientLifetimes).toEqual({ childMs: 23 * HOUR, ikeMs: Number.POSITIVE_INFINITY });
    expect(warnings).toEqual([expect.stringMatching(/childLifetime cuts them off before/)]);
  });

  test("keeps its logins over a reload, with all that they remember", () => {
    const config = parse(GATEWAY);
    expect(config.logins).toBeInstanceOf(GatewayLogins);
    expect(parse(GATEWAY.replace("dns: 10.77.0.1", "dns: 192.0.2.1")).logins).toBe(config.logins);
  });

  test("lets a user have as many devices as the users file says by then", () => {
    const { gateway } = parse(GATEWAY);
    const change = (devices: number | undefined) =>
      changeUsers(join(folder, "users.yaml"), (draft) => draft.put({ ...draft.find("anna")!, devices }));
    expect(gateway?.devicesOf?.("anna")).toBeUndefined();
    change(7);
    expect(gateway?.devicesOf?.("anna")).toBe(7);
    expect(gateway?.devicesOf?.("nobody")).toBeUndefined();
    change(undefined);
    expect(gateway?.devicesOf?.("anna")).toBeUndefined();
  });

  test("takes names and passwords and certificates by EAP, whichever a client has", async () => {
    const both = parse(`${GATEWAY}  auth: [eap-tls, eap-mschapv2]\n  ca: ca.pem\n`);
    const server = serverOf(both);
    const byPassword = await converse(server, passwordClient("anna", "x"));
    expect(byPassword.server).toMatchObject({ kind: "success", identity: "anna" });
    const byCertificate = await converse(server, certificateClient());
    expect(byCertificate.server).toMatchObject({ kind: "success", identity: "berta@example.org" });
    // A change of the users file concerns those who are in it.
    expect(both.logins?.faultOf("berta@example.org")).toBeUndefined();
    expect(both.logins?.faultOf("anna")).toBeUndefined();
    changeUsers(join(folder, "users.yaml"), (draft) =>
      draft.put({ ...draft.find("anna")!, isDisabled: true }),
    );
    expect(both.logins?.faultOf("anna")).toBe("disabled");
    changeUsers(join(folder, "users.yaml"), (draft) =>
      draft.put({ ...draft.find("anna")!, isDisabled: false }),
    );
  });

  test("that takes EAP only offers such clients EAP-TLS and nothing else", async () => {
    const text = `${GATEWAY}  auth: [eap-mschapv2, eap-tls]\n  ca: ca.pem\n`;
    expect(loginsOf(parse(text)).mutualServer).toBeUndefined();
    const { mutualServer, server } = loginsOf(parse(`${text}  eapOnly: true\n`));
    expect((await converse(server, passwordClient("anna", "x"))).server?.kind).toBe("success");
    expect((await converse(mutualServer!, passwordClient("anna", "x"))).server).toMatchObject({
      kind: "failure",
      reason: "no method in common: the peer takes 26",
    });
    expect((await converse(mutualServer!, certificateClient())).server?.kind).toBe("success");
    for (const auth of ["eap-mschapv2", "radius"])
      expect(() =>
        parse(
          `radius: { servers: [{ address: 127.0.0.1, secret: 0123456789abcdef }] }\n${GATEWAY}  auth: ${auth}\n  eapOnly: true\n`,
        ),
      ).toThrow("it needs auth: eap-tls, the one method that shows clients who the gateway is");
  });

  test("asks RADIUS servers where these decide, with the secret of each", async () => {
    const secret = "sixteen octets and more";
    put("radius.secret", `${secret}\n`);
    const fake = await startFakeServer(Buffer.from(secret), ({ attributes }) => ({
      code: RadiusCode.ACCESS_ACCEPT,
      attributes: [
        { type: RadiusAttribute.EAP_MESSAGE, value: result(EapCode.SUCCESS) },
        ...attributes.filter(({ type }) => type === RadiusAttribute.USER_NAME),
      ],
    }));
    const radius = `radius:\n  servers: [{ address: 127.0.0.1, port: ${fake.server.port}, secret: { file: radius.secret } }]\n`;
    const text = `${radius}${GATEWAY.replace(/ {2}users.*\n/, "")}  auth: radius\n`;
    const config = parse(text);
    expect(config.warnings).toEqual([]);
    expect(config.logins).toBeUndefined();
    const { session, first } = serverOf(config).begin({ address: "192.0.2.7" });
    const answer = response(first[1]!, EapType.IDENTITY, new TextEncoder().encode("carla"));
    expect(await session.receive(answer)).toMatchObject({ kind: "success", identity: "carla" });
    expect(serverOf(parse(text))).toBe(serverOf(config));
    put("radius.secret", "short\n");
    expect(parse(text).warnings[0]).toContain("the secret of 127.0.0.1 has 5 octets and can be guessed");
    put("radius.secret", "\n");
    expect(() => parse(text)).toThrow("the secret of 127.0.0.1 is empty");
    fake.close();
  });

  test("is as it was for a session (RFC 5723) only while the same decide on logins", () => {
    const byUsers = GATEWAY;
    const byServers = (servers: string): string =>
      `radius: { servers: [${servers}] }\n${GATEWAY.replace(/ {2}users.*\n/, "")}  auth: radius\n`;
    const one = "{ address: 127.0.0.1, secret: 0123456789abcdef }";
    const texts = [
      byUsers,
      `${GATEWAY}  auth: [eap-tls, eap-mschapv2]\n  ca: ca.pem\n`,
      byServers(one),
      byServers(one.replace("127.0.0.1", "127.0.0.2")),
      byServers(one.replace("address", "port: 1645, address")),
      byServers(one.replace("0123", "3210")),
      byServers(`${one}, { address: 127.0.0.3, secret: 0123456789abcdef }`),
    ];
    const skD = new Uint8Array(32).fill(7);
    const stamp = (text: string): string => toHex(stampOf(parse(text).connections[0]!, skD));
    expect(new Set(texts.map(stamp)).size).toBe(texts.length);
    for (const text of texts) {
      expect(stamp(text.replace("dns: 10.77.0.1", "dns: 192.0.2.1"))).toBe(stamp(text));
    }
  });

  test.each([
    [
      "users.yaml",
      "none.yaml",
      "5:3: there is no users file at /etc/ikebana/none.yaml; ikebana users add NAME",
    ],
    ["cert.pem", "none.pem", "3:3: cannot read /etc/ikebana/none.pem: ENOENT"],
    ["key: key.pem", "key: anna.secret", "3:3: /etc/ikebana/anna.secret holds no private key"],
  ])("whose %s is %s is refused", (good, bad, problem) => {
    let message = "";
    try {
      parse(GATEWAY.replace(good, bad));
    } catch (error) {
      message = (error as Error).message.replaceAll(folder, "/etc/ikebana");
    }
    expect(message).toContain(`ikebana.yaml:${problem}`);
  });
});

function serverOf(config: Config): EapServer {
  return loginsOf(config).server;
}

function loginsOf(config: Config) {
  const way = config.connections[0]!.remote.authentication.find(({ kind }) => kind === "eap");
  if (way?.kind !== "eap") throw new Error("nobody can log in");
  return way;
}

/** By the CA of ca.pem. */
function issued(purpose: "server" | "client", altName: string): TlsCredential {
  const nowMs = Date.now();
  const authority = createAuthority({ name: "CN=Test CA", keys: keys.authority, nowMs });
  const names = { name: `CN=${altName}`, altNames: [altName] };
  const { certificate, privateKey } = issue(authority, { purpose, ...names, keys: keys.next, nowMs });
  return { chain: [certificate], key: privateKey };
}

function certificateClient(): EapSession {
  const identity = "berta@example.org";
  const judge = () => ({ kind: "trusted", identity: "gateway" }) as const;
  const method = eapTlsClient({ credentials: [issued("client", identity)], identity, judge });
  return createEapClient({ identity, methods: [method] }).begin();
}
