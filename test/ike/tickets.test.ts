import { describe, expect, test } from "vitest";
import { toHex } from "../../src/bytes/hex.ts";
import { SpentFamilies, type SpentFamily } from "../../src/ike/resumption/spent-families.ts";
import { stampOf } from "../../src/ike/resumption/stamp.ts";
import { TICKET_LIFETIME_MAX_MS, type TicketKey, TicketKeys } from "../../src/ike/resumption/ticket-keys.ts";
import { type OwnTicket, TicketWallet } from "../../src/ike/resumption/ticket-wallet.ts";
import type { TrustPolicy } from "../../src/pki/trust.ts";
import { logins, TestAuthority } from "../support/simulator/credentials.ts";
import {
  authenticating,
  initiatorPolicy,
  responderPolicy,
  SeededRandom,
} from "../support/simulator/index.ts";

const DAY_MS = 24 * 3_600_000;
const NOW = 1_700_000_000_000;

describe("ticket keys", () => {
  function ring(kept: readonly TicketKey[] = [], seed = 1, wallNow = NOW) {
    const saved: TicketKey[][] = [];
    const save = (keys: readonly TicketKey[]): void => {
      saved.push([...keys]);
    };
    return { keys: new TicketKeys({ kept, wallNow, random: new SeededRandom(seed), save }), saved };
  }

  test("seal for a day, and open for as long as their last ticket may live", () => {
    const { keys, saved } = ring();
    const first = keys.current(NOW);
    expect(keys.current(NOW + DAY_MS - 1)).toBe(first);
    const second = keys.current(NOW + DAY_MS);
    expect(second.key).not.toEqual(first.key);
    expect(keys.find(first.id)).toBe(first);
    keys.current(NOW + DAY_MS + TICKET_LIFETIME_MAX_MS);
    expect(keys.find(first.id)).toBeUndefined();
    expect(first.key.every((octet) => octet === 0)).toBe(true);
    expect(keys.find(second.id)).toBe(second);
    expect(saved).toHaveLength(3);
  });

  test("go on in another life, and one from a time that is yet to come seals no more", () => {
    const { keys, saved } = ring();
    const first = keys.current(NOW);
    const next = ring(saved.at(-1), 2);
    expect(next.keys.current(NOW + 1).id).toEqual(first.id);
    expect(next.saved).toEqual([]);
    expect(next.keys.current(NOW - DAY_MS).id).not.toEqual(first.id);
  });
});

describe("what has expired", () => {
  test("of a gateway's keys is wiped when it is read, and stays on the disk no longer", () => {
    const key = (madeAt: number): TicketKey => ({
      id: new Uint8Array(8).fill(madeAt % 251),
      key: new Uint8Array(32).fill(1),
      madeAt,
    });
    const lifeMs = DAY_MS + TICKET_LIFETIME_MAX_MS;
    const [old, good, future] = [key(NOW - lifeMs), key(NOW - lifeMs + 1), key(NOW + DAY_MS)];
    const saved: (readonly TicketKey[])[] = [];
    const facts = {
      wallNow: NOW,
      random: new SeededRandom(1),
      save: (keys: readonly TicketKey[]) => saved.push(keys),
    };
    const keys = new TicketKeys({ ...facts, kept: [old, good, future] });
    // The date may be wrong when a machine starts: a key from a time that is yet to come is kept.
    expect(saved).toEqual([[future, good]]);
    expect(old.key).toEqual(new Uint8Array(32));
    expect(keys.find(old.id)).toBeUndefined();
    expect(keys.find(good.id)).toBe(good);
    new TicketKeys({ ...facts, kept: [future, good] });
    expect(saved).toHaveLength(1);
  });

  test("of a client's tickets is wiped when it is read, and stays on the disk no longer", () => {
    const own = (connection: string, expiresAt: number, authenticUntil?: number): OwnTicket => ({
      ticket: new Uint8Array(40),
      session: {
        family: new Uint8Array(0),
        bornAt: NOW - DAY_MS,
        expiresAt,
        initiator: initiatorPolicy().local.identity,
        responder: responderPolicy().local.identity,
        initiatorSpi: 1n,
        responderSpi: 2n,
        proposal: initiatorPolicy().ikeProposals[0]!,
        skD: new Uint8Array(32).fill(1),
        hasPpk: false,
        connection,
        stamp: new Uint8Array(32),
        user: undefined,
        account: undefined,
        client: undefined,
        authenticUntil,
        grants: undefined,
      },
    });
    const [old, stale, good] = [own("old", NOW), own("stale", NOW + 1, NOW), own("good", NOW + 1)];
    const saved: (readonly OwnTicket[])[] = [];
    const facts = { wallClock: () => NOW, save: (tickets: readonly OwnTicket[]) => saved.push(tickets) };
    const wallet = new TicketWallet({ ...facts, kept: [old, stale, good] });
    expect(saved).toEqual([[good]]);
    for (const { session } of [old, stale]) {
      expect(session.skD).toEqual(new Uint8Array(32));
      expect(wallet.find(session.connection)).toBeUndefined();
    }
    expect(wallet.find("good")).toBe(good);
    new TicketWallet({ ...facts, kept: [good] });
    expect(saved).toHaveLength(1);
  });
});

describe("families of tickets that are spent", () => {
  test("are known for as long as one of their tickets may live", () => {
    const families = new SpentFamilies();
    expect(families.add({ id: "a", bornAt: NOW }, NOW)).toBe(true);
    expect(families.add({ id: "a", bornAt: NOW }, NOW + 1)).toBe(false);
    expect(families.has({ id: "a", bornAt: NOW }, NOW + TICKET_LIFETIME_MAX_MS - 1)).toBe(true);
    expect(families.has({ id: "a", bornAt: NOW }, NOW + TICKET_LIFETIME_MAX_MS)).toBe(false);
  });

  test("are bounded: where the first has to go, nothing that is not younger is good any more", () => {
    const families = new SpentFamilies({ limit: 2 });
    for (const [i, id] of ["a", "b", "c"].entries()) families.add({ id, bornAt: NOW + i }, NOW + i);
    expect(families.has({ id: "a", bornAt: NOW }, NOW + 3)).toBe(true);
    expect(families.has({ id: "of that time", bornAt: NOW }, NOW + 3)).toBe(true);
    expect(families.has({ id: "younger", bornAt: NOW + 1 }, NOW + 3)).toBe(false);
  });

  test("are the same in another life, what had to go among them", () => {
    const saved: SpentFamily[] = [];
    const families = new SpentFamilies({ limit: 2, save: (spent) => saved.push(spent) });
    for (const [i, id] of ["a", "b", "c"].entries()) families.add({ id, bornAt: NOW + i }, NOW + i);
    // By the list as it was, and by what was told of one after the other.
    for (const kept of [families.list, { families: saved, refusedUntil: 0 }]) {
      const again = new SpentFamilies({ limit: 2, kept });
      expect(again.list).toEqual(families.list);
      expect(again.has({ id: "of that time", bornAt: NOW }, NOW + 3)).toBe(true);
      expect(again.add({ id: "c", bornAt: NOW + 2 }, NOW + 3)).toBe(false);
      expect(again.add({ id: "d", bornAt: NOW + 3 }, NOW + 3)).toBe(true);
    }
  });
});

describe("the stamp of a connection", () => {
  const skD = new Uint8Array(32).fill(7);

  test("is another one with another CRL, of whatever kind the certificates' login is", async () => {
    const ca = await TestAuthority.create();
    const revoked = await ca.issue("a.example.org", { purpose: "client" });
    const [none, one] = [ca.trustWithList("client", []), ca.trustWithList("client", [revoked])];
    const trusts = [ca.trust("client"), none, one];
    const ways = [
      (trust: TrustPolicy) => ({ kind: "certificate", trust }) as const,
      (trust: TrustPolicy) => ({ kind: "eap", server: logins({}), trust }) as const,
    ];
    for (const way of ways) {
      const stamp = (trust: TrustPolicy): string =>
        toHex(stampOf(authenticating(responderPolicy(), { remote: [way(trust)] }), skD));
      expect(new Set(trusts.map(stamp)).size).toBe(3);
      expect(trusts.map(stamp)).toEqual(trusts.map(stamp));
    }
  });
});
