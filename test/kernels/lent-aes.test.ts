import { describe, expect, test } from "vitest";
import { toHex } from "../../src/bytes/hex.ts";
import { type EtmSuite, encryptThenMac, wholeKeyLength } from "../support/encrypt-then-mac.ts";
import { AES_GCM, type AeadUnderTest, KernelBed, SeededRandom } from "../support/kernel.ts";
import { countingAes, failingAes, lendAes, requireProcessorAes } from "../support/lent-aes.ts";

const SUITES = [
  { name: "AES-GCM", aead: AES_GCM, keyLength: 32 },
  ...(["ctr", "cbc"] as const).map((cipher) => {
    const suite: EtmSuite = { cipher, keyLength: 32, hash: "sha1" };
    return { name: `AES-${cipher} with HMAC`, aead: encryptThenMac(suite), keyLength: wholeKeyLength(suite) };
  }),
];

const mayRun = requireProcessorAes("AES that the host lends");

describe.skipIf(!mayRun).each(SUITES)("AES that the host lends, for $name", ({ aead, keyLength }) => {
  test("is used by a key that carries much, and by no other", () => {
    const lender = countingAes();
    const { bed, packets } = setUp({ ...aead, lendAes: lender.lend });
    bed.seal(packets);
    bed.open(packets.map((packet) => bed.reference(packet)));
    expect(lender.blocks).toBe(0);

    const busy = setUp({ ...aead, lendAes: lender.lend, isBusy: true });
    busy.bed.seal(packets);
    const sealed = lender.blocks;
    expect(sealed).toBeGreaterThan(500);
    busy.bed.open(packets.map((packet) => busy.bed.reference(packet)));
    expect(lender.blocks).toBeGreaterThan(sealed + 500);
  });

  test("may fail at any call, and every packet is right all the same", () => {
    const lender = countingAes();
    const { bed: whole, packets: all } = setUp({ ...aead, lendAes: lender.lend, isBusy: true });
    whole.seal(all);
    const sealedBy = lender.calls;
    whole.open(all.map((packet) => whole.reference(packet)));
    // The last calls of either batch; those before made the keys busy.
    const failures = [...last(100, sealedBy), ...last(20, lender.calls)];
    for (const calls of failures) {
      const { bed, packets } = setUp({
        ...aead,
        lendAes: (memory) => failingAes(memory, calls),
        isBusy: true,
      });
      const placements = packets.map((_, i) => ({ inPlace: i % 2 === 0 }));
      const expected = packets.map((packet) => bed.reference(packet));
      const sealed = bed.seal(packets, placements);
      expect(sealed.map(({ output, tag }) => [toHex(output), toHex(tag)])).toEqual(
        expected.map(({ ciphertext, tag }) => [toHex(ciphertext), toHex(tag)]),
      );
      const opened = bed.open(expected, placements);
      expect(opened.map(({ output, isAuthentic }) => [toHex(output), isAuthentic])).toEqual(
        packets.map(({ plaintext }) => [toHex(plaintext), true]),
      );
    }
  });

  test("is given no forgery to open in CBC and CTR, and never writes what a forgery says", () => {
    const { bed, packets } = setUp({ ...aead, lendAes, isBusy: true });
    const forged = packets.map((packet) => {
      const sealed = bed.reference(packet);
      return { ...sealed, tag: sealed.tag.map((octet, i) => (i === 3 ? octet ^ 1 : octet)) };
    });
    for (const { isAuthentic } of bed.open(forged)) expect(isAuthentic).toBe(false);
  });

  test("loses a key's expansion when the key gives its place up", () => {
    const lender = countingAes();
    const { bed, packets } = setUp({ ...aead, lendAes: lender.lend, isBusy: true });
    bed.seal(packets);
    expect(lender.keys).toBe(2);
    bed.kernel.wipeTraces();
    expect(lender.keys).toBe(0);
  });

  function last(count: number, end: number): readonly number[] {
    return Array.from({ length: Math.min(count, end) }, (_, i) => end - 1 - i);
  }

  function setUp(under: AeadUnderTest) {
    const random = new SeededRandom(11);
    const keys = [random.octets(keyLength), random.octets(keyLength)];
    const packets = [1400, 16, 0, 641, 1399, 32, 50, 512, 1408, 1408, 2000, 17].map((length, i) => ({
      key: keys[i % 3 === 0 ? 0 : 1]!,
      nonce: random.octets(12),
      aad: random.octets(24),
      plaintext: random.octets(length - (length % aead.textUnit)),
    }));
    return { bed: new KernelBed(under), packets };
  }
});
