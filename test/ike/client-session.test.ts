import { beforeAll, describe, expect, test } from "vitest";
import type { EapGrants } from "../../src/eap/session.ts";
import type { Credential } from "../../src/pki/credential.ts";
import { AddressPools } from "../../src/pool/address-pools.ts";
import { granting, login, logins, TestAuthority } from "../support/simulator/credentials.ts";
import { expectClean } from "../support/simulator/expectations.ts";
import {
  authenticating,
  childPolicy,
  initiatorPolicy,
  type Pair,
  pair,
  responderPolicy,
} from "../support/simulator/index.ts";

const ANYWHERE = ["0.0.0.0/0"];
const POOL = ["10.77.0.0/24"];

let ca: TestAuthority;
let gateway: Credential;

beforeAll(async () => {
  ca = await TestAuthority.create();
  gateway = await ca.issue("b.example.org");
});

async function connected(seed: number, grants: EapGrants): Promise<Pair> {
  const pools = new AddressPools({ prefixes: POOL });
  const all = pair({
    seed,
    addresses: {
      assign: ({ user, device, wanted }) => pools.assign({ user, device }, wanted),
      release: (lease) => pools.release(lease),
    },
  });
  const caller = initiatorPolicy({ children: [childPolicy({ local: ANYWHERE, remote: ANYWHERE })] });
  const called = responderPolicy({
    remoteAddress: undefined,
    children: [childPolicy({ local: ANYWHERE, remote: POOL })],
  });
  all.initiator.endpoint.replaceConnections([
    {
      ...authenticating(caller, {
        local: { kind: "eap", client: login("anna", "correct horse") },
        remote: [{ kind: "certificate", trust: ca.trust("server") }],
      }),
      asks: { ipv4: true, ipv6: false },
    },
  ]);
  all.responder.endpoint.replaceConnections([
    {
      ...authenticating(called, {
        local: { kind: "certificate", credentials: [gateway] },
        remote: [{ kind: "eap", server: granting(logins({ anna: "correct horse" }), grants) }],
        isForAnybody: true,
      }),
      gives: { dns: [], subnets: [], domains: [] },
    },
  ]);
  all.initiator.connect();
  await all.link.settle();
  expect(all.responder.ikeSas[0]!.user).toBe("anna");
  return all;
}

describe("Session-Timeout", () => {
  test("ends the session after so many seconds, on both sides", async () => {
    const { initiator, responder, link } = await connected(1, { sessionSeconds: 100 });
    const began = link.now;
    link.run({ until: began + 95_000 });
    expect(responder.state).toBe("established");
    link.run({ until: began + 105_000 });
    expect(responder.event("ike-sa-deleted")).toMatchObject({
      level: "info",
      facts: { reason: "session-timeout" },
    });
    expect(initiator.event("ike-sa-deleted")!.facts.reason).toBe("peer-deleted");
    link.run({ until: link.now + 200_000 });
    expectClean(initiator, responder);
  });

  test("counts from the login, however often the IKE SA is rekeyed by either side", async () => {
    const { initiator, responder, link } = await connected(2, { sessionSeconds: 100 });
    const began = link.now;
    for (const side of [initiator, responder]) {
      link.run({ until: link.now + 30_000 });
      side.rekey("ike");
      link.run({ until: link.now + 1_000 });
    }
    link.run({ until: began + 95_000 });
    expect(responder.event("ike-sa-rekeyed")).toBeDefined();
    expect(responder.ikeSas.some(({ state }) => state === "established")).toBe(true);
    link.run({ until: began + 105_000 });
    const reasons = responder.events
      .filter(({ name }) => name === "ike-sa-deleted")
      .map(({ facts }) => facts.reason);
    expect(reasons).toContain("session-timeout");
    expect(responder.ikeSas.some(({ state }) => state === "established")).toBe(false);
  });

  test("that nobody asks for lets the session last", async () => {
    const { responder, link } = await connected(3, {});
    link.run({ until: link.now + 1_000_000 });
    expect(responder.ikeSas.some(({ state }) => state === "established")).toBe(true);
  });
});
