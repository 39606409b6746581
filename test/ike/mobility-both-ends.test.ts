import { describe, expect, test } from "vitest";
import { NotifyType } from "../../src/iana/ikev2-parameters.ts";
import type { Impair } from "../../src/ike/impair.ts";
import { expectEstablished, expectSettled } from "../support/simulator/expectations.ts";
import { establishedPair, type Pair, pair, type SimulatedMachine } from "../support/simulator/index.ts";
import { forEachSeed, seedCount } from "../support/simulator/seeds.ts";

// MOBIKE where both ends move within one outage. They find each other as long as one of them has an address that the other was told of.

const HOME = "192.0.2.1";
const AWAY = "198.51.100.1";
const OFFICE = "192.0.2.2";
const BRANCH = "203.0.113.2";
const ALL = { initiator: [HOME, AWAY], responder: [OFFICE, BRANCH] };
const OUTAGE_MS = 5_000;

/** Each has all of its addresses that `known` has, and the other was told of them. */
function connected(known: typeof ALL, options: Partial<Parameters<typeof pair>[0]> = {}): Pair {
  const all = pair({ seed: 1, mobile: ALL, ...options });
  all.initiator.owned = known.initiator;
  all.responder.owned = known.responder;
  all.initiator.connect();
  all.link.deliverAll();
  return all;
}

function pathOf(machine: SimulatedMachine): readonly (string | number)[] {
  const { local, remote } = [...machine.installed.values()][0]!.path;
  return [local.address, remote.address];
}

function expectBetween({ initiator, responder }: Pair, ours: string, theirs: string): void {
  expectEstablished(initiator, responder);
  expect([pathOf(initiator), pathOf(responder)]).toEqual([
    [ours, theirs],
    [theirs, ours],
  ]);
}

const spisOf = ({ initiator, responder }: Pair) => [
  initiator.ikeSas.map(({ initiatorSpi }) => initiatorSpi),
  [...initiator.installed.keys()],
  [...responder.installed.keys()],
];

const KNOWN = [
  { name: "the gateway's new one", known: { initiator: [HOME], responder: [OFFICE, BRANCH] } },
  { name: "the caller's new one", known: { initiator: [HOME, AWAY], responder: [OFFICE] } },
  { name: "both", known: ALL },
];

describe.each(KNOWN)("of the two new addresses, known before: $name", ({ known }) => {
  test.each([
    { name: "at once", between: 0, outage: 0 },
    { name: "one after the other, within an outage", between: 700, outage: OUTAGE_MS },
    { name: "long after one another, within an outage", between: 4_000, outage: OUTAGE_MS },
  ])("both ends move, $name, and the same SAs go on", ({ between, outage }) => {
    for (const order of ["caller first", "gateway first"]) {
      const all = connected(known);
      const { initiator, responder, link } = all;
      const spis = spisOf(all);
      const upAt = link.now + outage;
      link.fate = () => (link.now < upAt ? [] : [10]);
      const moves = [() => initiator.renumber(AWAY), () => responder.renumber(BRANCH)];
      if (order === "gateway first") moves.reverse();
      moves[0]!();
      link.run({ until: link.now + between });
      moves[1]!();
      link.run({ until: link.now + 20_000 });
      expectBetween(all, AWAY, BRANCH);
      expect(spisOf(all)).toEqual(spis);
    }
  });

  test("while nobody has an address at all for a while", () => {
    const all = connected(known);
    const { initiator, responder, link } = all;
    initiator.renumber();
    responder.renumber();
    link.run({ until: link.now + OUTAGE_MS });
    responder.renumber(BRANCH);
    link.run({ until: link.now + 1_000 });
    initiator.renumber(AWAY);
    link.run({ until: link.now + 30_000 });
    expectBetween(all, AWAY, BRANCH);
  });

  test("again and again, while messages are lost, doubled and late", () => {
    forEachSeed(seedCount(10), (seed) => {
      const all = connected(known, { seed });
      const { initiator, responder, link } = all;
      link.impair(seed, { loss: 0.1, duplication: 0.1, delayMs: [5, 60] });
      initiator.renumber(AWAY);
      responder.renumber(BRANCH);
      link.run({ until: link.now + 20_000 });
      // Each knows now where the other may be.
      initiator.renumber(AWAY, HOME);
      responder.renumber(BRANCH, OFFICE);
      link.run({ until: link.now + 20_000 });
      initiator.renumber(HOME);
      responder.renumber(OFFICE);
      link.fate = () => [10];
      link.run({ until: link.now + 60_000 });
      expectSettled(all);
      expectBetween(all, HOME, OFFICE);
    });
  });
});

test("while the caller rekeys the IKE SA", () => {
  for (const known of KNOWN.map((each) => each.known)) {
    const all = connected(known);
    const { initiator, responder, link } = all;
    link.fate = () => [10];
    initiator.rekey("ike");
    link.run({ until: link.now + 15 });
    initiator.renumber(AWAY);
    responder.renumber(BRANCH);
    link.run({ until: link.now + 100_000 });
    expectBetween(all, AWAY, BRANCH);
  }
});

test("where neither was told of, the IKE SA ends as one with a silent peer", () => {
  const all = connected({ initiator: [HOME], responder: [OFFICE] });
  const { initiator, responder, link } = all;
  initiator.renumber(AWAY);
  responder.renumber(BRANCH);
  link.run({ until: link.now + 100_000 });
  expect(initiator.event("ike-sa-deleted")!.facts.reason).toBe("timeout");
});

describe("what the other side is told", () => {
  /** Addresses that the initiator's messages tell of, one list for each message that has any. */
  function listening(): { readonly impair: Impair; readonly lists: string[][] } {
    const lists: string[][] = [];
    const impair: Impair = (outgoing) => {
      const addresses = outgoing.payloads.flatMap((payload) =>
        payload.kind === "notify" && payload.notifyType === NotifyType.ADDITIONAL_IP4_ADDRESS
          ? [[...payload.data].join(".")]
          : [],
      );
      const isNone = outgoing.payloads.some(
        (payload) => payload.kind === "notify" && payload.notifyType === NotifyType.NO_ADDITIONAL_ADDRESSES,
      );
      if (addresses.length > 0 || isNone) lists.push(addresses);
      return outgoing;
    };
    return { impair, lists };
  }

  test("where we may be called, by the caller: in IKE_AUTH, with an update, and when that alone has changed", () => {
    const { impair, lists } = listening();
    const all = connected({ initiator: [HOME, AWAY], responder: [OFFICE] }, { impairInitiator: impair });
    const { initiator, link } = all;
    expect(lists).toEqual([[AWAY]]);
    initiator.renumber(HOME);
    link.deliverAll();
    expect(lists).toEqual([[AWAY], []]);
    initiator.renumber(AWAY, HOME);
    link.deliverAll();
    expect(lists).toEqual([[AWAY], [], [HOME]]);
    initiator.renumber(AWAY, HOME);
    link.run({ until: link.now + 20_000 });
    expect(lists).toHaveLength(3);
  });

  test("nothing, by a caller with one address", () => {
    const { impair, lists } = listening();
    connected({ initiator: [HOME], responder: [OFFICE] }, { impairInitiator: impair });
    expect(lists).toEqual([]);
  });
});

describe("how many ways are tried", () => {
  const many = (prefix: string) => Array.from({ length: 8 }, (_, i) => `${prefix}.${i + 1}`);
  const mobile = { initiator: many("198.51.100"), responder: [OFFICE, ...many("203.0.113").slice(1)] };

  test("a few with each repetition, and in the end nearly all of them", () => {
    const all = establishedPair({ seed: 2, mobile });
    const { initiator, responder, link } = all;
    responder.renumber(...mobile.responder);
    initiator.renumber(...mobile.initiator);
    link.deliverAll();
    link.fate = () => [];
    const first = link.transmitted.length;
    initiator.handle({ kind: "liveness", connection: "tunnel" });
    const counts: number[] = [];
    for (let sent = 0; initiator.ikeSas.length > 0; ) {
      link.run({ until: link.now + 100 });
      const now = link.transmitted.filter(({ from, index }) => from === initiator && index >= first).length;
      if (now > sent) counts.push(now - sent);
      sent = now;
    }
    expect(Math.max(...counts)).toBe(9);
    const ways = new Set(
      link.transmitted
        .filter(({ from, index }) => from === initiator && index >= first)
        .map(({ path }) => `${path.remote.address} ${path.local.address}`),
    );
    expect(ways.size).toBeGreaterThan(50);
  });

  test("none by a gateway that has not moved, however silent its caller is", () => {
    const all = establishedPair({ seed: 3, mobile: ALL });
    const { responder, link } = all;
    link.fate = () => [];
    const first = link.transmitted.length;
    responder.handle({ kind: "liveness", connection: "tunnel" });
    link.run({ until: link.now + 100_000 });
    const to = link.transmitted
      .filter(({ from, index }) => from === responder && index >= first)
      .map(({ path }) => path.local.address);
    expect(new Set(to)).toEqual(new Set([HOME]));
  });

  test("none to an address that the caller has from us, inside", () => {
    const all = connected(
      { initiator: [HOME, AWAY], responder: [OFFICE] },
      {
        addresses: { assign: () => ({ addresses: [AWAY] }), release: () => {} },
        initiator: { local: ["0.0.0.0/0"], more: { asks: { ipv4: true, ipv6: false } } },
        responder: { remote: ["0.0.0.0/0"], more: { gives: { dns: [], subnets: [], domains: [] } } },
      },
    );
    const { responder, link } = all;
    link.fate = () => [];
    const first = link.transmitted.length;
    responder.renumber(BRANCH);
    link.run({ until: link.now + 20_000 });
    const to = link.transmitted.slice(first).map(({ path }) => path.local.address);
    expect(to.length).toBeGreaterThan(3);
    expect(to).not.toContain(AWAY);
  });

  test("and what a stranger answers by one of them moves nobody", () => {
    const all = connected(ALL);
    const { initiator, responder, link } = all;
    link.fate = () => [];
    initiator.handle({ kind: "liveness", connection: "tunnel" });
    link.run({ until: link.now + 3_000 });
    const asked = link.transmitted.findLast(({ path }) => path.local.address === BRANCH)!;
    link.fate = () => [0];
    responder.handle({ kind: "datagram", octets: asked.octets, path: asked.path });
    const answer = link.take();
    const forged = answer.octets.slice();
    forged[forged.length - 1]! ^= 1;
    initiator.handle({ kind: "datagram", octets: forged, path: answer.path });
    expect(initiator.ikeSas[0]!.path.remote.address).toBe(OFFICE);
    link.arrive(answer);
    expect(initiator.ikeSas[0]!.path.remote.address).toBe(BRANCH);
  });
});
