import { describe, expect, test } from "vitest";
import { judgeByTrust } from "../../src/auth/eap-tls-judge.ts";
import { createEapClient } from "../../src/eap/client.ts";
import { createEapServer } from "../../src/eap/server.ts";
import { eapTlsClient } from "../../src/eap/tls/client.ts";
import { eapTlsServer } from "../../src/eap/tls/server.ts";
import { EapCode } from "../../src/iana/eap.ts";
import {
  extendedKeyUsage,
  extension,
  keyUsage,
  subjectAltNames,
  writeCertificate,
} from "../../src/pki/certificate-writer.ts";
import type { Credential } from "../../src/pki/credential.ts";
import { element, objectIdentifier, sequence, small } from "../../src/pki/der-writer.ts";
import { KeyUsage } from "../../src/pki/extensions.ts";
import { encodeName } from "../../src/pki/names.ts";
import { Oid } from "../../src/pki/object-identifiers.ts";
import { TrustAnchors } from "../../src/pki/trust-anchors.ts";
import { systemRandom } from "../../src/platform/random.ts";
import { converse } from "../eap/conversation.ts";
import { freshKeys, makeAuthority, makeLeaf, type Recipe, withAlgorithm } from "../support/certificates.ts";
import { expectClean, expectEstablished } from "../support/simulator/expectations.ts";
import { authenticating, initiatorPolicy, pair, responderPolicy } from "../support/simulator/index.ts";

// Each fault of a certificate, shown by either side of IKE_AUTH and by a client within EAP-TLS: the other side refuses for that fault, says no
// more than that it failed, and nothing stays. `test/pki/verify-chain.test.ts` has more of them, and OpenSSL as the oracle.

const notAfter = "2100-01-01T00:00:00Z";
const root = makeAuthority({ name: "CN=Root", notAfter });
const keys = freshKeys();

type Role = "server" | "client";

interface Shown {
  /** DER, its owner's first. */
  readonly chain: readonly Uint8Array[];
}

const good = (role: Role, recipe: Partial<Recipe> = {}, names = [nameOf(role)]): Uint8Array =>
  makeLeaf({ name: "CN=peer", by: root, keys, notAfter, ...recipe }, names, [usageOf(role)]).der;

function nameOf(role: Role): string {
  return role === "server" ? "b.example.org" : "a.example.org";
}

function usageOf(role: Role): string {
  return role === "server" ? Oid.serverAuth : Oid.clientAuth;
}

/** What `makeLeaf` would not let pass. */
function withNames(role: Role, names: Uint8Array): Uint8Array {
  const fields = {
    serialNumber: Uint8Array.of(0x4b, 1),
    issuer: root.certificate.subject.encoded,
    subject: encodeName("CN=peer")!,
    notBeforeMs: Date.parse("2025-01-01T00:00:00Z"),
    notAfterMs: Date.parse(notAfter),
    publicKey: keys.publicKey,
    extensions: [extendedKeyUsage([usageOf(role)]), extension(Oid.subjectAltName, names)],
  };
  return writeCertificate(fields, root.privateKey);
}

function belowManyCas(role: Role, count: number): Shown {
  const authorities = [root];
  for (let i = 0; i < count; i++)
    authorities.unshift(makeAuthority({ name: `CN=I${i}`, by: authorities[0]!, notAfter }));
  return { chain: [good(role, { by: authorities[0]! }), ...authorities.slice(0, -1).map(({ der }) => der)] };
}

const algorithm = (oid: string): Uint8Array => sequence(objectIdentifier(oid), Uint8Array.of(5, 0));

interface Fault {
  readonly what: string;
  readonly show: (role: Role) => Shown;
  readonly reason: RegExp;
  /** Where it is one: some are a fault for one role only, and TLS itself does not load others, or is told no name. */
  readonly by?: readonly (Role | "eap-tls")[];
}

const FAULTS: readonly Fault[] = [
  {
    what: "expired",
    show: (role) => ({
      chain: [good(role, { notBefore: "2019-01-01T00:00:00Z", notAfter: "2020-01-01T00:00:00Z" })],
    }),
    reason: /expired on 2020-01-01/,
  },
  {
    what: "from the future",
    show: (role) => ({ chain: [good(role, { notBefore: "2099-01-01T00:00:00Z" })] }),
    reason: /not valid before 2099-01-01/,
  },
  {
    what: "for another name",
    show: (role) => ({ chain: [good(role, {}, ["c.example.org"])] }),
    reason: /is for c\.example\.org, not for [ab]\.example\.org/,
    by: ["server", "client"],
  },
  {
    what: "for all of a top-level domain",
    show: (role) => ({ chain: [good(role, {}, ["*.org", "*.*.org", "*"])] }),
    reason: /not for [ab]\.example\.org/,
    by: ["server", "client"],
  },
  {
    what: "with its name as common name alone",
    show: (role) => ({ chain: [good(role, { name: `CN=${nameOf(role)}` }, [])] }),
    reason: /has no alternative names/,
    by: ["server", "client"],
  },
  {
    what: "with NUL in its name",
    show: (role) => ({
      chain: [withNames(role, sequence(element(0x82, Buffer.from(`${nameOf(role)}\0.evil.org`, "latin1"))))],
    }),
    reason: /octets that no name has/,
  },
  {
    what: "for the other role",
    show: (role) => ({
      chain: [
        makeLeaf(
          { name: "CN=peer", by: root, keys, notAfter },
          [nameOf(role)],
          [usageOf(role === "server" ? "client" : "server")],
        ).der,
      ],
    }),
    reason: /does not include (server|client)Auth/,
  },
  {
    what: "without extended key usage",
    show: (role) => ({ chain: [good(role, { extensions: [subjectAltNames([nameOf(role)])] })] }),
    reason: /no extended key usage, serverAuth is needed/,
    by: ["server"],
  },
  {
    what: "for encipherment alone",
    show: (role) => ({
      chain: [
        good(role, {
          extensions: [
            keyUsage([KeyUsage.keyEncipherment]),
            extendedKeyUsage([usageOf(role)]),
            subjectAltNames([nameOf(role)]),
          ],
        }),
      ],
    }),
    reason: /does not include digitalSignature/,
    by: ["server", "client"],
  },
  {
    what: "with a critical extension that nobody knows",
    show: (role) => ({ chain: [good(role, { more: [extension("1.2.3.4", small(1), true)] })] }),
    reason: /critical extension that is not supported/,
  },
  {
    what: "signed with MD5",
    show: (role) => ({ chain: [withAlgorithm(good(role), algorithm(Oid.md5WithRSAEncryption))] }),
    reason: /md5WithRSAEncryption is not supported/,
    by: ["server", "client"],
  },
  {
    what: "signed with SHA-1",
    show: (role) => ({ chain: [withAlgorithm(good(role), algorithm(Oid.sha1WithRSAEncryption))] }),
    reason: /SHA-1, which can be forged/,
    by: ["server", "client"],
  },
  {
    what: "signed by itself",
    show: (role) => ({
      chain: [makeLeaf({ name: "CN=peer", keys, notAfter }, [nameOf(role)], [usageOf(role)]).der],
    }),
    reason: /issued by itself and not trusted/,
  },
  {
    what: "of a stranger's CA of the right name",
    show: (role) => ({
      chain: [good(role, { by: makeAuthority({ name: "CN=Root", notAfter }) })],
    }),
    reason: /issued with another key/,
  },
  {
    what: "issued by a gateway that plays a CA",
    show: (role) => {
      const player = makeLeaf({ name: "CN=I", by: root, notAfter }, ["i.example.org"]);
      return { chain: [good(role, { by: player }), player.der] };
    },
    // TLS hands on no more of a chain than it can put together.
    reason: /it is no CA|is not trusted, nor was its certificate sent/,
  },
  {
    what: "below ten CAs",
    show: (role) => belowManyCas(role, 10),
    reason: /more than 8 certificates/,
  },
  {
    what: "of 20 KB, and none",
    show: () => ({ chain: [new Uint8Array(20_000).fill(0x30)] }),
    reason: /cannot be read/,
    by: ["server", "client"],
  },
  {
    what: "of no octets",
    show: () => ({ chain: [new Uint8Array(0)] }),
    reason: /cannot be read/,
    by: ["server", "client"],
  },
  { what: "none", show: () => ({ chain: [] }), reason: /sent no certificate/, by: ["server", "client"] },
];

function showing(shown: Shown) {
  const { certificate } = makeLeaf({ name: "CN=peer", by: root, keys, notAfter }, ["*.example.org"]);
  const credential: Credential = {
    chain: shown.chain,
    certificate,
    key: keys.privateKey,
    keyType: "ec",
    issuerKeyHashes: [],
  };
  return { kind: "certificate", credentials: [credential] } as const;
}

function trust(purpose: Role) {
  return { anchors: new TrustAnchors([root.certificate]), purpose };
}

const trusting = (purpose: Role) => ({ kind: "certificate", trust: trust(purpose) }) as const;

async function connect(role: Role, shown: Shown) {
  const all = pair({ seed: 70 });
  const isServer = role === "server";
  all.initiator.endpoint.replaceConnections([
    authenticating(initiatorPolicy(), isServer ? { remote: [trusting(role)] } : { local: showing(shown) }),
  ]);
  all.responder.endpoint.replaceConnections([
    authenticating(responderPolicy(), isServer ? { local: showing(shown) } : { remote: [trusting(role)] }),
  ]);
  all.initiator.connect();
  await all.link.settle();
  return all;
}

const faultsOf = (by: Role | "eap-tls") =>
  FAULTS.filter((fault) => (fault.by ?? ["server", "client", "eap-tls"]).includes(by)).map(
    (fault) => [fault.what, fault] as const,
  );

describe.each(["server", "client"] as const)("a %s with a certificate", (role) => {
  test("without a fault gets in", async () => {
    const { initiator, responder } = await connect(role, { chain: [good(role)] });
    expectEstablished(initiator, responder);
  });

  test.each(faultsOf(role))("%s is refused, and nothing is left of it", async (_, { show, reason }) => {
    const { initiator, responder, link } = await connect(role, show(role));
    const [judge, other] = role === "server" ? [initiator, responder] : [responder, initiator];
    expect(judge.event("ike-sa-failed")!.message).toMatch(reason);
    // What a client hears; a gateway's SA stood already.
    const heard = role === "client" ? other.event("ike-sa-failed")! : undefined;
    expect(heard?.facts.reason).toBe(heard && "AUTHENTICATION_FAILED");
    expect(heard?.message ?? "").not.toMatch(reason);
    expect(judge.event("ike-sa-established")).toBeUndefined();
    link.run({ until: link.now + 400_000 });
    expectClean(initiator, responder);
  });
});

describe("a client of EAP-TLS with a certificate", () => {
  async function logIn(shown: Shown) {
    const server = createEapServer({
      methods: [
        eapTlsServer({
          credentials: [{ chain: [good("server")], key: keys.privateKey }],
          judge: judgeByTrust({ trust: trust("client"), wallClock: Date.now }),
        }),
      ],
      random: systemRandom,
    });
    const method = eapTlsClient({
      credentials: [{ chain: shown.chain, key: keys.privateKey }],
      identity: "a",
      judge: () => ({ kind: "trusted", identity: "gateway" }),
    });
    return converse(server, createEapClient({ identity: "a", methods: [method] }).begin());
  }

  test("without a fault gets in", async () => {
    expect((await logIn({ chain: [good("client")] })).server?.kind).toBe("success");
  });

  test.each(faultsOf("eap-tls"))("%s is refused", async (_, { show, reason }) => {
    const { server, packets } = await logIn(show("client"));
    expect(server).toMatchObject({ kind: "failure", reason: expect.stringMatching(reason) });
    expect(packets.some((packet) => packet[0] === EapCode.SUCCESS)).toBe(false);
  });
});
