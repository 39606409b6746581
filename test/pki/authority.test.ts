import { execFileSync, spawnSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { IdType } from "../../src/iana/ikev2-parameters.ts";
import { createAuthority, generateKeys, issue, type NewKey } from "../../src/pki/authority.ts";
import { readCertificate } from "../../src/pki/certificate.ts";
import { writePem } from "../../src/pki/pem.ts";
import { TrustAnchors } from "../../src/pki/trust-anchors.ts";
import { verifyChain } from "../../src/pki/verify-chain.ts";

const nowMs = Date.now();
const directory = mkdtempSync(join(tmpdir(), "ikebana-"));
afterAll(() => rmSync(directory, { recursive: true }));

const [OPENSSL, PKI] = ["openssl", "pki"];
const isThere = (command: string) => spawnSync(command, ["--version"]).error === undefined;

describe.each<NewKey>(["rsa", "p256", "p384"])("a CA with %s keys", async (kind) => {
  const authority = createAuthority({
    name: "C=CH, O=Example Ltd, CN=VPN CA",
    keys: await generateKeys(kind),
    nowMs,
  });
  const keys = await generateKeys("p256");
  const gateway = issue(authority, {
    purpose: "server",
    name: "CN=vpn.example.org",
    altNames: ["vpn.example.org", "192.0.2.1", "2001:db8::1"],
    keys,
    nowMs,
  });
  const client = issue(authority, {
    purpose: "client",
    name: "CN=anna",
    altNames: ["anna@example.org"],
    keys,
    nowMs,
  });
  const trusted = (
    certificate: Uint8Array,
    purpose: "server" | "client",
    type: number,
    name: string | Uint8Array,
  ) =>
    verifyChain({
      certificates: [certificate],
      trust: { anchors: new TrustAnchors([readCertificate(authority.certificate)]), purpose },
      identity: { type, data: typeof name === "string" ? Buffer.from(name) : name },
      nowMs,
    });

  test("issues what we trust, for what it is for", () => {
    const { ID_FQDN, ID_RFC822_ADDR, ID_IPV4_ADDR } = IdType;
    const server = gateway.certificate;
    expect(trusted(server, "server", ID_FQDN, "vpn.example.org").kind).toBe("trusted");
    expect(trusted(server, "server", ID_IPV4_ADDR, Uint8Array.of(192, 0, 2, 1)).kind).toBe("trusted");
    expect(trusted(client.certificate, "client", ID_RFC822_ADDR, "anna@example.org").kind).toBe("trusted");
    expect(trusted(client.certificate, "server", ID_RFC822_ADDR, "anna@example.org")).toMatchObject({
      reason: expect.stringContaining("does not include serverAuth"),
    });
  });

  test("gives each certificate a serial number of its own", () => {
    const serials = [authority, gateway, client].map(({ certificate }) =>
      Buffer.from(readCertificate(certificate).serialNumber).toString("hex"),
    );
    expect(new Set(serials).size).toBe(3);
    for (const serial of serials) expect(serial).toMatch(/^[4-7][0-9a-f]{31}$/);
  });

  test("is read alike by OpenSSL", () => {
    const certificate = new X509Certificate(gateway.certificate);
    expect(certificate.checkPrivateKey(gateway.privateKey)).toBe(true);
    expect(certificate.subjectAltName).toBe(
      "DNS:vpn.example.org, IP Address:192.0.2.1, IP Address:2001:DB8:0:0:0:0:0:1",
    );
    expect(new X509Certificate(authority.certificate).ca).toBe(true);
    expect(certificate.checkIP("192.0.2.1")).toBe("192.0.2.1");
  });

  const file = (name: string, der: Uint8Array) => {
    const path = join(directory, `${kind}-${name}.pem`);
    writeFileSync(path, writePem("CERTIFICATE", der));
    return path;
  };

  test.skipIf(!isThere(OPENSSL))(
    "is accepted by `openssl verify` in strict mode, for its purpose and name",
    () => {
      const ca = file("ca", authority.certificate);
      const verify = (path: string, ...more: readonly string[]) =>
        execFileSync(OPENSSL, ["verify", "-x509_strict", "-check_ss_sig", "-CAfile", ca, ...more, path], {
          encoding: "utf8",
        });
      expect(
        verify(
          file("gateway", gateway.certificate),
          "-purpose",
          "sslserver",
          "-verify_hostname",
          "vpn.example.org",
        ),
      ).toMatch(/: OK/);
      expect(
        verify(
          file("client", client.certificate),
          "-purpose",
          "sslclient",
          "-verify_email",
          "anna@example.org",
        ),
      ).toMatch(/: OK/);
    },
  );

  test.skipIf(!isThere(PKI))("is accepted by strongSwan's `pki --verify`", () => {
    const verify = [
      "--verify",
      "--in",
      file("gateway", gateway.certificate),
      "--cacert",
      file("ca", authority.certificate),
    ];
    expect(execFileSync(PKI, verify, { encoding: "utf8" })).toMatch(/certificate trusted, lifetimes valid/);
  });
});

test("a gateway's certificate needs a name, and names need to be names", async () => {
  const keys = await generateKeys("p256");
  const authority = createAuthority({ name: "CN=CA", keys, nowMs });
  const gateway = { purpose: "server", altNames: [], keys, nowMs } as const;
  expect(() => issue(authority, { ...gateway, name: "CN=vpn" })).toThrow(
    /needs a name that clients can type/,
  );
  expect(() => issue(authority, { ...gateway, altNames: ["vpn"], name: "vpn" })).toThrow(
    /is no distinguished name/,
  );
});
