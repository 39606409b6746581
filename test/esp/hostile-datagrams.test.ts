import { expect, test } from "vitest";
import { sealEsp } from "../../src/esp/reference.ts";
import { innerPacket } from "../support/inner-packets.ts";
import type { SeededRandom } from "../support/kernel.ts";
import { ANY, CIPHERS, EspBed, withTrailer } from "./esp-bed.ts";

const RUNS = Number(process.env.IKEBANA_FUZZ_RUNS ?? 100_000);
const BATCH = 64;

test("random and mutated datagrams end in a counter, never in a packet, and the SA goes on serving", () => {
  const bed = new EspBed({ seed: 9 });
  const children = [...CIPHERS, ...CIPHERS].map((cipher, i) =>
    bed.install({ cipher, esn: i >= CIPHERS.length, selectors: ANY }),
  );
  // Genuine packets from far ahead of the window: whatever is done to them, the window does not refuse them first.
  const genuine = children.flatMap(({ inbound }) =>
    [20, 60, 400].map((length) =>
      sealEsp(inbound.facts, {
        sequence: 1_000_000n,
        plaintext: withTrailer(inbound, packet(length)),
      }),
    ),
  );
  const counts = new Map<string, number>();
  for (let done = 0; done < RUNS; done += BATCH) {
    const packets = Array.from({ length: BATCH }, () =>
      mutate(bed.random, genuine[bed.random.below(genuine.length)]!),
    );
    for (const { status } of bed.decapsulate(packets)) counts.set(status, (counts.get(status) ?? 0) + 1);
  }
  expect([...counts.keys()].sort()).toEqual(["integrityFailed", "noSa", "runt", "tooOld"]);
  expect([...counts.values()].reduce((sum, count) => sum + count, 0)).toBe(Math.ceil(RUNS / BATCH) * BATCH);
  for (const { inboundSpi } of children) {
    const { inbound } = bed.sad.traffic(inboundSpi)!;
    expect([inbound.packets, inbound.sequence]).toEqual([0, 0]);
    expect(inbound.drops.integrityFailed).toBeGreaterThan(RUNS / 100);
  }
  expect(bed.decapsulate(genuine).map(({ status }) => status)).toEqual(
    genuine.map((_, i) => (i % 3 === 0 ? "ok" : "replayed")),
  );
});

function packet(length: number): Uint8Array {
  return innerPacket({ source: "10.2.0.1", destination: "10.1.0.1", payload: new Uint8Array(length - 20) });
}

/** One to four changes: bits, octets, cuts, insertions, a swap; at times only noise. Never the packet itself. */
function mutate(random: SeededRandom, packet: Uint8Array): Uint8Array {
  if (random.below(50) === 0) return random.octets(random.below(200));
  let octets = packet.slice();
  for (let changes = 1 + random.below(4); changes > 0; changes--) {
    const at = random.below(octets.length || 1);
    switch (random.below(6)) {
      case 0:
        octets = octets.slice(0, at);
        break;
      case 1:
        octets = new Uint8Array(
          Buffer.concat([octets.subarray(0, at), random.octets(1 + random.below(8)), octets.subarray(at)]),
        );
        break;
      case 2:
        octets.fill(random.below(256), at, at + 1 + random.below(20));
        break;
      default:
        if (octets.length > 0) octets[at]! ^= 1 << random.below(8);
    }
  }
  return Buffer.compare(octets, packet) === 0 ? octets.subarray(1) : octets;
}
