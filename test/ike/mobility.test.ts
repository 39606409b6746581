import { describe, expect, test } from "vitest";
import { NotifyType } from "../../src/iana/ikev2-parameters.ts";
import { notify } from "../../src/ike/payloads.ts";
import { expectClean, expectEstablished, expectSettled } from "../support/simulator/expectations.ts";
import {
  childPolicy,
  establishedPair,
  type Pair,
  type PolicyOptions,
  pair,
  type SimulatedMachine,
} from "../support/simulator/index.ts";
import { forEachSeed, seedCount } from "../support/simulator/seeds.ts";

// MOBIKE between two of us: whoever has called moves, or is called elsewhere, in the middle of whatever there is.

const MOBILE = { initiator: ["192.0.2.1", "198.51.100.1"], responder: ["192.0.2.2", "203.0.113.2"] };
const [HOME, AWAY] = MOBILE.initiator as [string, string];
const [OFFICE, BRANCH] = MOBILE.responder as [string, string];
const ONE_WAY = 10;

function mobilePair(options: Omit<Parameters<typeof pair>[0], "mobile"> = { seed: 1 }): Pair {
  return establishedPair({ mobile: MOBILE, ...options });
}

/** Where the machine sends the ESP of its only child SA, and from where. */
function espPath(machine: SimulatedMachine): readonly string[] {
  const [childSa] = machine.installed.values();
  return [childSa!.path.local.address, childSa!.path.remote.address];
}

function expectBetween({ initiator, responder }: Pair, ours: string, theirs: string): void {
  expect(espPath(initiator)).toEqual([ours, theirs]);
  expect(espPath(responder)).toEqual([theirs, ours]);
  expect(initiator.ikeSas[0]!.path.local.address).toBe(ours);
  expect(responder.ikeSas[0]!.path.remote.address).toBe(ours);
}

test("a caller that gets another address goes on from there: the same SAs, with no new key", () => {
  const all = mobilePair();
  const { initiator, responder, link } = all;
  const before = [...initiator.installed.keys(), ...responder.installed.keys()];
  initiator.renumber(AWAY);
  expect(espPath(initiator)).toEqual([AWAY, OFFICE]);
  link.deliver(); // --> INFORMATIONAL { UPDATE_SA_ADDRESSES, NAT_DETECTION_*, COOKIE2 }
  // IKE goes there, and ESP does not yet: whoever is there may never have asked for it.
  expect(responder.ikeSas[0]!.path.remote.address).toBe(AWAY);
  expect(espPath(responder)).toEqual([OFFICE, HOME]);
  link.deliverAll(); // and COOKIE2 back and forth
  expectBetween(all, AWAY, OFFICE);
  expect([...initiator.installed.keys(), ...responder.installed.keys()]).toEqual(before);
  expectEstablished(initiator, responder);
  expect(initiator.event("path-changed")!.facts).toMatchObject({
    localBefore: `${HOME}:4500`,
    local: `${AWAY}:4500`,
  });
  expect(responder.event("path-changed")!.facts).toMatchObject({ before: `${HOME}:4500` });
});

test("an address that goes and comes back takes everything along, both times", () => {
  const all = mobilePair();
  const { initiator, link } = all;
  initiator.renumber();
  link.run({ until: link.now + 5_000 });
  initiator.renumber(HOME);
  link.deliverAll();
  expectBetween(all, HOME, OFFICE);
  initiator.renumber(AWAY, HOME);
  link.deliverAll();
  expectBetween(all, AWAY, OFFICE);
  initiator.renumber(HOME, AWAY);
  link.deliverAll();
  expectBetween(all, HOME, OFFICE);
});

test("a gateway that gets another address tells so, and its caller follows", () => {
  const all = mobilePair();
  all.responder.renumber(BRANCH);
  all.link.run({ until: all.link.now + 1_000 });
  expectBetween(all, HOME, BRANCH);
  expectEstablished(all.initiator, all.responder);
});

test("a further address of the gateway moves nobody, until the other one is silent", () => {
  const all = mobilePair();
  const { initiator, responder, link } = all;
  responder.renumber(OFFICE, BRANCH);
  link.deliverAll();
  expectBetween(all, HOME, OFFICE);
  link.fate = ({ path }) =>
    [path.local, path.remote].some(({ address }) => address === OFFICE) ? [] : [ONE_WAY];
  initiator.handle({ kind: "liveness", connection: "tunnel" });
  link.run({ until: link.now + 5_000 });
  expectBetween(all, HOME, BRANCH);
});

test("a link that leads nowhere is left for another one, though routes have not changed", () => {
  const all = mobilePair();
  const { initiator, link } = all;
  initiator.renumber(HOME, AWAY);
  link.deliverAll();
  link.fate = ({ path }) =>
    [path.local, path.remote].some(({ address }) => address === HOME) ? [] : [ONE_WAY];
  initiator.handle({ kind: "liveness", connection: "tunnel" });
  link.run({ until: link.now + 5_000 });
  expectBetween(all, AWAY, OFFICE);
});

test("over IPv6 as well, where that is what is left", () => {
  const mobile = { initiator: ["192.0.2.1", "2001:db8::1"], responder: ["192.0.2.2", "2001:db8::2"] };
  const all = establishedPair({ seed: 3, mobile });
  all.responder.renumber(...mobile.responder);
  all.link.deliverAll();
  all.initiator.renumber("2001:db8::1");
  all.link.deliverAll();
  expectBetween(all, "2001:db8::1", "2001:db8::2");
});

test("a peer without MOBIKE is moved by whatever is authentic and newer, since we say that we are behind a NAT", () => {
  const all = mobilePair({ seed: 4, responder: { isMobile: false } });
  all.initiator.renumber(AWAY);
  all.link.deliverAll();
  expectBetween(all, AWAY, OFFICE);
});

test("in transport mode nobody does MOBIKE: the addresses are what the SA is for", () => {
  const children = [{ ...childPolicy({ local: [HOME], remote: [OFFICE] }), mode: "transport" as const }];
  const [tunnel, transport] = [mobilePair(), mobilePair({ seed: 5, initiator: { children } })];
  expect(tunnel.responder.ikeSas[0]!.isMobile).toBe(true);
  expect(transport.responder.ikeSas[0]!.isMobile).toBe(false);
});

test("an address that we have given to the peer, inside, is no place to send the tunnel to", () => {
  const addresses = { assign: () => ({ addresses: [AWAY] }), release: () => {} };
  const all = mobilePair({
    seed: 6,
    addresses,
    initiator: { local: ["0.0.0.0/0"], more: { asks: { ipv4: true, ipv6: false } } },
    responder: { remote: ["0.0.0.0/0"], more: { gives: { dns: [], subnets: [], domains: [] } } },
  });
  const { initiator, responder, link } = all;
  initiator.renumber(AWAY);
  link.deliverAll();
  expect(initiator.event("path-refused")!.facts.reason).toBe("UNACCEPTABLE_ADDRESSES");
  expect(responder.ikeSas[0]!.path.remote.address).toBe(HOME);
});

test("with NATs forbidden, one that lies between is noticed, in IKE_AUTH and later", () => {
  const raw: PolicyOptions = { encapsulation: "raw" };
  const all = mobilePair({ seed: 7, common: raw });
  expectBetween(all, HOME, OFFICE);
  all.link.translate({ address: AWAY, port: 500 }, { address: "198.51.100.77", port: 500 });
  all.initiator.renumber(AWAY);
  all.link.run({ until: all.link.now + 10_000 });
  expect(all.initiator.event("path-refused")!.facts.reason).toBe("UNEXPECTED_NAT_DETECTED");
  expect(espPath(all.responder)).toEqual([OFFICE, HOME]);

  const other = pair({ seed: 8, mobile: MOBILE, common: raw });
  other.link.translate({ address: HOME, port: 500 }, { address: "198.51.100.77", port: 500 });
  other.initiator.connect();
  other.link.deliverAll();
  expect(other.initiator.event("ike-sa-failed")!.facts.reason).toBe("UNEXPECTED_NAT_DETECTED");
});

test("a NAT that changes its mind is found out by the next sign of life", () => {
  const all = mobilePair({ seed: 9 });
  const { initiator, responder, link } = all;
  link.translate({ address: HOME, port: 4500 }, { address: "198.51.100.77", port: 31_000 });
  initiator.handle({ kind: "liveness", connection: "tunnel" });
  link.deliverAll();
  expect([...responder.installed.values()][0]!.path.remote).toEqual({
    address: "198.51.100.77",
    port: 31_000,
  });
  const { length } = link.transmitted;
  initiator.handle({ kind: "liveness", connection: "tunnel" });
  link.deliverAll();
  expect(link.transmitted).toHaveLength(length + 2); // the same as before is no reason for an update
});

test("nothing but an update moves a peer, however authentic and new it is", () => {
  const { initiator, responder, link } = mobilePair({ seed: 10 });
  initiator.handle({ kind: "liveness", connection: "tunnel" });
  const request = link.take();
  const elsewhere = { ...request.path, remote: { address: "198.51.100.9", port: 40_500 } };
  responder.handle({ kind: "datagram", octets: request.octets, path: elsewhere });
  expect(responder.ikeSas[0]!.path.remote.address).toBe(HOME);
  expect(link.take().path.local.address).toBe("198.51.100.9"); // answers go where requests come from
});

test("an update that somebody has caught and sends from elsewhere draws IKE there, ESP never, and nothing for long", () => {
  const all = mobilePair({ seed: 11 });
  const { initiator, responder, link } = all;
  initiator.renumber(AWAY);
  const update = link.take();
  const elsewhere = { ...update.path, remote: { address: "198.51.100.9", port: 40_500 } };
  responder.handle({ kind: "datagram", octets: update.octets, path: elsewhere });
  link.inFlight.length = 0; // the thief answers nothing
  link.run({ until: link.now + 3_000 });
  expect(espPath(responder)).not.toContain("198.51.100.9");
});

test("a replayed update moves nobody back", () => {
  const all = mobilePair({ seed: 12 });
  const { initiator, responder, link } = all;
  initiator.renumber(AWAY);
  const old = link.inFlight[0]!;
  link.deliverAll();
  initiator.renumber(HOME);
  link.deliverAll();
  expectBetween(all, HOME, OFFICE);
  responder.handle({ kind: "datagram", octets: old.octets, path: old.path });
  link.deliverAll();
  expectBetween(all, HOME, OFFICE);
});

test("who gives another cookie back loses the IKE SA", () => {
  const all = mobilePair({
    seed: 13,
    impair: (outgoing) => ({
      ...outgoing,
      payloads: outgoing.payloads.map((payload) =>
        payload.kind === "notify" && payload.notifyType === NotifyType.COOKIE2 && outgoing.header.isResponse
          ? notify(NotifyType.COOKIE2, new Uint8Array(16))
          : payload,
      ),
    }),
  });
  all.initiator.renumber(AWAY);
  all.link.run({ until: all.link.now + 1_000 });
  expect(all.initiator.event("ike-sa-deleted")!.facts.reason).toBe("protocol-error");
});

// ---- In the middle of everything ----------------------------------------------------------------------------

interface Scenario {
  readonly name: string;
  readonly begin: (all: Pair) => void;
  readonly options?: PolicyOptions;
  /** Whether it begins with nothing. */
  readonly isFromNothing?: boolean;
  /** Whether both sides rekey the IKE SA: that has faults of its own where messages are lost, whoever moves. */
  readonly crosses?: boolean;
}

const SCENARIOS: readonly Scenario[] = [
  { name: "a connection comes up", begin: ({ initiator }) => initiator.connect(), isFromNothing: true },
  {
    name: "the caller asks for a sign of life",
    begin: ({ initiator }) => initiator.handle({ kind: "liveness", connection: "tunnel" }),
  },
  {
    name: "the gateway asks for a sign of life",
    begin: ({ responder }) => responder.handle({ kind: "liveness", connection: "tunnel" }),
  },
  { name: "the caller rekeys a child SA", begin: ({ initiator }) => initiator.rekey("children") },
  {
    name: "the gateway rekeys a child SA with PFS",
    begin: ({ responder }) => responder.rekey("children"),
    options: { esp: ["aes256gcm16-x25519"] },
  },
  { name: "the caller rekeys the IKE SA", begin: ({ initiator }) => initiator.rekey("ike") },
  { name: "the gateway rekeys the IKE SA", begin: ({ responder }) => responder.rekey("ike") },
  {
    name: "both rekey the IKE SA",
    begin: ({ initiator, responder }) => {
      initiator.rekey("ike");
      responder.rekey("ike");
    },
    crosses: true,
  },
];

const MOVES = [
  { name: "the caller moves", move: ({ initiator }: Pair) => initiator.renumber(AWAY), ends: [AWAY, OFFICE] },
  {
    name: "the caller moves and comes back",
    move: ({ initiator }: Pair) => {
      initiator.renumber(AWAY);
      initiator.renumber(HOME);
    },
    ends: [HOME, OFFICE],
  },
  {
    name: "the gateway moves",
    move: ({ responder }: Pair) => responder.renumber(BRANCH),
    ends: [HOME, BRANCH],
  },
] as const;

/** The most messages that one of the scenarios takes. */
const MOST_MESSAGES = 6;

describe.each(SCENARIOS)("when $name", (scenario) => {
  test.each(MOVES)(
    "$name behind any of the messages, and one of those around it is lost",
    ({ move, ends }) => {
      // Before the caller is let in, it has no way to learn of a gateway that is elsewhere.
      if (scenario.isFromNothing === true && ends[1] === BRANCH) return;
      for (let at = 0; at < MOST_MESSAGES; at++) {
        playMove({ scenario, move, ends, at, victim: -1 });
        if (scenario.crosses === true) continue;
        for (const victim of [at, at + 1, at + 2]) playMove({ scenario, move, ends, at, victim });
      }
    },
  );

  // What crosses is played without faults only.
  if (scenario.crosses === true) return;
  test("the caller moves again and again while messages are lost, doubled and late", () => {
    forEachSeed(seedCount(10), (seed) => {
      const all = start(scenario, seed);
      const { initiator, link } = all;
      link.impair(seed, { loss: 0.1, duplication: 0.1, delayMs: [5, 60] });
      scenario.begin(all);
      for (let i = 0; i < 6; i++) {
        link.run({ until: link.now + 37 * ((seed % 7) + i) });
        initiator.renumber(i % 2 === 0 ? AWAY : HOME);
      }
      link.fate = () => [ONE_WAY];
      link.run({ until: link.now + 60_000 });
      expectSettled(all);
      expectBetween(all, HOME, OFFICE);
    });
  });
});

function start(scenario: Scenario, seed: number): Pair {
  const options = { seed, mobile: MOBILE, ...(scenario.options && { common: scenario.options }) };
  return scenario.isFromNothing === true ? pair(options) : establishedPair(options);
}

function playMove(facts: {
  readonly scenario: Scenario;
  readonly move: (all: Pair) => void;
  readonly ends: readonly [string, string];
  readonly at: number;
  /** Which message is lost. */
  readonly victim: number;
}): void {
  const { scenario, move, ends, at, victim } = facts;
  const all = start(scenario, 1);
  const { initiator, responder, link } = all;
  const first = link.transmitted.length;
  let hasMoved = false;
  link.fate = ({ index }) => (index - first === victim ? [] : [ONE_WAY]);
  scenario.begin(all);
  link.run({
    until: link.now + 60_000,
    isDone: () => {
      if (!hasMoved && link.transmitted.length > first + at) {
        hasMoved = true;
        move(all);
      }
      return false;
    },
  });
  if (!hasMoved) {
    move(all);
    link.run({ until: link.now + 60_000 });
  }
  try {
    expectSettled(all);
    expectBetween(all, ...ends);
    initiator.disconnect();
    link.run({ until: link.now + 200_000 });
    expectClean(initiator, responder);
  } catch (error) {
    throw new Error(`moved behind message ${at}, and message ${victim} lost`, { cause: error });
  }
}

test("what a stranger says about addresses is not even heard", () => {
  const { responder, link, initiator } = mobilePair({ seed: 14 });
  initiator.renumber(AWAY);
  const update = link.take();
  const forged = update.octets.slice();
  forged[forged.length - 1]! ^= 1;
  responder.handle({ kind: "datagram", octets: forged, path: update.path });
  expect(responder.ikeSas[0]!.path.remote.address).toBe(HOME);
  expect(responder.endpoint.counters.forged).toBe(1);
});
