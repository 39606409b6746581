import { describe, expect, test } from "vitest";
import {
  type AeadUnderTest,
  KernelBed,
  type Packet,
  type Placement,
  type SealedPacket,
  SeededRandom,
} from "./kernel.ts";

/** What every AEAD of the kernel has to do; node:crypto is the measure. Each test has a memory of its own. */
export function describeAead(name: string, aead: AeadUnderTest): void {
  describe.each(aead.keyLengths.map((keyLength) => ({ keyLength })))(
    `${name} with a key of $keyLength octets`,
    ({ keyLength }) => {
      test("agrees with node:crypto at every length from 0 to 2048, as copy and in place", () => {
        const { bed, random, packet } = setUp(aead, keyLength, 1);
        const lengths = Array.from({ length: 2048 / aead.textUnit + 1 }, (_, i) => i * aead.textUnit);
        const packets = lengths.map((length) => packet({ length }));
        for (let first = 0; first < packets.length; first += 61) {
          const batch = packets.slice(first, first + 61);
          const placements = batch.map(() => ({ inPlace: random.below(2) === 1 }));
          expectAgreement(bed, batch, placements);
          expectAgreement(
            bed,
            batch,
            placements.map(({ inPlace }) => ({ inPlace: !inPlace })),
          );
        }
      });

      test("does not care about alignment", () => {
        const { bed, packet } = setUp(aead, keyLength, 2);
        for (const length of [0, 1, 15, 16, 17, 63, 64, 65, 127, 128, 300, 1400]) {
          const placements = Array.from({ length: 32 }, (_, i) => ({
            misalignment: i % 16,
            inPlace: i >= 16,
          }));
          expectAgreement(
            bed,
            placements.map(() => packet({ length })),
            placements,
          );
        }
      });

      test("seals and opens batches of any size, with lengths, keys and AAD mixed", () => {
        const { bed, random, packet, key } = setUp(aead, keyLength, 3);
        const keys = Array.from({ length: 40 }, () => key());
        for (let run = 0; run < RUNS; run++) {
          const count = 1 + random.below(run % 8 === 0 ? 200 : 20);
          const packets = Array.from({ length: count }, () => {
            const longest = [16, 80, 600, 3000][random.below(4)]!;
            const more = random.below(4) === 0 ? random.below(100) : 8 + 4 * random.below(2);
            return packet({
              length: random.below(longest),
              aadLength: aead.leastAad + more,
              key: keys[random.below(keys.length)]!,
            });
          });
          expectAgreement(
            bed,
            packets,
            packets.map(() => ({ misalignment: random.below(16), inPlace: random.below(2) === 1 })),
          );
        }
      });

      test("takes 1024 jobs, and packets of 65535 octets", () => {
        const { bed, random, packet } = setUp(aead, keyLength, 4);
        expectAgreement(
          bed,
          Array.from({ length: 1024 }, () => packet({ length: random.below(200) })),
        );
        expectAgreement(bed, [
          packet({ length: 65535 }),
          packet({ length: 1 }),
          packet({ length: 65520, aadLength: aead.leastAad + 5000 }),
        ]);
      });

      test("does nothing when the batch is empty", () => {
        const { bed } = setUp(aead, keyLength, 5);
        expect(bed.seal([])).toEqual([]);
        expect(bed.open([])).toEqual([]);
      });

      test("refuses a flipped bit anywhere, leaves zeros, and opens the neighbours", () => {
        const { bed, random, packet } = setUp(aead, keyLength, 6);
        for (const length of [1, 16, 40, 100].map((wanted) => wholeUnits(aead, wanted))) {
          const sealed = bed.reference(packet({ length, aadLength: aead.leastAad + 12 }));
          const good = bed.reference(packet({ length: length + random.below(300) }));
          const forgeries = everyFlip(aead, sealed);
          const batch = forgeries.flatMap((forged, i) => (i % 3 === 0 ? [forged, good] : [forged]));
          const places: readonly Placement[] = [{ inPlace: true }, {}];
          for (let first = 0; first < batch.length; first += 256) {
            const part = batch.slice(first, first + 256);
            const results = bed.open(
              part,
              part.map((_, i) => places[i % 2]!),
            );
            for (const [i, result] of results.entries()) {
              const isGood = part[i] === good;
              expect(result.isAuthentic).toBe(isGood);
              expect(
                Buffer.from(isGood ? good.plaintext : new Uint8Array(length)).equals(result.output),
              ).toBe(true);
            }
          }
        }
      });

      test("refuses a length, an AAD length or a key that is not the sender's", () => {
        const { bed, packet, key } = setUp(aead, keyLength, 7);
        const unit = aead.textUnit;
        const sealed = bed.reference(packet({ length: 96, aadLength: aead.leastAad + 16 }));
        const forgeries: readonly SealedPacket[] = [
          { ...sealed, ciphertext: sealed.ciphertext.subarray(0, -unit) },
          { ...sealed, ciphertext: sealed.ciphertext.subarray(unit) },
          { ...sealed, ciphertext: Buffer.concat([sealed.ciphertext, Buffer.alloc(unit)]) },
          { ...sealed, aad: sealed.aad.subarray(0, -1) },
          { ...sealed, aad: Buffer.concat([sealed.aad, Buffer.alloc(1)]) },
          { ...sealed, key: key() },
          { ...sealed, tag: new Uint8Array(sealed.tag.length) },
          // Where the AAD is apart, the border between it and the text is authentic too.
          ...(aead.aadApart > 0 && aead.leastAad === 0
            ? [
                {
                  ...sealed,
                  aad: new Uint8Array(0),
                  ciphertext: Buffer.concat([sealed.aad, sealed.ciphertext]),
                },
              ]
            : []),
        ];
        for (const result of bed.open(forgeries)) {
          expect(result.isAuthentic).toBe(false);
          expect(result.output.every((octet) => octet === 0)).toBe(true);
        }
      });
    },
  );
}

const RUNS = Number(process.env.IKEBANA_FUZZ_RUNS ?? 60);

interface Wanted {
  readonly length: number;
  readonly aadLength?: number;
  readonly key?: Uint8Array;
}

function setUp(aead: AeadUnderTest, keyLength: number, seed: number) {
  const random = new SeededRandom(seed * 100 + keyLength);
  const bed = new KernelBed(aead);
  const key = () => random.octets(keyLength);
  const keys = [key(), key(), key(), key(), key()];
  const packet = (wanted: Wanted): Packet => ({
    key: wanted.key ?? keys[random.below(keys.length)]!,
    nonce: random.octets(12),
    aad: random.octets(wanted.aadLength ?? aead.leastAad + 8 + 4 * random.below(2)),
    plaintext: random.octets(wholeUnits(aead, wanted.length)),
  });
  return { bed, random, key, packet };
}

/** The length, or the next shorter one that the cipher takes; at least one unit where it is not 0. */
function wholeUnits({ textUnit }: AeadUnderTest, length: number): number {
  return length === 0 ? 0 : Math.max(textUnit, length - (length % textUnit));
}

/** Seals the packets in one batch and opens them in another; both ways have to give what node:crypto gives. */
function expectAgreement(
  bed: KernelBed,
  packets: readonly Packet[],
  placements: readonly Placement[] = [],
): void {
  const expected = packets.map((packet) => bed.reference(packet));
  for (const [i, { output, tag }] of bed.seal(packets, placements).entries()) {
    const { ciphertext, tag: expectedTag } = expected[i]!;
    if (Buffer.compare(ciphertext, output) !== 0 || Buffer.compare(expectedTag, tag) !== 0)
      expect.fail(`seal: ${describePacket(i, packets)} differs from node:crypto`);
  }
  for (const [i, { output, isAuthentic }] of bed.open(expected, placements).entries()) {
    if (!isAuthentic) expect.fail(`open: ${describePacket(i, packets)} is authentic and was refused`);
    if (Buffer.compare(packets[i]!.plaintext, output) !== 0)
      expect.fail(`open: ${describePacket(i, packets)} differs from node:crypto`);
  }
}

function describePacket(i: number, packets: readonly Packet[]): string {
  const { plaintext, aad } = packets[i]!;
  return `packet ${i} of ${packets.length} (${plaintext.length} octets, ${aad.length} of AAD)`;
}

/** The packet with one bit turned over: each bit of ciphertext, AAD, tag and nonce in turn, as far as the tag covers them. */
function everyFlip({ hasAuthenticNonce }: AeadUnderTest, sealed: SealedPacket): readonly SealedPacket[] {
  const fields = ["ciphertext", "aad", "tag", ...(hasAuthenticNonce ? (["nonce"] as const) : [])] as const;
  return fields.flatMap((field) =>
    Array.from({ length: sealed[field].length * 8 }, (_, bit) => {
      const flipped = Uint8Array.from(sealed[field]);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      return { ...sealed, [field]: flipped };
    }),
  );
}
