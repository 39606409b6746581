import { generateKeyPairSync, X509Certificate } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { IdType } from "../../src/iana/ikev2-parameters.ts";
import {
  basicConstraints,
  extendedKeyUsage,
  extension,
  keyUsage,
  subjectAltNames,
} from "../../src/pki/certificate-writer.ts";
import { element, explicit, implicit, objectIdentifier, sequence, small } from "../../src/pki/der-writer.ts";
import { KeyUsage } from "../../src/pki/extensions.ts";
import { encodeName } from "../../src/pki/names.ts";
import { Oid } from "../../src/pki/object-identifiers.ts";
import type { Purpose } from "../../src/pki/trust.ts";
import { TrustAnchors } from "../../src/pki/trust-anchors.ts";
import { verifyChain } from "../../src/pki/verify-chain.ts";
import {
  freshKeys,
  makeAuthority,
  makeLeaf,
  NOW,
  type TestCertificate,
  withAlgorithm,
} from "../support/certificates.ts";

const root = makeAuthority({ name: "O=Example, CN=Root" });
const intermediate = makeAuthority({ name: "O=Example, CN=Intermediate", by: root });
const gateway = makeLeaf({ name: "CN=gateway", by: intermediate }, ["vpn.example.org"]);

const fqdn = (name: string) => ({ type: IdType.ID_FQDN, data: Buffer.from(name) });

interface Case {
  readonly sent: readonly (TestCertificate | Uint8Array)[];
  readonly trusted?: readonly TestCertificate[];
  readonly purpose?: Purpose;
  readonly identity?: { readonly type: number; readonly data: Uint8Array };
  readonly nowMs?: number;
  readonly allowsCommonName?: boolean;
}

function verdict(given: Case): string {
  const { trusted = [root], purpose = "server", allowsCommonName = false } = given;
  const result = verifyChain({
    certificates: given.sent.map((one) => ("der" in one ? one.der : one)),
    trust: {
      anchors: new TrustAnchors(trusted.map(({ certificate }) => certificate)),
      purpose,
      allowsCommonName,
    },
    identity: given.identity ?? fqdn("vpn.example.org"),
    nowMs: given.nowMs ?? NOW,
  });
  return result.kind === "trusted" ? "trusted" : result.reason;
}

describe("chains that hold", () => {
  test.each([
    ["in order", [gateway, intermediate]],
    ["with the root", [gateway, intermediate, root]],
    ["in disorder, with others between", [gateway, root, makeAuthority({ name: "CN=Other" }), intermediate]],
    ["with something between that is no certificate", [gateway, Buffer.from("no certificate"), intermediate]],
    ["straight from the root", [makeLeaf({ name: "CN=g", by: root }, ["vpn.example.org"])]],
  ])("%s", (_, sent) => {
    expect(verdict({ sent })).toBe("trusted");
  });

  test("the intermediate, or the peer's own certificate, may be what is trusted", () => {
    expect(verdict({ sent: [gateway], trusted: [intermediate] })).toBe("trusted");
    const lone = makeLeaf({ name: "CN=lone" }, ["vpn.example.org"]);
    expect(verdict({ sent: [lone], trusted: [lone] })).toBe("trusted");
    expect(verdict({ sent: [lone] })).toMatch(/it is issued by itself and not trusted$/);
  });

  test("the path and the key of the verdict are those of the chain", () => {
    const result = verifyChain({
      certificates: [gateway.der, root.der, intermediate.der],
      trust: { anchors: new TrustAnchors([root.certificate]), purpose: "server" },
      identity: undefined,
      nowMs: NOW,
    });
    if (result.kind !== "trusted") throw new Error(result.reason);
    expect(result.path.map(({ subject }) => subject.attributes.at(-1)?.text)).toEqual([
      "gateway",
      "Intermediate",
      "Root",
    ]);
    expect(result.publicKey.equals(gateway.certificate.publicKey)).toBe(true);
  });

  test("a second way up is found where the first one leads nowhere", () => {
    const keys = freshKeys();
    const expired = makeAuthority({ name: "CN=Cross", by: root, keys, notAfter: "2026-01-01T00:00:00Z" });
    const good = makeAuthority({ name: "CN=Cross", by: root, keys });
    const leaf = makeLeaf({ name: "CN=g", by: good }, ["vpn.example.org"]);
    expect(verdict({ sent: [leaf, expired, good] })).toBe("trusted");
    expect(verdict({ sent: [leaf, expired] })).toMatch(/certificate "CN=Cross": expired on 2026-01-01/);
  });

  test("a certificate that is valid beyond 2038 and 2050 is read right", () => {
    const late = makeLeaf({ name: "CN=g", by: root, notAfter: "2060-01-01T00:00:00Z" }, ["vpn.example.org"]);
    const lasting = makeAuthority({ name: "O=Example, CN=Root", notAfter: "9999-12-31T23:59:59Z" });
    const leaf = makeLeaf({ name: "CN=g", by: lasting, notAfter: "2060-01-01T00:00:00Z" }, [
      "vpn.example.org",
    ]);
    expect(verdict({ sent: [late], nowMs: NOW })).toBe("trusted");
    const nowMs = Date.parse("2055-01-01T00:00:00Z");
    expect(verdict({ sent: [leaf], trusted: [lasting], nowMs })).toBe("trusted");
    const later = Date.parse("2060-01-01T00:00:01Z");
    expect(verdict({ sent: [leaf], trusted: [lasting], nowMs: later })).toMatch(
      /expired on 2060-01-01 00:00 UTC$/,
    );
  });
});

describe("faults of the peer's own certificate", () => {
  const leaf = (fields: Partial<Parameters<typeof makeLeaf>[0]>, purposes?: readonly string[]) =>
    makeLeaf({ name: "CN=gateway", by: root, ...fields }, ["vpn.example.org"], purposes);
  const withRsa = (modulusLength: number, publicExponent = 0x10001) =>
    leaf({ keys: generateKeyPairSync("rsa", { modulusLength, publicExponent }) });

  test.each<[string, Case, RegExp]>([
    ["none", { sent: [] }, /^the peer sent no certificate$/],
    [
      "no DER",
      { sent: [Buffer.from("certificate")] },
      /^the peer's certificate cannot be read: certificate: /,
    ],
    ["of 1 MiB", { sent: [Buffer.alloc(1 << 20, 0x30)] }, /of 1048576 octets is too much/],
    [
      "expired",
      { sent: [leaf({ notAfter: "2026-05-31T00:00:00Z" })] },
      /"CN=gateway": expired on 2026-05-31 00:00 UTC$/,
    ],
    [
      "not valid yet",
      { sent: [leaf({ notBefore: "2026-06-02T00:00:00Z" })] },
      /is not valid before 2026-06-02 00:00 UTC$/,
    ],
    [
      "signed by itself",
      { sent: [makeLeaf({ name: "CN=g" }, ["vpn.example.org"])] },
      /issued by itself and not trusted$/,
    ],
    [
      "from a stranger's CA",
      { sent: [makeLeaf({ name: "CN=g", by: makeAuthority({ name: "CN=Evil" }) }, ["vpn.example.org"])] },
      /its issuer "CN=Evil" is not trusted, nor was its certificate sent$/,
    ],
    [
      "from a CA that only has the right name",
      {
        sent: [
          makeLeaf({ name: "CN=g", by: makeAuthority({ name: "O=Example, CN=Root" }) }, ["vpn.example.org"]),
        ],
      },
      /it was issued with another key of certificate "O=Example, CN=Root"$/,
    ],
    [
      "for another name",
      { sent: [makeLeaf({ name: "CN=g", by: root }, ["other.example.org"])] },
      /"CN=g" is for other\.example\.org, not for vpn\.example\.org$/,
    ],
    [
      "without any name",
      { sent: [makeLeaf({ name: "CN=vpn.example.org", by: root }, [])] },
      /has no alternative names, not for vpn\.example\.org$/,
    ],
    [
      "without extended key usage",
      { sent: [leaf({ extensions: [subjectAltNames(["vpn.example.org"])] })] },
      /no extended key usage, serverAuth is needed$/,
    ],
    [
      "for clients",
      { sent: [leaf({}, [Oid.clientAuth])] },
      /extended key usage \(clientAuth\) does not include serverAuth$/,
    ],
    [
      "for another purpose, to a gateway",
      { sent: [leaf({}, ["1.3.6.1.5.5.7.3.4"])], purpose: "client" },
      /\(1\.3\.6\.1\.5\.5\.7\.3\.4\) does not include clientAuth$/,
    ],
    [
      "for encipherment only",
      {
        sent: [
          leaf({
            extensions: [
              keyUsage([KeyUsage.keyEncipherment]),
              extendedKeyUsage([Oid.serverAuth]),
              subjectAltNames(["vpn.example.org"]),
            ],
          }),
        ],
      },
      /key usage does not include digitalSignature$/,
    ],
    [
      "with a critical extension nobody knows",
      { sent: [leaf({ more: [extension("1.2.3.4", small(1), true)] })] },
      /critical extension that is not supported: 1\.2\.3\.4$/,
    ],
    [
      "with policy constraints",
      { sent: [leaf({ more: [extension("2.5.29.36", sequence(implicit(0, Uint8Array.of(0))), true)] })] },
      /critical extension that is not supported: 2\.5\.29\.36$/,
    ],
    ["with an RSA key of 1024 bits", { sent: [withRsa(1024)] }, /an RSA key of 1024 bits is too short/],
    ["with e = 3", { sent: [withRsa(2048, 3)] }, /public exponent 3 is refused/],
    [
      "on another curve",
      { sent: [leaf({ keys: generateKeyPairSync("ec", { namedCurve: "secp256k1" }) })] },
      /the curve secp256k1 is not supported$/,
    ],
  ])("%s", (_, given, reason) => {
    expect(verdict(given)).toMatch(reason);
  });

  test.each([
    ["server", [Oid.serverAuth]],
    ["server", [Oid.anyExtendedKeyUsage]],
    ["server", [Oid.clientAuth, Oid.ikeIntermediate]],
    ["client", [Oid.clientAuth]],
    ["peer", [Oid.clientAuth]],
    ["peer", [Oid.serverAuth]],
  ] as const)("as %s, a certificate for %j will do", (purpose, purposes) => {
    expect(verdict({ sent: [leaf({}, purposes)], purpose })).toBe("trusted");
  });

  test("a client, and a gateway's equal, need no extended key usage", () => {
    const plain = leaf({ extensions: [subjectAltNames(["vpn.example.org"])] });
    expect(verdict({ sent: [plain], purpose: "client" })).toBe("trusted");
    expect(verdict({ sent: [plain], purpose: "peer" })).toBe("trusted");
  });

  test("extensions that ask nothing of us may be critical, others need not be known", () => {
    const policies = sequence(sequence(objectIdentifier("2.23.140.1.2.1")));
    const one = leaf({
      more: [extension(Oid.certificatePolicies, policies, true), extension("1.2.3.4", small(1))],
    });
    expect(verdict({ sent: [one] })).toBe("trusted");
  });

  test("any bit of it changed, and the chain does not hold", () => {
    const good = leaf({});
    fc.assert(
      fc.property(fc.nat(8 * good.der.length - 1), (bit) => {
        const changed = Uint8Array.from(good.der);
        changed[bit >>> 3]! ^= 0x80 >>> (bit & 7);
        expect(verdict({ sent: [changed] })).not.toBe("trusted");
      }),
      { seed: 1, numRuns: 300 },
    );
  });
});

describe("faults of those that issued it", () => {
  const below = (issuer: TestCertificate) => makeLeaf({ name: "CN=g", by: issuer }, ["vpn.example.org"]);
  const noAuthority = (extensions: readonly Uint8Array[]) =>
    makeAuthority({ name: "CN=I", by: root, extensions });

  test.each<[string, TestCertificate, RegExp]>([
    [
      "no CA: a gateway that plays one",
      makeLeaf({ name: "CN=I", by: root }, ["i.example.org"]),
      /"CN=I": it is no CA$/,
    ],
    ["no basicConstraints", noAuthority([]), /it is no CA$/],
    [
      "a key that may not sign certificates",
      noAuthority([basicConstraints(true), keyUsage([KeyUsage.cRLSign])]),
      /does not include keyCertSign$/,
    ],
    [
      "expired",
      makeAuthority({ name: "CN=I", by: root, notAfter: "2026-01-01T00:00:00Z" }),
      /"CN=I": expired/,
    ],
    [
      "for clients only",
      makeAuthority({ name: "CN=I", by: root, more: [extendedKeyUsage([Oid.clientAuth])] }),
      /"CN=I": its extended key usage does not include serverAuth$/,
    ],
    [
      "a critical extension nobody knows",
      makeAuthority({ name: "CN=I", by: root, more: [extension("1.2.3.4", small(1), true)] }),
      /"CN=I": has a critical extension/,
    ],
    [
      "a short key",
      makeAuthority({ name: "CN=I", by: root, keys: generateKeyPairSync("rsa", { modulusLength: 1024 }) }),
      /"CN=I": an RSA key of 1024 bits/,
    ],
  ])("%s", (_, issuer, reason) => {
    expect(verdict({ sent: [below(issuer), issuer] })).toMatch(reason);
  });

  test("an intermediate that nobody trusted signed", () => {
    const stranger = makeAuthority({ name: "O=Example, CN=Root" });
    const issuer = makeAuthority({ name: "CN=I", by: stranger });
    expect(verdict({ sent: [below(issuer), issuer, stranger] })).toMatch(
      /"O=Example, CN=Root": it is not signed by certificate "O=Example, CN=Root"/,
    );
  });

  test("a certificate with the issuer's name that another key signed", () => {
    const evil = makeAuthority({ name: "CN=Evil" });
    const leaf = makeLeaf(
      {
        name: "CN=g",
        by: evil,
        issuerName: "O=Example, CN=Root",
        extensions: [extendedKeyUsage([Oid.serverAuth]), subjectAltNames(["vpn.example.org"])],
      },
      [],
    );
    expect(verdict({ sent: [leaf] })).toMatch(
      /not signed by certificate "O=Example, CN=Root": the signature \(ECDSA with SHA2-256\) does not match$/,
    );
  });

  test("a path length limit counts the CAs below", () => {
    const limited = makeAuthority({ name: "CN=Limited", by: root }, 0);
    const inner = makeAuthority({ name: "CN=Inner", by: limited });
    expect(verdict({ sent: [below(limited), limited] })).toBe("trusted");
    expect(verdict({ sent: [below(inner), inner, limited] })).toMatch(
      /"CN=Limited": it allows 0 CAs below it, and there are 1$/,
    );
    const again = makeAuthority({ name: "CN=Limited", by: limited }, 0);
    expect(verdict({ sent: [below(again), again, limited] })).toBe("trusted");
  });

  test.each([100, 9])("a chain of %d CAs is not walked to its end", (count) => {
    const chain = [root];
    for (let i = 0; i < count; i++) chain.unshift(makeAuthority({ name: `CN=I${i}`, by: chain[0]! }));
    const sent = [below(chain[0]!), ...chain.slice(0, 14)];
    expect(verdict({ sent })).toMatch(/more than 8 certificates up to a trusted CA$/);
  });

  test("a circle of CAs is not walked twice", () => {
    const [a, b] = [freshKeys(), freshKeys()];
    const first = makeAuthority({ name: "CN=A", keys: a });
    const second = makeAuthority({ name: "CN=B", keys: b, by: first });
    const back = makeAuthority({ name: "CN=A", keys: a, by: second });
    const sent = [below(back), back, second, first];
    expect(verdict({ sent })).toMatch(/is not trusted|issued by itself/);
  });

  test("a thicket of cross-certificates costs no more than so many signatures", () => {
    const keys = Array.from({ length: 4 }, freshKeys);
    const start = keys.map((pair, i) =>
      makeAuthority({ name: "CN=X", keys: pair, serialNumber: Uint8Array.of(i + 1) }),
    );
    const extensions = [basicConstraints(true)];
    const crossed = start.flatMap((by) =>
      keys.map((pair) => makeAuthority({ name: "CN=X", keys: pair, by, extensions })),
    );
    const sent = [
      makeLeaf(
        {
          name: "CN=g",
          by: start[0]!,
          extensions: [extendedKeyUsage([Oid.serverAuth]), subjectAltNames(["vpn.example.org"])],
        },
        [],
      ),
      ...crossed,
    ];
    expect(verdict({ sent })).not.toBe("trusted");
  });

  test.each([
    ["SHA-1", "sha1WithRSAEncryption", /signed with SHA-1, which can be forged$/],
    ["MD5", "md5WithRSAEncryption", /its signature algorithm md5WithRSAEncryption is not supported$/],
  ] as const)("a certificate signed with %s", (_, name, reason) => {
    const identifier = sequence(objectIdentifier(Oid[name]), Uint8Array.of(5, 0));
    expect(verdict({ sent: [withAlgorithm(gateway.der, identifier), intermediate] })).toMatch(reason);
  });
});

describe("identities", () => {
  const names = [
    "vpn.example.org",
    "*.wild.example.org",
    "anna@example.org",
    "192.0.2.1",
    "2001:db8::1",
    "*.org",
    "w*.partial.org",
  ];
  const leaf = makeLeaf({ name: "C=CH, O=Example, CN=common.example.org", by: root }, names);
  const { ID_FQDN, ID_RFC822_ADDR, ID_IPV4_ADDR, ID_IPV6_ADDR, ID_KEY_ID, ID_DER_ASN1_DN } = IdType;
  const dn = (text: string) => Buffer.from(encodeName(text)!);

  test.each<[string, number, Uint8Array, boolean]>([
    ["vpn.example.org", ID_FQDN, Buffer.from("vpn.example.org"), true],
    ["VPN.Example.ORG", ID_FQDN, Buffer.from("VPN.Example.ORG"), true],
    ["a.vpn.example.org", ID_FQDN, Buffer.from("a.vpn.example.org"), false],
    ["example.org", ID_FQDN, Buffer.from("example.org"), false],
    ["vpn.example.org, NUL, evil.org", ID_FQDN, Buffer.from("vpn.example.org\0evil.org"), false],
    ["a.wild.example.org", ID_FQDN, Buffer.from("a.wild.example.org"), true],
    ["a.b.wild.example.org", ID_FQDN, Buffer.from("a.b.wild.example.org"), false],
    ["wild.example.org", ID_FQDN, Buffer.from("wild.example.org"), false],
    [".wild.example.org", ID_FQDN, Buffer.from(".wild.example.org"), false],
    ["*.wild.example.org itself", ID_FQDN, Buffer.from("*.wild.example.org"), false],
    ["a.org under *.org", ID_FQDN, Buffer.from("a.org"), false],
    ["www.partial.org under w*.partial.org", ID_FQDN, Buffer.from("www.partial.org"), false],
    ["the common name beside alternative names", ID_FQDN, Buffer.from("common.example.org"), false],
    ["nothing", ID_FQDN, Buffer.alloc(0), false],
    ["60000 octets", ID_FQDN, Buffer.alloc(60000, "a"), false],
    ["anna@example.org", ID_RFC822_ADDR, Buffer.from("anna@EXAMPLE.org"), true],
    ["Anna@example.org", ID_RFC822_ADDR, Buffer.from("Anna@example.org"), false],
    ["@example.org", ID_RFC822_ADDR, Buffer.from("@example.org"), false],
    ["anna@example.org as a domain", ID_FQDN, Buffer.from("anna@example.org"), false],
    ["192.0.2.1", ID_IPV4_ADDR, Uint8Array.of(192, 0, 2, 1), true],
    ["192.0.2.2", ID_IPV4_ADDR, Uint8Array.of(192, 0, 2, 2), false],
    ["three octets of an address", ID_IPV4_ADDR, Uint8Array.of(192, 0, 2), false],
    ["2001:db8::1", ID_IPV6_ADDR, Buffer.from("20010db8000000000000000000000001", "hex"), true],
    ["2001:db8::2", ID_IPV6_ADDR, Buffer.from("20010db8000000000000000000000002", "hex"), false],
    ["a key ID", ID_KEY_ID, Buffer.from("vpn.example.org"), false],
    ["its subject", ID_DER_ASN1_DN, dn("C=CH, O=Example, CN=common.example.org"), true],
    ["its subject in other case", ID_DER_ASN1_DN, dn("C=ch, O=EXAMPLE , CN=Common.example.org"), true],
    ["its subject in another order", ID_DER_ASN1_DN, dn("O=Example, C=CH, CN=common.example.org"), false],
    ["a part of its subject", ID_DER_ASN1_DN, dn("C=CH, O=Example"), false],
    ["a name that is none", ID_DER_ASN1_DN, Buffer.from("C=CH"), false],
    ["an empty subject", ID_DER_ASN1_DN, Uint8Array.of(0x30, 0), false],
  ])("%s", (_, type, data, belongs) => {
    const reason = verdict({ sent: [leaf], identity: { type, data } });
    if (belongs) expect(reason).toBe("trusted");
    else expect(reason).toMatch(/not for|cannot be found in a certificate|not the one of the name/);
  });

  test("a certificate with an empty subject does not belong to the empty name", () => {
    const nameless = makeLeaf({ name: "", by: root }, ["vpn.example.org"]);
    expect(verdict({ sent: [nameless] })).toBe("trusted");
    const identity = { type: ID_DER_ASN1_DN, data: Uint8Array.of(0x30, 0) };
    expect(verdict({ sent: [nameless], identity })).toMatch(/not the one of the name/);
  });

  test("the common name counts where that is allowed, and where there is no alternative name", () => {
    const old = makeLeaf({ name: "O=Example, CN=vpn.example.org", by: root }, []);
    const both = makeLeaf({ name: "CN=vpn.example.org", by: root }, ["other.example.org"]);
    expect(verdict({ sent: [old], allowsCommonName: true })).toBe("trusted");
    expect(verdict({ sent: [old] })).toMatch(/no alternative names/);
    expect(verdict({ sent: [both], allowsCommonName: true })).toMatch(/is for other\.example\.org/);
  });

  test.each(["vpn.example.org\0.evil.org", "vpn.example.org\n", "caf\u00e9.example.org"])(
    "a certificate that holds the name %j cannot be read",
    (name) => {
      const san = sequence(element(0x82, Buffer.from(name, "latin1")));
      const evil = () =>
        makeLeaf({ name: "CN=g", by: root, extensions: [extension(Oid.subjectAltName, san)] }, []);
      expect(evil).toThrow(/octets that no name has/);
    },
  );
});

describe("name constraints", () => {
  const dns = (name: string) => sequence(element(0x82, Buffer.from(name)));
  const limited = (permitted: readonly Uint8Array[], excluded: readonly Uint8Array[]) =>
    makeAuthority({
      name: "CN=Limited",
      by: root,
      more: [
        extension(
          Oid.nameConstraints,
          sequence(
            ...(permitted.length > 0 ? [explicit(0, ...permitted)] : []),
            ...(excluded.length > 0 ? [explicit(1, ...excluded)] : []),
          ),
          true,
        ),
      ],
    });
  const judge = (issuer: TestCertificate, altNames: readonly string[], name = "CN=g") =>
    verdict({ sent: [makeLeaf({ name, by: issuer }, [...altNames, "vpn.example.org"]), issuer] });

  test.each<[string, Uint8Array[], Uint8Array[], string[], boolean]>([
    ["a domain within", [dns("example.org")], [], [], true],
    ["a domain within, with a dot", [dns(".example.org")], [], [], true],
    ["a domain outside", [dns("example.org")], [], ["www.example.net"], false],
    ["a domain that only ends like it", [dns("example.org")], [], ["badexample.org"], false],
    ["an excluded domain", [], [dns("secret.example.org")], ["a.secret.example.org"], false],
    ["a wildcard over an excluded domain", [], [dns("secret.example.org")], ["*.example.org"], false],
    ["a domain beside the excluded one", [], [dns("secret.example.org")], ["a.example.org"], true],
    [
      "an address within",
      [sequence(element(0x87, Uint8Array.of(10, 0, 0, 0, 255, 0, 0, 0)))],
      [],
      ["10.1.2.3"],
      true,
    ],
    [
      "an address outside",
      [sequence(element(0x87, Uint8Array.of(10, 0, 0, 0, 255, 0, 0, 0)))],
      [],
      ["11.1.2.3"],
      false,
    ],
    [
      "an IPv6 address where IPv4 is permitted",
      [sequence(element(0x87, Uint8Array.of(10, 0, 0, 0, 255, 0, 0, 0)))],
      [],
      ["2001:db8::1"],
      false,
    ],
    [
      "a mailbox of the host",
      [sequence(element(0x81, Buffer.from("example.org")))],
      [],
      ["anna@example.org"],
      true,
    ],
    [
      "a mailbox of a host below",
      [sequence(element(0x81, Buffer.from("example.org")))],
      [],
      ["anna@mail.example.org"],
      false,
    ],
    [
      "a mailbox below the dot",
      [sequence(element(0x81, Buffer.from(".example.org")))],
      [],
      ["anna@mail.example.org"],
      true,
    ],
    ["a subject outside", [sequence(explicit(4, encodeName("O=Example")!))], [], [], false],
    ["a constraint on URIs", [], [sequence(element(0x86, Buffer.from("example.org")))], [], false],
  ])("%s", (_, permitted, excluded, altNames, holds) => {
    const reason = judge(limited(permitted, excluded), altNames);
    if (holds) expect(reason).toBe("trusted");
    else expect(reason).toMatch(/name constraints/);
  });

  test("they bind certificates further down, and a common name that could be a domain", () => {
    const issuer = limited([dns("example.net")], []);
    const inner = makeAuthority({ name: "CN=Inner", by: issuer });
    const leaf = makeLeaf({ name: "CN=g", by: inner }, ["vpn.example.org"]);
    expect(verdict({ sent: [leaf, inner, issuer] })).toMatch(
      /name constraints of its issuer forbid vpn\.example\.org$/,
    );
    const old = makeLeaf({ name: "CN=vpn.example.org", by: issuer }, []);
    expect(verdict({ sent: [old, issuer], allowsCommonName: true })).toMatch(/forbid vpn\.example\.org$/);
  });
});

describe("OpenSSL as the oracle", () => {
  test("what we read of a certificate is what it reads", () => {
    for (const { der, certificate } of [root, intermediate, gateway]) {
      const theirs = new X509Certificate(der);
      expect(theirs.publicKey.equals(certificate.publicKey)).toBe(true);
      expect(Buffer.from(certificate.serialNumber).toString("hex").toUpperCase()).toBe(theirs.serialNumber);
      expect(Date.parse(theirs.validTo)).toBe(certificate.notAfterMs - 999);
      expect(Date.parse(theirs.validFrom)).toBe(certificate.notBeforeMs);
      expect(theirs.ca).toBe(certificate.extensions.isAuthority === true);
    }
    expect(new X509Certificate(gateway.der).checkHost("vpn.example.org")).toBe("vpn.example.org");
    expect(new X509Certificate(gateway.der).verify(intermediate.certificate.publicKey)).toBe(true);
    expect(new X509Certificate(gateway.der).checkIssued(new X509Certificate(intermediate.der))).toBe(true);
  });
});
