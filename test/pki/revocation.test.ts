import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, onTestFinished, test } from "vitest";
import { WireError } from "../../src/errors/index.ts";
import { BoundedCache } from "../../src/pki/bounded-cache.ts";
import { basicConstraints, extension, keyUsage } from "../../src/pki/certificate-writer.ts";
import { faultOfList, readRevocationList, statusInList } from "../../src/pki/crl.ts";
import { implicit, nothing, small } from "../../src/pki/der-writer.ts";
import { KeyUsage } from "../../src/pki/extensions.ts";
import { fetchHttp } from "../../src/pki/fetch-http.ts";
import { Oid } from "../../src/pki/object-identifiers.ts";
import { buildOcspRequest, statusInResponse } from "../../src/pki/ocsp.ts";
import { writePem } from "../../src/pki/pem.ts";
import { isPublicAddress } from "../../src/pki/public-addresses.ts";
import { RevocationChecker, type RevocationPolicy } from "../../src/pki/revocation.ts";
import { readRevocationLists } from "../../src/pki/revocation-files.ts";
import { TrustAnchors } from "../../src/pki/trust-anchors.ts";
import { verifyChain } from "../../src/pki/verify-chain.ts";
import { makeAuthority, makeLeaf, NOW, type TestCertificate } from "../support/certificates.ts";
import {
  type AnswerRecipe,
  crlUris,
  issuingPoint,
  type ListRecipe,
  makeAnswer,
  makeList,
  nonceOf,
  ocspUri,
  serveHttp,
} from "../support/revocation.ts";

const HOUR = 3_600_000;
const root = makeAuthority({ name: "CN=Root" });
const stranger = makeAuthority({ name: "CN=Root" });
const POINT = "http://crl.example.org/1.crl";
const leaf = makeLeaf({ name: "CN=leaf", by: root, more: [crlUris(POINT)] }, ["vpn.example.org"]);
const other = makeLeaf({ name: "CN=other", by: root }, ["vpn.example.org"]);

describe("lists", () => {
  const judge = (recipe: Partial<ListRecipe>, certificate = leaf, issuer = root): string => {
    const list = readRevocationList(makeList({ by: root, ...recipe }));
    const status = statusInList(list, certificate.certificate, NOW);
    const fault = faultOfList(list, issuer.certificate);
    return fault ?? (status.kind === "unknown" ? status.reason : status.kind);
  };

  test.each<[string, Partial<ListRecipe>, string | RegExp]>([
    ["without entries", {}, "good"],
    ["with others", { revoked: [other] }, "good"],
    ["with the certificate", { revoked: [other, leaf] }, "revoked"],
    ["without an end", { nextUpdate: undefined }, "good"],
    ["out of date", { nextUpdate: NOW - HOUR }, /is out of date since 2026-06-01T11:00:00/],
    ["from the future", { thisUpdate: NOW + HOUR }, /is from the future$/],
    ["signed by another key", { key: stranger.privateKey }, /does not match$/],
    [
      "that is a delta",
      { extensions: [extension("2.5.29.27", small(1), true)] },
      /critical extension that is not supported: 2\.5\.29\.27$/,
    ],
    [
      "that is indirect",
      { extensions: [issuingPoint(undefined, 4)] },
      /is for some reasons or of other issuers$/,
    ],
    [
      "with entries of another CA",
      { revoked: [leaf], entryExtension: extension("2.5.29.29", nothing, true) },
      /has critical entries that are not supported$/,
    ],
    [
      "with the reason of an entry",
      { revoked: [leaf], entryExtension: extension("2.5.29.21", implicit(1, Uint8Array.of(1))) },
      "revoked",
    ],
    ["about users", { extensions: [issuingPoint(undefined, 1)], revoked: [leaf] }, "revoked"],
    ["about CAs", { extensions: [issuingPoint(undefined, 2)] }, /is about other certificates$/],
    ["in parts, the certificate's own", { extensions: [issuingPoint(POINT, 1)], revoked: [leaf] }, "revoked"],
    ["in parts, another one", { extensions: [issuingPoint(`${POINT}x`, 1)] }, /about another part/],
  ])("%s", (_, recipe, expected) => {
    if (typeof expected === "string") expect(judge(recipe)).toBe(expected);
    else expect(judge(recipe)).toMatch(expected);
  });

  test("by another CA, or by one that may not sign lists, say nothing", () => {
    expect(judge({ by: makeAuthority({ name: "CN=Else" }) })).toMatch(
      /the CRL of "CN=Else" is not by certificate "CN=Root"$/,
    );
    const extensions = [basicConstraints(true), keyUsage([KeyUsage.keyCertSign])];
    const silent = makeAuthority({ name: "CN=Silent", extensions });
    expect(judge({ by: silent }, leaf, silent)).toBe('certificate "CN=Silent" may not sign CRLs');
  });

  test("are read from files, in PEM or DER", () => {
    const pem =
      writePem("X509 CRL", makeList({ by: root })) + writePem("X509 CRL", makeList({ by: stranger }));
    const der = makeList({ by: root, revoked: [leaf] });
    const sizes = [Buffer.from(pem), der].flatMap((octets) => readRevocationLists(octets, "a.crl"));
    expect(sizes.map(({ revoked }) => revoked.size)).toEqual([0, 0, 1]);
    expect(() => readRevocationLists(Buffer.from("none"), "a.crl")).toThrow(/^a\.crl: CRL: /);
    const other = Buffer.from(writePem("CERTIFICATE", root.der));
    expect(() => readRevocationLists(other, "a.crl")).toThrow(/^a\.crl holds no CRL/);
  });

  test("any octets are a list or end in a WireError", () => {
    const seed = makeList({ by: root, revoked: [leaf, other], extensions: [issuingPoint(POINT, 1)] });
    fc.assert(
      fc.property(fc.nat(seed.length - 1), fc.nat(255), fc.boolean(), (at, value, isCut) => {
        const octets = Uint8Array.from(seed);
        octets[at] = value;
        try {
          readRevocationList(isCut ? octets.subarray(0, at) : octets);
        } catch (error) {
          expect(error).toBeInstanceOf(WireError);
        }
      }),
      { seed: 1, numRuns: 1000 },
    );
  });
});

describe("answers of a responder", () => {
  const delegate = (
    fields: Partial<Parameters<typeof makeLeaf>[0]>,
    purposes: readonly string[] = [Oid.ocspSigning],
  ) => makeLeaf({ name: "CN=Responder", by: root, ...fields }, [], purposes);
  const nonce = Buffer.from("0123456789abcdef");
  const judge = (recipe: Partial<AnswerRecipe>): string => {
    const response = makeAnswer({ issuer: root, about: leaf, nonce, ...recipe });
    const status = statusInResponse({
      response,
      certificate: leaf.certificate,
      issuer: root.certificate,
      nonce,
      nowMs: NOW,
    });
    return status.kind === "unknown" ? status.reason : status.kind;
  };

  test.each<[string, Partial<AnswerRecipe>, string | RegExp]>([
    ["good", {}, "good"],
    ["revoked", { status: "revoked" }, "revoked"],
    ["unknown", { status: "unknown" }, "the responder does not know the certificate"],
    ["named by key", { isNamedByKey: true }, "good"],
    ["without a nonce, signed ahead of time", { nonce: undefined }, "good"],
    [
      "with another nonce: an old answer",
      { nonce: Buffer.from("another nonce...") },
      "the answer is to another request",
    ],
    ["out of date", { nextUpdate: NOW - HOUR }, /out of date/],
    ["without an end, fresh", { nextUpdate: undefined }, "good"],
    [
      "without an end, of last week",
      { nextUpdate: undefined, thisUpdate: NOW - 7 * 24 * HOUR },
      /out of date/,
    ],
    ["from the future", { thisUpdate: NOW + HOUR }, /from the future/],
    ["about another certificate", { about: other }, "the answer is about another certificate"],
    ["signed by a delegate", { signer: delegate({}) }, "good"],
    ["signed by a delegate, named by key", { signer: delegate({}), isNamedByKey: true }, "good"],
    [
      "signed by a delegate that is not enclosed",
      { signer: delegate({}), enclosed: [] },
      "the signer of the answer is not known",
    ],
    [
      "signed by a gateway of the same CA",
      { signer: delegate({}, [Oid.serverAuth]) },
      /is not for signing OCSP answers$/,
    ],
    [
      "signed by a delegate with any usage",
      { signer: delegate({}, [Oid.anyExtendedKeyUsage]) },
      /is not for signing OCSP answers$/,
    ],
    [
      "signed by an expired delegate",
      { signer: delegate({ notAfter: "2026-01-01T00:00:00Z" }) },
      /"CN=Responder": expired/,
    ],
    [
      "signed by a delegate of another CA",
      { signer: delegate({ by: makeAuthority({ name: "CN=Else" }) }) },
      /was not designated by certificate "CN=Root"$/,
    ],
    [
      "signed by a delegate of a CA with the same name",
      { signer: delegate({ by: stranger }) },
      /it is not signed by certificate "CN=Root"/,
    ],
    ["signed by a CA with the same name", { signer: stranger }, /does not match$/],
  ])("%s", (_, recipe, expected) => {
    if (typeof expected === "string") expect(judge(recipe)).toBe(expected);
    else expect(judge(recipe)).toMatch(expected);
  });

  test.each([
    ["300a0a0106", /runs past the end/],
    ["30030a0106", "the responder answers unauthorized"],
    ["30030a0103", "the responder answers tryLater"],
    ["30030a0100", /responseBytes is missing/],
    ["", /is missing/],
  ])("the answer %s has no status", (hex, reason) => {
    const status = statusInResponse({
      response: Buffer.from(hex, "hex"),
      certificate: leaf.certificate,
      issuer: root.certificate,
      nonce,
      nowMs: NOW,
    });
    expect(status).toMatchObject({ kind: "unknown", reason: expect.stringMatching(reason) });
  });

  test("any change to an answer makes it say nothing", () => {
    const response = makeAnswer({ issuer: root, about: leaf, nonce, signer: delegate({}) });
    fc.assert(
      fc.property(fc.nat(8 * response.length - 1), (bit) => {
        const changed = Uint8Array.from(response);
        changed[bit >>> 3]! ^= 0x80 >>> (bit & 7);
        const { certificate } = leaf;
        const status = statusInResponse({
          response: changed,
          certificate,
          issuer: root.certificate,
          nonce,
          nowMs: NOW,
        });
        expect(status.kind).toBe("unknown");
      }),
      { seed: 1, numRuns: 300 },
    );
  });
});

describe("asking", () => {
  const policy = (fields: Partial<RevocationPolicy> = {}): RevocationPolicy => ({
    mode: "strict",
    lists: { current: [] },
    isOnline: true,
    allowsPrivateAddresses: true,
    timeoutMs: 20_000,
    ...fields,
  });
  const ask = async (
    sent: readonly TestCertificate[],
    checker: RevocationChecker,
    nowMs = NOW,
  ): Promise<string> => {
    const verdict = verifyChain({
      certificates: sent.map(({ der }) => der),
      trust: { anchors: new TrustAnchors([root.certificate]), purpose: "server" },
      identity: undefined,
      nowMs,
    });
    if (verdict.kind === "refused") return verdict.reason;
    const answer = await checker.check(verdict.path, nowMs);
    if (answer.kind === "refused") return answer.reason;
    return answer.note === undefined ? "trusted" : `trusted: ${answer.note}`;
  };

  test("a responder is asked once, and its answer kept for a while", async () => {
    const { uri, asked } = await serveHttp((_, request) =>
      makeAnswer({
        issuer: root,
        about: certificate,
        nonce: nonceOf(request),
        nextUpdate: NOW + 1000 * HOUR,
      }),
    );
    const certificate = makeLeaf({ name: "CN=a", by: root, more: [ocspUri(uri)] }, ["a.example.org"]);
    const checker = new RevocationChecker(policy());
    const answers = await Promise.all([ask([certificate], checker), ask([certificate], checker)]);
    expect([...answers, await ask([certificate], checker)]).toEqual(["trusted", "trusted", "trusted"]);
    expect(asked).toEqual(["POST /"]);
    expect(await ask([certificate], checker, NOW + 2 * HOUR)).toBe("trusted");
    expect(asked).toHaveLength(2);
  });

  test("a revoked certificate is refused, by whoever says so first", async () => {
    const { uri, asked } = await serveHttp((path, request) => {
      if (path === "/revoked")
        return makeAnswer({ issuer: root, about: first, status: "revoked", nonce: nonceOf(request) });
      if (path === "/list") return makeList({ by: root, revoked: [second] });
      return 500;
    });
    const first = makeLeaf(
      { name: "CN=a", by: root, more: [ocspUri(`${uri}/revoked`), crlUris(`${uri}/list`)] },
      [],
    );
    const second = makeLeaf(
      { name: "CN=b", by: root, more: [ocspUri(`${uri}/broken`), crlUris(`${uri}/list`)] },
      [],
    );
    const third = makeLeaf({ name: "CN=c", by: root, more: [crlUris(`${uri}/list`)] }, []);
    const checker = new RevocationChecker(policy({ mode: "relaxed" }));
    expect(await ask([first], checker)).toBe('certificate "CN=a" was revoked');
    expect(asked).toEqual(["POST /revoked"]);
    expect(await ask([second], checker)).toBe('certificate "CN=b" was revoked');
    expect(await ask([third], checker)).toBe("trusted");
    expect(asked).toEqual(["POST /revoked", "POST /broken", "GET /list"]);
  });

  test("a list from a file goes before any question", async () => {
    const { uri, asked } = await serveHttp(() => 500);
    const certificate = makeLeaf({ name: "CN=a", by: root, more: [ocspUri(uri)] }, []);
    const lists = [{ by: stranger }, { by: root, revoked: [certificate] }].map((recipe) =>
      readRevocationList(makeList(recipe)),
    );
    expect(await ask([certificate], new RevocationChecker(policy({ lists: { current: lists } })))).toBe(
      'certificate "CN=a" was revoked',
    );
    const offline = policy({ isOnline: false, lists: { current: lists.slice(0, 1) } });
    expect(await ask([certificate], new RevocationChecker(offline))).toMatch(
      /nobody says whether it was revoked: .*does not match$/,
    );
    expect(asked).toEqual([]);
  });

  test.each([
    ["no one to ask", undefined, /it names neither a responder nor a CRL/],
    ["a responder that fails", () => 500, /answers 500$/],
    ["a responder that leads elsewhere", () => 302, /answers 302$/],
    ["an answer that is none", () => Buffer.from("<html>"), /OCSP response: .*/],
    ["an answer that does not end", () => Buffer.alloc(100_000), /answers more than 32768 octets$/],
    ["a responder that is silent", () => "silence" as const, /gave no answer in \d+ ms$/],
  ])(
    "%s: refused when strict, taken when relaxed, and noted if somebody was asked",
    async (name, answer, reason) => {
      const more = answer === undefined ? [] : [ocspUri((await serveHttp(answer)).uri)];
      const certificate = makeLeaf({ name: "CN=a", by: root, more }, []);
      const timeoutMs = name.endsWith("is silent") ? 100 : 20_000;
      expect(await ask([certificate], new RevocationChecker(policy({ timeoutMs })))).toMatch(reason);
      const relaxed = await ask([certificate], new RevocationChecker(policy({ mode: "relaxed", timeoutMs })));
      if (answer === undefined) return expect(relaxed).toBe("trusted");
      expect(relaxed).toMatch(/^trusted: certificate "CN=a": nobody says whether it was revoked: /);
      expect(relaxed).toMatch(reason);
    },
  );

  test("a responder that gave no answer is left alone for a minute", async () => {
    const { uri, asked } = await serveHttp(() => 503);
    const certificate = makeLeaf({ name: "CN=a", by: root, more: [ocspUri(uri)] }, []);
    const checker = new RevocationChecker(policy());
    for (const after of [0, 1000, 59_000]) await ask([certificate], checker, NOW + after);
    expect(asked).toHaveLength(1);
    await ask([certificate], checker, NOW + 61_000);
    expect(asked).toHaveLength(2);
  });

  test("what an unverified certificate names is never asked (CVE-2022-40617)", async () => {
    const { uri, asked } = await serveHttp(() => 500);
    const more = [ocspUri(uri), crlUris(uri)];
    const evil = makeAuthority({ name: "CN=Evil", more });
    const checker = new RevocationChecker(policy());
    const forged = [
      [makeLeaf({ name: "CN=a", by: evil, more }, []), evil],
      [makeLeaf({ name: "CN=a", by: stranger, more }, [])],
      [makeLeaf({ name: "CN=a", by: root, notAfter: "2026-01-01T00:00:00Z", more }, [])],
      [makeLeaf({ name: "CN=a", by: root, more }, [], [Oid.clientAuth])],
    ];
    for (const sent of forged) expect(await ask(sent, checker)).not.toMatch(/^trusted/);
    expect(asked).toEqual([]);
  });

  test("below a revoked CA nobody is asked any more", async () => {
    const { uri, asked } = await serveHttp((path) =>
      path === "/root" ? makeList({ by: root, revoked: [middle] }) : 500,
    );
    const middle = makeAuthority({ name: "CN=Middle", by: root, more: [crlUris(`${uri}/root`)] });
    const certificate = makeLeaf({ name: "CN=a", by: middle, more: [ocspUri(`${uri}/evil`)] }, []);
    expect(await ask([certificate, middle], new RevocationChecker(policy()))).toBe(
      'certificate "CN=Middle" was revoked',
    );
    expect(asked).toEqual(["GET /root"]);
  });

  test("private addresses are asked only where that is allowed, by whatever name", async () => {
    const { uri, asked } = await serveHttp(() => 500);
    const named = uri.replace("127.0.0.1", "localhost");
    const question = { maximumLength: 100, timeoutMs: 20_000, allowsPrivateAddresses: false };
    for (const target of [
      uri,
      named,
      uri.replace("127.0.0.1", "[::1]"),
      uri.replace("127.0.0.1", "0x7f000001"),
      uri.replace("127.0.0.1", "[::ffff:127.0.0.1]"),
    ])
      await expect(fetchHttp({ uri: target, ...question })).rejects.toThrow(/leads to a private address$/);
    for (const target of [
      "https://example.org/",
      "ftp://example.org/",
      "file:///etc/passwd",
      "http://a:b@127.0.0.1/",
      "http:",
    ])
      await expect(fetchHttp({ uri: target, ...question })).rejects.toThrow(/is no plain http URI$/);
    expect(asked).toEqual([]);
  });
});

test.each([
  ["8.8.8.8", true],
  ["10.0.0.1", false],
  ["172.31.255.255", false],
  ["172.32.0.1", true],
  ["192.168.1.1", false],
  ["100.64.0.1", false],
  ["169.254.169.254", false],
  ["0.0.0.0", false],
  ["255.255.255.255", false],
  ["224.0.0.1", false],
  ["2606:4700::1111", true],
  ["::", false],
  ["::1", false],
  ["::ffff:10.0.0.1", false],
  ["::10.0.0.1", false],
  ["64:ff9b::a00:1", false],
  ["2002:a00:1::", false],
  ["fd00::1", false],
  ["fe80::1", false],
  ["fec0::1", false],
  ["ff02::1", false],
])("%s is a public address: %s", (address, isPublic) => {
  expect(isPublicAddress(address)).toBe(isPublic);
});

test("a cache holds no more than it may, and nothing beyond its time", () => {
  const cache = new BoundedCache<string>(10);
  const put = (key: string, size = 4, untilMs = 100) => cache.set(key, key, { nowMs: 0, untilMs, size });
  put("a");
  put("b");
  expect(cache.get("a", 50)).toBe("a");
  put("c");
  expect([cache.get("a", 50), cache.get("b", 50), cache.get("c", 50)]).toEqual(["a", undefined, "c"]);
  put("large", 11);
  expect(cache.get("large", 50)).toBeUndefined();
  expect(cache.size).toBe(8);
  put("a", 2);
  expect(cache.size).toBe(6);
  expect(cache.get("a", 100)).toBeUndefined();
  expect(cache.get("c", -1)).toBeUndefined();
  expect(cache.size).toBe(0);
});

const OPENSSL = "openssl";
test.skipIf(spawnSync(OPENSSL, ["version"]).error !== undefined)(
  "OpenSSL's responder understands our question, and we its answer",
  async () => {
    const directory = mkdtempSync(join(tmpdir(), "ikebana-"));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const file = (name: string) => join(directory, name);
    const issuer = makeAuthority({ name: "CN=Root", notAfter: "2045-01-01T00:00:00Z" });
    const make = (name: string) => makeLeaf({ name, by: issuer, notAfter: "2045-01-01T00:00:00Z" }, []);
    const [good, revoked] = [make("CN=good"), make("CN=revoked")];
    const responder = makeLeaf(
      { name: "CN=Responder", by: issuer, notAfter: "2045-01-01T00:00:00Z" },
      [],
      [Oid.ocspSigning],
    );
    const serial = ({ certificate }: TestCertificate) =>
      Buffer.from(certificate.serialNumber).toString("hex").toUpperCase();
    writeFileSync(file("ca.pem"), writePem("CERTIFICATE", issuer.der));
    writeFileSync(file("signer.pem"), writePem("CERTIFICATE", responder.der));
    writeFileSync(file("signer.key"), responder.privateKey.export({ format: "pem", type: "pkcs8" }));
    writeFileSync(
      file("index.txt"),
      `V\t450101000000Z\t\t${serial(good)}\tunknown\t/CN=good\nR\t450101000000Z\t260101000000Z\t${serial(revoked)}\tunknown\t/CN=revoked\n`,
    );
    const nonce = Buffer.from("0123456789abcdef");
    const statusOf = ({ certificate }: TestCertificate) => {
      writeFileSync(file("request"), buildOcspRequest(certificate, issuer.certificate, nonce));
      execFileSync(
        OPENSSL,
        [
          "ocsp",
          "-index",
          file("index.txt"),
          "-CA",
          file("ca.pem"),
          "-rsigner",
          file("signer.pem"),
          "-rkey",
          file("signer.key"),
          "-reqin",
          file("request"),
          "-respout",
          file("response"),
          "-ndays",
          "1",
        ],
        { stdio: "pipe" },
      );
      const response = readFileSync(file("response"));
      return statusInResponse({
        response,
        certificate,
        issuer: issuer.certificate,
        nonce,
        nowMs: Date.now(),
      });
    };
    expect(statusOf(good)).toMatchObject({ kind: "good" });
    expect(statusOf(revoked)).toEqual({ kind: "revoked" });
    expect(statusOf(make("CN=never"))).toMatchObject({
      reason: "the responder does not know the certificate",
    });

    writeFileSync(file("list"), makeList({ by: issuer, revoked: [revoked] }));
    const shown = execFileSync(
      OPENSSL,
      ["crl", "-inform", "DER", "-in", file("list"), "-CAfile", file("ca.pem"), "-noout", "-text"],
      { encoding: "utf8", stdio: "pipe" },
    );
    expect(shown).toContain(`Serial Number: ${serial(revoked)}`);
  },
);
