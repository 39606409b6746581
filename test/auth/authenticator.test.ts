import { expect, test } from "vitest";
import { Authenticator } from "../../src/auth/authenticator.ts";
import { IdType } from "../../src/iana/ikev2-parameters.ts";
import { RevocationChecker } from "../../src/pki/revocation.ts";
import { signAuth } from "../../src/pki/sign-auth.ts";
import { TrustAnchors } from "../../src/pki/trust-anchors.ts";
import { makeAuthority, makeLeaf, NOW } from "../support/certificates.ts";
import { crlUris, makeList, serveHttp } from "../support/revocation.ts";

const octets = Buffer.from("signed octets");

/** A peer whose certificate names a list at `answer`, judged by an authenticator that asks for it. */
async function peer(answer: (certificate: ReturnType<typeof makeLeaf>) => Uint8Array | number) {
  const root = makeAuthority({ name: "CN=Root" });
  const { uri, asked } = await serveHttp(() => answer(certificate));
  const certificate = makeLeaf({ name: "CN=a", by: root, more: [crlUris(`${uri}/list`)] }, ["a.example.org"]);
  const credential = { key: certificate.privateKey, keyType: "ec" } as const;
  const authentication = await signAuth({ credential, octets, hashes: [] });
  const judge = (mode: "strict" | "relaxed", signed: Uint8Array) =>
    new Authenticator(() => NOW).run({
      kind: "verify",
      certificates: [certificate.der],
      trust: {
        anchors: new TrustAnchors([root.certificate]),
        purpose: "server",
        revocation: new RevocationChecker({
          mode,
          lists: { current: [] },
          isOnline: true,
          allowsPrivateAddresses: true,
          timeoutMs: 20_000,
        }),
      },
      identity: { type: IdType.ID_FQDN, data: Buffer.from("a.example.org") },
      authentication,
      octets: signed,
      allowsSha1: false,
    });
  return { root, judge, asked };
}

test("a peer that owns its key is asked about, and let in if nobody has anything against it", async () => {
  const { root, judge, asked } = await peer(() => makeList({ by: root }));
  expect(await judge("strict", octets)).toEqual({ kind: "verified", note: undefined });
  expect(asked).toEqual(["GET /list"]);
});

test("a peer that does not own its key makes nobody ask", async () => {
  const { root, judge, asked } = await peer(() => makeList({ by: root }));
  expect(await judge("strict", octets.subarray(1))).toMatchObject({
    kind: "failed",
    reason: expect.stringMatching(/does not match$/),
  });
  expect(asked).toEqual([]);
});

test("a revoked certificate is refused, also where doubt is not", async () => {
  const { root, judge } = await peer((revoked) => makeList({ by: root, revoked: [revoked] }));
  expect(await judge("relaxed", octets)).toEqual({
    kind: "failed",
    reason: 'certificate "CN=a" was revoked',
  });
});

test("doubt is refused, or noted", async () => {
  const { judge } = await peer(() => 404);
  expect(await judge("strict", octets)).toMatchObject({
    kind: "failed",
    reason: expect.stringMatching(/answers 404$/),
  });
  expect(await judge("relaxed", octets)).toMatchObject({
    kind: "verified",
    note: expect.stringMatching(/answers 404$/),
  });
});
