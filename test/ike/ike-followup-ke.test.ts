import { describe, expect, test } from "vitest";
import { ExchangeType, NotifyType, nameOf } from "../../src/iana/ikev2-parameters.ts";
import { DEFAULT_LIMITS } from "../../src/ike/limits.ts";
import { notify } from "../../src/ike/payloads.ts";
import { decodeHeader } from "../../src/wire/message.ts";
import {
  expectClean,
  expectEstablished,
  expectMirrored,
  expectSettled,
} from "../support/simulator/expectations.ts";
import { childPolicy, establishedPair, type Pair, pair } from "../support/simulator/index.ts";
import { CROSSING_SEEDS } from "../support/simulator/seeds.ts";
import { Stage } from "../support/simulator/stage.ts";
import { Traffic } from "../support/simulator/traffic.ts";

const { IKE_FOLLOWUP_KE } = ExchangeType;
const HOUR = 3_600_000;
const NEVER = Number.POSITIVE_INFINITY;
const PLAIN = { ike: "aes256gcm16-prfsha384-x25519", esp: "aes256gcm16-x25519" };
const ONE = { ike: [`${PLAIN.ike}-ke1_mlkem768`], esp: [`${PLAIN.esp}-ke1_mlkem768`] };
const TWO = {
  ike: [`${PLAIN.ike}-ke1_ecp384-ke2_mlkem1024`],
  esp: [`${PLAIN.esp}-ke1_ecp384-ke2_mlkem1024`],
};

const SIDES = ["initiator", "responder"] as const;
const KINDS = ["ike", "children"] as const;
const WAYS = SIDES.flatMap((side) => KINDS.map((what) => ({ side, what })));

function proposalsOf({ initiator, responder }: Pair) {
  return [initiator, responder].map(({ ikeSas }) => {
    const [ikeSa] = ikeSas.filter(({ state }) => state === "established");
    return { ike: ikeSa?.proposal, esp: ikeSa?.childSas[0]?.proposal };
  });
}

/** Names of what there is on both sides. */
function namesOf({ initiator }: Pair): string {
  const [ikeSa] = initiator.ikeSas.filter(({ state }) => state === "established");
  return `${ikeSa?.initiatorSpi} ${initiator.outboundSpi()}`;
}

describe("further key exchanges", () => {
  test.each(WAYS)("follow CREATE_CHILD_SA, one exchange each: $what, by the $side", ({ side, what }) => {
    const all = establishedPair({ seed: 1, common: TWO });
    const count = all.link.transmitted.length;
    const before = namesOf(all);
    all[side].rekey(what);
    all.link.deliverAll();
    const exchanges = all.link.transmitted
      .slice(count)
      .map(({ octets }) => nameOf(ExchangeType, decodeHeader(octets).exchangeType));
    // The value of ML-KEM-1024 takes two fragments, and so does the answer.
    expect([...new Set(exchanges)]).toEqual(["CREATE_CHILD_SA", "IKE_FOLLOWUP_KE", "INFORMATIONAL"]);
    expect(exchanges.filter((name) => name === "IKE_FOLLOWUP_KE")).toHaveLength(2 + 4);
    expectSettled(all);
    expect(namesOf(all)).not.toBe(before);
  });

  test.each([
    ["ke1_mlkem512"],
    ["ke1_mlkem512-ke2_ecp384-ke3_mlkem1024"],
    ["ke1_mlkem768-ke2_ecp256-ke3_ecp384-ke4_ecp521-ke5_x448-ke6_mlkem512-ke7_mlkem1024"],
  ])("are of any number and kind: %s", (further) => {
    const common = { ike: [`${PLAIN.ike}-${further}`], esp: [`${PLAIN.esp}-${further}`] };
    const all = establishedPair({ seed: 2, common, limits: { fragmentLength: 576 } });
    for (const { side, what } of WAYS) {
      all[side].rekey(what);
      all.link.deliverAll();
      expectSettled(all);
    }
    const expected = { ike: common.ike[0], esp: common.esp[0] };
    expect(proposalsOf(all)).toEqual([expected, expected]);
    all.initiator.disconnect();
    all.link.run({ until: all.link.now + 100_000 });
    expectClean(all.initiator, all.responder);
  });

  test("are not spoken of in IKE_AUTH, which has none for the child SA", () => {
    const all = establishedPair({ seed: 3, common: TWO });
    expect(proposalsOf(all)[0]!.esp).toBe("aes256gcm16");
  });

  test.each(WAYS)(
    "come first, and only the last of them makes anything: $what, by the $side",
    ({ side, what }) => {
      const all = establishedPair({ seed: 4, common: ONE, limits: { fragmentLength: 4_000 } });
      const stage = new Stage(all);
      const [from, to] = side === "initiator" ? [stage.a, stage.b] : [stage.b, stage.a];
      const count = () => [from, to].map(({ ikeSas, installed }) => ikeSas.length + installed.size);
      from.rekey(what);
      stage.deliver(from); // --> CREATE_CHILD_SA { SA, Ni, KEi }
      stage.deliver(to); // <-- CREATE_CHILD_SA { SA, Nr, KEr, N(ADDITIONAL_KEY_EXCHANGE) }
      expect(count()).toEqual([2, 2]);
      stage.deliver(from); // --> IKE_FOLLOWUP_KE { KEi(1), N(ADDITIONAL_KEY_EXCHANGE) }
      expect(stage.lastOf(to)).toMatchObject({ exchangeType: IKE_FOLLOWUP_KE, isResponse: true });
      expect(count()).toEqual([2, 3]);
      stage.deliver(to); // <-- IKE_FOLLOWUP_KE { KEr(1) }
      expect(count()).toEqual([3, 3]);
      stage.deliverAll();
      expectSettled(all);
    },
  );

  test("bring up a further child SA as well", () => {
    const all = establishedPair({ seed: 5, common: TWO });
    for (const side of SIDES) {
      all[side].handle({ kind: "terminate", connection: "tunnel", child: "lan" });
      all.link.deliverAll();
      expect([all.initiator.installed.size, all.responder.installed.size]).toEqual([0, 0]);
      all[side].connect();
      all.link.deliverAll();
      expectSettled(all);
      expect(proposalsOf(all)[0]!.esp).toBe(TWO.esp[0]);
    }
  });

  test("behind INVALID_KE_PAYLOAD belong to the group that the peer wants", () => {
    const further = "ke1_mlkem512";
    const all = establishedPair({
      seed: 6,
      initiator: {
        ike: [`${PLAIN.ike}-ecp256-${further}`, PLAIN.ike],
        esp: [`${PLAIN.esp}-ecp256-${further}`],
      },
      responder: {
        ike: [`aes256gcm16-prfsha384-ecp256-${further}`, PLAIN.ike],
        esp: [`aes256gcm16-ecp256-${further}`],
      },
    });
    for (const what of KINDS) {
      all.initiator.rekey(what);
      all.link.deliverAll();
      expectSettled(all);
    }
    expect(proposalsOf(all)[1]!.esp).toBe(`aes256gcm16-ecp256-${further}`);
  });

  test("with a PPK go on from keys that have it in them", () => {
    const ppk = { id: "x", key: new Uint8Array(32).fill(7), isRequired: true };
    const all = establishedPair({ seed: 7, common: { ...ONE, ppk } });
    for (const { side, what } of WAYS) {
      all[side].rekey(what);
      all.link.deliverAll();
      expectSettled(all);
    }
  });
});

test("all child SAs that an IKE SA may carry are rekeyed at once, by either side", () => {
  const names = Array.from({ length: DEFAULT_LIMITS.childSaCount }, (_, i) => `c${i}`);
  const seenFrom = (ours: number, theirs: number) =>
    names.map((name, i) =>
      childPolicy({
        name,
        esp: ["aes256gcm16-x25519-ke1_ecp384"],
        local: [`10.${ours}.${i}.0/24`],
        remote: [`10.${theirs}.${i}.0/24`],
      }),
    );
  const all = establishedPair({
    seed: 8,
    initiator: { children: seenFrom(1, 2) },
    responder: { children: seenFrom(2, 1) },
  });
  for (const side of SIDES) {
    const before = new Set(all.initiator.installed.keys());
    all[side].rekey("children");
    all.link.deliverAll();
    all.link.run({ until: all.link.now + 10_000 });
    expectMirrored(all.initiator, all.responder);
    expect(all.initiator.childSas.map(({ name }) => name).toSorted()).toEqual(names.toSorted());
    for (const spi of all.initiator.installed.keys()) expect(before.has(spi)).toBe(false);
  }
});

test("both ends of the new SA are where the path has moved meanwhile", () => {
  const further = "198.51.100.1";
  for (const what of KINDS) {
    for (let step = 0; step < 6; step++) {
      const all = establishedPair({
        seed: 9,
        common: ONE,
        mobile: { initiator: ["192.0.2.1", further], responder: ["192.0.2.2"] },
        limits: { fragmentLength: 4_000 },
      });
      const before = namesOf(all);
      all.initiator.rekey(what);
      for (let i = 0; i < step && all.link.inFlight.length > 0; i++) all.link.deliver();
      all.initiator.renumber(further);
      all.link.run({ until: all.link.now + 20_000 });
      expectSettled(all);
      expect(namesOf(all)).not.toBe(before);
      const [ours, theirs] = [all.initiator, all.responder].map(
        ({ installed }) => [...installed.values()][0]!,
      );
      expect([ours!.path.local.address, theirs!.path.remote.address]).toEqual([further, further]);
    }
  }
});

describe.each(KINDS)("when both begin at once (%s)", (what) => {
  /** Who has asked for further key exchanges. */
  const askers = ({ link }: Pair): readonly string[] => {
    const requests = link.transmitted.filter(({ octets }) => {
      const { exchangeType, isResponse } = decodeHeader(octets);
      return exchangeType === IKE_FOLLOWUP_KE && !isResponse;
    });
    return [...new Set(requests.map(({ from }) => from.name))];
  };
  const begun = (seed: number): Stage => {
    const stage = new Stage(establishedPair({ seed, common: ONE, limits: { fragmentLength: 4_000 } }));
    stage.a.rekey(what);
    stage.b.rekey(what);
    return stage;
  };
  const expectOne = ({ pair: all, a, b }: Stage): void => {
    expectSettled(all);
    for (const machine of [a, b]) expect(machine.event("rekey-failed")).toBeUndefined();
  };

  test("whoever has the lowest nonce stops before the first of them, and the other goes on", () => {
    const winners = CROSSING_SEEDS.map((seed) => {
      const stage = begun(seed);
      stage.deliverAll();
      expectOne(stage);
      const names = askers(stage.pair);
      expect(names).toHaveLength(1);
      return names[0];
    });
    expect(new Set(winners).size).toBe(2);
  });

  test("whoever has begun with them puts the other off, whatever the nonces", () => {
    for (const seed of CROSSING_SEEDS) {
      const stage = begun(seed);
      const late = stage.hold(stage.b); // --> CREATE_CHILD_SA of b
      stage.deliver(stage.a); // --> CREATE_CHILD_SA of a
      stage.deliver(stage.b); // <-- and its answer
      stage.arrive(late);
      stage.deliverAll();
      expectOne(stage);
      expect(askers(stage.pair)).toEqual([stage.a.name]);
    }
  });
});

describe("a peer that does without", () => {
  const flexible = { ike: [`${ONE.ike[0]}-ke1_none`], esp: [`${ONE.esp[0]}-ke1_none`] };
  const plain = { ike: [PLAIN.ike], esp: [PLAIN.esp] };

  test.each([
    ["which the proposals allow", { initiator: flexible, responder: plain }, "responder"],
    [
      "for which there is another proposal",
      { initiator: { ike: [...ONE.ike, ...plain.ike], esp: [...ONE.esp, ...plain.esp] }, responder: plain },
      "initiator",
    ],
  ] as const)("is served, %s, and the log says so", (_, sides, side) => {
    const all = establishedPair({ seed: 10, ...sides });
    for (const what of KINDS) {
      all[side].rekey(what);
      all.link.deliverAll();
      expectSettled(all);
    }
    expect(proposalsOf(all)).toEqual([
      { ike: PLAIN.ike, esp: PLAIN.esp },
      { ike: PLAIN.ike, esp: PLAIN.esp },
    ]);
    const lack = "without further key exchanges, which the peer has left out";
    expect(all.initiator.event("ike-sa-rekeyed")!.message).toBe(`IKE SA with b.example.org rekeyed ${lack}`);
    expect(all.initiator.event("child-sa-rekeyed")!.message).toBe(`child SA lan rekeyed ${lack}`);
    expect(all.responder.event("ike-sa-rekeyed")!.message).toBe("IKE SA with a.example.org rekeyed");
  });

  test.each(KINDS)(
    "is not, where each proposal insists: %s stays, and IKE_SA_INIT begins anew before it ends",
    (what) => {
      // What is rekeyed here is a child SA without PFS, or an IKE SA whose first key exchange had another proposal.
      const all = establishedPair({
        seed: 11,
        limits: {
          livenessMs: NEVER,
          ikeRekeyMs: what === "ike" ? HOUR : NEVER,
          childRekeyMs: what === "ike" ? NEVER : HOUR,
        },
        initiator: what === "ike" ? { ike: ONE.ike } : { esp: ONE.esp },
        responder: what === "ike" ? { ike: ONE.ike, more: { ikeRekeyMs: NEVER } } : { esp: plain.esp },
        ...(what === "ike" && {
          // It can do IKE_INTERMEDIATE, and refuses what it is asked behind it.
          impair: (outgoing) =>
            outgoing.header.exchangeType === ExchangeType.CREATE_CHILD_SA && outgoing.header.isResponse
              ? { ...outgoing, payloads: [notify(NotifyType.NO_PROPOSAL_CHOSEN)] }
              : outgoing,
        }),
      });
      const { initiator, link } = all;
      const before = namesOf(all);
      link.fate = () => [10];
      const traffic = new Traffic(all, () => 10);
      traffic.run({ until: HOUR + 40_000, everyMs: 2_000 });
      expect(namesOf(all)).toBe(before);
      const refusal = initiator.event("rekey-failed")!;
      expect(refusal.message).toContain("each of our proposals insists on further key exchanges");
      expect(refusal.facts).toMatchObject({
        reason: "NO_PROPOSAL_CHOSEN",
        offered: ONE[what === "ike" ? "ike" : "esp"],
      });
      traffic.run({ until: 1.2 * HOUR, everyMs: 2_000 });
      traffic.finish();
      expect(traffic.lost).toEqual([]);
      expectEstablished(initiator, all.responder);
      expect(namesOf(all)).not.toBe(before);
    },
  );
});

describe("on a bad network", () => {
  const LOST = Array.from({ length: 14 }, (_, index) => index);

  test.each(WAYS)("a datagram that is lost is made up for: $what, by the $side", ({ side, what }) => {
    for (const lost of LOST) {
      const all = establishedPair({ seed: 20 + lost, common: TWO });
      const before = namesOf(all);
      let count = 0;
      all.link.fate = () => (count++ === lost ? [] : [0]);
      all[side].rekey(what);
      all.link.run({ until: all.link.now + 30_000 });
      expectSettled(all);
      expect(namesOf(all)).not.toBe(before);
    }
  });

  test("every message comes twice", () => {
    const all = establishedPair({ seed: 40, common: TWO });
    all.link.fate = () => [0, 0];
    for (const { side, what } of WAYS) {
      const before = namesOf(all);
      all[side].rekey(what);
      all.link.run({ until: all.link.now + 10_000 });
      expectSettled(all);
      expect(namesOf(all)).not.toBe(before);
    }
  });

  test("whatever happens, also when both begin, no packet is lost", () => {
    for (let seed = 0; seed < 24; seed++) {
      const all = establishedPair({ seed, common: TWO, limits: { livenessMs: NEVER } });
      all.link.impair(seed, { loss: 0.1, duplication: 0.1, reordering: 0.1, delayMs: [1, 120] });
      const traffic = new Traffic(all, () => 30);
      for (const what of KINDS) {
        all.initiator.rekey(what);
        if (seed % 2 === 0) all.responder.rekey(what);
        traffic.run({ until: all.link.now + 20_000, everyMs: 500 });
      }
      all.link.fate = () => [10];
      traffic.run({ until: all.link.now + 120_000, everyMs: 2_000 });
      traffic.finish();
      expect(traffic.lost, `seed ${seed}`).toEqual([]);
      expectSettled(all);
      for (const { endpoint } of [all.initiator, all.responder])
        expect(endpoint.counters.internalErrors).toBe(0);
    }
  });

  test("a connection that is lost meanwhile leaves nothing behind", () => {
    for (const { side, what } of WAYS) {
      for (const lost of LOST) {
        const all = establishedPair({ seed: 50 + lost, common: TWO });
        let count = 0;
        all.link.fate = () => (count++ >= lost ? [] : [0]);
        all[side].rekey(what);
        all.link.run({ until: all.link.now + 300_000 });
        expectClean(all.initiator, all.responder);
      }
    }
  });
});

describe("somebody takes it down meanwhile", () => {
  const cut = (what: "child" | "ike") =>
    ({ kind: "terminate", connection: "tunnel", ...(what === "child" && { child: "lan" }) }) as const;

  test.each(WAYS.flatMap((way) => SIDES.map((ender) => ({ ...way, ender }))))(
    "the $ender ends it, wherever $what of the $side have got to, and nothing is left",
    ({ side, what, ender }) => {
      for (const ended of ["child", "ike"] as const) {
        for (let step = 0; step < 12; step++) {
          const all = establishedPair({ seed: 60, common: TWO });
          all[side].rekey(what);
          for (let i = 0; i < step && all.link.inFlight.length > 0; i++) all.link.deliver();
          all[ender].handle(cut(ended));
          all.link.deliverAll();
          all.link.run({ until: all.link.now + 150_000 });
          expectMirrored(all.initiator, all.responder);
          if (ended === "ike") expectClean(all.initiator, all.responder);
          else expect([all.initiator.reserved.size, all.responder.reserved.size]).toEqual([0, 0]);
        }
      }
    },
  );
});

test("what an initiator begins while its peer replaces the IKE SA waits, and what is not about SAs does not", () => {
  const all = pair({ seed: 70, common: ONE, limits: { fragmentLength: 4_000 } });
  all.initiator.connect();
  all.link.deliverAll();
  const stage = new Stage(all);
  stage.a.rekey("ike");
  stage.deliver(stage.a); // --> CREATE_CHILD_SA { SA, Ni, KEi }
  const answer = stage.hold(stage.b);
  stage.b.rekey("children");
  expect(all.link.inFlight).toEqual([]);
  stage.b.handle({ kind: "liveness", connection: "tunnel" });
  expect(stage.lastOf(stage.b)).toMatchObject({
    exchangeType: ExchangeType.INFORMATIONAL,
    isResponse: false,
  });
  stage.deliverAll();
  stage.arrive(answer);
  const before = all.initiator.outboundSpi();
  stage.deliverAll();
  expectSettled(all);
  expect(all.initiator.outboundSpi()).not.toBe(before);
  expect(all.initiator.event("child-sa-rekeyed")).toBeDefined();
  expect(all.responder.event("rekey-failed")).toBeUndefined();
});
