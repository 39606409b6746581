import { beforeEach, describe, expect, test, vi } from "vitest";
import type { IkeKeys } from "../../src/crypto/keymat.ts";
import { establishedPair, pair } from "../support/simulator/index.ts";

/** Every set of keys that was derived, as the IKE SA holds it. */
const derived = vi.hoisted((): IkeKeys[] => []);

vi.mock("../../src/crypto/keymat.ts", async (importOriginal) => {
  const original = await importOriginal<typeof import("../../src/crypto/keymat.ts")>();
  const keep = (keys: IkeKeys): IkeKeys => {
    derived.push(keys);
    return keys;
  };
  return {
    ...original,
    deriveIkeKeys: (input: Parameters<typeof original.deriveIkeKeys>[0]) =>
      keep(original.deriveIkeKeys(input)),
    deriveRekeyedIkeKeys: (input: Parameters<typeof original.deriveRekeyedIkeKeys>[0]) =>
      keep(original.deriveRekeyedIkeKeys(input)),
  };
});

beforeEach(() => {
  derived.length = 0;
});

describe("the keys of an IKE SA are zero", () => {
  test("as soon as it is deleted, on either side, and not before", () => {
    const { initiator, link } = establishedPair({ seed: 1 });
    expect(derived).toHaveLength(2);
    for (const { skD, skEi, skEr } of derived) expect([skD, skEi, skEr].some(isZero)).toBe(false);
    initiator.disconnect();
    link.deliverAll();
    expectWiped(derived);
  });

  test("when its peer never answers again", () => {
    const { initiator, responder, link } = establishedPair({ seed: 2 });
    link.fate = () => [];
    initiator.disconnect();
    responder.disconnect();
    link.advanceBy(120_000);
    expect(derived).toHaveLength(2);
    expectWiped(derived);
  });

  test("when authentication fails", () => {
    const { initiator, link } = pair({
      seed: 3,
      responder: { psk: "another secret entirely" },
    });
    initiator.connect();
    link.deliverAll();
    link.advanceBy(120_000);
    expect(derived).toHaveLength(2);
    expectWiped(derived);
  });

  test("when another has replaced it, whose own stay", () => {
    const { initiator, link } = establishedPair({ seed: 4 });
    initiator.rekey("ike");
    link.deliverAll();
    expect(derived).toHaveLength(4);
    expectWiped(derived.slice(0, 2));
    for (const { skD } of derived.slice(2)) expect(isZero(skD)).toBe(false);
    initiator.disconnect();
    link.deliverAll();
    expectWiped(derived);
  });
});

function isZero(octets: Uint8Array): boolean {
  return octets.every((octet) => octet === 0);
}

function expectWiped(all: readonly IkeKeys[]): void {
  for (const keys of all) {
    const left = Object.entries(keys).filter(([, octets]) => !isZero(octets));
    expect(left.map(([name]) => name)).toEqual([]);
  }
}
