import { describe, expect, test } from "vitest";
import {
  AEAD_CONTEXT_SIZE,
  SA_AEAD_OFFSET,
  SA_BASE,
  SA_GENERATION_OFFSET,
  SA_SLOT_COUNT,
  SA_SLOT_SIZE,
  SELECTOR_COUNT,
  TABLES_COUNT,
  TABLES_SIZE,
  WORKER_BASE,
  WORKER_SIZE,
  WORKER_TABLE_WORDS_OFFSET,
  WORKER_TABLES_OFFSET,
} from "../../assembly/layout.ts";
import { createSharedMemory, type Kernel } from "../../src/esp/kernel.ts";
import { immediateQuiescence, type Quiescence } from "../../src/esp/quiescence.ts";
import { sealEsp } from "../../src/esp/reference.ts";
import { Sad } from "../../src/esp/sad.ts";
import type { SelectorTable } from "../../src/esp/selector-table.ts";
import { EncryptionTransform, IntegrityTransform, TransformType } from "../../src/iana/ikev2-parameters.ts";
import { innerPacket } from "../support/inner-packets.ts";
import { SeededRandom } from "../support/kernel.ts";
import { trafficSelector } from "../support/traffic-selectors.ts";
import { ANY_IPV4, CIPHERS, EspBed, withTrailer } from "./esp-bed.ts";

const TO_B = innerPacket({ source: "10.1.0.1", destination: "10.2.0.1" });
const LONG = innerPacket({ source: "10.1.0.1", destination: "10.2.0.1", payload: new Uint8Array(1400) });
const REGIONS_END = WORKER_BASE + 2 * WORKER_SIZE;
const TABLES = WORKER_BASE + WORKER_SIZE + WORKER_TABLES_OFFSET;
const FROM_B = innerPacket({ source: "10.2.0.1", destination: "10.1.0.1" });

describe("SPIs", () => {
  test("name their slot, avoid 0 to 255, and are all different", () => {
    const bed = new EspBed();
    const spis: number[] = [];
    for (let spi = bed.sad.allocateSpi(); spi !== undefined; spi = bed.sad.allocateSpi()) spis.push(spi);
    expect(spis).toHaveLength(SA_SLOT_COUNT / 2);
    expect(new Set(spis).size).toBe(spis.length);
    expect(new Set(spis.map((spi) => spi % SA_SLOT_COUNT)).size).toBe(spis.length);
    expect(Math.min(...spis)).toBeGreaterThan(255);
    expect(bed.sad.allocateSpi()).toBeUndefined();
    bed.sad.releaseSpi(spis[7]!);
    expect(bed.sad.allocateSpi()).toBeDefined();
  });

  test("of a daemon that is started again and again differ in the bits of the slot as well", () => {
    const memory = createSharedMemory();
    const random = new SeededRandom(77);
    const starts = Array.from({ length: 2000 }, () => {
      const sad = new Sad({
        memory,
        kernel: {} as Kernel,
        lanes: [{ sender: 1, receiver: 1 }],
        random: { bytes: (length) => random.octets(length) },
        selectors: {} as SelectorTable,
        quiescence: immediateQuiescence(() => {}),
      });
      return sad.allocateSpi()!;
    });
    expect(new Set(starts).size).toBe(starts.length);
    expect(new Set(starts.map((spi) => spi % SA_SLOT_COUNT)).size).toBeGreaterThan(1900);
  });

  test("do not come back to a slot before it has had 16,000 others", () => {
    const bed = new EspBed();
    const spis = new Set<number>();
    for (let i = 0; i < 16_383; i++) {
      const spi = bed.sad.allocateSpi()!;
      bed.sad.releaseSpi(spi);
      spis.add(spi);
    }
    expect(new Set([...spis].map((spi) => spi % SA_SLOT_COUNT)).size).toBeLessThanOrEqual(2);
    expect(spis.size).toBeGreaterThan(16_000);
    expect(Math.min(...spis)).toBeGreaterThan(255);
  });

  test("are released once, and not when installed", () => {
    const bed = new EspBed();
    const child = bed.install();
    bed.sad.releaseSpi(child.inboundSpi);
    bed.sad.releaseSpi(0x1234_5678);
    expect(bed.sad.traffic(child.inboundSpi)).toBeDefined();
  });
});

describe("installation", () => {
  const record = (bed: EspBed) => ({
    inboundSpi: bed.sad.allocateSpi()!,
    outboundSpi: 0x1234_5678,
    encryption: CIPHERS[0]!.transform,
    esn: false,
    inboundKey: bed.random.octets(20),
    outboundKey: bed.random.octets(20),
    selectors: ANY_IPV4,
    path: { socket: 0, peer: new Uint8Array(16), control: new Uint8Array(0) },
    replayWindowPackets: 64,
    copyDscp: "out" as const,
    clampsMss: true,
    df: "set" as const,
    packetLimit: Number.POSITIVE_INFINITY,
    octetLimit: Number.POSITIVE_INFINITY,
  });
  const ENCR = TransformType.ENCR;

  test.each([
    ["an SPI that is not ours", { inboundSpi: 0x8765_4321 }, "SPI 87654321 was not allocated here"],
    ["a reserved SPI of the peer", { outboundSpi: 255 }, "SPI 000000ff is reserved"],
    [
      "a key of the wrong length",
      { inboundKey: new Uint8Array(36) },
      "36 octets of key, the suite takes 16, 4 of salt and 0 for integrity",
    ],
    ["an empty key", { outboundKey: new Uint8Array(0) }, "0 octets of key"],
    ["a window that is too small", { replayWindowPackets: 63 }, "a replay window of 63 packets"],
    ["a window that is too large", { replayWindowPackets: 8193 }, "a replay window of 8193 packets"],
    ["ESN without a window", { replayWindowPackets: 0, esn: true }, "ESN needs a replay window"],
    [
      "AES-CBC without integrity",
      { encryption: { type: ENCR, id: EncryptionTransform.ENCR_AES_CBC, keyLength: 128 } },
      "a cipher without integrity needs an integrity transform",
    ],
    [
      "an integrity transform that we lack",
      {
        encryption: { type: ENCR, id: EncryptionTransform.ENCR_NULL },
        integrity: { type: TransformType.INTEG, id: IntegrityTransform.AUTH_AES_XCBC_96 },
      },
      "this build has no integrity transform 5",
    ],
    [
      "3DES",
      { encryption: { type: ENCR, id: EncryptionTransform.ENCR_3DES } },
      "no ESP cipher for transform 3",
    ],
    [
      "AES-GCM without a key length",
      { encryption: { type: ENCR, id: EncryptionTransform.ENCR_AES_GCM_16 } },
      "no ESP cipher for transform 20",
    ],
    [
      "selectors of two families",
      { selectors: { local: [trafficSelector("10.0.0.0/8")], remote: [trafficSelector("fd00::/8")] } },
      "no local and remote traffic selector go together",
    ],
  ])("refuses %s, wipes the keys and keeps nothing", (_, change, message) => {
    const bed = new EspBed();
    const wrong = { ...record(bed), ...change };
    expect(() => bed.sad.install(wrong)).toThrow(message);
    expect([...wrong.inboundKey, ...wrong.outboundKey].every((octet) => octet === 0)).toBe(true);
    expect(bed.sad.traffic(wrong.inboundSpi)).toBeUndefined();
    expect(bed.selectors.inUse).toBe(0);
    // Nor did it hurt: the next installation works.
    bed.protect(bed.install());
    expect(bed.encapsulate([TO_B])[0]!.status).toBe("ok");
  });

  test.each(CIPHERS)("leaves nothing of the keys outside the slots ($name)", (cipher) => {
    const bed = new EspBed();
    const hostRegion = Buffer.from(bed.octets.buffer, WORKER_BASE, WORKER_SIZE);
    const child = bed.install({ cipher, esn: true });
    // Where keys are expanded is as it was before; behind it lie constants.
    const passing = hostRegion.subarray(0, WORKER_TABLE_WORDS_OFFSET);
    expect(passing.equals(Buffer.alloc(passing.length))).toBe(true);
    const memory = Buffer.from(bed.octets.buffer);
    const outside = [memory.subarray(0, SA_BASE), memory.subarray(WORKER_BASE, REGIONS_END)];
    for (const { key, ivKey } of [child.inbound.facts, child.outbound.facts]) {
      for (const piece of [key.subarray(0, 8), key.subarray(-8), ivKey!.subarray(0, 8)]) {
        expect(outside.map((part) => part.includes(Buffer.from(piece)))).toEqual([false, false]);
      }
    }
  });

  test("twice under one SPI is refused, and the first stays", () => {
    const bed = new EspBed();
    const child = bed.install();
    expect(() => bed.sad.install({ ...record(bed), inboundSpi: child.inboundSpi })).toThrow(
      "is installed already",
    );
    bed.protect(child);
    expect(bed.encapsulate([TO_B])[0]!.status).toBe("ok");
  });

  test("says how full the selector table is when it has no room", () => {
    const bed = new EspBed();
    const many = Array.from({ length: 250 }, (_, i) => trafficSelector(`10.${i}.0.0/16`));
    bed.install({ selectors: { local: many, remote: many } });
    expect(() => bed.install({ selectors: { local: many, remote: many } })).toThrow(
      `62500 selectors do not fit: ${SELECTOR_COUNT} of ${SELECTOR_COUNT} are in use`,
    );
  });
});

describe("removal", () => {
  test.each(CIPHERS)("zeroes every octet of keys, tables, windows and counters ($name)", async (cipher) => {
    const bed = new EspBed();
    const child = bed.install({ cipher, esn: true });
    bed.protect(child);
    // Enough for tables, where the cipher has any.
    bed.encapsulate(Array.from({ length: 60 }, () => LONG));
    bed.encapsulate([TO_B]);
    const hasTables = /GCM|GMAC|CTR/.test(cipher.name);
    expect(nonZero(bed, TABLES, TABLES_COUNT * TABLES_SIZE) > 0).toBe(hasTables);
    bed.decapsulate(
      [1n, 2n].map((sequence) =>
        sealEsp(child.inbound.facts, { sequence, plaintext: withTrailer(child.inbound, FROM_B) }),
      ),
    );
    const { slot } = bed.sad.outboundOf(child.inboundSpi)!;
    expect(nonZero(bed, SA_BASE + slot * SA_SLOT_SIZE + SA_AEAD_OFFSET, AEAD_CONTEXT_SIZE)).toBeGreaterThan(
      0,
    );

    await bed.sad.remove(child.inboundSpi);
    // All that the first slots, the host and the worker may have written.
    const memory = Buffer.concat([
      bed.octets.subarray(0, SA_BASE + 16 * SA_SLOT_SIZE),
      bed.octets.subarray(WORKER_BASE, REGIONS_END),
    ]);
    for (const { key } of [child.inbound.facts, child.outbound.facts]) {
      for (let at = 0; at + 4 <= key.length; at += 16) {
        expect(memory.includes(Buffer.from(key.subarray(at, at + 4)))).toBe(false);
      }
    }
    expect(memory.includes(Buffer.from(child.outbound.facts.ivKey!.subarray(0, 4)))).toBe(false);
    for (const number of [slot, child.inboundSpi % SA_SLOT_COUNT]) {
      // The generation is all that a slot keeps.
      const generation = bed.view.getUint32(SA_BASE + number * SA_SLOT_SIZE + SA_GENERATION_OFFSET, true);
      expect(generation).toBe(1);
      expect(nonZero(bed, SA_BASE + number * SA_SLOT_SIZE, SA_SLOT_SIZE)).toBe(1);
    }
    expect(nonZero(bed, TABLES, TABLES_COUNT * TABLES_SIZE)).toBe(0);
    expect(bed.selectors.inUse).toBe(1); // the policy still holds its row
    bed.spd.replace([]);
    await settled();
    expect(bed.selectors.inUse).toBe(0);
  });

  test("leaves the neighbours' slots as they are", async () => {
    const bed = new EspBed();
    const children = [bed.install(), bed.install(), bed.install()];
    bed.protect(...children);
    const [before, middle, after] = children.map(({ inboundSpi }) => inboundSpi % SA_SLOT_COUNT);
    const snapshot = (slot: number) =>
      Buffer.from(bed.octets.slice(SA_BASE + slot * SA_SLOT_SIZE, SA_BASE + (slot + 2) * SA_SLOT_SIZE));
    const copies = [snapshot(before!), snapshot(after!)];
    expect(middle).toBe(before! + 2);
    await bed.sad.remove(children[1]!.inboundSpi);
    expect(snapshot(before!).equals(copies[0]!)).toBe(true);
    expect(snapshot(after!).equals(copies[1]!)).toBe(true);
  });

  test("stops the SA at once, and frees its slots only when the workers have let go", async () => {
    const held = new HeldQuiescence();
    const bed = new EspBed({ quiescence: held });
    const child = bed.install();
    const waiting: number[] = [];
    for (let spi = bed.sad.allocateSpi(); spi !== undefined; spi = bed.sad.allocateSpi()) waiting.push(spi);
    bed.protect(child);
    held.release();
    await settled();

    const removal = bed.sad.remove(child.inboundSpi);
    expect(bed.encapsulate([TO_B])[0]!.status).toBe("noSa");
    const plaintext = withTrailer(child.inbound, FROM_B);
    const late = sealEsp(child.inbound.facts, { sequence: 1n, plaintext });
    expect(bed.decapsulate([late])[0]!.status).toBe("noSa");
    const slot = SA_BASE + (child.inboundSpi % SA_SLOT_COUNT) * SA_SLOT_SIZE;
    await settled();
    expect(bed.sad.allocateSpi()).toBeUndefined();
    expect(nonZero(bed, slot + SA_AEAD_OFFSET, AEAD_CONTEXT_SIZE)).toBeGreaterThan(0);

    held.release();
    await removal;
    expect(nonZero(bed, slot + SA_AEAD_OFFSET, AEAD_CONTEXT_SIZE)).toBe(0);
    expect(bed.sad.allocateSpi()! % SA_SLOT_COUNT).toBe(child.inboundSpi % SA_SLOT_COUNT);
  });

  test("ends a move that waited: the path never comes to the slot's next tenant", async () => {
    const settle: (() => void)[] = [];
    const quiescence = {
      settle: () => new Promise<void>((resolve) => settle.push(resolve)),
    };
    const bed = new EspBed({ quiescence });
    const old = bed.install();
    const path = (octet: number) => ({
      socket: 0,
      peer: new Uint8Array(16).fill(octet),
      control: new Uint8Array(0),
    });
    bed.sad.move(old.inboundSpi, path(1));
    bed.sad.move(old.inboundSpi, path(2)); // waits until the workers have let go of the first
    const removal = bed.sad.remove(old.inboundSpi);
    settle[1]!(); // each looks for itself, and the removal's may look first
    await removal;
    const next = bed.install();
    const { slot } = bed.sad.outboundOf(next.inboundSpi)!;
    const before = bed.octets.slice(SA_BASE + slot * SA_SLOT_SIZE, SA_BASE + (slot + 1) * SA_SLOT_SIZE);
    settle[0]!();
    await Promise.resolve();
    await Promise.resolve();
    const after = bed.octets.slice(SA_BASE + slot * SA_SLOT_SIZE, SA_BASE + (slot + 1) * SA_SLOT_SIZE);
    expect(after).toEqual(before);
  });

  test("of all goes through a thousand generations without losing a slot", async () => {
    const bed = new EspBed();
    for (let i = 0; i < 1000; i++) {
      const child = bed.install({ cipher: CIPHERS[i % CIPHERS.length]! });
      bed.protect(child);
      await settled();
      expect(bed.encapsulate([TO_B])[0]!.status).toBe("ok");
      await bed.sad.remove(child.inboundSpi);
    }
    let count = 0;
    while (bed.sad.allocateSpi() !== undefined) count++;
    expect(count).toBe(SA_SLOT_COUNT / 2);
    expect(bed.selectors.inUse).toBe(1);
  });
});

describe("policies", () => {
  test("that come faster than workers let go hold at once, and leak no selector", async () => {
    const held = new HeldQuiescence();
    const bed = new EspBed({ quiescence: held });
    const child = bed.install();
    const discard = (prefix: string) => ({
      action: "discard" as const,
      selectors: { local: [trafficSelector("0.0.0.0/0")], remote: [trafficSelector(prefix)] },
    });
    bed.spd.replace([discard("10.2.0.0/16")]);
    expect(bed.encapsulate([TO_B])[0]!.status).toBe("noSa");
    for (let i = 0; i < 50; i++) bed.spd.replace([discard("10.3.0.0/16")]);
    expect(bed.encapsulate([TO_B])[0]!.status).toBe("noPolicy");
    bed.spd.replace([{ action: "protect", inboundSpi: child.inboundSpi }]);
    expect(bed.encapsulate([TO_B])[0]!.status).toBe("ok");
    // The workers may still read any of them.
    expect(bed.selectors.inUse).toBe(52);
    await held.releaseAll();
    expect(bed.selectors.inUse).toBe(1);
    expect(bed.encapsulate([TO_B])[0]!.status).toBe("ok");
    bed.spd.replace([]);
    await held.releaseAll();
    expect(bed.encapsulate([TO_B])[0]!.status).toBe("noPolicy");
    expect(bed.selectors.inUse).toBe(1);
  });

  test("that do not fit are refused, and the old ones stay", async () => {
    const bed = new EspBed();
    const child = bed.install();
    bed.protect(child);
    const row = { action: "protect", inboundSpi: child.inboundSpi } as const;
    const many = Array.from({ length: 260 }, (_, i) => trafficSelector(`${i >> 8}.${i & 255}.0.0/16`));
    expect(() =>
      bed.spd.replace([row, { action: "discard", selectors: { local: many, remote: many } }]),
    ).toThrow("67600 selectors do not fit");
    expect(bed.encapsulate([TO_B])[0]!.status).toBe("ok");
    await settled();
    expect(bed.selectors.inUse).toBe(1);
    expect(bed.spd.inUse.policies).toBe(1);
  });
});

/** A data worker that passes no quiescent point before it is told to. */
class HeldQuiescence implements Quiescence {
  #waiting: (() => void)[] = [];

  settle(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  release(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  async releaseAll(): Promise<void> {
    await settled();
    while (this.#waiting.length > 0) {
      this.release();
      await settled();
    }
  }
}

/** Lets promises that can settle do so. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function nonZero(bed: EspBed, start: number, length: number): number {
  return bed.octets.slice(start, start + length).reduce((count, octet) => count + (octet === 0 ? 0 : 1), 0);
}
