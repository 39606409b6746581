import { describe, expect, test } from "vitest";
import { toHex } from "../../src/bytes/hex.ts";
import { CHACHA20_POLY1305, KernelBed, SeededRandom } from "../support/kernel.ts";
import { countingChaCha20, slowChaCha20 } from "../support/lent-chacha20.ts";

/** Around the length from which on packets are lent, and around whole blocks. */
const LENGTHS = [0, 1, 63, 64, 447, 448, 449, 511, 512, 513, 1400, 9000];
const LENT = LENGTHS.filter((length) => length >= 448);

describe("ChaCha20 that the host lends", () => {
  test("does the packets that are not small, each once, and all come out right together", () => {
    const { lender, bed, packets } = setUp();
    const expected = packets.map((packet) => bed.reference(packet));
    const placements = packets.map((_, i) => ({ inPlace: i % 2 === 0, misalignment: i }));

    const sealed = bed.seal(packets, placements);
    expect(sealed.map(({ output, tag }) => [toHex(output), toHex(tag)])).toEqual(
      expected.map(({ ciphertext, tag }) => [toHex(ciphertext), toHex(tag)]),
    );
    expect(lender).toMatchObject({ texts: LENT.length, octets: sum(LENT) });

    const opened = bed.open(expected, placements);
    expect(opened.map(({ output, isAuthentic }) => [toHex(output), isAuthentic])).toEqual(
      packets.map(({ plaintext }) => [toHex(plaintext), true]),
    );
    expect(lender).toMatchObject({ texts: 2 * LENT.length, octets: 2 * sum(LENT) });
  });

  test("is given no forgery to open", () => {
    const { lender, bed, packets } = setUp();
    const forged = packets.map((packet) => {
      const sealed = bed.reference(packet);
      sealed.tag[3]! ^= 1;
      return sealed;
    });
    for (const { isAuthentic, output } of bed.open(forged)) {
      expect(isAuthentic).toBe(false);
      expect(output.every((octet) => octet === 0)).toBe(true);
    }
    expect(lender.texts).toBe(0);
  });

  function setUp() {
    const random = new SeededRandom(20);
    const lender = countingChaCha20(slowChaCha20);
    const bed = new KernelBed({ ...CHACHA20_POLY1305, lendChaCha20: lender.lend });
    const key = random.octets(32);
    const packets = LENGTHS.map((length) => ({
      key,
      nonce: random.octets(12),
      aad: random.octets(8),
      plaintext: random.octets(length),
    }));
    return { lender, bed, packets };
  }
});

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
