import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { CertificateLogin } from "../../src/config/certificate-login.ts";
import { LiveCertificates } from "../../src/config/live-certificates.ts";
import { LiveFiles } from "../../src/config/live-files.ts";
import { observeFiles } from "../../src/config/observe-files.ts";
import type { RevocationList } from "../../src/pki/crl.ts";
import { writePem } from "../../src/pki/pem.ts";
import { RevocationChecker } from "../../src/pki/revocation.ts";
import type { TrustPolicy } from "../../src/pki/trust.ts";
import { TrustAnchors } from "../../src/pki/trust-anchors.ts";
import { makeAuthority, makeLeaf, type TestCertificate } from "../support/certificates.ts";
import { initiatorPolicy } from "../support/simulator/index.ts";

const directory = mkdtempSync(join(tmpdir(), "ikebana-"));
afterAll(() => rmSync(directory, { recursive: true }));

const root = makeAuthority({ name: "CN=Root" });
const first = makeLeaf({ name: "CN=first", by: root }, ["vpn.example.org"]);
const renewed = makeLeaf({ name: "CN=renewed", by: root }, ["vpn.example.org"]);

/** A certificate and its key behind links, as certbot lays them, and what an observer hears. */
function certbot(name: string) {
  const at = (file: string) => join(directory, `${name}-${file}`);
  const put = (version: number, { der }: TestCertificate, { privateKey }: TestCertificate) => {
    writeFileSync(at(`cert${version}.pem`), writePem("CERTIFICATE", der));
    writeFileSync(at(`key${version}.pem`), privateKey.export({ format: "pem", type: "pkcs8" }));
  };
  const link = (file: "cert" | "key", version: number) => {
    symlinkSync(at(`${file}${version}.pem`), at("new"));
    renameSync(at("new"), at(`${file}.pem`));
  };
  put(1, first, first);
  link("cert", 1);
  link("key", 1);
  const live = new LiveCertificates([{ certificate: at("cert.pem"), key: at("key.pem") }], 0);
  const heard: string[] = [];
  const policy = initiatorPolicy();
  observeFiles([{ ...policy, local: { ...policy.local, authentication: live } }], {
    onChange: () => heard.push("changed"),
    onProblem: (message) => heard.push(message),
  });
  const inUse = () => live.credentials[0]!.certificate.subject.attributes[0]!.text;
  return { put, link, heard, inUse, live };
}

test("a renewed certificate takes the old one's place, and half of it does not count", () => {
  const { put, link, heard, inUse } = certbot("renewal");
  expect(inUse()).toBe("first");
  put(2, renewed, renewed);
  link("cert", 2);
  expect(inUse()).toBe("first");
  link("key", 2);
  expect(inUse()).toBe("renewed");
  expect(inUse()).toBe("renewed");
  expect(heard).toEqual(["changed"]);
});

test("files that stay wrong are told of once, the old ones stay in use, and good ones are taken later", () => {
  const { put, link, heard, inUse } = certbot("mistake");
  put(2, renewed, first);
  link("cert", 2);
  for (let i = 0; i < 4; i++) expect(inUse()).toBe("first");
  expect(heard).toEqual([expect.stringContaining("does not belong to")]);
  put(3, renewed, renewed);
  link("cert", 3);
  link("key", 3);
  expect(inUse()).toBe("renewed");
  expect(heard).toHaveLength(2);
});

test("CRLs of a connection are observed too, and files are looked at once in a while only", () => {
  const path = join(directory, "list");
  writeFileSync(path, "1");
  let reads = 0;
  const count = () => {
    reads++;
    return [];
  };
  const rarely = new LiveFiles([path], count, 3_600_000);
  writeFileSync(path, "22");
  expect(rarely.current).toEqual([]);
  expect(reads).toBe(1);

  const lists = new LiveFiles([path], count, 0);
  const policy = initiatorPolicy();
  const trust = trustWith(lists);
  const heard: string[] = [];
  const remote = { ...policy.remote, authentication: [{ kind: "certificate", trust }] as const };
  observeFiles([{ ...policy, remote }], { onChange: () => heard.push("changed"), onProblem: () => {} });
  writeFileSync(path, "333");
  expect(lists.current).toEqual([]);
  expect(heard).toEqual(["changed"]);
});

test("so are CRLs and certificates that only a login by EAP-TLS needs, in either role", () => {
  const path = join(directory, "of-logins");
  writeFileSync(path, "1");
  const listsOf = () => new LiveFiles([path], () => [], 0);
  const [ours, theirs] = [listsOf(), listsOf()];
  const { live, put, link, inUse } = certbot("login");
  const client = new CertificateLogin({
    user: "anna",
    certificates: live,
    trust: trustWith(ours),
    server: undefined,
  });
  const server = { begin: () => expect.fail("nobody logs in here") };
  const policy = initiatorPolicy();
  const local = { ...policy.local, authentication: { kind: "eap", client } as const };
  const logins = { kind: "eap", server, trust: trustWith(theirs) } as const;
  const remote = { ...policy.remote, authentication: [logins] };
  const heard: string[] = [];
  observeFiles([{ ...policy, local, remote }], {
    onChange: () => heard.push("changed"),
    onProblem: () => {},
  });
  writeFileSync(path, "22");
  expect([ours.current, theirs.current]).toEqual([[], []]);
  expect(heard).toHaveLength(2);
  put(2, renewed, renewed);
  link("cert", 2);
  link("key", 2);
  expect(inUse()).toBe("renewed");
  expect(heard).toHaveLength(3);
});

function trustWith(lists: LiveFiles<readonly RevocationList[]>): TrustPolicy {
  const revocation = new RevocationChecker({
    mode: "strict",
    lists,
    isOnline: false,
    allowsPrivateAddresses: false,
    timeoutMs: 1,
  });
  return { anchors: new TrustAnchors([]), purpose: "peer", revocation };
}
