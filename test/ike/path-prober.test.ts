import { describe, expect, test } from "vitest";
import { ExchangeType } from "../../src/iana/ikev2-parameters.ts";
import type { Path } from "../../src/platform/address.ts";
import { decodeHeader } from "../../src/wire/message.ts";
import type { Fate } from "../support/faults.ts";
import { expectClean, expectEstablished } from "../support/simulator/expectations.ts";
import {
  establishedPair,
  INITIATOR_ADDRESS,
  type Link,
  type Pair,
  SeededRandom,
  type SimulatedMachine,
} from "../support/simulator/index.ts";

const LINK_MTU = 1500;
const DAY = 86_400_000;

/** The IP packet around an IKE message. */
function packetLength({ octets, path }: { readonly octets: Uint8Array; readonly path: Path }): number {
  const isIpv4 = !path.remote.address.includes(":");
  const hasMarker = path.remote.port !== 500;
  return octets.length + (isIpv4 ? 28 : 48) + (hasMarker ? 4 : 0);
}

/** From now on the link swallows what is longer, and beside that does what `fate` says. */
function shorten(link: Link, mtu: number, fate: () => Fate = () => [10]): void {
  link.fate = (datagram) => (packetLength(datagram) > mtu ? [] : fate());
}

/** What each machine holds its child SAs to, and what it shows. */
function seenBy({ initiator, responder }: Pair) {
  return [initiator, responder].map(({ ikeSas, pathMtus, installed }) => ({
    shown: ikeSas.at(-1)!.pathMtu,
    kept: [...installed.keys()].map((inboundSpi) => pathMtus.get(inboundSpi)),
  }));
}

function probed(options: Partial<Parameters<typeof establishedPair>[0]> = {}): Pair {
  return establishedPair({ seed: 1, linkMtu: LINK_MTU, ...options });
}

/** Datagrams since then, by who sent them. */
function sentBy(link: Link, machine: SimulatedMachine, since: number) {
  return link.transmitted.slice(since).filter(({ from }) => from === machine);
}

describe("the path to the peer", () => {
  test("that carries what the link does costs each side one request and one answer", () => {
    const all = probed();
    const { initiator, responder, link } = all;
    const before = link.transmitted.length;
    link.run({ until: 10_000 });
    for (const machine of [initiator, responder]) {
      const [probe, answer, ...more] = sentBy(link, machine, before).sort(
        (a, b) => b.octets.length - a.octets.length,
      );
      expect(packetLength(probe!)).toBe(LINK_MTU);
      expect(decodeHeader(probe!.octets)).toMatchObject({
        exchangeType: ExchangeType.INFORMATIONAL,
        isResponse: false,
      });
      expect(decodeHeader(answer!.octets)).toMatchObject({ isResponse: true });
      expect(more).toEqual([]);
    }
    expect(seenBy(all)).toEqual(Array(2).fill({ shown: LINK_MTU, kept: [undefined] }));
    expectEstablished(initiator, responder);
  });

  test.each([576, 577, 1000, 1279, 1280, 1300, 1400, 1492, 1499])(
    "that swallows what is longer than %s octets is found from both sides, and child SAs are kept to it",
    (mtu) => {
      const all = probed({ seed: mtu });
      shorten(all.link, mtu);
      all.link.run({ until: 40_000 });
      for (const { shown, kept } of seenBy(all)) {
        expect(shown).toBeLessThanOrEqual(mtu);
        expect(shown).toBeGreaterThan(mtu - 4);
        expect(kept).toEqual([shown]);
      }
      expectEstablished(all.initiator, all.responder);
    },
  );

  test("is kept to what nearly every path carries as soon as the first probe is lost", () => {
    const { initiator, link, ...rest } = probed();
    shorten(link, 1450);
    link.run({ until: link.now + 3_100 });
    for (const { kept } of seenBy({ initiator, link, ...rest })) {
      expect(kept[0]).toBeGreaterThanOrEqual(1280);
      expect(kept[0]).toBeLessThanOrEqual(1450);
    }
  });

  test("with a cipher of blocks is found to a block", () => {
    const all = probed({ common: { ike: ["aes128-sha256-prfsha256-x25519"] } });
    shorten(all.link, 1400);
    all.link.run({ until: 40_000 });
    for (const { shown } of seenBy(all)) {
      expect(shown).toBeLessThanOrEqual(1400);
      expect(shown).toBeGreaterThan(1400 - 32);
    }
  });

  test("is not probed where the configuration says so", () => {
    const all = probed({ initiator: { pathMtu: "kernel" } });
    const before = all.link.transmitted.length;
    all.link.run({ until: 20_000 });
    expect(seenBy(all).map(({ shown }) => shown)).toEqual([undefined, LINK_MTU]);
    expect(all.link.transmitted.length - before).toBe(2);
  });

  test("that a router speaks of meanwhile is found at once", () => {
    const all = probed();
    const { initiator, responder, link } = all;
    shorten(link, 1300);
    const before = link.transmitted.length;
    for (const machine of [initiator, responder]) machine.linkMtu = LINK_MTU;
    link.run({ until: 1_700 });
    for (const machine of [initiator, responder]) machine.linkMtu = 1300;
    link.run({ until: 10_000 });
    // The rest is up to the kernel, which forgets it in time.
    expect(seenBy(all)).toEqual(Array(2).fill({ shown: 1300, kept: [undefined] }));
    const probes = sentBy(link, initiator, before).filter((datagram) => packetLength(datagram) > 600);
    expect(probes.map(packetLength)).toEqual([1500, 1500, 1500, 1300]);
  });

  test("to a peer that answers no probes is what the kernel says, and the peer is left alone", () => {
    const { initiator, responder, link } = probed({ responder: { pathMtu: "kernel" } });
    shorten(link, 500);
    link.run({ until: 30_000 });
    expectEstablished(initiator, responder);
    expect(initiator.ikeSas[0]!.pathMtu).toBeUndefined();
    expect([...initiator.pathMtus.values()]).toEqual([undefined]);
    expect(initiator.event("path-mtu")!.message).toContain("answers no probe");
    const before = link.transmitted.length;
    link.run({ until: 2_000_000 });
    expect(sentBy(link, initiator, before).filter((datagram) => packetLength(datagram) > 200)).toEqual([]);
  });

  test("that grows is used to the full when it is probed again", () => {
    const all = probed();
    shorten(all.link, 1400);
    all.link.run({ until: 60_000 });
    expect(seenBy(all)[0]!.shown).toBe(1400);
    shorten(all.link, LINK_MTU);
    all.link.run({ until: 800_000 });
    expect(seenBy(all)).toEqual(Array(2).fill({ shown: LINK_MTU, kept: [undefined] }));
  });

  test("that becomes shorter is found when it is probed again, and what was carried before counts until it is lost twice", () => {
    const all = probed();
    all.link.run({ until: 60_000 });
    shorten(all.link, 1400);
    all.link.run({ until: 800_000 });
    for (const { shown, kept } of seenBy(all)) {
      expect(shown).toBeGreaterThan(1396);
      expect(kept).toEqual([shown]);
    }
  });

  test("that is as short as before costs three probes", () => {
    const { initiator, link } = probed({ responder: { pathMtu: "kernel" } });
    shorten(link, 1400);
    link.run({ until: 60_000 });
    const before = link.transmitted.length;
    link.run({ until: 700_000 });
    const sizes = sentBy(link, initiator, before)
      .map(packetLength)
      .filter((length) => length > 600);
    expect(sizes).toEqual([1500, 1500, 1500, 1400, 1404, 1404, 1404]);
  });

  test("is looked at when packets go out, the peer lives, and nothing comes back", () => {
    const { initiator, responder, link } = probed({ responder: { pathMtu: "kernel" } });
    const [inboundSpi] = initiator.installed.keys();
    link.run({ until: 100_000 });
    shorten(link, 1400);
    // A transfer has come to a halt: it sends again and again, and no acknowledgement comes.
    const heardAt = link.now;
    const shown = () => initiator.ikeSas[0]!.pathMtu;
    for (; link.now < 160_000 && shown() === LINK_MTU; link.run({ until: link.now + 1_000 })) {
      initiator.traffic.set(inboundSpi!, { sentAt: link.now, receivedAt: heardAt });
    }
    expect(link.now - heardAt).toBeLessThan(45_000);
    expect(shown()).toBeGreaterThan(1396);
    expectEstablished(initiator, responder);
  });

  test("that is another one, since a NAT has changed its mind, is probed anew", () => {
    const all = probed();
    const { initiator, responder, link } = all;
    shorten(link, 1400);
    link.run({ until: 60_000 });
    expect(seenBy(all)[1]).toEqual({ shown: 1400, kept: [1400] });
    shorten(link, LINK_MTU);
    link.translate({ address: INITIATOR_ADDRESS, port: 4500 }, { address: "198.51.100.7", port: 1024 });
    initiator.handle({ kind: "liveness", connection: "tunnel" });
    link.run({ until: 60_100 });
    expect(responder.event("path-changed")).toBeDefined();
    expect(seenBy(all)[1]).toEqual({ shown: undefined, kept: [undefined] });
    link.run({ until: 65_000 });
    expect(seenBy(all)[1]).toEqual({ shown: LINK_MTU, kept: [undefined] });
  });

  test("is not probed again while nothing is heard of the peer", () => {
    const { initiator, link } = probed({
      common: { liveness: { intervalMs: Infinity } },
      responder: { liveness: { intervalMs: Infinity }, pathMtu: "kernel" },
    });
    link.run({ until: 60_000 });
    const before = link.transmitted.length;
    link.run({ until: 3_000_000 });
    expect(sentBy(link, initiator, before).map(packetLength)).toEqual([]);
  });
});

describe("probes and other messages", () => {
  test("lost as they may be, they end no SA and come to a result", () => {
    for (let seed = 0; seed < 20; seed++) {
      const random = new SeededRandom(seed);
      const all = probed({ seed });
      shorten(all.link, 1400, () => (random.fraction() < 0.2 ? [] : [10 + random.below(100)]));
      all.link.run({ until: 120_000 });
      expectEstablished(all.initiator, all.responder);
      for (const { shown, kept } of seenBy(all)) {
        expect(shown).toBeLessThanOrEqual(1400);
        expect(kept).toEqual([shown]);
      }
    }
  });

  test("the loss of any one message changes nothing", () => {
    const count = (() => {
      const { link } = probed();
      const before = link.transmitted.length;
      shorten(link, 1450);
      link.run({ until: 60_000 });
      return link.transmitted.length - before;
    })();
    expect(count).toBeGreaterThan(20);
    for (let lost = 0; lost < count; lost++) {
      const all = probed();
      let index = 0;
      shorten(all.link, 1450, () => (index++ === lost ? [] : [10]));
      all.link.run({ until: 90_000 });
      expectEstablished(all.initiator, all.responder);
      for (const { shown } of seenBy(all)) expect(shown, `message ${lost}`).toBeGreaterThan(1446);
    }
  });

  test("a probe that is lost gives its place up for whatever wants it", () => {
    const { initiator, responder, link } = probed({
      limits: { windowSize: 1 },
      responder: { pathMtu: "kernel" },
    });
    shorten(link, 1400);
    link.run({
      until: 5_000,
      isDone: () => link.transmitted.some((datagram) => packetLength(datagram) === LINK_MTU),
    });
    const start = link.now;
    initiator.handle({ kind: "liveness", connection: "tunnel" });
    link.run({ until: start + 10_000, isDone: () => initiator.event("peer-alive") !== undefined });
    expect(link.now - start).toBeLessThan(100);
    // It says nothing about the path, so the search begins again.
    link.run({ until: start + 30_000 });
    expect(initiator.ikeSas[0]!.pathMtu).toBeGreaterThan(1396);
    expectEstablished(initiator, responder);
  });

  test("a probe that gave its place up before its answer could come counts for nothing", () => {
    const all = probed({ limits: { windowSize: 1 }, responder: { pathMtu: "kernel" } });
    const { initiator, link } = all;
    link.fate = () => [200];
    link.run({
      until: 5_000,
      isDone: () => link.transmitted.some((datagram) => packetLength(datagram) === LINK_MTU),
    });
    initiator.handle({ kind: "liveness", connection: "tunnel" });
    link.run({ until: link.now + 900 });
    expect(initiator.event("peer-alive")).toBeDefined();
    expect(seenBy(all)[0]).toEqual({ shown: undefined, kept: [undefined] });
    link.run({ until: link.now + 10_000 });
    expect(seenBy(all)[0]).toEqual({ shown: LINK_MTU, kept: [undefined] });
  });

  test("slow answers pass for no loss", () => {
    const all = probed({ seed: 3 });
    all.link.fate = () => [600];
    // Established on a fast link; the first answers show how slow it is now.
    all.initiator.handle({ kind: "liveness", connection: "tunnel" });
    all.responder.handle({ kind: "liveness", connection: "tunnel" });
    all.link.run({ until: 60_000 });
    expect(seenBy(all)).toEqual(Array(2).fill({ shown: LINK_MTU, kept: [undefined] }));
  });

  test("a probe that is lost is no dead peer, however soon one is to be noticed", () => {
    const all = probed({ seed: 3, common: { liveness: { timeoutMs: 2_000 } } });
    const { initiator, responder, link } = all;
    link.fate = () => [550];
    initiator.handle({ kind: "liveness", connection: "tunnel" });
    responder.handle({ kind: "liveness", connection: "tunnel" });
    // Two round trips as long as this one are more than the peer's whole time.
    link.run({ until: 1_200 });
    shorten(link, 1400);
    link.run({ until: 60_000 });
    expectEstablished(initiator, responder);
    for (const { shown } of seenBy(all)) expect(shown).toBe(1400);
  });

  test("a peer that dies beneath a probe is noticed as ever", () => {
    const { initiator, link } = probed({ common: { liveness: { timeoutMs: 20_000 } } });
    link.run({
      until: 5_000,
      isDone: () => link.transmitted.some((datagram) => packetLength(datagram) === LINK_MTU),
    });
    link.fate = () => [];
    link.inFlight.length = 0;
    const start = link.now;
    link.run({ until: start + DAY, isDone: () => initiator.state === "none" });
    expect(initiator.event("ike-sa-deleted")!.facts.reason).toBe("timeout");
    expect(link.now - start).toBeLessThan(25_000);
  });

  test("nothing is left of a search when the SA goes", () => {
    const { initiator, responder, link } = probed();
    shorten(link, 1400);
    link.run({ until: 3_000 });
    initiator.disconnect();
    link.run({ until: 60_000 });
    expectClean(initiator, responder);
  });

  test("what is known of the path survives rekeying, of child SA and IKE SA, in the middle of a search as well", () => {
    for (const rekeyAt of [1_500, 4_000, 60_000]) {
      for (const what of ["children", "ike"] as const) {
        const all = probed({ seed: 5 });
        shorten(all.link, 1400);
        all.link.run({ until: rekeyAt });
        all.responder.rekey(what);
        all.link.run({ until: rekeyAt + 60_000 });
        expectEstablished(all.initiator, all.responder);
        for (const { shown, kept } of seenBy(all)) {
          expect(shown).toBeGreaterThan(1396);
          expect(kept).toEqual([shown]);
        }
      }
    }
  });

  test("an IKE message of its own takes no more room than the path has", () => {
    const all = probed({ common: { ike: ["aes256gcm16-prfsha256-modp4096"] } });
    shorten(all.link, 700);
    all.link.run({ until: 60_000 });
    const before = all.link.transmitted.length;
    all.initiator.rekey("ike");
    all.link.run({ until: 120_000 });
    expect(all.initiator.event("ike-sa-rekeyed")).toBeDefined();
    expect(Math.max(...all.link.transmitted.slice(before, before + 4).map(packetLength))).toBeLessThanOrEqual(
      700,
    );
    expectEstablished(all.initiator, all.responder);
  });
});
