import { describe, expect, test } from "vitest";
import {
  SA_BASE,
  SA_REPLAY_OFFSET,
  SA_REPLAY_SIZE,
  SA_REPLAY_WINDOW_OFFSET,
  SA_SEQUENCE_OFFSET,
  SA_SLOT_COUNT,
  SA_SLOT_SIZE,
} from "../../assembly/layout.ts";
import { createSharedMemory, loadKernel } from "../../src/esp/kernel.ts";
import { sealEsp } from "../../src/esp/reference.ts";
import { statusName } from "../../src/esp/status.ts";
import { innerPacket } from "../support/inner-packets.ts";
import { SeededRandom } from "../support/kernel.ts";
import { EspBed } from "./esp-bed.ts";

const WINDOWS = [64, 128, 256, 512, 1000, 1024, 2048, 4096, 8192];
const PACKETS = 1_000_000;

describe("the replay window", () => {
  test.each(WINDOWS)("of %i answers a million packets in random order as a naive set does", (window) => {
    const memory = createSharedMemory();
    const kernel = loadKernel(memory, 0);
    const random = new SeededRandom(window);
    const view = new DataView(memory.buffer);
    const slot = 3;
    view.setUint32(SA_BASE + slot * SA_SLOT_SIZE + SA_REPLAY_WINDOW_OFFSET, window, true);

    const naive = new NaiveWindow(window);
    let next = 1;
    for (let i = 0; i < PACKETS; i++) {
      const sequence = nextArrival(random, { next, window });
      if (sequence >= next) next = sequence + 1;
      const answer = kernel.espReplayMark(slot, Math.floor(sequence / 2 ** 32), sequence >>> 0);
      const expected = naive.mark(sequence);
      if (statusName(answer) !== expected) {
        expect(`packet ${i}, number ${sequence}: ${statusName(answer)}`).toBe(expected);
      }
    }
    // The order was worth its name: every answer came up often.
    for (const count of Object.values(naive.answers)) expect(count).toBeGreaterThan(PACKETS / 100);
  });

  test("crosses 2^32 and comes near 2^64 without a hole", () => {
    for (const start of [2 ** 32 - 200, 2 ** 40 - 77]) {
      const memory = createSharedMemory();
      const kernel = loadKernel(memory, 0);
      new DataView(memory.buffer).setUint32(SA_BASE + SA_REPLAY_WINDOW_OFFSET, 128, true);
      const mark = (sequence: number): string =>
        statusName(kernel.espReplayMark(0, Math.floor(sequence / 2 ** 32), sequence >>> 0));
      for (let sequence = start; sequence < start + 400; sequence += 2) expect(mark(sequence)).toBe("ok");
      for (let sequence = start + 398; sequence > start + 270; sequence -= 2) {
        expect(mark(sequence)).toBe("replayed");
        expect(mark(sequence - 1)).toBe(sequence - 1 > start + 398 - 128 ? "ok" : "tooOld");
      }
      expect(mark(start)).toBe("tooOld");
    }
  });

  test("is not moved by a forgery, and takes the genuine packet after it", () => {
    const bed = new EspBed();
    const child = bed.install({ replayWindowPackets: 64 });
    const genuine = seal(child.inbound.facts, 5000n);
    const forged = genuine.slice();
    forged[forged.length - 1]! ^= 1;
    expect(bed.decapsulate([forged]).map(({ status }) => status)).toEqual(["integrityFailed"]);
    expect(bed.decapsulate([seal(child.inbound.facts, 1n)])[0]!.status).toBe("ok");
    expect(bed.decapsulate([genuine])[0]!.status).toBe("ok");
    expect(bed.decapsulate([seal(child.inbound.facts, 2n)])[0]!.status).toBe("tooOld");
  });

  test("delivers one of the duplicates in a batch, and one only", () => {
    const bed = new EspBed();
    const child = bed.install();
    const twins = [1n, 2n, 1n, 2n, 1n].map((sequence) => seal(child.inbound.facts, sequence));
    expect(bed.decapsulate(twins).map(({ status }) => status)).toEqual([
      "ok",
      "ok",
      "replayed",
      "replayed",
      "replayed",
    ]);
    expect(bed.sad.traffic(child.inboundSpi)!.inbound).toMatchObject({ packets: 2, drops: { replayed: 3 } });
  });

  test("never takes the number 0 of an SA that began", () => {
    const bed = new EspBed();
    for (const esn of [false, true]) {
      const child = bed.install({ esn });
      expect(bed.decapsulate([seal(child.inbound.facts, 0n)])[0]!.status).toBe("tooOld");
    }
  });

  test("of 0 packets checks nothing", () => {
    const bed = new EspBed();
    const child = bed.install({ replayWindowPackets: 0 });
    const packet = seal(child.inbound.facts, 7n);
    expect(
      bed.decapsulate([packet, packet, seal(child.inbound.facts, 1n)]).map(({ status }) => status),
    ).toEqual(["ok", "ok", "ok"]);
  });
});

describe("extended sequence numbers", () => {
  test.each([64, 1024, 8192])("across 2^32 are inferred from their low half, window %i", (window) => {
    const bed = new EspBed({ seed: window });
    const child = bed.install({ esn: true, replayWindowPackets: window });
    const start = 2n ** 32n - BigInt(window) - 300n;
    const sequences = Array.from({ length: 2 * window + 600 }, (_, i) => start + BigInt(i));
    // Each packet swaps places with another close by, so that late ones come from the other side of the boundary.
    for (let i = 0; i < sequences.length; i++) {
      const j = Math.min(sequences.length - 1, i + bed.random.below(window / 4));
      [sequences[i], sequences[j]] = [sequences[j]!, sequences[i]!];
    }
    // No low half says anything about the subspace, so the SA has to be led there.
    leadTo(bed, child, start - 1n);
    const arrived: bigint[] = [];
    const late: [string, bigint][] = [];
    for (let i = 0; i < sequences.length; i += 64) {
      const batch = sequences.slice(i, i + 64);
      const results = bed.decapsulate(batch.map((sequence) => seal(child.inbound.facts, sequence)));
      results.forEach((result, k) => {
        if (result.status === "ok") arrived.push(result.sequence);
        // Left of the window means next subspace (appendix A2), where it is not authentic.
        else late.push([result.status, batch[k]!]);
      });
    }
    expect(late.filter(([status]) => status !== "integrityFailed" && status !== "tooOld")).toEqual([]);
    expect(new Set(arrived).size).toBe(arrived.length);
    expect(arrived.length).toBeGreaterThan(sequences.length * 0.9);
    expect(arrived.some((sequence) => sequence >= 2n ** 32n)).toBe(true);
    // The same low halves in the next subspace are new numbers, those in this one are old.
    expect(bed.decapsulate([seal(child.inbound.facts, arrived[0]!)])[0]!.status).not.toBe("ok");
  });

  test.each(WINDOWS)("are told apart exactly at the left edge of a window of %i", (window) => {
    const bed = new EspBed({ seed: window });
    const child = bed.install({ esn: true, replayWindowPackets: window });
    const slot = SA_BASE + (child.inboundSpi % SA_SLOT_COUNT) * SA_SLOT_SIZE;
    // The window lies across the boundary below window - 1, begins at it there, and lies behind it above.
    const tops = [0, 1, window - 3, window - 2, window - 1, window, window + 1, 2 ** 31, 2 ** 32 - 1];
    for (const high of [1n, 5n, 2n ** 32n - 2n]) {
      for (const top of tops) {
        const highest = high * 2n ** 32n + BigInt(top);
        bed.octets.fill(0, slot + SA_REPLAY_OFFSET, slot + SA_REPLAY_OFFSET + SA_REPLAY_SIZE);
        bed.view.setBigUint64(slot + SA_SEQUENCE_OFFSET, highest, true);
        const oldest = highest - BigInt(window) + 1n;
        // RFC 4303 appendix A2.2: what would lie left of the window is taken for the next number of its class.
        const left = oldest - 1n;
        const ahead = left + 2n ** 32n;
        const packets = [left, oldest, highest, ahead].map((each) => seal(child.inbound.facts, each));
        expect({ highest, results: verdicts(bed, packets) }).toEqual({
          highest,
          results: [
            ["integrityFailed", ahead],
            ["ok", oldest],
            ["ok", highest],
            ["ok", ahead],
          ],
        });
      }
    }
  });

  test("that are authentic only with another high half are refused", () => {
    const bed = new EspBed();
    const child = bed.install({ esn: true });
    const wrongHigh = seal(child.inbound.facts, 2n ** 32n + 5n);
    expect(bed.decapsulate([wrongHigh])[0]!.status).toBe("integrityFailed");
    expect(bed.decapsulate([seal(child.inbound.facts, 5n)])[0]!.status).toBe("ok");
  });
});

type Bed = EspBed;
type Facts = ReturnType<Bed["install"]>["inbound"]["facts"];

function seal(facts: Facts, sequence: bigint): Uint8Array {
  const packet = innerPacket({ source: "10.2.0.1", destination: "10.1.0.1" });
  const plaintext = Buffer.concat([packet, Uint8Array.of(1, 2, 2, 4)]);
  return sealEsp(facts, { sequence, plaintext });
}

/** What became of each packet, and the number that it was taken for. */
function verdicts(bed: Bed, packets: readonly Uint8Array[]): [string, bigint][] {
  return bed.decapsulate(packets).map(({ status, sequence }) => [status, sequence]);
}

/** Brings an inbound SA to a number in steps that the inference can follow: less than 2^32 each. */
function leadTo(bed: Bed, child: ReturnType<Bed["install"]>, sequence: bigint): void {
  const step = 2n ** 31n;
  for (let at = step; at < sequence; at += step) {
    expect(bed.decapsulate([seal(child.inbound.facts, at)])[0]!.status).toBe("ok");
  }
  expect(bed.decapsulate([seal(child.inbound.facts, sequence)])[0]!.status).toBe("ok");
}

/** RFC 4303 section 3.4.3, as one would write it on a blackboard. */
class NaiveWindow {
  readonly answers = { ok: 0, replayed: 0, tooOld: 0 };
  readonly #size: number;
  readonly #seen = new Set<number>();
  #highest = 0;

  constructor(size: number) {
    this.#size = size;
  }

  mark(sequence: number): "ok" | "replayed" | "tooOld" {
    const answer = this.#judge(sequence);
    this.answers[answer]++;
    return answer;
  }

  #judge(sequence: number): "ok" | "replayed" | "tooOld" {
    if (sequence === 0 || sequence <= this.#highest - this.#size) return "tooOld";
    if (this.#seen.has(sequence)) return "replayed";
    this.#seen.add(sequence);
    this.#highest = Math.max(this.#highest, sequence);
    return "ok";
  }
}

/** The next number, a late one (mostly by little, at times by more than a window), or one that leaps ahead, rarely by far. */
function nextArrival(random: SeededRandom, { next, window }: { next: number; window: number }): number {
  const kind = random.below(10_000);
  if (kind < 5500) return next;
  if (kind < 9000) return Math.max(0, next - 1 - random.below(1 + random.below(Math.floor(window * 1.2))));
  if (kind < 9700) return next + random.below(8);
  if (kind < 9970) return Math.max(0, next - window - random.below(window * 3));
  if (kind < 9995) return next + random.below(window);
  return next + random.below(40_000);
}
