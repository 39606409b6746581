import { beforeAll, describe, expect, test } from "vitest";
import type { EapClient, EapServer, EapSession, EapStep } from "../../src/eap/session.ts";
import type { Limits } from "../../src/ike/limits.ts";
import type { Credential } from "../../src/pki/credential.ts";
import type { LocalAuthentication } from "../../src/policy/connection.ts";
import { login, logins, TestAuthority, tlsLogin, tlsLogins } from "../support/simulator/credentials.ts";
import { expectClean, expectEstablished } from "../support/simulator/expectations.ts";
import {
  authenticating,
  initiatorPolicy,
  type Pair,
  pair,
  responderPolicy,
} from "../support/simulator/index.ts";

let ca: TestAuthority;
let gateway: Credential;

beforeAll(async () => {
  ca = await TestAuthority.create();
  gateway = await ca.issue("b.example.org");
});

function loginPair(
  seed: number,
  options: {
    readonly password?: string;
    readonly limits?: Partial<Limits>;
  } = {},
): Pair {
  const { password = "correct horse", limits = {} } = options;
  const all = pair({ seed, limits });
  all.initiator.endpoint.replaceConnections([
    authenticating(initiatorPolicy(), {
      local: { kind: "eap", client: login("anna", password) },
      remote: [{ kind: "certificate", trust: ca.trust("server") }],
    }),
  ]);
  all.responder.endpoint.replaceConnections([
    authenticating(responderPolicy({ remoteAddress: undefined }), {
      local: { kind: "certificate", credentials: [gateway] },
      remote: [{ kind: "eap", server: logins({ anna: "correct horse", bert: "battery" }) }],
      isForAnybody: true,
    }),
  ]);
  return all;
}

describe("a login by EAP-MSCHAPv2", () => {
  test("sets up the SA, with the gateway's certificate verified before the first packet is answered", async () => {
    const { initiator, responder, link } = loginPair(1);
    initiator.connect();
    await link.settle();
    expectEstablished(initiator, responder);
    expect(initiator.logins).toEqual(["verify", "eap", "eap", "eap", "eap"]);
    expect(responder.logins).toEqual(["sign", "eap", "eap", "eap"]);
    expect(responder.ikeSas[0]).toMatchObject({ user: "anna", client: "ikebana" });
    initiator.disconnect();
    await link.settle();
    link.run({ until: link.now + 40_000 });
    expectClean(initiator, responder);
  });

  test("with a wrong password is refused, and leaves nothing behind", async () => {
    const { initiator, responder, link } = loginPair(2, { password: "wrong" });
    initiator.connect();
    await link.settle();
    expect(initiator.event("ike-sa-failed")!.facts.reason).toBe("AUTHENTICATION_FAILED");
    expect(responder.event("ike-sa-failed")!.message).toContain("did not log in");
    expect(responder.event("ike-sa-established")).toBeUndefined();
    link.run({ until: link.now + 400_000 });
    expectClean(initiator, responder);
  });

  test("that nobody goes on with ends in time, and counts as half-open until then", async () => {
    const { initiator, responder, link } = loginPair(3, { limits: { eapTimeoutMs: 20_000 } });
    initiator.connect();
    link.deliver();
    link.deliver();
    link.deliver();
    await responder.finishLogins();
    // The initiator hears nothing any more.
    link.fate = () => [];
    link.inFlight.length = 0;
    link.run({ until: link.now + 19_000 });
    expect(responder.state).toBe("authenticating");
    link.run({ until: link.now + 300_000 });
    expect(responder.event("ike-sa-failed")!.message).toContain("took too long");
    expectClean(initiator, responder);
  });

  test("of a gateway with another name gets no answer to its EAP request", async () => {
    const all = loginPair(4);
    const { initiator, responder, link } = all;
    responder.endpoint.replaceConnections([
      authenticating(responderPolicy({ remoteAddress: undefined }), {
        local: { kind: "certificate", credentials: [await ca.issue("evil.example.org")] },
        remote: [{ kind: "eap", server: logins({}) }],
        isForAnybody: true,
      }),
    ]);
    initiator.connect();
    await link.settle();
    expect(initiator.logins).toEqual(["verify"]);
    expect(responder.logins).toEqual(["sign"]);
    expect(initiator.event("ike-sa-failed")!.message).toContain("not for b.example.org");
  });

  for (const fault of ["lost", "doubled", "late"] as const) {
    test(`goes on when any one message is ${fault}`, async () => {
      for (let index = 0; index < 12; index++) {
        const { initiator, responder, link } = loginPair(100 + index);
        link.fate = (datagram) => {
          if (datagram.index !== index) return [0];
          return fault === "lost" ? [] : fault === "doubled" ? [0, 10] : [700];
        };
        initiator.connect();
        for (let round = 0; round < 40; round++) {
          await link.settle();
          if (initiator.state === "established" && responder.state === "established") break;
          link.run({ until: link.now + 200 });
        }
        expectEstablished(initiator, responder);
        expect(responder.event("ike-sa-failed")).toBeUndefined();
      }
    });
  }
});

describe("EAP only (RFC 5998)", () => {
  let client: Credential;
  let stranger: Credential;

  beforeAll(async () => {
    client = await ca.issue("a.example.org", { purpose: "client" });
    stranger = await ca.issue("c.example.org");
  });

  function eapOnlyPair(
    seed: number,
    options: {
      readonly server?: Credential;
      readonly isMutual?: boolean;
      readonly local?: LocalAuthentication;
      /** In place of the client's login by EAP-TLS. */
      readonly client?: EapClient;
      readonly change?: (server: EapServer) => EapServer;
    } = {},
  ): Pair {
    const { server = gateway, isMutual = true, local, change = (same) => same } = options;
    const all = pair({ seed });
    const login = tlsLogin(ca, { credential: client, identity: "a.example.org", gateway: "b.example.org" });
    all.initiator.endpoint.replaceConnections([
      authenticating(initiatorPolicy(), {
        local: { kind: "eap", client: options.client ?? login },
        remote: [{ kind: "eap-only" }, { kind: "certificate", trust: ca.trust("server") }],
      }),
    ]);
    all.responder.endpoint.replaceConnections([
      authenticating(responderPolicy(), {
        ...(local && { local }),
        remote: [
          {
            kind: "eap",
            server: isMutual ? logins({ anna: "correct horse" }) : tlsLogins(ca, server),
            ...(isMutual && { mutualServer: change(tlsLogins(ca, server)) }),
          },
        ],
        isForAnybody: true,
      }),
    ]);
    return all;
  }

  test("by a method that shows who the gateway is needs no AUTH before it", async () => {
    const { initiator, responder, link } = eapOnlyPair(40);
    initiator.connect();
    await link.settle();
    expectEstablished(initiator, responder);
    expect([new Set(initiator.logins), new Set(responder.logins)]).toEqual([
      new Set(["eap"]),
      new Set(["eap"]),
    ]);
    expect(responder.ikeSas[0]!.user).toBe("a.example.org");
  });

  test("is not done by a gateway whose method does not show that: its certificate comes first", async () => {
    const { initiator, responder, link } = eapOnlyPair(41, {
      isMutual: false,
      local: { kind: "certificate", credentials: [gateway] },
    });
    initiator.connect();
    await link.settle();
    expectEstablished(initiator, responder);
    expect([initiator.logins[0], responder.logins[0]]).toEqual(["verify", "sign"]);
  });

  test("and without a certificate such a gateway lets nobody in", async () => {
    const { initiator, responder, link } = eapOnlyPair(42, { isMutual: false });
    initiator.connect();
    await link.settle();
    expect(responder.event("ike-sa-failed")!.message).toContain("no certificate to show");
    expect(initiator.event("ike-sa-failed")!.facts.reason).toBe("AUTHENTICATION_FAILED");
  });

  test("offers no password login: nobody may guess at one who has not seen the gateway's certificate", async () => {
    const { initiator, responder, link } = eapOnlyPair(44, { client: login("anna", "correct horse") });
    initiator.connect();
    await link.settle();
    expect(responder.event("ike-sa-failed")!.message).toContain("no method in common: the peer takes 26");
    expect(responder.logins).toEqual(["eap", "eap"]);
    link.run({ until: link.now + 200_000 });
    expectClean(initiator, responder);
  });

  test("needs a method that brings a key, on either side", async () => {
    const whole = tlsLogin(ca, { credential: client, identity: "a.example.org", gateway: "b.example.org" });
    const keyless = { begin: () => withoutKey(whole.begin()) };
    const byClient = eapOnlyPair(45, { client: keyless });
    byClient.initiator.connect();
    await byClient.link.settle();
    expect(byClient.initiator.event("ike-sa-failed")!.message).toContain("has not shown who it is");
    expect(byClient.initiator.event("ike-sa-established")).toBeUndefined();
    const byGateway = eapOnlyPair(46, {
      change: (server) => ({
        begin: (peer) => {
          const { session, first } = server.begin(peer);
          return { session: withoutKey(session), first };
        },
      }),
    });
    byGateway.initiator.connect();
    await byGateway.link.settle();
    expect(byGateway.responder.event("ike-sa-failed")!.message).toContain("brings no key");
    expect(byGateway.initiator.event("ike-sa-failed")!.facts.reason).toBe("AUTHENTICATION_FAILED");
  });

  test("ends where the gateway's name within the method is another", async () => {
    const { initiator, responder, link } = eapOnlyPair(43, { server: stranger });
    initiator.connect();
    await link.settle();
    expect(initiator.event("ike-sa-failed")!.message).toContain("not for b.example.org");
    expect([initiator.installed.size, responder.installed.size]).toEqual([0, 0]);
  });
});

/** As a method without keys would end. */
function withoutKey(session: EapSession): EapSession {
  const bare = (step: EapStep): EapStep => (step.kind === "success" ? { ...step, msk: undefined } : step);
  return {
    receive: async (packet) => bare(await session.receive(packet)),
    dispose: () => session.dispose(),
  };
}
