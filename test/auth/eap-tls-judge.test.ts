import { beforeAll, expect, test } from "vitest";
import { judgeByTrust } from "../../src/auth/eap-tls-judge.ts";
import { IdType } from "../../src/iana/ikev2-parameters.ts";
import { readCertificate } from "../../src/pki/certificate.ts";
import type { Purpose } from "../../src/pki/trust.ts";
import { TrustAnchors } from "../../src/pki/trust-anchors.ts";
import { lab } from "../eap/certificates.ts";

let ours: Awaited<ReturnType<typeof lab>>;
let theirs: typeof ours;
beforeAll(async () => {
  [ours, theirs] = [await lab(), await lab()];
});

const judge = (purpose: Purpose, name?: string, wallClock = Date.now) =>
  judgeByTrust({
    trust: { anchors: new TrustAnchors([readCertificate(ours.authority.certificate)]), purpose },
    ...(name !== undefined && {
      identity: { type: IdType.ID_FQDN, data: new TextEncoder().encode(name) },
    }),
    wallClock,
  });

test("a client goes by the name in its certificate", async () => {
  expect(await judge("client")(ours.client.chain)).toEqual({
    kind: "trusted",
    identity: "anna@example.org",
  });
  expect(await judge("server", "gw.example.org")(ours.server.chain)).toEqual({
    kind: "trusted",
    identity: "gw.example.org",
  });
});

test("strangers, other names, other purposes and other times are refused with the reason", async () => {
  const refused = (reason: string) => ({ kind: "refused", reason: expect.stringContaining(reason) });
  expect(await judge("client")(theirs.client.chain)).toEqual(refused("Lab CA"));
  expect(await judge("server", "other.example.org")(ours.server.chain)).toEqual(
    refused("not for other.example.org"),
  );
  expect(await judge("server")(ours.client.chain)).toMatchObject({ kind: "refused" });
  expect(await judge("client", undefined, () => 0)(ours.client.chain)).toMatchObject({ kind: "refused" });
  expect(await judge("client")([Uint8Array.of(1, 2, 3)])).toMatchObject({ kind: "refused" });
});
