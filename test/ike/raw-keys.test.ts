import { describe, expect, test } from "vitest";
import { CertificateEncoding, ExchangeType, NotifyType } from "../../src/iana/ikev2-parameters.ts";
import { rawKeyPayload } from "../../src/ike/certificates.ts";
import { find, findNotify } from "../../src/ike/payloads.ts";
import { keyTypeOf } from "../../src/pki/public-keys.ts";
import { signAuth } from "../../src/pki/sign-auth.ts";
import { decodeMessage } from "../../src/wire/message.ts";
import type { Payload } from "../../src/wire/payloads/payload.ts";
import { type SigningKeyName, signingKeys } from "../support/signing-keys.ts";
import { TestAuthority } from "../support/simulator/credentials.ts";
import { expectClean, expectEstablished } from "../support/simulator/expectations.ts";
import {
  authenticating,
  initiatorPolicy,
  type Pair,
  pair,
  responderPolicy,
  ScriptedPeer,
} from "../support/simulator/index.ts";

function own(name: SigningKeyName) {
  const key = signingKeys(name).privateKey;
  return { kind: "raw-key", key, keyType: keyTypeOf(key)! } as const;
}

function known(...names: readonly SigningKeyName[]) {
  return { kind: "raw-key", keys: names.map((name) => signingKeys(name).publicKey) } as const;
}

async function connect(
  seed: number,
  sides: Record<"initiator" | "responder", Parameters<typeof authenticating>[1]>,
): Promise<Pair> {
  const all = pair({ seed });
  all.initiator.endpoint.replaceConnections([authenticating(initiatorPolicy(), sides.initiator)]);
  all.responder.endpoint.replaceConnections([authenticating(responderPolicy(), sides.responder)]);
  all.initiator.connect();
  await all.link.settle();
  return all;
}

describe("IKE_AUTH with raw public keys (RFC 7670)", () => {
  test.each([
    ["rsa", "p256"],
    ["p384", "ed25519"],
  ] as const)("of types %s and %s sets up the SA", async (initiators, responders) => {
    const { initiator, responder, link } = await connect(1, {
      initiator: { local: own(initiators), remote: [known(responders)] },
      responder: { local: own(responders), remote: [known("p521", initiators)] },
    });
    expectEstablished(initiator, responder);
    expect([initiator.logins, responder.logins]).toEqual([
      ["sign", "verify-raw-key"],
      ["verify-raw-key", "sign"],
    ]);
    initiator.disconnect();
    await link.settle();
    link.run({ until: link.now + 40_000 });
    expectClean(initiator, responder);
  });

  test("goes with a pre-shared key or a certificate on the other side", async () => {
    const ca = await TestAuthority.create();
    const b = await ca.issue("b.example.org");
    const keyed = await connect(2, {
      initiator: { local: own("p256") },
      responder: { remote: [known("p256")] },
    });
    expectEstablished(keyed.initiator, keyed.responder);
    const certified = await connect(3, {
      initiator: { local: own("p256"), remote: [{ kind: "certificate", trust: ca.trust("server") }] },
      responder: { local: { kind: "certificate", credentials: [b] }, remote: [known("p256")] },
    });
    expectEstablished(certified.initiator, certified.responder);
  });

  test("knows a peer that shows a certificate by the key in it", async () => {
    const ca = await TestAuthority.create();
    const b = await ca.issue("b.example.org");
    const keys = [b.certificate.publicKey];
    const { initiator, responder } = await connect(4, {
      initiator: { remote: [{ kind: "raw-key", keys }] },
      responder: { local: { kind: "certificate", credentials: [b] } },
    });
    expectEstablished(initiator, responder);
  });

  test("refuses a key that is not known, on either side, and nothing is left", async () => {
    const byInitiator = await connect(5, {
      initiator: { remote: [known("p256")] },
      responder: { local: own("p384") },
    });
    const byResponder = await connect(6, {
      initiator: { local: own("p384") },
      responder: { remote: [known("p256", "rsa")] },
    });
    expect(byInitiator.initiator.event("ike-sa-failed")!.message).toContain("not one that is trusted");
    expect(byResponder.responder.event("ike-sa-failed")!.message).toContain("not one that is trusted");
    expect(byResponder.initiator.event("ike-sa-failed")!.message).toContain("does not know our public key");
    for (const { initiator, responder, link } of [byInitiator, byResponder]) {
      link.run({ until: link.now + 400_000 });
      expectClean(initiator, responder);
    }
  });

  test("is no way in where certificates or pre-shared keys are wanted", async () => {
    const ca = await TestAuthority.create();
    for (const [seed, remote] of [
      [7, { kind: "certificate", trust: ca.trust("client") }],
      [8, undefined],
    ] as const) {
      const { responder } = await connect(seed, {
        initiator: { local: own("p256") },
        responder: remote === undefined ? {} : { remote: [remote] },
      });
      expect(responder.event("ike-sa-failed")!.message).toContain(
        "has a key, and no connection here knows any",
      );
    }
    const { initiator } = await connect(9, {
      initiator: { remote: [{ kind: "certificate", trust: ca.trust("server") }] },
      responder: { local: own("p256") },
    });
    expect(initiator.event("ike-sa-failed")!.message).toContain("and we want a certificate");
  });
});

describe("a peer with a key", () => {
  function caller(seed: number, signer: SigningKeyName) {
    const { responder: machine, link } = pair({ seed });
    machine.endpoint.replaceConnections([
      authenticating(responderPolicy(), { remote: [known("p384", "p256", "rsa")] }),
    ]);
    const peer = new ScriptedPeer({ role: "initiator", policy: initiatorPolicy(), seed: seed + 7000 });
    peer.send(machine, peer.init());
    const { octets } = link.take();
    peer.agree(octets);
    const call = async (certificates: readonly Payload[]): Promise<readonly Payload[]> => {
      const key = signingKeys(signer).privateKey;
      const credential = { key, keyType: keyTypeOf(key)! };
      const { method, data } = await signAuth({ credential, octets: peer.signedOctets(), hashes: [2] });
      const [id, , ...rest] = peer.authPayloads();
      const auth: Payload = { kind: "authentication", critical: false, method, data };
      const payloads = [id!, ...certificates, auth, ...rest];
      peer.send(machine, peer.seal({ exchangeType: ExchangeType.IKE_AUTH, messageId: 1, payloads }));
      await machine.finishLogins();
      return peer.open(link.take().octets).payloads;
    };
    return { machine, link, call, response: decodeMessage(octets).payloads };
  }

  test("is asked for it, and told which hashes it may sign with", () => {
    const { response } = caller(20, "p256");
    expect(response.filter(({ kind }) => kind === "certificate-request")).toEqual([
      {
        kind: "certificate-request",
        critical: false,
        encoding: CertificateEncoding.RAW_PUBLIC_KEY,
        data: new Uint8Array(0),
      },
    ]);
    expect(findNotify(response, NotifyType.SIGNATURE_HASH_ALGORITHMS)).toBeDefined();
  });

  test("need not show it", async () => {
    const { machine, call } = caller(21, "p256");
    expect(find(await call([]), "authentication")).toBeDefined();
    expect(machine.state).toBe("established");
  });

  test.each([
    ["shows none, and has none of those that are known", "p521", []],
    ["shows one that is known, and signs with another that is known", "p256", ["p384"]],
    ["shows one that is known, and signs with its own", "p521", ["p256"]],
    ["shows its own first and one that is known behind it", "p521", ["p521", "p256"]],
  ] as const)("that %s is refused, and nothing is left of it", async (_, signer, shown) => {
    const { machine, link, call } = caller(22, signer);
    const answer = await call(shown.map((name) => rawKeyPayload(signingKeys(name).publicKey)));
    expect(findNotify(answer, NotifyType.AUTHENTICATION_FAILED)).toBeDefined();
    expect(machine.event("ike-sa-established")).toBeUndefined();
    link.run({ until: link.now + 200_000 });
    expectClean(machine);
  });

  test("that sends something else for a key is refused: what it sent is never parsed", async () => {
    for (const data of [new Uint8Array(0), new Uint8Array(1_200).fill(0x30)]) {
      const { machine, call } = caller(23, "p256");
      const garbage: Payload = {
        kind: "certificate",
        critical: false,
        encoding: CertificateEncoding.RAW_PUBLIC_KEY,
        data,
      };
      expect(findNotify(await call([garbage]), NotifyType.AUTHENTICATION_FAILED)).toBeDefined();
      expect(machine.event("ike-sa-failed")!.message).toContain("not one that is trusted");
    }
  });
});
