import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { parseConfig } from "../../src/config/load.ts";
import { createEapClient } from "../../src/eap/client.ts";
import { eapTlsClient } from "../../src/eap/tls/client.ts";
import { Oid } from "../../src/pki/object-identifiers.ts";
import { writePem } from "../../src/pki/pem.ts";
import type { TrustPolicy } from "../../src/pki/trust.ts";
import { verifyChainAndRevocation } from "../../src/pki/verify-chain.ts";
import type { RemoteAuthentication } from "../../src/policy/connection.ts";
import { converse } from "../eap/conversation.ts";
import { makeAuthority, makeLeaf, type TestCertificate } from "../support/certificates.ts";
import { makeAnswer, makeList, nonceOf, ocspUri, serveHttp } from "../support/revocation.ts";

const HOUR = 3_600_000;
const notAfter = "2100-01-01T00:00:00Z";
const root = makeAuthority({ name: "CN=Test CA", notAfter });
const gateway = makeLeaf({ name: "CN=gateway", by: root, notAfter }, ["vpn.example.org"]);
const client = (name: string, more: readonly Uint8Array[] = []) =>
  makeLeaf({ name: `CN=${name}`, by: root, notAfter, more }, [`${name}@example.org`], [Oid.clientAuth]);
const [anna, berta] = [client("anna"), client("berta")];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "ikebana-revocation-"));
  writeFileSync(join(folder, "ca.pem"), writePem("CERTIFICATE", root.der));
  writeFileSync(join(folder, "cert.pem"), writePem("CERTIFICATE", gateway.der));
  writeFileSync(
    join(folder, "key.pem"),
    String(gateway.privateKey.export({ type: "pkcs8", format: "pem" })),
    { mode: 0o600 },
  );
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
beforeEach(() => list());

function list(...revoked: readonly TestCertificate[]): void {
  const nowMs = Date.now();
  const made = makeList({ by: root, revoked, thisUpdate: nowMs - HOUR, nextUpdate: nowMs + HOUR });
  writeFileSync(join(folder, "list.pem"), writePem("X509 CRL", made));
}

function gatewayWays(lines: string, auth = "certificate"): readonly RemoteAuthentication[] {
  const text = `gateway:
  domain: vpn.example.org
  certificate: cert.pem
  key: key.pem
  auth: ${auth}
  ca: ca.pem
  pool: 10.77.0.0/24
${lines}`;
  return parseConfig({ text, file: join(folder, "ikebana.yaml") }).connections[0]!.remote.authentication;
}

function peerWays(remote: string): readonly RemoteAuthentication[] {
  const text = `connections:
  home:
    local: { id: a.example.org, certificate: cert.pem, key: key.pem }
    remote: { address: 192.0.2.2, ${remote} }
    children: { lan: { local: 10.1.0.0/16, remote: 10.2.0.0/16 } }
`;
  return parseConfig({ text, file: join(folder, "ikebana.yaml") }).connections[0]!.remote.authentication;
}

function trustOf(ways: readonly RemoteAuthentication[]): TrustPolicy {
  const way = ways.find(({ kind }) => kind === "certificate");
  if (way?.kind !== "certificate") throw new Error("certificates are not taken");
  return way.trust;
}

async function judged(ways: readonly RemoteAuthentication[], { der }: TestCertificate): Promise<string> {
  const trust = trustOf(ways);
  const verdict = await verifyChainAndRevocation({
    certificates: [der],
    trust,
    identity: undefined,
    nowMs: Date.now(),
  });
  return verdict.kind === "refused" ? verdict.reason : (verdict.note ?? "trusted");
}

async function login(ways: readonly RemoteAuthentication[], { der, privateKey }: TestCertificate) {
  const way = ways.find(({ kind }) => kind === "eap");
  if (way?.kind !== "eap") throw new Error("nobody can log in");
  const identity = "somebody";
  const judge = () => ({ kind: "trusted", identity: "gateway" }) as const;
  const method = eapTlsClient({ credentials: [{ chain: [der], key: privateKey }], identity, judge });
  return (await converse(way.server, createEapClient({ identity, methods: [method] }).begin())).server?.kind;
}

describe.each([
  ["a gateway's clients", (mode: string) => gatewayWays(`  revocation: { mode: ${mode}, crl: list.pem }\n`)],
  ["a peer", (mode: string) => peerWays(`ca: ca.pem, revocation: { mode: ${mode}, crl: list.pem }`)],
])("the certificates of %s", (_, ways) => {
  test.each([["relaxed"], ["strict"]])("are looked up in lists from files (%s)", async (mode) => {
    list(anna);
    const taken = ways(mode);
    expect(await judged(taken, anna)).toBe('certificate "CN=anna" was revoked');
    expect(await judged(taken, berta)).toBe("trusted");
  });
});

test.each([["eap-tls"], ["[certificate, eap-tls]"]])(
  "clients with a revoked certificate do not log in by EAP-TLS either (auth: %s)",
  async (auth) => {
    list(anna);
    const ways = gatewayWays("  revocation: { mode: strict, crl: list.pem }\n", auth);
    expect(await login(ways, anna)).toBe("failure");
    expect(await login(ways, berta)).toBe("success");
  },
);

test("where nobody can say anything, a certificate is taken unless the mode is strict", async () => {
  expect(await judged(gatewayWays(""), anna)).toBe("trusted");
  expect(await judged(gatewayWays("  revocation: strict\n"), anna)).toMatch(/neither a responder nor a CRL/);
  expect(await judged(peerWays("ca: ca.pem, revocation: strict"), anna)).toMatch(/neither a responder nor/);
});

test("a responder that the certificate names is asked, and with off is not", async () => {
  const { uri, asked } = await serveHttp((_, request) =>
    makeAnswer({
      issuer: root,
      about: carla,
      status: "revoked",
      nonce: nonceOf(request),
      thisUpdate: Date.now() - HOUR,
      nextUpdate: Date.now() + HOUR,
    }),
  );
  const carla = client("carla", [ocspUri(uri)]);
  expect(await judged(gatewayWays("  revocation: off\n"), carla)).toBe("trusted");
  expect(await judged(peerWays("ca: ca.pem, revocation: off"), carla)).toBe("trusted");
  // By default too somebody is asked, only not at an address that is not public.
  expect(await judged(gatewayWays(""), carla)).toMatch(/nobody says whether it was revoked/);
  expect(await judged(peerWays("ca: ca.pem"), carla)).toMatch(/nobody says whether it was revoked/);
  expect(asked).toEqual([]);
  const privately = "  revocation: { mode: relaxed, private: true }\n";
  expect(await judged(gatewayWays(privately), carla)).toBe('certificate "CN=carla" was revoked');
  expect(await judged(peerWays("ca: ca.pem, revocation: { mode: relaxed, private: true }"), carla)).toBe(
    'certificate "CN=carla" was revoked',
  );
  expect(asked).toHaveLength(2);
});
