import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatProposal, parseEspProposal, parseIkeProposal } from "../../src/policy/keywords.ts";
import { checkChosen, isAllowed, type Selection, selectProposal } from "../../src/policy/select-proposal.ts";
import {
  numberProposals,
  offeredGroups,
  withoutKeyExchange,
  withPlain,
} from "../../src/policy/transforms.ts";
import type { Proposal } from "../../src/wire/payloads/proposal.ts";
import type { Transform } from "../../src/wire/payloads/transform.ts";

const ike = (...texts: string[]): Proposal[] => numberProposals(texts.map(parseIkeProposal));
const esp = (...texts: string[]): Proposal[] =>
  numberProposals(texts.map(parseEspProposal), Uint8Array.of(0xc0, 0, 0, 1));
const chosen = (selection: Selection): string =>
  selection.kind === "chosen"
    ? `${selection.proposal.number}:${formatProposal(selection.proposal)}`
    : selection.reason;
const withTransforms = (proposal: Proposal, ...more: Transform[]): Proposal => ({
  ...proposal,
  transforms: [...proposal.transforms, ...more],
});

describe("further key exchanges", () => {
  const base = "aes256gcm16-prfsha384-x25519-ecp256";
  test.each([
    ["ke1_mlkem768", "ke1_mlkem768", "x25519-ke1_mlkem768"],
    ["ke1_mlkem768-ke1_mlkem1024", "ke1_mlkem1024-ke1_mlkem768", "x25519-ke1_mlkem1024"],
    ["ke1_mlkem768-ke1_none", "ke1_mlkem1024-ke1_none", "x25519"],
    // RFC 9370 section 2.2.2: no method twice.
    ["ke1_x25519-ke1_ecp256", "ke1_x25519-ke1_ecp256", "x25519-ke1_ecp256"],
    ["ke1_mlkem768-ke2_mlkem768-ke2_none", "ke1_mlkem768-ke2_mlkem768-ke2_none", "x25519-ke1_mlkem768"],
  ])("of %s and %s are %s", (theirs, ours, expected) => {
    const selection = selectProposal({ offered: ike(`${base}-${theirs}`), allowed: ike(`${base}-${ours}`) });
    expect(chosen(selection)).toBe(`1:aes256gcm16-prfsha384-${expected}`);
  });

  test.each([
    ["ke1_mlkem768", "ke1_mlkem512"],
    ["ke1_mlkem768-ke2_mlkem768", "ke1_mlkem768-ke2_mlkem768"],
  ])("of %s and %s there are none, and so no choice", (theirs, ours) => {
    const selection = selectProposal({ offered: ike(`${base}-${theirs}`), allowed: ike(`${base}-${ours}`) });
    expect(selection.kind).toBe("refused");
  });

  test("that were offered cannot be left out of the answer", () => {
    const offered = ike("aes256gcm16-prfsha384-x25519-ke1_mlkem768");
    const answer = ike("aes256gcm16-prfsha384-x25519");
    expect(checkChosen({ offered, answer }).kind).toBe("refused");
    expect(checkChosen({ offered, answer: offered }).kind).toBe("chosen");
  });

  test("of child SAs come behind a first one, or not at all", () => {
    const both = "aes256gcm16-x25519-ke1_mlkem768-ke1_none";
    const offered = esp(both);
    expect(chosen(selectProposal({ offered, allowed: esp(both) }))).toBe("1:aes256gcm16-x25519-ke1_mlkem768");
    // A proposal with a first key exchange, or none, and a further one.
    const loose = esp("aes256gcm16").map((one) =>
      withTransforms(one, { type: 4, id: 31 }, { type: 4, id: 0 }, { type: 6, id: 36 }),
    );
    const none = esp("aes256gcm16").map((one) =>
      withTransforms(one, { type: 4, id: 0 }, { type: 6, id: 36 }),
    );
    expect(selectProposal({ offered: loose, allowed: none }).kind).toBe("refused");
    expect(checkChosen({ offered: loose, answer: none }).kind).toBe("refused");
  });

  test("are left aside on both sides in IKE_AUTH, and an offered NONE is answered", () => {
    const selection = selectProposal({
      offered: esp("aes256gcm16-x25519-ke1_mlkem768-ke2_mlkem1024-ke2_none"),
      allowed: esp("aes256gcm16-ecp256-ke1_mlkem512"),
      ignoreKeyExchange: true,
    });
    expect(chosen(selection)).toBe("1:aes256gcm16");
    const { transforms } = (selection as Extract<typeof selection, { kind: "chosen" }>).proposal;
    expect(transforms.filter(({ type }) => type > 5)).toEqual([{ type: 7, id: 0 }]);
  });

  test("that may be left out are offered twice: with them, and for who does not know such types", () => {
    const [insisting, flexible] = ["x25519-ke1_mlkem768", "x25519-ke1_mlkem768-ke1_none"].map(
      (groups) => `aes256gcm16-prfsha384-${groups}`,
    );
    const written = withPlain(ike(insisting!, flexible!, "aes256-sha256-modp2048"));
    expect(written.map(formatProposal)).toEqual([
      insisting,
      insisting,
      "aes256gcm16-prfsha384-x25519",
      "aes256-sha256-modp2048",
    ]);
    expect(written[2]!.transforms.some(({ type }) => type > 5)).toBe(false);
  });
});

describe("the responder", () => {
  test("takes one transform of each type, by its own order", () => {
    const offered = ike("aes128-aes256-sha256-sha512-modp2048-x25519");
    const allowed = ike("aes256-aes128-sha512-sha256-x25519-modp2048");
    expect(chosen(selectProposal({ offered, allowed }))).toBe("1:aes256-sha512-x25519");
  });

  test("prefers its own first proposal to the peer's", () => {
    const offered = ike("aes256-sha256-modp2048", "aes256gcm16-prfsha256-x25519");
    const allowed = ike("aes256gcm16-prfsha256-x25519", "aes256-sha256-modp2048");
    expect(chosen(selectProposal({ offered, allowed }))).toBe("2:aes256gcm16-prfsha256-x25519");
  });

  test("answers with number and SPI as offered", () => {
    const offered = esp("aes128gcm16", "chacha20poly1305");
    const selection = selectProposal({ offered, allowed: esp("chacha20poly1305") });
    expect(selection).toMatchObject({
      proposal: { number: 2, protocolId: 3, spi: Uint8Array.of(0xc0, 0, 0, 1) },
    });
  });

  test("takes the group of the KE payload where it is allowed", () => {
    const offered = ike("aes256-sha256-modp2048-ecp256");
    const allowed = ike("aes256-sha256-x25519-ecp256-modp2048");
    expect(chosen(selectProposal({ offered, allowed }))).toBe("1:aes256-sha256-ecp256");
    expect(chosen(selectProposal({ offered, allowed, preferredGroup: 14 }))).toBe("1:aes256-sha256-modp2048");
    expect(chosen(selectProposal({ offered, allowed, preferredGroup: 2 }))).toBe("1:aes256-sha256-ecp256");
  });

  test("says what was offered, what was allowed, and which type has nothing in common", () => {
    const offered = ike("aes128-sha1-modp2048");
    const allowed = ike("aes256gcm16-prfsha384-x25519");
    expect(selectProposal({ offered, allowed })).toEqual({
      kind: "refused",
      reason:
        "no common encryption, no common PRF, no common key exchange: offered aes128-sha1-modp2048; allowed aes256gcm16-prfsha384-x25519",
    });
    expect(selectProposal({ offered: [], allowed })).toEqual({
      kind: "refused",
      reason: "offered nothing; allowed aes256gcm16-prfsha384-x25519",
    });
  });

  test("looks at the beginning of an offer that is too long, and no further", () => {
    const [good] = ike("aes256gcm16-prfsha384-x25519");
    const strange: Transform[] = Array.from({ length: 20 }, (_, id) => ({ type: 4, id: 1000 + id }));
    const filler = { ...good!, transforms: strange };
    const offer = (count: number): Proposal[] => [...Array.from({ length: count }, () => filler), good!];
    const allowed = ike("aes256gcm16-prfsha384-x25519");
    expect(selectProposal({ offered: offer(12), allowed }).kind).toBe("chosen");
    expect(selectProposal({ offered: offer(13), allowed }).kind).toBe("refused");
    // However much comes, the same is looked at.
    let looks = 0;
    const endless = Array.from({ length: 2000 }, (_, id) => ({
      id,
      get type() {
        looks++;
        return 4;
      },
    }));
    const watched = { ...good!, transforms: endless as unknown as Transform[] };
    expect(selectProposal({ offered: [watched], allowed }).kind).toBe("refused");
    expect(looks).toBe(0);
  });

  test("keeps its sentence short when a peer offers thousands", () => {
    const transforms = Array.from({ length: 5000 }, (_, id): Transform => ({ type: 4, id: 1000 + id }));
    const offered = Array.from({ length: 200 }, () =>
      withTransforms(ike("aes128-sha1-modp2048")[0]!, ...transforms),
    );
    const selection = selectProposal({ offered, allowed: ike("aes256-sha256-x25519") });
    expect(selection.kind === "refused" && selection.reason.length).toBeLessThan(3000);
    expect(chosen(selection)).toContain("and 192 more");
  });

  test("passes over a proposal with a type that it does not know, and takes the next", () => {
    const [first, second] = ike("aes256-sha256-x25519", "aes256-sha256-x25519");
    const offered = [withTransforms(first!, { type: 6, id: 36 }), second!];
    expect(chosen(selectProposal({ offered, allowed: ike("aes256-sha256-x25519") }))).toBe(
      "2:aes256-sha256-x25519",
    );
    expect(selectProposal({ offered: offered.slice(0, 1), allowed: ike("aes256-sha256-x25519") }).kind).toBe(
      "refused",
    );
  });

  test("passes over transforms with an unknown attribute or a missing or foreign key length", () => {
    const [offer] = ike("aes256-sha256-x25519");
    const change = (change: Partial<Transform>): Proposal[] => [
      { ...offer!, transforms: offer!.transforms.map((t) => (t.type === 1 ? { ...t, ...change } : t)) },
    ];
    const allowed = ike("aes256-sha256-x25519");
    expect(selectProposal({ offered: change({ hasUnknownAttribute: true }), allowed }).kind).toBe("refused");
    expect(selectProposal({ offered: change({ keyLength: 128 }), allowed }).kind).toBe("refused");
    const bare = change({}).map((p) => ({
      ...p,
      transforms: p.transforms.map(({ type, id }) => ({ type, id })),
    }));
    expect(selectProposal({ offered: bare, allowed }).kind).toBe("refused");
    expect(selectProposal({ offered: change({ hasUnknownAttribute: false }), allowed }).kind).toBe("chosen");
  });

  test.each([1, 2, 3, 4])("refuses an IKE proposal without type %d", (missing) => {
    const [offer] = ike("aes256-sha256-x25519");
    const offered = [{ ...offer!, transforms: offer!.transforms.filter(({ type }) => type !== missing) }];
    expect(selectProposal({ offered, allowed: ike("aes256-sha256-x25519") }).kind).toBe("refused");
  });

  test("takes a combined-mode cipher with integrity NONE or without, and never with integrity", () => {
    const allowed = ike("aes256gcm16-prfsha256-x25519");
    const [offer] = allowed;
    expect(chosen(selectProposal({ offered: [offer!], allowed }))).toBe("1:aes256gcm16-prfsha256-x25519");
    const none = selectProposal({ offered: [withTransforms(offer!, { type: 3, id: 0 })], allowed });
    expect(none.kind === "chosen" && none.proposal.transforms).toContainEqual({ type: 3, id: 0 });
    expect(selectProposal({ offered: [withTransforms(offer!, { type: 3, id: 12 })], allowed }).kind).toBe(
      "refused",
    );
  });

  test("never takes AES-CBC without integrity", () => {
    const offered = [
      withTransforms(ike("aes256gcm16-prfsha256-x25519")[0]!, { type: 1, id: 12, keyLength: 256 }),
    ];
    const none = [withTransforms(offered[0]!, { type: 3, id: 0 })];
    for (const proposals of [offered, none]) {
      expect(selectProposal({ offered: proposals, allowed: ike("aes256-sha256-x25519") }).kind).toBe(
        "refused",
      );
    }
  });

  test("keeps cipher and integrity fitting where a proposal mixes both kinds of cipher", () => {
    const [combined] = ike("aes256gcm16-prfsha256-x25519");
    const mixed = [
      withTransforms(combined!, { type: 1, id: 12, keyLength: 256 }, { type: 3, id: 12 }, { type: 3, id: 0 }),
    ];
    const withoutNone = [withTransforms(combined!, { type: 1, id: 12, keyLength: 256 }, { type: 3, id: 12 })];
    expect(chosen(selectProposal({ offered: withoutNone, allowed: mixed }))).toBe("1:aes256-sha256-x25519");
    expect(chosen(selectProposal({ offered: mixed, allowed: mixed }))).toBe("1:aes256gcm16-prfsha256-x25519");
  });

  test("never agrees on IKE without a key exchange, even if both sides name NONE", () => {
    const [offer] = ike("aes256-sha256-x25519");
    const none = [
      { ...offer!, transforms: offer!.transforms.map((t) => (t.type === 4 ? { type: 4, id: 0 } : t)) },
    ];
    expect(selectProposal({ offered: none, allowed: none }).kind).toBe("refused");
  });

  test("wants a sequence number transform in ESP", () => {
    const [offer] = esp("aes256gcm16-esn");
    expect(selectProposal({ offered: [offer!], allowed: esp("aes256gcm16") }).kind).toBe("refused");
    const without = [{ ...offer!, transforms: offer!.transforms.filter(({ type }) => type !== 5) }];
    expect(selectProposal({ offered: without, allowed: esp("aes256gcm16-esn-noesn") }).kind).toBe("refused");
    expect(chosen(selectProposal({ offered: [offer!], allowed: esp("aes256gcm16-esn-noesn") }))).toBe(
      "1:aes256gcm16-esn",
    );
  });

  test("leaves groups of ESP aside in IKE_AUTH, and insists on them elsewhere", () => {
    const withGroup = esp("aes256gcm16-x25519");
    const plain = esp("aes256gcm16");
    const all = [
      { offered: plain, allowed: withGroup },
      { offered: withGroup, allowed: plain },
      { offered: withGroup, allowed: withGroup },
    ];
    for (const lists of all) {
      expect(chosen(selectProposal({ ...lists, ignoreKeyExchange: true }))).toBe("1:aes256gcm16");
    }
    expect(selectProposal(all[0]!).kind).toBe("refused");
    expect(selectProposal(all[1]!).kind).toBe("refused");
    expect(chosen(selectProposal(all[2]!))).toBe("1:aes256gcm16-x25519");
    const none = [withTransforms(plain[0]!, { type: 4, id: 0 })];
    expect(chosen(selectProposal({ offered: none, allowed: plain }))).toBe("1:aes256gcm16");
  });

  test("does not mix protocols", () => {
    expect(
      selectProposal({ offered: esp("aes256gcm16"), allowed: ike("aes256gcm16-prfsha256-x25519") }).kind,
    ).toBe("refused");
    const ah = [{ ...esp("aes256gcm16")[0]!, protocolId: 2 }];
    expect(selectProposal({ offered: ah, allowed: ah }).kind).toBe("refused");
  });
});

describe("any offer", () => {
  const POOL: readonly Transform[] = [
    { type: 1, id: 12, keyLength: 128 },
    { type: 1, id: 20, keyLength: 256 },
    { type: 1, id: 28 },
    { type: 1, id: 12 },
    { type: 2, id: 5 },
    { type: 2, id: 6 },
    { type: 3, id: 0 },
    { type: 3, id: 12 },
    { type: 3, id: 14 },
    { type: 4, id: 14 },
    { type: 4, id: 31 },
    { type: 4, id: 31, hasUnknownAttribute: true },
    { type: 6, id: 36 },
  ];
  const AEADS = [20, 28];
  const offers = fc
    .array(fc.subarray([...POOL], { minLength: 3 }), { maxLength: 4 })
    .map((lists) =>
      lists.map(
        (transforms, i): Proposal => ({ number: i + 1, protocolId: 1, spi: new Uint8Array(0), transforms }),
      ),
    );
  const policies = fc.subarray(
    [
      "aes128-sha256-x25519",
      "aes128-sha512-sha256-prfsha384-modp2048-x25519",
      "aes256gcm16-prfsha256-modp2048",
      "chacha20poly1305-aes256gcm16-prfsha384-prfsha256-x25519",
    ],
    { minLength: 1 },
  );

  /** Every suite that an offer and a policy have in common, by trying all combinations. */
  function suites(offer: Proposal, policy: Proposal): string[] {
    if (offer.transforms.some(({ type }) => type > 4)) return [];
    const known = offer.transforms.filter((t) => t.hasUnknownAttribute !== true);
    const has = (list: readonly Transform[], t: Transform) =>
      list.some((o) => o.type === t.type && o.id === t.id && o.keyLength === t.keyLength);
    const of = (type: number) => known.filter((t) => t.type === type);
    const offersIntegrity = offer.transforms.some(({ type }) => type === 3);
    const found: string[] = [];
    for (const encr of of(1))
      for (const prf of of(2))
        for (const ke of of(4))
          for (const integ of offersIntegrity ? of(3) : [{ type: 3, id: 0 }]) {
            const aead = AEADS.includes(encr.id);
            if (aead !== (integ.id === 0)) continue;
            const wanted = aead ? [encr, prf, ke] : [encr, prf, integ, ke];
            if (wanted.every((t) => has(policy.transforms, t))) found.push(key([encr, prf, integ, ke]));
          }
    return found;
  }

  const key = (transforms: readonly Transform[]): string => {
    const integ = transforms.find(({ type }) => type === 3) ?? { type: 3, id: 0 };
    return [...transforms.filter(({ type }) => type !== 3), integ]
      .map(({ type, id, keyLength }) => `${type}/${id}/${keyLength}`)
      .sort()
      .join(" ");
  };

  test("is answered from the first policy that fits, exactly when one does, and the initiator accepts the answer", () => {
    fc.assert(
      fc.property(offers, policies, (offered, texts) => {
        const allowed = texts.map(parseIkeProposal);
        const expected = allowed
          .map((policy) => offered.flatMap((offer) => suites(offer, policy)))
          .find((list) => list.length > 0);
        const selection = selectProposal({ offered, allowed });
        expect(selection.kind).toBe(expected === undefined ? "refused" : "chosen");
        if (selection.kind !== "chosen") return;
        expect(expected).toContain(key(selection.proposal.transforms));
        expect(checkChosen({ offered, answer: [selection.proposal] }).kind).toBe("chosen");
        expect(isAllowed(selection.proposal, allowed)).toBe(true);
      }),
      { seed: 11, numRuns: Number(process.env.IKEBANA_FUZZ_RUNS ?? 3000) },
    );
  });
});

describe("the initiator", () => {
  const offered = ike("aes256gcm16-aes128gcm16-prfsha256-x25519-ecp256", "aes256-sha256-x25519");
  const answer = (number: number, text: string): Proposal[] => [{ ...parseIkeProposal(text), number }];

  test("accepts one transform of each type out of one proposal", () => {
    expect(chosen(checkChosen({ offered, answer: answer(1, "aes128gcm16-prfsha256-ecp256") }))).toBe(
      "1:aes128gcm16-prfsha256-ecp256",
    );
    const withNone = [withTransforms(answer(1, "aes128gcm16-prfsha256-ecp256")[0]!, { type: 3, id: 0 })];
    const selection = checkChosen({ offered, answer: withNone });
    expect(selection.kind === "chosen" && selection.proposal.transforms.every(({ type }) => type !== 3)).toBe(
      true,
    );
  });

  test.each([
    [
      "two proposals",
      [...answer(1, "aes128gcm16-prfsha256-ecp256"), ...answer(2, "aes256-sha256-x25519")],
      /2 proposals instead of one/,
    ],
    ["none", [], /0 proposals instead of one/],
    ["another number", answer(3, "aes256-sha256-x25519"), /numbered 3, which was not offered/],
    [
      "a mix of two offers",
      answer(2, "aes256-sha256-ecp256"),
      /aes256-sha256-ecp256 is not part of the offer aes256-sha256-x25519/,
    ],
    ["something weaker", answer(2, "aes128-sha1-x25519"), /not part of the offer/],
    ["two groups", answer(1, "aes128gcm16-prfsha256-ecp256-x25519"), /more than one transform of type 4/],
    [
      "integrity that was not offered",
      [withTransforms(answer(1, "aes128gcm16-prfsha256-ecp256")[0]!, { type: 3, id: 12 })],
      /not part of/,
    ],
    [
      "a type that was not offered",
      [withTransforms(answer(2, "aes256-sha256-x25519")[0]!, { type: 6, id: 36 })],
      /not part of/,
    ],
    ["a missing type", [{ ...offered[1]!, transforms: offered[1]!.transforms.slice(0, 3) }], /not part of/],
    ["another protocol", [{ ...offered[1]!, protocolId: 3, spi: new Uint8Array(4) }], /is for protocol 3/],
    [
      "an unknown attribute",
      [
        {
          ...offered[1]!,
          transforms: offered[1]!.transforms.map((t) => ({ ...t, hasUnknownAttribute: true })),
        },
      ],
      /not part of/,
    ],
  ])("refuses an answer with %s", (_, proposals, reason) => {
    expect(chosen(checkChosen({ offered, answer: proposals }))).toMatch(reason);
    expect(checkChosen({ offered, answer: proposals }).kind).toBe("refused");
  });

  test("wants 4 octets of SPI for ESP, and keeps the peer's", () => {
    const mine = esp("aes256gcm16-esn-noesn");
    const theirs = numberProposals([parseEspProposal("aes256gcm16-esn")], Uint8Array.of(1, 2, 3, 4));
    expect(checkChosen({ offered: mine, answer: theirs })).toMatchObject({
      proposal: { spi: Uint8Array.of(1, 2, 3, 4) },
    });
    const short = [{ ...theirs[0]!, spi: Uint8Array.of(1, 2) }];
    expect(chosen(checkChosen({ offered: mine, answer: short }))).toBe(
      "the answer has an SPI of 2 octets instead of 4",
    );
  });
});

test("helpers number proposals, strip groups and list them in order of preference", () => {
  const proposals = numberProposals(
    [parseEspProposal("aes256gcm16-x25519"), parseEspProposal("chacha20poly1305")],
    Uint8Array.of(9, 9, 9, 9),
  );
  expect(proposals.map(({ number, spi }) => [number, spi.length])).toEqual([
    [1, 4],
    [2, 4],
  ]);
  expect(withoutKeyExchange(proposals).map(formatProposal)).toEqual(["aes256gcm16", "chacha20poly1305"]);
  expect(offeredGroups(ike("aes256-sha256-ecp256-x25519", "aes128-sha256-x25519-modp2048"))).toEqual([
    19, 31, 14,
  ]);
});
