import { createCipheriv } from "node:crypto";
import { describe, expect, test } from "vitest";
import {
  CIPHER_AES_CBC,
  CIPHER_AES_CTR,
  HASH_SHA1,
  JOB_CONTEXT_OFFSET,
  JOB_DESTINATION_OFFSET,
  JOB_NONCE_OFFSET,
  JOB_SIZE,
  SA_AEAD_OFFSET,
  SA_BASE,
  SA_SLOT_SIZE,
  WORKER_BASE,
  WORKER_ETM_JOBS_OFFSET,
  WORKER_SCRATCH_OFFSET,
  WORKER_SCRATCH_SIZE,
  WORKER_SIZE,
  WORKER_TUN_SLAB_OFFSET,
} from "../../assembly/layout.ts";
import { fromHex, toHex } from "../../src/bytes/hex.ts";
import { createSharedMemory, loadKernel } from "../../src/esp/kernel.ts";
import { describeAead } from "../support/aead-suite.ts";
import {
  type EtmSuite,
  encryptThenMac,
  mixedEncryptThenMac,
  wholeKeyLength,
} from "../support/encrypt-then-mac.ts";
import { KernelBed, type Packet, SeededRandom } from "../support/kernel.ts";
import { lendAes, requireProcessorAes } from "../support/lent-aes.ts";
import { CBC_VECTORS } from "../vectors/rfc3602/cbc.ts";
import { CTR_VECTORS } from "../vectors/rfc3686/ctr.ts";
import { KEYED_HASH_VECTORS } from "../vectors/rfc4868/hmac.ts";

const HASHES = ["sha1", "sha256", "sha384", "sha512"] as const;
const SUITES: readonly EtmSuite[] = HASHES.flatMap((hash) => [
  ...[16, 24, 32].map((keyLength) => ({ cipher: "cbc", keyLength, hash }) as const),
  ...[16, 24, 32].map((keyLength) => ({ cipher: "ctr", keyLength, hash }) as const),
  { cipher: "null", keyLength: 0, hash } as const,
]);

for (const suite of SUITES) describeAead(nameOf(suite), encryptThenMac(suite));
for (const suite of SUITES.filter(({ cipher, hash }) => cipher === "ctr" && hash === "sha1"))
  describeAead(`${nameOf(suite)} and tables`, { ...encryptThenMac(suite), isBusy: true });
const mayLend = requireProcessorAes("encrypt-then-MAC with AES that is lent");
for (const suite of SUITES.filter(({ cipher, hash }) => mayLend && cipher !== "null" && hash === "sha1"))
  describeAead(`${nameOf(suite)} and AES that is lent`, { ...encryptThenMac(suite), isBusy: true, lendAes });

describe("encrypt-then-MAC", () => {
  test.each(CBC_VECTORS)("AES-CBC seals and opens $source of RFC 3602", (vector) => {
    const bed = new KernelBed(encryptThenMac({ cipher: "cbc", keyLength: 16, hash: "sha1" }));
    const packet: Packet = {
      key: Buffer.concat([fromHex(vector.key), new Uint8Array(20)]),
      nonce: new Uint8Array(12),
      aad: fromHex(vector.iv),
      plaintext: fromHex(vector.plaintext),
    };
    expectOutputs(bed, packet, vector.ciphertext);
  });

  test.each(CTR_VECTORS)("AES-CTR seals and opens $source of RFC 3686", (vector) => {
    const key = fromHex(vector.key);
    const bed = new KernelBed(encryptThenMac({ cipher: "ctr", keyLength: key.length, hash: "sha1" }));
    const packet: Packet = {
      key: Buffer.concat([key, new Uint8Array(20)]),
      nonce: fromHex(vector.nonce),
      aad: fromHex(vector.nonce).subarray(4),
      plaintext: fromHex(vector.plaintext),
    };
    expectOutputs(bed, packet, vector.ciphertext);
  });

  test.each(KEYED_HASH_VECTORS)("HMAC gives $source", ({ hash, key, data, expected }) => {
    const bed = new KernelBed(encryptThenMac({ cipher: "null", keyLength: 0, hash }));
    const packet: Packet = {
      key: fromHex(key),
      nonce: new Uint8Array(12),
      aad: new Uint8Array(0),
      plaintext: fromHex(data),
    };
    const [sealed] = bed.seal([packet]);
    expect(expected.startsWith(toHex(sealed!.tag))).toBe(true);
  });

  test("agrees with node:crypto in batches that mix every cipher, hash and key", () => {
    const random = new SeededRandom(1);
    for (let run = 0; run < RUNS / 4; run++) {
      const { bed, randomPacket } = mixedBed(random);
      for (const longest of [16, 100, 600, 2000]) {
        const count = 1 + random.below(longest === 100 ? 600 : 150);
        expectAgreement(
          bed,
          Array.from({ length: count }, () => randomPacket(random.below(longest))),
        );
      }
    }
  });

  test("authenticates the high half of an extended sequence number, at every length up to 300", () => {
    const random = new SeededRandom(2);
    for (const hash of HASHES) {
      const suite: EtmSuite = { cipher: "null", keyLength: 0, hash };
      const bed = new KernelBed(encryptThenMac(suite));
      const key = random.octets(wholeKeyLength(suite));
      const packets = Array.from({ length: 301 }, (_, length) => ({
        key,
        nonce: random.octets(12),
        aad: random.octets(8),
        plaintext: random.octets(length),
        highHalf: random.octets(4),
      }));
      expectAgreement(bed, packets);
      const sealed = packets.map((packet) => bed.reference(packet));
      const forged = sealed.map((packet, i) => {
        const highHalf = Uint8Array.from(packet.highHalf!);
        highHalf[i % 4]! ^= 1 << random.below(8);
        return i % 2 === 0 ? { ...packet, highHalf } : { ...packet, highHalf: new Uint8Array(0) };
      });
      for (const { isAuthentic, output } of bed.open(forged)) {
        expect(isAuthentic).toBe(false);
        expect(isZero(output)).toBe(true);
      }
    }
  });

  test("agrees for keys, IVs and texts of all zeros, all ones and single bits", () => {
    const random = new SeededRandom(3);
    for (const suite of SUITES) {
      const bed = new KernelBed(encryptThenMac(suite));
      const packets = Array.from({ length: 30 }, () => ({
        key: extreme(random, wholeKeyLength(suite)),
        nonce: extreme(random, 12),
        aad: extreme(random, 24),
        plaintext: extreme(random, 16 * random.below(20)),
      }));
      expectAgreement(bed, packets);
    }
  });

  test("works in the first half of its own scratch and nowhere else beside the packets", () => {
    const random = new SeededRandom(4);
    const { bed, randomPacket } = mixedBed(random, 2);
    expectAgreement(
      bed,
      Array.from({ length: 300 }, () => randomPacket(random.below(3000))),
    );
    const region = WORKER_BASE + 2 * WORKER_SIZE + WORKER_SCRATCH_OFFSET;
    const half = WORKER_SCRATCH_SIZE / 2;
    expect(isZero(bed.octets.subarray(region, region + half))).toBe(false);
    expect(isZero(bed.octets.subarray(region + half, region + 2 * half))).toBe(true);
  });

  test.each([
    { name: "its own AES", aes: {} },
    { name: "AES that is lent", aes: mayLend ? { isBusy: true, lendAes } : { isBusy: true } },
  ])("leaves no key, text or HMAC state in its scratch, with $name", ({ aes }) => {
    const random = new SeededRandom(5);
    for (const suite of SUITES.filter(({ cipher }) => cipher !== "null")) {
      const bed = new KernelBed({ ...encryptThenMac(suite), ...aes });
      const at = WORKER_BASE + WORKER_SCRATCH_OFFSET;
      const scratch = Buffer.from(bed.octets.buffer, at, WORKER_SCRATCH_SIZE);
      const key = random.octets(wholeKeyLength(suite));
      const packet = { key, nonce: random.octets(12), aad: random.octets(24) };
      const context = bed.contextOf(key);
      const expanded = bed.octets.slice(context + 64, context + 64 + 128);
      expect(scratch.indexOf(key.subarray(0, 16))).toBe(-1);
      expect(scratch.indexOf(key.subarray(-16))).toBe(-1);
      const packets = [16, 1600, 4800].map((length) => ({ ...packet, plaintext: random.octets(length) }));
      const sealed = packets.map((each) => bed.reference(each));
      for (const run of [() => bed.seal(packets), () => bed.open(sealed)]) {
        run();
        expect(scratch.indexOf(expanded)).toBe(-1);
        for (const [i, { plaintext }] of packets.entries()) {
          for (let block = 0; block + 16 <= plaintext.length; block += 16) {
            const text = plaintext.subarray(block, block + 16);
            expect(scratch.indexOf(text)).toBe(-1);
            expect(scratch.indexOf(text.map((octet, j) => octet ^ sealed[i]!.ciphertext[block + j]!))).toBe(
              -1,
            );
          }
        }
      }
    }
  });
});

describe("IVs for CBC", () => {
  test("are the sequence numbers, encrypted under the context's own key for IVs", () => {
    const random = new SeededRandom(6);
    const memory = createSharedMemory();
    const kernel = loadKernel(memory, 0);
    const octets = new Uint8Array(memory.buffer);
    const view = new DataView(memory.buffer);
    const [arena, jobs] = [WORKER_BASE + WORKER_TUN_SLAB_OFFSET, WORKER_BASE + WORKER_ETM_JOBS_OFFSET];
    const keys = [1, 2, 3].map((slot) => {
      const context = SA_BASE + slot * SA_SLOT_SIZE + SA_AEAD_OFFSET;
      const ivKey = random.octets(16);
      octets.set(random.octets(52), arena);
      kernel.etmExpandKey(context, slot, slot === 3 ? CIPHER_AES_CTR : CIPHER_AES_CBC, HASH_SHA1, arena, 32);
      octets.set(ivKey, arena);
      kernel.etmExpandIvKey(context, arena);
      return { context, ivKey };
    });
    const count = 700;
    octets.fill(0xc5, arena, arena + 64 * count);
    const expected = octets.slice(arena, arena + 64 * count);
    for (let i = 0; i < count; i++) {
      const { context, ivKey } = keys[random.below(keys.length)]!;
      const nonce = random.octets(12);
      view.setUint32(jobs + i * JOB_SIZE + JOB_CONTEXT_OFFSET, context, true);
      view.setUint32(jobs + i * JOB_SIZE + JOB_DESTINATION_OFFSET, arena + 64 * i + 16, true);
      octets.set(nonce, jobs + i * JOB_SIZE + JOB_NONCE_OFFSET);
      if (context === keys[2]!.context) continue;
      const cipher = createCipheriv("aes-128-ecb", ivKey, null);
      expected.set(cipher.update(Buffer.concat([nonce.subarray(4), Buffer.alloc(8)])), 64 * i);
    }
    kernel.etmWriteIvs(jobs, count);
    expect(Buffer.compare(expected, octets.subarray(arena, arena + 64 * count))).toBe(0);
  });
});

const RUNS = Number(process.env.IKEBANA_FUZZ_RUNS ?? 60);

function nameOf({ cipher, keyLength, hash }: EtmSuite): string {
  return `${cipher === "null" ? "NULL" : `AES-${keyLength * 8}-${cipher.toUpperCase()}`} with HMAC-${hash}`;
}

/** Each suite has one key or several. */
function mixedBed(random: SeededRandom, worker = 0) {
  const suites = new Map<string, EtmSuite>();
  const keys = Array.from({ length: 1 + random.below(60) }, () => {
    const suite = SUITES[random.below(SUITES.length)]!;
    const key = random.octets(wholeKeyLength(suite));
    suites.set(toHex(key), suite);
    return key;
  });
  const bed = new KernelBed(
    mixedEncryptThenMac((key) => suites.get(toHex(key))!),
    worker,
  );
  const randomPacket = (length: number): Packet => {
    const key = keys[random.below(keys.length)]!;
    const unit = suites.get(toHex(key))!.cipher === "cbc" ? 16 : 1;
    return {
      key,
      nonce: random.octets(12),
      aad: random.octets(16 + 8 * random.below(2)),
      plaintext: random.octets(length - (length % unit)),
      highHalf: random.octets(4 * random.below(2)),
    };
  };
  return { bed, randomPacket };
}

function expectOutputs(bed: KernelBed, packet: Packet, ciphertext: string): void {
  const [sealed] = bed.seal([packet]);
  expect(toHex(sealed!.output)).toBe(ciphertext);
  const [opened] = bed.open([{ ...packet, ciphertext: sealed!.output, tag: sealed!.tag }]);
  expect(opened!.isAuthentic).toBe(true);
  expect(toHex(opened!.output)).toBe(toHex(packet.plaintext));
}

function expectAgreement(bed: KernelBed, packets: readonly Packet[]): void {
  const expected = packets.map((packet) => bed.reference(packet));
  const placements = packets.map((_, i) => ({ inPlace: i % 3 === 0, misalignment: i % 16 }));
  for (const [i, { output, tag }] of bed.seal(packets, placements).entries()) {
    const agrees =
      Buffer.compare(output, expected[i]!.ciphertext) === 0 && Buffer.compare(tag, expected[i]!.tag) === 0;
    if (!agrees) expect.fail(`seal: packet ${i} of ${packets.length} differs from node:crypto`);
  }
  for (const [i, { output, isAuthentic }] of bed.open(expected, placements).entries()) {
    const agrees = isAuthentic && Buffer.compare(output, packets[i]!.plaintext) === 0;
    if (!agrees) expect.fail(`open: packet ${i} of ${packets.length} differs from node:crypto`);
  }
}

function extreme(random: SeededRandom, length: number): Uint8Array {
  const octets = new Uint8Array(length).fill([0, 0xff][random.below(2)]!);
  if (length !== 0 && random.below(2) === 1) octets[random.below(length)]! ^= 1 << random.below(8);
  return octets;
}

function isZero(octets: Uint8Array): boolean {
  return octets.every((octet) => octet === 0);
}
