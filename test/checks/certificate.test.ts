import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkCertificate } from "../../src/checks/certificate.ts";
import {
  type Authority,
  createAuthority,
  generateKeys,
  issue,
  type KeyPair,
} from "../../src/pki/authority.ts";
import { writePem } from "../../src/pki/pem.ts";

const NOW = Date.parse("2026-11-27T12:00:00Z");
const DAY_MS = 86_400_000;

let folder: string;
let keys: { readonly authority: KeyPair; readonly rsa: KeyPair; readonly p256: KeyPair };
let authority: Authority;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "ikebana-certificate-"));
  const [ca, rsa, p256] = await Promise.all([
    generateKeys("p256"),
    generateKeys("rsa"),
    generateKeys("p256"),
  ]);
  keys = { authority: ca, rsa, p256 };
  authority = createAuthority({ name: "CN=Test CA", keys: ca, nowMs: NOW });
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Variation {
  readonly keys?: KeyPair;
  readonly altNames?: readonly string[];
  readonly purpose?: "server" | "client";
  readonly validDays?: readonly [from: number, to: number];
  /** What the key file holds, where it is not the certificate's own. */
  readonly key?: KeyPair;
  readonly keyMode?: number;
  /** PEM behind the leaf. */
  readonly rest?: string;
}

/** What is found for a certificate that is right but for the variation: outcomes by check. */
function outcomes(
  variation: Variation = {},
  publicRoots: readonly string[] = [rootPem()],
  domain = "vpn.example.org",
) {
  return Object.fromEntries(
    checkCertificate({ ...write(variation), domain, nowMs: NOW, publicRoots }).map((found) => [
      found.check.replace("certificate-", ""),
      found,
    ]),
  );
}

function write({ keys: own = keys.rsa, ...variation }: Variation) {
  const { altNames = ["vpn.example.org"], purpose = "server", validDays = [-30, 60] } = variation;
  const [certificate, key] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  const leaf = issue(authority, {
    purpose,
    name: "CN=gateway",
    altNames,
    keys: own,
    nowMs: NOW,
    validity: { notBeforeMs: NOW + validDays[0] * DAY_MS, notAfterMs: NOW + validDays[1] * DAY_MS },
  });
  writeFileSync(certificate, writePem("CERTIFICATE", leaf.certificate) + (variation.rest ?? ""));
  writeFileSync(key, (variation.key ?? own).privateKey.export({ type: "pkcs8", format: "pem" }));
  chmodSync(key, variation.keyMode ?? 0o600);
  return { certificate, key };
}

function rootPem(): string {
  return writePem("CERTIFICATE", authority.certificate);
}

describe("a certificate", () => {
  test("that every client takes is all right", () => {
    expect(Object.values(outcomes()).map(({ check, outcome }) => [check, outcome])).toEqual(
      ["key", "key-type", "name", "purpose", "chain", "time"].map((check) => [`certificate-${check}`, "ok"]),
    );
  });

  test("with an ECDSA key is not for every phone", () => {
    expect(outcomes({ keys: keys.p256 })["key-type"]).toMatchObject({
      outcome: "warning",
      advice: expect.stringContaining("--key-type rsa"),
    });
  });

  test("goes with its own key, which others cannot read", () => {
    expect(outcomes({ key: keys.p256 }).key).toMatchObject({
      outcome: "failure",
      message: expect.stringContaining("is not the key of"),
    });
    expect(outcomes({ keyMode: 0o644 }).key).toMatchObject({
      outcome: "failure",
      advice: expect.stringContaining("chmod 600"),
    });
  });

  test("is for the name that users type; a common name does not count, a wildcard does", () => {
    expect(outcomes({ altNames: ["gateway.example.org"] }).name).toMatchObject({
      outcome: "failure",
      message: "it is not for vpn.example.org but for gateway.example.org",
    });
    expect(outcomes({ altNames: ["*.example.org"] }).name?.outcome).toBe("ok");
  });

  test("may be for an address, which Windows wants to find among the DNS names", () => {
    const nameOf = (domain: string, ...altNames: readonly string[]) =>
      outcomes({ altNames }, [rootPem()], domain).name?.outcome;
    expect(nameOf("192.0.2.1", "192.0.2.1", "dns:192.0.2.1")).toBe("ok");
    expect(nameOf("192.0.2.1", "192.0.2.1")).toBe("warning");
    expect(nameOf("192.0.2.1", "dns:192.0.2.1")).toBe("failure");
    expect(nameOf("192.0.2.1", "192.0.2.2", "dns:192.0.2.2")).toBe("failure");
    expect(nameOf("2001:db8::1", "2001:db8::1", "dns:2001:db8::1")).toBe("ok");
  });

  test("is for servers", () => {
    expect(outcomes({ purpose: "client" }).purpose?.outcome).toBe("failure");
  });

  test("of an own CA has to be spread, of an unknown one may lack an intermediate", () => {
    expect(outcomes({ rest: rootPem() }, []).chain).toMatchObject({
      outcome: "warning",
      message: "2 certificates, issued by a CA of your own",
    });
    expect(outcomes({}, []).chain).toMatchObject({
      outcome: "warning",
      message: 'one certificate; the issuer "Test CA" is no CA that systems know',
    });
  });

  test("stands before its issuer, and before nothing else", async () => {
    const stranger = createAuthority({ name: "CN=Test CA", keys: await generateKeys("p256"), nowMs: NOW });
    expect(outcomes({ rest: writePem("CERTIFICATE", stranger.certificate) }).chain).toMatchObject({
      outcome: "failure",
      message: "certificate 2 of the file has not issued certificate 1",
    });
  });

  test("is valid now, and for a while", () => {
    expect(outcomes({ validDays: [1, 90] }).time).toMatchObject({
      outcome: "failure",
      message: "it is valid only from 2026-11-28 on",
    });
    expect(outcomes({ validDays: [-90, -1] }).time).toMatchObject({
      outcome: "failure",
      message: "it has expired on 2026-11-26",
    });
    expect(outcomes({ validDays: [-85, 5] }).time?.outcome).toBe("warning");
    // Of six days in all, five are as many as there can be.
    expect(outcomes({ validDays: [-1, 5] }).time?.outcome).toBe("ok");
  });
});

test("files that are not there, or hold something else, end the list", () => {
  const files = write({});
  const facts = { domain: "vpn.example.org", nowMs: NOW, publicRoots: [] };
  expect(checkCertificate({ ...facts, ...files, certificate: join(folder, "none") })).toMatchObject([
    { check: "certificate", outcome: "failure", message: expect.stringContaining("there is no such file") },
  ]);
  expect(checkCertificate({ ...facts, ...files, certificate: files.key })).toMatchObject([
    { check: "certificate", outcome: "failure", message: expect.stringContaining("holds no certificate") },
  ]);
  const [first] = checkCertificate({ ...facts, ...files, key: join(folder, "none") });
  expect(first).toMatchObject({ check: "certificate-key", outcome: "failure" });
});
