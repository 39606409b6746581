import { expect, test } from "vitest";
import { ExchangeType, NotifyType } from "../../src/iana/ikev2-parameters.ts";
import type { AddressSource } from "../../src/ike/machine.ts";
import { notify } from "../../src/ike/payloads.ts";
import { AddressPools } from "../../src/pool/address-pools.ts";
import { login, logins, TestAuthority } from "../support/simulator/credentials.ts";
import { expectClean, expectSettled } from "../support/simulator/expectations.ts";
import {
  authenticating,
  childPolicy,
  establishedPair,
  initiatorPolicy,
  type PolicyOptions,
  pair,
  responderPolicy,
  type SimulatedMachine,
  scriptedEstablished,
} from "../support/simulator/index.ts";
import { Traffic } from "../support/simulator/traffic.ts";

const HOUR = 3_600_000;
const HOURLY: PolicyOptions = { more: { reauthMs: HOUR } };
const LIMITS = {
  childRekeyMs: 100 * HOUR,
  ikeRekeyMs: 100 * HOUR,
  livenessMs: Number.POSITIVE_INFINITY,
};

function spiOf({ ikeSas }: SimulatedMachine): string {
  return ikeSas.at(-1)!.initiatorSpi;
}

test.each([
  { why: "the caller wants it", options: { initiator: HOURLY } },
  { why: "the other side does not believe it any longer", options: { responder: HOURLY } },
  { why: "both say so", options: { common: HOURLY } },
])("who is there is shown again, and no packet is lost: $why", ({ options }) => {
  const all = establishedPair({ seed: 1, limits: LIMITS, ...options });
  const { initiator, link } = all;
  link.fate = () => [20];
  const first = spiOf(initiator);
  link.run({ until: 0.88 * HOUR });
  expect(spiOf(initiator)).toBe(first);
  const traffic = new Traffic(all, () => 20);
  traffic.run({ until: 1.02 * HOUR, everyMs: 500 });
  traffic.finish();
  expect(traffic.lost).toEqual([]);
  expectSettled(all);
  expect(spiOf(initiator)).not.toBe(first);
  expect(initiator.event("ike-sa-deleted")!.facts.reason).toBe("replaced");
  const second = spiOf(initiator);
  link.run({ until: 2.1 * HOUR });
  expectSettled(all);
  expect(spiOf(initiator)).not.toBe(second);
});

test("rekeying the IKE SA shows nobody, and puts nothing off", () => {
  const limits = { ...LIMITS, ikeRekeyMs: HOUR / 4 };
  const { initiator, link } = establishedPair({ seed: 2, limits, responder: HOURLY });
  const count = (name: string): number => initiator.eventNames().filter((each) => each === name).length;
  link.run({ until: 0.9 * HOUR });
  expect(count("ike-sa-rekeyed")).toBeGreaterThan(1);
  expect(count("ike-sa-established")).toBe(1);
  link.run({ until: 1.1 * HOUR });
  expect(count("ike-sa-established")).toBe(2);
});

test("who does not show itself again in time is cut off", () => {
  const { initiator, responder, link } = establishedPair({ seed: 3, limits: LIMITS, responder: HOURLY });
  initiator.endpoint.replaceConnections([]); // it would have to be allowed to call
  link.run({ until: HOUR - 1 });
  expect(responder.state).toBe("established");
  link.run({ until: HOUR + 60_000 });
  expect(responder.event("ike-sa-deleted")!.facts.reason).toBe("authentication-expired");
  link.run({ until: 1.1 * HOUR });
  expectClean(initiator, responder);
});

test("where nobody answers the new call, it comes again and again, and the old IKE SA stays", () => {
  const all = establishedPair({ seed: 4, limits: LIMITS, initiator: HOURLY });
  const { initiator, link } = all;
  const first = spiOf(initiator);
  let isLost = true;
  // IKE_SA_INIT alone is lost.
  link.fate = ({ path }) => (isLost && path.local.port === 500 ? [] : [20]);
  link.run({ until: 1.2 * HOUR });
  expect(initiator.ikeSas[0]!.initiatorSpi).toBe(first);
  isLost = false;
  link.run({ until: 1.3 * HOUR });
  expectSettled(all);
  expect(spiOf(initiator)).not.toBe(first);
});

test("a lifetime of no time is no reason to call without end; one that makes no sense, or comes from who has called, is none", () => {
  const short = establishedPair({
    seed: 5,
    limits: LIMITS,
    impair: (outgoing) => ({
      ...outgoing,
      payloads: [...outgoing.payloads, notify(NotifyType.AUTH_LIFETIME, new Uint8Array(4))],
    }),
  });
  short.link.fate = () => [20];
  short.link.run({ until: 60_000 });
  const calls = short.initiator.eventNames().filter((name) => name === "ike-sa-established").length;
  expect(calls).toBeGreaterThan(5);
  expect(calls).toBeLessThan(15);

  const { peer, machine, link } = scriptedEstablished({ seed: 6, limits: LIMITS });
  for (const [i, length] of [4, 3].entries()) {
    const payloads = [notify(NotifyType.AUTH_LIFETIME, new Uint8Array(length))];
    const { INFORMATIONAL: exchangeType } = ExchangeType;
    peer.send(machine, peer.seal({ exchangeType, messageId: 2 + i, payloads }));
  }
  link.inFlight.length = 0;
  link.run({ until: HOUR });
  expect(machine.state).toBe("established");
});

test("a client that logs in again keeps its address, and the old login goes when the new one carries", async () => {
  const ca = await TestAuthority.create();
  const certificate = await ca.issue("b.example.org");
  const pools = new AddressPools({ prefixes: ["10.77.0.0/16"] });
  const addresses: AddressSource = {
    assign: ({ user, device, wanted }) => pools.assign({ user, device }, wanted),
    release: (lease) => pools.release(lease),
  };
  const { initiator, responder, link } = pair({ seed: 7, limits: LIMITS, addresses });
  const anywhere = ["0.0.0.0/0"];
  const [out, inside] = [
    childPolicy({ local: anywhere, remote: anywhere }),
    childPolicy({ local: anywhere, remote: ["10.77.0.0/16"] }),
  ];
  initiator.endpoint.replaceConnections([
    {
      ...authenticating(initiatorPolicy({ children: [out] }), {
        local: { kind: "eap", client: login("anna", "a password") },
        remote: [{ kind: "certificate", trust: ca.trust("server") }],
      }),
      asks: { ipv4: true, ipv6: false },
    },
  ]);
  responder.endpoint.replaceConnections([
    {
      ...authenticating(responderPolicy({ remoteAddress: undefined, children: [inside] }), {
        local: { kind: "certificate", credentials: [certificate] },
        remote: [{ kind: "eap", server: logins({ anna: "a password" }) }],
        isForAnybody: true,
      }),
      gives: { dns: [], subnets: [], domains: [] },
      reauthMs: HOUR,
    },
  ]);
  initiator.connect();
  await link.settle();
  const { initiatorSpi: first, internalAddresses } = initiator.ikeSas[0]!;
  link.advanceTo(HOUR - 49_000);
  await link.settle();
  // Both are there for a moment, under one address.
  expect(initiator.ikeSas.map((ikeSa) => ikeSa.internalAddresses)).toEqual([
    internalAddresses,
    internalAddresses,
  ]);
  expect(responder.installed.size).toBe(2);
  expect(initiator.outboundSpi()).toBe([...responder.installed.keys()].at(-1));
  expect(responder.outboundSpi()).toBe([...initiator.installed.keys()].at(-1));
  link.advanceBy(10_000);
  await link.settle();
  expect(initiator.ikeSas.map((ikeSa) => ikeSa.internalAddresses)).toEqual([internalAddresses]);
  expect(spiOf(initiator)).not.toBe(first);
  expect(initiator.configurations.size).toBe(1);
  expect(pools.leaseCount).toBe(1);
  // The new session goes on from the old one, which ends behind it.
  const told = responder.sessions.map(({ kind, session }) => [kind, session.number, session.continues]);
  const [one, two] = [responder.sessions[0]!.session.number, responder.sessions[1]!.session.number];
  expect(told).toEqual([
    ["session-began", one, undefined],
    ["session-began", two, one],
    ["session-ended", one, undefined],
  ]);
  expect(two).not.toBe(one);
});
