import { beforeAll, describe, expect, test } from "vitest";
import { HashAlgorithm, NotifyType } from "../../src/iana/ikev2-parameters.ts";
import { signatureHashesIn } from "../../src/ike/certificates.ts";
import { notify } from "../../src/ike/payloads.ts";
import type { Credential } from "../../src/pki/credential.ts";
import { RevocationChecker } from "../../src/pki/revocation.ts";
import type { ConnectionPolicy } from "../../src/policy/connection.ts";
import { TestAuthority } from "../support/simulator/credentials.ts";
import { expectClean, expectEstablished } from "../support/simulator/expectations.ts";
import {
  authenticating,
  initiatorPolicy,
  type Pair,
  pair,
  responderPolicy,
} from "../support/simulator/index.ts";

let ca: TestAuthority;
let other: TestAuthority;
let a: Credential;
let b: Credential;
let rsa: Credential;
let strange: Credential;
let elsewhere: Credential;

beforeAll(async () => {
  [ca, other] = await Promise.all([TestAuthority.create(), TestAuthority.create("CN=Other CA")]);
  [a, b, rsa, strange, elsewhere] = await Promise.all([
    ca.issue("a.example.org", { purpose: "client" }),
    ca.issue("b.example.org"),
    ca.issue("b.example.org", { kind: "rsa" }),
    other.issue("b.example.org"),
    ca.issue("c.example.org"),
  ]);
});

function own(...credentials: readonly Credential[]) {
  return { kind: "certificate", credentials } as const;
}

function trusted(purpose: "server" | "client", authority = ca) {
  return { kind: "certificate", trust: authority.trust(purpose) } as const;
}

async function connect(
  seed: number,
  sides: {
    readonly initiator: Parameters<typeof authenticating>[1];
    readonly responder: Parameters<typeof authenticating>[1];
    readonly change?: (policy: ConnectionPolicy) => ConnectionPolicy;
  },
): Promise<Pair> {
  const all = pair({ seed });
  const { change = (policy) => policy } = sides;
  all.initiator.endpoint.replaceConnections([change(authenticating(initiatorPolicy(), sides.initiator))]);
  all.responder.endpoint.replaceConnections([authenticating(responderPolicy(), sides.responder)]);
  all.initiator.connect();
  await all.link.settle();
  return all;
}

describe("IKE_AUTH with certificates", () => {
  test("on both sides sets up the same SA as with a pre-shared key", async () => {
    const { initiator, responder, link } = await connect(1, {
      initiator: { local: own(a), remote: [trusted("server")] },
      responder: { local: own(b), remote: [trusted("client")] },
    });
    expectEstablished(initiator, responder);
    expect([initiator.logins, responder.logins]).toEqual([
      ["sign", "verify"],
      ["verify", "sign"],
    ]);
    initiator.disconnect();
    await link.settle();
    link.run({ until: link.now + 40_000 });
    expectClean(initiator, responder);
  });

  test("on the responder's side alone goes with a pre-shared key on the other", async () => {
    const { initiator, responder } = await connect(2, {
      initiator: { remote: [trusted("server")] },
      responder: { local: own(b) },
    });
    expectEstablished(initiator, responder);
    expect([initiator.logins, responder.logins]).toEqual([["verify"], ["sign"]]);
  });

  test("on the initiator's side alone goes with a pre-shared key on the other", async () => {
    const { initiator, responder } = await connect(3, {
      initiator: { local: own(a) },
      responder: { remote: [trusted("client")] },
    });
    expectEstablished(initiator, responder);
  });

  test("of several, the one whose CA the peer names is shown, and without a name RSA", async () => {
    const both = own(rsa, b);
    const named = await connect(4, {
      initiator: { local: own(a), remote: [trusted("server")] },
      responder: { local: both, remote: [trusted("client")] },
    });
    expectEstablished(named.initiator, named.responder);
    const sizes = (all: Pair) =>
      all.link.transmitted.filter(({ from }) => from === all.responder).map(({ octets }) => octets.length);
    const strangeAnchors = await connect(5, {
      initiator: { local: own(a), remote: [trusted("server", other)] },
      responder: { local: both, remote: [trusted("client")] },
    });
    // A signature with 3072 bits is five times as long as one on P-256.
    expect(Math.max(...sizes(strangeAnchors))).toBeGreaterThan(Math.max(...sizes(named)) + 250);
    expect(strangeAnchors.initiator.event("ike-sa-failed")!.message).toContain("not trusted");
  });

  test("RSA signs with SHA-2 for a peer that announces it", async () => {
    const { initiator, responder } = await connect(6, {
      initiator: { remote: [trusted("server")] },
      responder: { local: own(rsa) },
    });
    expectEstablished(initiator, responder);
  });

  test("a request that comes again while its signature is being made is absorbed", async () => {
    const all = pair({ seed: 7 });
    const { initiator, responder, link } = all;
    initiator.endpoint.replaceConnections([
      authenticating(initiatorPolicy(), { remote: [trusted("server")] }),
    ]);
    responder.endpoint.replaceConnections([authenticating(responderPolicy(), { local: own(b) })]);
    initiator.connect();
    link.deliver(); // --> IKE_SA_INIT
    link.deliver(); // <-- IKE_SA_INIT
    link.deliver(); // --> IKE_AUTH
    expect(responder.pendingLogins).toBe(1);
    link.advanceToDeadline();
    link.deliver(); // --> the same octets once more
    expect(responder.pendingLogins).toBe(1);
    expect(link.inFlight).toHaveLength(0);
    await link.settle();
    expectEstablished(initiator, responder);
    expect(responder.logins).toEqual(["sign"]);
  });

  test("a job that comes back after its SA is gone does nothing", async () => {
    const { initiator, responder, link } = pair({ seed: 8 });
    initiator.endpoint.replaceConnections([
      authenticating(initiatorPolicy(), { remote: [trusted("server")] }),
    ]);
    responder.endpoint.replaceConnections([authenticating(responderPolicy(), { local: own(b) })]);
    initiator.connect();
    link.deliver();
    link.deliver();
    link.deliver();
    // The responder's patience is over.
    link.fate = () => [];
    link.run({ until: link.now + 200_000 });
    const before = link.transmitted.length;
    await responder.finishLogins();
    expect(link.transmitted).toHaveLength(before);
    link.run({ until: link.now + 200_000 });
    expectClean(initiator, responder);
  });
});

describe("a certificate of which nobody says whether it was revoked", () => {
  function checked(purpose: "server" | "client", mode: "strict" | "relaxed") {
    const revocation = new RevocationChecker({
      mode,
      lists: { current: [] },
      isOnline: false,
      allowsPrivateAddresses: false,
      timeoutMs: 1_000,
    });
    return { kind: "certificate", trust: { ...ca.trust(purpose), revocation } } as const;
  }

  test("is taken by who is relaxed, and told of where there was somebody to ask", async () => {
    const overdue = (purpose: "server" | "client") =>
      ({ kind: "certificate", trust: ca.trustWithList(purpose, [], -3_600_000) }) as const;
    for (const [seed, judge, isTold] of [
      [10, (purpose: "server" | "client") => checked(purpose, "relaxed"), false],
      [15, overdue, true],
    ] as const) {
      const { initiator, responder } = await connect(seed, {
        initiator: { local: own(a), remote: [judge("server")] },
        responder: { local: own(b), remote: [judge("client")] },
      });
      expectEstablished(initiator, responder);
      for (const machine of [initiator, responder]) {
        const note = machine.event("certificate-noted")?.message;
        expect(note?.includes("nobody says whether it was revoked") ?? false).toBe(isTold);
      }
    }
  });

  test("is refused by who is strict, on either side", async () => {
    const byInitiator = await connect(11, {
      initiator: { remote: [checked("server", "strict")] },
      responder: { local: own(b) },
    });
    const byResponder = await connect(12, {
      initiator: { local: own(a) },
      responder: { remote: [checked("client", "strict")] },
    });
    for (const machine of [byInitiator.initiator, byResponder.responder])
      expect(machine.event("ike-sa-failed")!.message).toContain("nobody says whether it was revoked");
    expect([byInitiator.initiator.installed.size, byResponder.responder.installed.size]).toEqual([0, 0]);
  });

  test("is not asked about before its owner has shown the key", async () => {
    const asked: number[] = [];
    const revocation = checked("server", "strict").trust.revocation;
    revocation.check = (path) => {
      asked.push(path.length);
      return Promise.resolve({ kind: "accepted", note: undefined });
    };
    const remote = [{ kind: "certificate", trust: { ...ca.trust("server"), revocation } }] as const;
    await connect(13, { initiator: { remote }, responder: { local: own({ ...b, key: strange.key }) } });
    expect(asked).toEqual([]);
    await connect(14, { initiator: { remote }, responder: { local: own(b) } });
    expect(asked).toEqual([2]);
  });
});

describe("a certificate is refused", () => {
  test.each([
    ["by a CA that is not trusted", () => strange, "not trusted"],
    ["for another name", () => elsewhere, "not for b.example.org"],
    ["with another key than it holds", () => ({ ...b, key: strange.key }), "signature"],
    ["that is for clients", () => a, "does not include serverAuth"],
  ])("%s, by the initiator, which tells the responder", async (_, credential, words) => {
    const { initiator, responder, link } = await connect(20, {
      initiator: { remote: [trusted("server")] },
      responder: { local: own(credential()) },
    });
    const failure = initiator.event("ike-sa-failed")!;
    expect(failure.facts.reason).toBe("certificate");
    expect(failure.message).toContain(words);
    link.run({ until: link.now + 400_000 });
    expectClean(initiator, responder);
  });

  test("by the responder, which says nothing but that it failed", async () => {
    const stranger = await other.issue("a.example.org", { purpose: "client" });
    const { initiator, responder, link } = await connect(21, {
      initiator: { local: own(stranger) },
      responder: { remote: [trusted("client")] },
    });
    expect(responder.event("ike-sa-failed")!.message).toContain("not trusted");
    expect(initiator.event("ike-sa-failed")!.facts.reason).toBe("AUTHENTICATION_FAILED");
    link.run({ until: link.now + 100_000 });
    expectClean(initiator, responder);
  });

  test("when it was revoked, by either side", async () => {
    const trust = (purpose: "server" | "client") =>
      ({
        kind: "certificate",
        trust: ca.trustWithList(purpose, [a]),
      }) as const;
    const good = await connect(24, {
      initiator: { remote: [trust("server")] },
      responder: { local: own(b) },
    });
    expectEstablished(good.initiator, good.responder);
    expect(good.initiator.event("certificate-noted")).toBeUndefined();
    const { initiator, responder } = await connect(25, {
      initiator: { local: own(a) },
      responder: { remote: [trust("client")] },
    });
    expect(responder.event("ike-sa-failed")!.message).toContain('certificate "CN=a.example.org" was revoked');
    expect(initiator.event("ike-sa-failed")!.facts.reason).toBe("AUTHENTICATION_FAILED");
  });

  test("and a pre-shared key is no way in where certificates are wanted", async () => {
    const { initiator, responder } = await connect(23, {
      initiator: {},
      responder: { remote: [trusted("client")] },
    });
    expect(responder.event("ike-sa-failed")!.message).toContain("no connection for a.example.org");
    expect(initiator.state).toBe("none");
  });
});

test.each([
  ["none", undefined, []],
  ["an empty list", [], []],
  ["ours among others", [77, HashAlgorithm.SHA2_384, 1024], [HashAlgorithm.SHA2_384]],
  ["others alone, which is not the same as none", [77, 1024], [77]],
])("of the hashes that a peer announces, %s, those count that we know", (_, announced, counted) => {
  const data = Uint8Array.from((announced ?? []).flatMap((id) => [id >>> 8, id & 0xff]));
  const list = announced === undefined ? [] : [notify(NotifyType.SIGNATURE_HASH_ALGORITHMS, data)];
  expect(signatureHashesIn(list)).toEqual(counted);
});
