import { createCipheriv } from "node:crypto";
import { describe, expect, test } from "vitest";
import {
  TABLE_OWNER_SIZE,
  TABLES_BUILT,
  TABLES_COUNT,
  WORKER_BASE,
  WORKER_COUNT,
  WORKER_SCRATCH_OFFSET,
  WORKER_SCRATCH_SIZE,
  WORKER_SIZE,
  WORKER_TABLE_OWNERS_OFFSET,
  WORKER_TABLE_WORDS_OFFSET,
} from "../../assembly/layout.ts";
import { fromHex, toHex } from "../../src/bytes/hex.ts";
import { describeAead } from "../support/aead-suite.ts";
import { AES_GCM, type AeadUnderTest, KernelBed, type Packet, SeededRandom } from "../support/kernel.ts";
import { lendAes, requireProcessorAes } from "../support/lent-aes.ts";
import { ESP_VECTORS } from "../vectors/draft-mcgrew-gcm-test/esp.ts";
import { GCM_VECTORS } from "../vectors/mcgrew-viega/gcm.ts";

const BUSY: AeadUnderTest = { ...AES_GCM, isBusy: true };
const mayLend = requireProcessorAes("AES-GCM with AES that is lent");
const LENT: AeadUnderTest = mayLend ? { ...BUSY, lendAes } : BUSY;

describeAead("AES-GCM", AES_GCM);
describeAead("AES-GCM with tables", BUSY);
if (mayLend) describeAead("AES-GCM with AES that is lent", LENT);

describe("AES-GCM", () => {
  const KNOWN = [
    ...GCM_VECTORS.map((vector) => ({ ...vector, source: `${vector.source} of the GCM submission` })),
    ...ESP_VECTORS.map((vector) => ({
      ...vector,
      source: `${vector.source} of draft-mcgrew-gcm-test`,
      nonce: vector.salt + vector.iv,
    })),
  ];

  test.each(KNOWN)("seals and opens $source", (vector) => {
    const bed = new KernelBed(AES_GCM);
    const packet = toPacket(vector);
    const [sealed] = bed.seal([packet]);
    expect(toHex(sealed!.output)).toBe(vector.ciphertext);
    expect(toHex(sealed!.tag)).toBe(vector.tag);
    const [opened] = bed.open([
      { ...packet, ciphertext: fromHex(vector.ciphertext), tag: fromHex(vector.tag) },
    ]);
    expect(opened!.isAuthentic).toBe(true);
    expect(toHex(opened!.output)).toBe(vector.plaintext);
  });

  test("seals the known vectors of all key lengths in one batch", () => {
    const sealed = new KernelBed(AES_GCM).seal(KNOWN.map(toPacket));
    expect(sealed.map(({ output, tag }) => [toHex(output), toHex(tag)])).toEqual(
      KNOWN.map(({ ciphertext, tag }) => [ciphertext, tag]),
    );
  });

  test("agrees with node:crypto in batches that mix keys of 16, 24 and 32 octets", () => {
    const random = new SeededRandom(1);
    const bed = new KernelBed(AES_GCM);
    const keys = Array.from({ length: 12 }, (_, i) => random.octets([16, 24, 32][i % 3]!));
    for (let run = 0; run < RUNS; run++) {
      const longest = [40, 300, 2000][run % 3]!;
      const packets = Array.from({ length: 1 + random.below(150) }, () =>
        randomPacket(random, keys[random.below(keys.length)]!, random.below(longest)),
      );
      expectAgreement(bed, packets);
    }
  });

  test.each([16, 24, 32])("agrees when many short packets share a key of %i octets", (keyLength) => {
    const random = new SeededRandom(keyLength);
    const bed = new KernelBed(AES_GCM);
    const key = random.octets(keyLength);
    for (const count of [1, 2, 7, 8, 9, 63, 64, 65, 200]) {
      for (const longest of [1, 17, 100, 250, 400]) {
        expectAgreement(
          bed,
          Array.from({ length: count }, () => randomPacket(random, key, random.below(longest))),
        );
      }
    }
  });

  // A batch under few keys takes other steps through GHASH than one under many, and keys with tables others than those without.
  test.each([
    { keyLength: 16, keyCount: 1, aead: BUSY, tables: "with" },
    { keyLength: 24, keyCount: 4, aead: BUSY, tables: "with" },
    { keyLength: 32, keyCount: 1, aead: BUSY, tables: "with" },
    { keyLength: 16, keyCount: 9, aead: BUSY, tables: "with" },
    { keyLength: 24, keyCount: 64, aead: BUSY, tables: "with" },
    { keyLength: 32, keyCount: 9, aead: BUSY, tables: "with" },
    { keyLength: 16, keyCount: 64, aead: AES_GCM, tables: "without" },
    { keyLength: 32, keyCount: 64, aead: AES_GCM, tables: "without" },
    { keyLength: 32, keyCount: 1, aead: AES_GCM, tables: "at first without" },
  ])(
    "agrees at every length from 0 to 2048 in batches under $keyCount keys of $keyLength octets, $tables tables",
    ({ keyLength, keyCount, aead }) => {
      const random = new SeededRandom(keyCount);
      const bed = new KernelBed(aead);
      const keys = Array.from({ length: keyCount }, () => random.octets(keyLength));
      for (let first = 0; first <= 2048; first += 64) {
        const lengths = Array.from({ length: 64 }, (_, i) => first + i).filter((length) => length <= 2048);
        expectAgreement(
          bed,
          lengths.map((length, i) => randomPacket(random, keys[i % keyCount]!, length)),
        );
      }
    },
  );

  test.each([
    { name: "its own AES", aead: BUSY },
    { name: "AES that is lent", aead: LENT },
  ])("agrees when more keys are busy than there are places for tables, with $name", ({ aead }) => {
    const random = new SeededRandom(9);
    const bed = new KernelBed(aead);
    const keys = Array.from({ length: TABLES_COUNT + 40 }, () => random.octets(16));
    for (let round = 0; round < 3; round++) {
      expectAgreement(
        bed,
        keys.map((key) => randomPacket(random, key, random.below(300))),
      );
    }
    const words = WORKER_BASE + WORKER_TABLE_WORDS_OFFSET;
    const owners = WORKER_BASE + WORKER_TABLE_OWNERS_OFFSET;
    const hasTables = keys.map((_, slot) => bed.view.getUint32(words + 4 * slot, true) >= TABLES_BUILT);
    // Those that came first gave theirs up; each place belongs to one of the others.
    expect(hasTables.indexOf(true)).toBe(40);
    expect(hasTables.filter(Boolean)).toHaveLength(TABLES_COUNT);
    const slots = Array.from(
      { length: TABLES_COUNT },
      (_, place) => bed.view.getUint32(owners + TABLE_OWNER_SIZE * place, true) - 1,
    );
    expect(new Set(slots).size).toBe(TABLES_COUNT);
    expect(slots.every((slot) => hasTables[slot])).toBe(true);
  });

  test.each([
    { keyLength: 16, aead: AES_GCM, aes: "its own AES" },
    { keyLength: 24, aead: AES_GCM, aes: "its own AES" },
    { keyLength: 32, aead: AES_GCM, aes: "its own AES" },
    { keyLength: 32, aead: LENT, aes: "AES that is lent" },
  ])("agrees around each 256th counter with a key of $keyLength octets and $aes", ({ keyLength, aead }) => {
    const random = new SeededRandom(keyLength);
    const bed = new KernelBed(aead);
    const key = random.octets(keyLength);
    for (let counter = 256; counter <= 4096; counter += 256) {
      // The text begins with counter 2.
      const start = 16 * (counter - 2);
      const lengths = [-145, -129, -128, -33, -17, -16, -1, 0, 1, 15, 16, 17, 95, 96, 97, 112, 113, 130]
        .map((more) => start + more)
        .filter((length) => length <= 65535);
      expectAgreement(
        bed,
        lengths.map((length) => randomPacket(random, key, length)),
      );
    }
  });

  test("agrees for AAD of every length up to 300, and around multiples of 256", () => {
    const random = new SeededRandom(2);
    const bed = new KernelBed(AES_GCM);
    const key = random.octets(16);
    const lengths = [...Array(301).keys(), 511, 512, 513, 4095, 4096, 4097, 65535];
    for (const textLength of [0, 1, 16, 250, 600]) {
      expectAgreement(
        bed,
        lengths.map((length) => ({
          ...randomPacket(random, key, textLength),
          aad: random.octets(length),
        })),
      );
    }
  });

  test("agrees for keys, nonces and texts of all zeros, all ones and single bits", () => {
    const random = new SeededRandom(3);
    const bed = new KernelBed(AES_GCM);
    const packets = [16, 24, 32].flatMap((keyLength) =>
      Array.from({ length: 60 }, () => ({
        key: extreme(random, keyLength),
        nonce: extreme(random, 12),
        aad: extreme(random, 8),
        plaintext: extreme(random, random.below(300)),
      })),
    );
    expectAgreement(bed, packets);
  });

  test.each([
    { name: "its own AES", aead: AES_GCM },
    { name: "AES that is lent", aead: LENT },
  ])(
    "works in the first half of its own scratch and nowhere else beside the packets, with $name",
    ({ aead }) => {
      const random = new SeededRandom(4);
      const bed = new KernelBed(aead, 2);
      const key = random.octets(16);
      const lengths = [0, 60, 300, 1400, 9000, 65535];
      expectAgreement(
        bed,
        lengths.map((length) => randomPacket(random, key, length)),
      );
      const scratch = (worker: number) => WORKER_BASE + worker * WORKER_SIZE + WORKER_SCRATCH_OFFSET;
      const half = WORKER_SCRATCH_SIZE / 2;
      for (let worker = 0; worker < WORKER_COUNT; worker++) {
        if (worker !== 2)
          expect(isZero(bed.octets.subarray(scratch(worker), scratch(worker) + 2 * half))).toBe(true);
      }
      expect(isZero(bed.octets.subarray(scratch(2) + half, scratch(2) + 2 * half))).toBe(true);
      expect(isZero(bed.octets.subarray(scratch(2), scratch(2) + half))).toBe(false);
    },
  );

  test("leaves no key, hash key or key stream in its scratch", () => {
    const random = new SeededRandom(5);
    for (const keyLength of [16, 24, 32]) {
      const bed = new KernelBed(AES_GCM);
      const at = WORKER_BASE + WORKER_SCRATCH_OFFSET;
      const scratch = Buffer.from(bed.octets.buffer, at, WORKER_SCRATCH_SIZE);
      const key = random.octets(keyLength);
      bed.contextOf(key);
      expect(scratch.indexOf(key.subarray(0, 16))).toBe(-1);
      expect(scratch.indexOf(key.subarray(keyLength - 8))).toBe(-1);
      const hashKey = createCipheriv(`aes-${keyLength * 8}-ecb`, key, null).update(new Uint8Array(16));
      expect(scratch.indexOf(hashKey)).toBe(-1);

      const packets = [0, 50, 130, 1400, 5000].map((length) => randomPacket(random, key, length));
      const sealed = packets.map((packet) => bed.reference(packet));
      for (const run of [() => bed.seal(packets), () => bed.open(sealed)]) {
        run();
        for (const [i, { plaintext }] of packets.entries()) {
          const keyStream = plaintext.map((octet, j) => octet ^ sealed[i]!.ciphertext[j]!);
          for (let block = 0; block + 16 <= keyStream.length; block += 16)
            expect(scratch.indexOf(keyStream.subarray(block, block + 16))).toBe(-1);
        }
      }
    }
  });
});

const RUNS = Number(process.env.IKEBANA_FUZZ_RUNS ?? 60);

function toPacket(vector: {
  readonly key: string;
  readonly nonce: string;
  readonly aad: string;
  readonly plaintext: string;
}): Packet {
  return {
    key: fromHex(vector.key),
    nonce: fromHex(vector.nonce),
    aad: fromHex(vector.aad),
    plaintext: fromHex(vector.plaintext),
  };
}

function randomPacket(random: SeededRandom, key: Uint8Array, length: number): Packet {
  return { key, nonce: random.octets(12), aad: random.octets(8), plaintext: random.octets(length) };
}

function extreme(random: SeededRandom, length: number): Uint8Array {
  const octets = new Uint8Array(length).fill([0, 0xff][random.below(2)]!);
  if (length !== 0 && random.below(2) === 1) octets[random.below(length)]! ^= 1 << random.below(8);
  return octets;
}

function isZero(octets: Uint8Array): boolean {
  return octets.every((octet) => octet === 0);
}

function expectAgreement(bed: KernelBed, packets: readonly Packet[]): void {
  const expected = packets.map((packet) => bed.reference(packet));
  for (const [i, { output, tag }] of bed.seal(packets).entries()) {
    const agrees =
      Buffer.compare(output, expected[i]!.ciphertext) === 0 && Buffer.compare(tag, expected[i]!.tag) === 0;
    if (!agrees) expect.fail(`seal: packet ${i} of ${packets.length} differs from node:crypto`);
  }
  for (const [i, { output, isAuthentic }] of bed.open(expected).entries()) {
    const agrees = isAuthentic && Buffer.compare(output, packets[i]!.plaintext) === 0;
    if (!agrees) expect.fail(`open: packet ${i} of ${packets.length} differs from node:crypto`);
  }
}
