import { createHmac } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import { mixPpk } from "../../src/crypto/keymat.ts";
import { NotifyType, PrfTransform } from "../../src/iana/ikev2-parameters.ts";
import { findNotify } from "../../src/ike/payloads.ts";
import type { Credential } from "../../src/pki/credential.ts";
import type { Ppk } from "../../src/policy/connection.ts";
import { decodeMessage, encodeMessage } from "../../src/wire/message.ts";
import { TestAuthority } from "../support/simulator/credentials.ts";
import { expectClean, expectEstablished, expectMirrored } from "../support/simulator/expectations.ts";
import {
  authenticating,
  initiatorPolicy,
  type Pair,
  pair,
  responderPolicy,
} from "../support/simulator/index.ts";

const key = new TextEncoder().encode("a key that was handed over on paper");
const required: Ppk = { id: "ppk-1", key, isRequired: true };
const optional: Ppk = { ...required, isRequired: false };
const otherKey: Ppk = { ...required, key: new TextEncoder().encode("another key of about this length") };
const otherName: Ppk = { ...optional, id: "ppk-2" };

function connect(seed: number, initiatorPpk: Ppk | undefined, responderPpk: Ppk | undefined): Pair {
  const all = pair({
    seed,
    initiator: { ...(initiatorPpk && { ppk: initiatorPpk }) },
    responder: { ...(responderPpk && { ppk: responderPpk }) },
  });
  all.initiator.connect();
  all.link.deliverAll();
  return all;
}

function hasPpk({ initiator, responder }: Pair): readonly boolean[] {
  return [initiator, responder].map((side) => side.ikeSas[0]!.hasPpk);
}

function expectRefused({ initiator, responder, link }: Pair): void {
  expect([initiator, responder].flatMap((side) => side.eventNames())).not.toContain("ike-sa-established");
  link.advanceBy(600_000);
  expectClean(initiator, responder);
}

test("SK_d, SK_pi and SK_pr are mixed by prf+, and the other keys are what they were", () => {
  const octets = (value: number, length = 48) => new Uint8Array(length).fill(value);
  const keys = {
    skD: octets(1),
    skAi: octets(2, 0),
    skAr: octets(3, 0),
    skEi: octets(4, 36),
    skEr: octets(5, 36),
    skPi: octets(6),
    skPr: octets(7),
  };
  const prfId = PrfTransform.PRF_HMAC_SHA2_384;
  const mixed = mixPpk({ prfId, keys, ppk: key });
  // RFC 8784 section 3; one block of the PRF is as long as each key.
  const expected = (old: Uint8Array) =>
    new Uint8Array(createHmac("sha384", key).update(old).update(Uint8Array.of(1)).digest());
  expect(mixed).toEqual({
    ...keys,
    skD: expected(keys.skD),
    skPi: expected(keys.skPi),
    skPr: expected(keys.skPr),
  });
});

describe("with a PPK on both sides", () => {
  test.each([
    [required, required],
    [required, optional],
    [optional, required],
    [optional, optional],
  ])("it is used, whoever insists on it (%#)", (mine, theirs) => {
    const all = connect(1, mine, theirs);
    expectEstablished(all.initiator, all.responder);
    expectMirrored(all.initiator, all.responder);
    expect(hasPpk(all)).toEqual([true, true]);
    expect(all.initiator.event("ike-sa-established")!.message).toContain("with PPK");
  });

  test("what is rekeyed from it has it, and works", () => {
    const all = connect(2, required, required);
    const { initiator, responder, link } = all;
    for (const side of [initiator, responder]) {
      side.rekey("ike");
      link.deliverAll();
      side.rekey("children");
      link.deliverAll();
    }
    link.advanceBy(60_000);
    expectEstablished(initiator, responder);
    expectMirrored(initiator, responder);
    expect(hasPpk(all)).toEqual([true, true]);
  });

  test("another key under the same name is refused, also by who would do without", () => {
    expectRefused(connect(3, otherKey, required));
    expectRefused(connect(4, { ...otherKey, isRequired: false }, required));
    // The responder believes the name, and the key does not fit.
    expectRefused(connect(5, { ...otherKey, isRequired: false }, optional));
  });

  test("that have other names, both do without where neither insists", () => {
    const all = connect(6, otherName, optional);
    expectEstablished(all.initiator, all.responder);
    expectMirrored(all.initiator, all.responder);
    expect(hasPpk(all)).toEqual([false, false]);
    expectRefused(connect(7, { ...otherName, isRequired: true }, optional));
    expectRefused(connect(8, otherName, required));
  });

  test("who takes USE_PPK out of an answer on the way is noticed", () => {
    const { initiator, responder, link } = pair({
      seed: 9,
      initiator: { ppk: optional },
      responder: { ppk: optional },
    });
    initiator.connect();
    link.deliver();
    const answer = link.take();
    const { header, payloads } = decodeMessage(answer.octets);
    expect(findNotify(payloads, NotifyType.USE_PPK)).toBeDefined();
    const isOther = (payload: (typeof payloads)[number]) =>
      payload.kind !== "notify" || payload.notifyType !== NotifyType.USE_PPK;
    const stripped = encodeMessage({ ...header, payloads: payloads.filter(isOther) });
    link.arrive({ ...answer, octets: stripped });
    link.deliverAll();
    // The responder's AUTH covers the answer as it was.
    expect(initiator.eventNames()).not.toContain("ike-sa-established");
    expect(initiator.event("ike-sa-failed")!.facts.reason).toBe("AUTHENTICATION_FAILED");
    link.advanceBy(600_000);
    expectClean(initiator, responder);
  });
});

describe("with a PPK on one side", () => {
  test.each([
    [optional, undefined],
    [undefined, optional],
  ])("who does not insist does without (%#)", (mine, theirs) => {
    const all = connect(10, mine, theirs);
    expectEstablished(all.initiator, all.responder);
    expect(hasPpk(all)).toEqual([false, false]);
  });

  test("who insists gets no SA", () => {
    const initiating = connect(11, required, undefined);
    initiating.link.advanceBy(60_000);
    expect(initiating.initiator.event("ike-sa-failed")!.message).toContain("the peer uses no PPK");
    expectRefused(initiating);
    const responding = connect(12, undefined, required);
    expect(responding.responder.event("ike-sa-failed")!.message).toContain("does not use our PPK");
    expectRefused(responding);
  });
});

describe("with certificates", () => {
  let ca: TestAuthority;
  let a: Credential;
  let b: Credential;
  beforeAll(async () => {
    ca = await TestAuthority.create();
    [a, b] = await Promise.all([ca.issue("a.example.org", { purpose: "client" }), ca.issue("b.example.org")]);
  });

  async function connectByCertificate(seed: number, mine: Ppk, theirs: Ppk): Promise<Pair> {
    const all = pair({ seed });
    const { initiator, responder, link } = all;
    const ways = (own: Credential, purpose: "client" | "server") => ({
      local: { kind: "certificate", credentials: [own] } as const,
      remote: [{ kind: "certificate", trust: ca.trust(purpose) } as const],
    });
    const calling = authenticating(initiatorPolicy({ ppk: mine }), ways(a, "server"));
    const called = authenticating(responderPolicy({ ppk: theirs }), ways(b, "client"));
    initiator.endpoint.replaceConnections([calling]);
    responder.endpoint.replaceConnections([called]);
    initiator.connect();
    await link.settle();
    return all;
  }

  test.each([
    [required, required, true],
    [optional, required, true],
    [otherName, optional, false],
  ])("either signature is there (%#)", async (mine, theirs, isUsed) => {
    const all = await connectByCertificate(13, mine, theirs);
    expectEstablished(all.initiator, all.responder);
    expectMirrored(all.initiator, all.responder);
    expect(hasPpk(all)).toEqual([isUsed, isUsed]);
  });

  test("another key is refused", async () => {
    expectRefused(await connectByCertificate(14, { ...otherKey, isRequired: false }, required));
  });
});
