import { expect, test } from "vitest";
import { NotifyType } from "../../src/iana/ikev2-parameters.ts";
import type { IkeSa } from "../../src/ike/ike-sa.ts";
import type { Limits } from "../../src/ike/limits.ts";
import { find, findNotify, notify } from "../../src/ike/payloads.ts";
import { decodeGateway, gatewayNotify, isGatewayHost } from "../../src/ike/redirect/notifications.ts";
import { elsewhere, redirectSupportIn } from "../../src/ike/redirect/send-away.ts";
import type { ConnectionPolicy } from "../../src/policy/connection.ts";
import { decodeMessage, encodeMessage } from "../../src/wire/message.ts";
import type { Payload } from "../../src/wire/payloads/payload.ts";
import { login, logins, TestAuthority } from "../support/simulator/credentials.ts";
import { expectClean, expectEstablished } from "../support/simulator/expectations.ts";
import {
  authenticating,
  initiatorPolicy,
  Link,
  type PolicyOptions,
  responderPolicy,
  SimulatedMachine,
} from "../support/simulator/index.ts";

const FIRST = "192.0.2.2";
const SECOND = "192.0.2.3";
const NAME = "second.example.org";

interface World {
  readonly client: SimulatedMachine;
  readonly first: SimulatedMachine;
  readonly second: SimulatedMachine;
  readonly link: Link;
}

/** A client of the first gateway, and a second one of the same name. */
function world(options: {
  readonly client?: ConnectionPolicy;
  readonly first?: ConnectionPolicy;
  readonly second?: ConnectionPolicy;
  readonly limits?: Partial<Limits>;
}): World {
  const { limits = {} } = options;
  const link = new Link();
  const client = join(link, {
    name: "client",
    address: "192.0.2.1",
    seed: 1,
    policy: options.client ?? initiatorPolicy(),
  });
  const first = join(link, {
    name: "first",
    address: FIRST,
    seed: 2,
    policy: options.first ?? gateway({}),
    limits,
  });
  const second = join(link, {
    name: "second",
    address: SECOND,
    seed: 3,
    policy: options.second ?? gateway({ localAddress: SECOND }),
  });
  client.hosts.set(NAME, SECOND);
  return { client, first, second, link };
}

function join(
  link: Link,
  facts: {
    readonly name: string;
    readonly address: string;
    readonly seed: number;
    readonly policy: ConnectionPolicy;
    readonly limits?: Partial<Limits>;
  },
): SimulatedMachine {
  const { policy, limits, ...rest } = facts;
  const machine: SimulatedMachine = new SimulatedMachine({
    ...rest,
    connections: [policy],
    limits: { livenessMs: Number.POSITIVE_INFINITY, ...limits },
    clock: link,
    transmit: (octets, path) => link.transmit(machine, octets, path),
  });
  link.add(machine);
  return machine;
}

function gateway(options: PolicyOptions, redirectTo?: ConnectionPolicy["redirectTo"]): ConnectionPolicy {
  return responderPolicy({ ...options, ...(redirectTo && { more: { redirectTo } }) });
}

const sent = (when: "init" | "auth", host = SECOND) => gateway({}, { host, when });

/** The payloads of the n-th datagram that was transmitted, which is not encrypted. */
function payloadsOf({ link }: World, index: number): readonly Payload[] {
  return decodeMessage(link.transmitted[index]!.octets).payloads;
}

test.each([
  { when: "init", host: SECOND },
  { when: "init", host: NAME },
  { when: "auth", host: SECOND },
  { when: "auth", host: NAME },
] as const)("a client that is sent to $host ($when) has its tunnel there", ({ when, host }) => {
  const all = world({ first: sent(when, host) });
  const { client, first, second, link } = all;
  client.connect();
  link.deliverAll();
  link.run({ until: 40_000 });
  expectEstablished(client, second);
  expectClean(first);
  expect(client.installed.values().next().value!.path.remote.address).toBe(SECOND);
  expect(client.eventNames().filter((name) => name === "redirected")).toHaveLength(1);
  expect(client.eventNames()).not.toContain("ike-sa-failed");
  expect(client.reserved.size).toBe(1);

  // RFC 5685 section 3: the first gateway hears that it can, the second from where it comes.
  expect(findNotify(payloadsOf(all, 0), NotifyType.REDIRECT_SUPPORTED)).toBeDefined();
  const onward = link.transmitted.find(({ path }) => path.local.address === SECOND)!;
  const { payloads } = decodeMessage(onward.octets);
  expect(decodeGateway(findNotify(payloads, NotifyType.REDIRECTED_FROM)!.data)!.host).toBe(FIRST);
  expect(findNotify(payloads, NotifyType.REDIRECT_SUPPORTED)).toBeUndefined();
});

test("the gateway keeps nothing of whom it sends elsewhere at the first message, and answers with less than it got", () => {
  const all = world({ first: sent("init") });
  const { client, first, link } = all;
  client.connect();
  const request = link.transmitted[0]!;
  link.deliver();
  expect(first.ikeSas).toEqual([]);
  expect(first.endpoint.halfOpenCount).toBe(0);
  const answer = link.transmitted[1]!;
  expect(answer.octets.length).toBeLessThan(request.octets.length);
  const ni = find(decodeMessage(request.octets).payloads, "nonce")!.nonce;
  const { payloads } = decodeMessage(answer.octets);
  expect(payloads).toEqual([gatewayNotify(NotifyType.REDIRECT, SECOND, ni)]);
});

test("a redirect that is longer than the request goes to nobody who has not shown a cookie", () => {
  const host = `${"long-name.".repeat(20)}example.org`;
  const { client, first, link } = world({ first: sent("init", host) });
  client.connect();
  const { octets, path } = link.take();
  // As short as a request can be made that is looked at.
  const { header, payloads } = decodeMessage(octets);
  const kinds = ["security-association", "key-exchange", "nonce"];
  const few = payloads.filter(({ kind }) => kinds.includes(kind));
  const short = encodeMessage({ ...header, payloads: [...few, notify(NotifyType.REDIRECT_SUPPORTED)] });
  const before = link.transmitted.length;
  first.handle({ kind: "datagram", octets: short, path });
  expect(link.transmitted.slice(before)).toEqual([]);
  expect(first.endpoint.counters.errorSuppressed).toBe(1);
});

test("no more of them go out in a second than the limit says", () => {
  const limits = { cookielessPerSecond: 10_000, redirectAnswersPerSecond: 20 };
  const { client, first, link } = world({ first: sent("init"), limits });
  client.connect();
  const { octets, path } = link.take();
  const before = link.transmitted.length;
  for (let i = 0; i < 100; i++) first.handle({ kind: "datagram", octets, path });
  expect(link.transmitted.length - before).toBe(20);
  expect(first.endpoint.counters.errorSuppressed).toBe(80);
});

test.each(["init", "auth"] as const)("a client that cannot be sent elsewhere is served (%s)", (when) => {
  const client = initiatorPolicy({ more: { followsRedirects: false } });
  const all = world({ client, first: sent(when) });
  all.client.connect();
  all.link.deliverAll();
  expectEstablished(all.client, all.first);
  expect(findNotify(payloadsOf(all, 0), NotifyType.REDIRECT_SUPPORTED)).toBeUndefined();
  expect(all.first.endpoint.countRedirectable("tunnel")).toEqual({ able: 0, unable: 1 });
});

test("where the same address may be that of somebody who is served, who it is decides", () => {
  const all = world({ first: sent("init") });
  const served = responderPolicy({ name: "served", remoteId: "other.example.org" });
  all.first.endpoint.replaceConnections([served, sent("init")]);
  all.client.connect();
  all.link.deliverAll();
  expectEstablished(all.client, all.second);
  // It came as far as IKE_AUTH.
  expect(all.first.event("redirected")!.connection).toBe("tunnel");
});

test("a redirect with another nonce than ours is dropped, and so is one that names nothing", () => {
  const { client, link } = world({});
  client.connect();
  const { octets, path } = link.take();
  const { header, payloads } = decodeMessage(octets);
  const ni = find(payloads, "nonce")!.nonce;
  const forge = (payload: Payload): void => {
    const answer = encodeMessage({
      ...header,
      isInitiator: false,
      isResponse: true,
      payloads: [payload],
    });
    client.handle({ kind: "datagram", octets: answer, path: { local: path.remote, remote: path.local } });
  };
  const other = ni.map((octet) => octet ^ 1);
  forge(gatewayNotify(NotifyType.REDIRECT, SECOND, other));
  forge(gatewayNotify(NotifyType.REDIRECT, SECOND));
  forge(notify(NotifyType.REDIRECT, Uint8Array.of(9, 1, 1, ...ni)));
  forge(notify(NotifyType.REDIRECT));
  expect(client.endpoint.counters.unexpected).toBe(4);
  expect(client.event("redirected")).toBeUndefined();
  link.inFlight.length = 0;
  link.run({ until: 600 });
  expect(link.transmitted[1]!.path.local.address).toBe(FIRST);
});

test("gateways that send a client to one another lose it after five times, and no sooner than in five minutes it goes again", () => {
  const second = gateway({ localAddress: SECOND }, { host: "192.0.2.4", when: "init" });
  const all = world({ first: sent("init"), second });
  const { client, link } = all;
  const third = gateway({ localAddress: "192.0.2.4" }, { host: FIRST, when: "init" });
  join(link, { name: "third", address: "192.0.2.4", seed: 4, policy: third });
  const count = (name: string): number => client.eventNames().filter((each) => each === name).length;
  client.connect();
  link.run({ until: 10_000 });
  expect(count("redirected")).toBe(5);
  expect(client.event("ike-sa-failed")!.facts.reason).toBe("redirect-refused");
  client.connect();
  link.run({ until: 200_000 });
  expect(count("redirected")).toBe(5);
  link.run({ until: 311_000 });
  client.connect();
  link.run({ until: 320_000 });
  expect(count("redirected")).toBe(10);
});

test.each([
  { when: "init", host: FIRST },
  { when: "auth", host: FIRST },
  { when: "init", host: "first.example.org" },
  { when: "auth", host: "first.example.org" },
] as const)(
  "a gateway does not send a client back to where it comes from ($host, $when)",
  ({ when, host }) => {
    const second = gateway({ localAddress: SECOND }, { host, when });
    const { client, second: machine, link } = world({ first: sent("init"), second });
    client.hosts.set("first.example.org", FIRST);
    client.connect();
    link.deliverAll();
    expectEstablished(client, machine);
    expect(client.eventNames().filter((name) => name === "redirected")).toHaveLength(1);
  },
);

test("an address is the same however it is written, and one that is another is no reason to serve a client", () => {
  const support = gatewayNotify(NotifyType.REDIRECTED_FROM, "2001:db8::7");
  const goesTo = (host: string): string | undefined => {
    const redirectSupport = redirectSupportIn([support]);
    return elsewhere({ redirectSupport } as IkeSa, gateway({}, { host, when: "auth" }));
  };
  expect(goesTo("2001:DB8:0::7")).toBeUndefined();
  expect(goesTo("second.example.org")).toBeUndefined();
  expect(goesTo("2001:db8::8")).toBe("2001:db8::8");
  expect(goesTo("192.0.2.7")).toBe("192.0.2.7");
});

test("where we may not go, the attempt ends and says why", () => {
  const { client, first, second, link } = world({ first: sent("init", "unknown.example.org") });
  client.connect();
  link.deliverAll();
  const failed = client.event("ike-sa-failed")!;
  expect(failed.facts.reason).toBe("redirect-refused");
  expect(failed.message).toContain("192.0.2.2 sends us to unknown.example.org: it is nowhere");
  expectClean(client, first, second);
});

test("a live tunnel moves to the other gateway, the new one first, and who we are is shown there from then on", () => {
  const client = initiatorPolicy({ more: { reauthMs: 3_600_000 } });
  const { client: machine, first, second, link } = world({ client });
  machine.connect();
  link.deliverAll();
  expectEstablished(machine, first);
  expect(first.endpoint.countRedirectable("tunnel")).toEqual({ able: 1, unable: 0 });
  first.handle({ kind: "redirect", connection: "tunnel", host: NAME });
  link.deliverAll();
  // Both for a moment, so that nothing is without an SA.
  expect(machine.installed.size).toBe(2);
  expect(second.installed.size).toBe(1);
  link.run({ until: 40_000 });
  expectEstablished(machine, second);
  expectClean(first);
  expect(first.event("redirected")!.message).toContain(NAME);

  const before = link.transmitted.length;
  link.run({ until: 4_000_000 });
  expectEstablished(machine, second);
  const later = link.transmitted.slice(before);
  expect(later.length).toBeGreaterThan(4);
  expect(later.every(({ from }) => from === machine || from === second)).toBe(true);
  expect(machine.eventNames().filter((name) => name === "ike-sa-established").length).toBeGreaterThan(2);
});

test("a live tunnel stays where it is when the other gateway has nothing for it", () => {
  const stranger = gateway({ localAddress: SECOND, psk: "another secret of some length" });
  const { client, first, second, link } = world({ second: stranger });
  client.connect();
  link.deliverAll();
  first.handle({ kind: "redirect", connection: "tunnel", host: SECOND });
  link.run({ until: 200_000 });
  expectEstablished(client, first);
  expectClean(second);
  expect(client.event("ike-sa-failed")).toBeDefined();
});

test("who was called takes no redirect from who has called", () => {
  const { client, first, second, link } = world({});
  client.connect();
  link.deliverAll();
  client.handle({ kind: "redirect", connection: "tunnel", host: SECOND });
  link.run({ until: 30_000 });
  expectEstablished(client, first);
  expectClean(second);
});

/** A client that logs in as anna at gateways for whoever can. */
async function logging(): Promise<{
  readonly client: (address: string) => ConnectionPolicy;
  readonly serve: (policy: ConnectionPolicy) => ConnectionPolicy;
}> {
  const ca = await TestAuthority.create();
  const credentials = [await ca.issue("b.example.org")];
  return {
    client: (localAddress) =>
      authenticating(initiatorPolicy({ localAddress, localId: `at${localAddress.at(-1)}.example.org` }), {
        local: { kind: "eap", client: login("anna", "secret") },
        remote: [{ kind: "certificate", trust: ca.trust("server") }],
      }),
    serve: (policy) =>
      authenticating(
        { ...policy, remote: { ...policy.remote, address: undefined } },
        {
          local: { kind: "certificate", credentials },
          remote: [{ kind: "eap", server: logins({ anna: "secret" }) }],
          isForAnybody: true,
        },
      ),
  };
}

test("many clients are told one after the other, also those that have replaced their IKE SA meanwhile", async () => {
  const { client: policy, serve } = await logging();
  const first = serve(gateway({}));
  const {
    client,
    first: machine,
    link,
  } = world({ client: policy("192.0.2.1"), first, limits: { sentAwayPerSecond: 1 } });
  const others = ["192.0.2.8", "192.0.2.9"].map((address, i) => {
    const other = join(link, { name: address, address, seed: 8 + i, policy: policy(address) });
    return other;
  });
  const clients = [client, ...others];
  for (const each of clients) each.connect();
  await link.settle();
  expect(machine.endpoint.countRedirectable("tunnel", "anna")).toEqual({ able: 3, unable: 0 });
  expect(machine.endpoint.countRedirectable("tunnel", "berta")).toEqual({ able: 0, unable: 0 });
  machine.handle({ kind: "redirect", connection: "tunnel", user: "anna", host: "nowhere.example.org" });
  const told = (): number => clients.filter((each) => each.event("redirected") !== undefined).length;
  for (const each of clients) each.rekey("ike");
  link.run({ until: link.now + 900 });
  expect(told()).toBe(1);
  link.run({ until: link.now + 1_000 });
  expect(told()).toBe(2);
  link.run({ until: link.now + 1_000 });
  expect(told()).toBe(3);
});

test.each(["init", "auth"] as const)("a login goes elsewhere as well (%s)", async (when) => {
  const { client: policy, serve } = await logging();
  const client = policy("192.0.2.1");
  const all = world({ client, first: serve(sent(when)), second: serve(gateway({ localAddress: SECOND })) });
  all.client.connect();
  await all.link.settle();
  all.link.run({ until: 40_000 });
  expect(all.client.ikeSas.map(({ state }) => state)).toEqual(["established"]);
  expect(all.second.ikeSas.map(({ user }) => user)).toEqual(["anna"]);
  expectClean(all.first);
});

test("gateways are named by address or by name, and nothing else is taken for one", () => {
  for (const host of ["192.0.2.7", "2001:db8::7", "vpn.example.org", "a"]) {
    const { data } = gatewayNotify(NotifyType.REDIRECT, host, Uint8Array.of(1, 2));
    expect(decodeGateway(data)).toEqual({ host, nonce: Uint8Array.of(1, 2) });
    expect(isGatewayHost(host)).toBe(true);
  }
  for (const host of ["", "127.1", "a b", "a\nb", "é.example", "-".repeat(3), "a..b", `${"a".repeat(254)}`]) {
    expect(isGatewayHost(host)).toBe(false);
  }
  const text = (name: string): Uint8Array => Uint8Array.of(3, name.length, ...new TextEncoder().encode(name));
  for (const data of [
    new Uint8Array(0),
    Uint8Array.of(1),
    Uint8Array.of(1, 0),
    Uint8Array.of(1, 3, 1, 2, 3),
    Uint8Array.of(1, 5, 1, 2, 3, 4, 5),
    Uint8Array.of(2, 16, 1),
    Uint8Array.of(4, 1, 65),
    text("a\nb"),
    text("10.1"),
  ]) {
    expect(decodeGateway(data)).toBeUndefined();
  }
});
