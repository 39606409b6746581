import { describe, expect, test } from "vitest";
import { WORKER_BASE, WORKER_SIZE } from "../../assembly/layout.ts";
import { sealEsp } from "../../src/esp/reference.ts";
import { innerPacket } from "../support/inner-packets.ts";
import { trafficSelector } from "../support/traffic-selectors.ts";
import { ANY, type Child, CIPHERS, EspBed, WORKER, withTrailer } from "./esp-bed.ts";

const INNER = innerPacket({
  source: "10.2.0.1",
  destination: "10.1.0.1",
  payload: new Uint8Array(50).map((_, i) => 0x80 + i),
});
const IPV4 = 4;
const IPV6 = 41;
const NONE = 59;

/** An ESP packet of the child SA with this plaintext; numbers count up by themselves. */
function sealer(child: Child, first = 1n): (...parts: readonly (Uint8Array | number[])[]) => Uint8Array {
  let sequence = first;
  return (...parts) =>
    sealEsp(child.inbound.facts, {
      sequence: sequence++,
      plaintext: Buffer.concat(parts.map((part) => Uint8Array.from(part))),
    });
}

function padding(length: number): number[] {
  return Array.from({ length }, (_, i) => i + 1);
}

function statuses(bed: EspBed, packets: readonly Uint8Array[]): string[] {
  return bed.decapsulate(packets).map(({ status }) => status);
}

describe.each(CIPHERS)("decapsulation with $name", (cipher) => {
  test("returns the inner packet for every pad length", () => {
    const bed = new EspBed();
    const child = bed.install({ cipher });
    const seal = sealer(child);
    const { unit, takesWholeBlocks } = child.inbound.cipher;
    const isWhole = (pad: number) => !takesWholeBlocks || (INNER.length + pad + 2) % unit === 0;
    const pads = Array.from({ length: 256 }, (_, pad) => pad).filter(isWhole);
    expect(pads.length).toBeGreaterThanOrEqual(16);
    const packets = pads.map((pad) => seal(INNER, padding(pad), [pad, IPV4]));
    for (const { status, octets } of bed.decapsulate(packets)) {
      expect(status).toBe("ok");
      expect(octets).toEqual(INNER);
    }
  });

  test("refuses a flipped bit in any octet, and keeps none of the plaintext", () => {
    const bed = new EspBed();
    const child = bed.install({ cipher });
    const good = sealer(child, 5n)(withTrailer(child.inbound, INNER));
    const region = Buffer.from(bed.octets.buffer, WORKER_BASE + WORKER * WORKER_SIZE, WORKER_SIZE);
    for (let at = 0; at < good.length; at++) {
      const forged = good.slice();
      forged[at]! ^= 1 << bed.random.below(8);
      // The bed checks that the whole ciphertext has become zeros.
      expect(statuses(bed, [forged])).toEqual([at < 4 ? "noSa" : "integrityFailed"]);
      // Under a foreign SPI what was sent in clear stays as it lies.
      if (at >= 4 || cipher.isSecret) expect(region.includes(Buffer.from(INNER.subarray(20)))).toBe(false);
    }
    expect(statuses(bed, [good])).toEqual(["ok"]);
  });

  test("refuses a packet cut at any octet", () => {
    const bed = new EspBed();
    const child = bed.install({ cipher });
    const good = sealer(child)(withTrailer(child.inbound, INNER));
    const { ivLength, icvLength, unit, takesWholeBlocks } = child.inbound.cipher;
    const drops = { runt: 0, integrityFailed: 0 };
    for (let length = 0; length < good.length; length++) {
      const textLength = length - 8 - ivLength - icvLength;
      const isWhole = !takesWholeBlocks || textLength % unit === 0;
      const status = textLength >= 2 && isWhole ? "integrityFailed" : "runt";
      expect(statuses(bed, [good.subarray(0, length)])).toEqual([status]);
      // The first eight had no whole header and so no SA.
      if (length >= 8) drops[status]++;
    }
    expect(bed.sad.traffic(child.inboundSpi)!.inbound.drops).toEqual(drops);
  });
});

describe("decapsulation", () => {
  test("trims what is added for traffic flow confidentiality", () => {
    const bed = new EspBed();
    const seal = sealer(bed.install());
    const results = bed.decapsulate([
      seal(INNER, new Uint8Array(1000), [0, IPV4]),
      seal(INNER, bed.random.octets(7), padding(3), [3, IPV4]),
    ]);
    for (const { status, octets } of results) {
      expect(status).toBe("ok");
      expect(octets).toEqual(INNER);
    }
  });

  test("drops dummies whatever they hold, and counts them", () => {
    const bed = new EspBed();
    const child = bed.install();
    const seal = sealer(child);
    const dummies = [
      seal([0, NONE]),
      seal([255, NONE]),
      seal(bed.random.octets(999), [9, NONE]),
      seal(INNER, [0, NONE]),
    ];
    expect(statuses(bed, dummies)).toEqual(dummies.map(() => "dummy"));
    expect(bed.sad.traffic(child.inboundSpi)!.inbound).toMatchObject({
      packets: 0,
      sequence: 4,
      drops: { dummy: 4 },
    });
  });

  test("refuses wrong padding, wrong lengths and next headers that lie", () => {
    const bed = new EspBed();
    const seal = sealer(bed.install({ selectors: ANY }));
    const ipv6 = innerPacket({ source: "fd02::1", destination: "fd01::1" });
    const packets = [
      seal(INNER, [1, 2, 4], [3, IPV4]),
      seal(INNER, [0, 0, 0], [3, IPV4]),
      seal([255, IPV4]),
      seal([1, IPV4]),
      seal(INNER.subarray(0, 10), [250, IPV4]),
      seal(INNER.subarray(0, INNER.length - 1), [0, IPV4]),
      seal(INNER, [0, IPV6]),
      seal(ipv6, [0, IPV4]),
      seal(INNER, [0, 6]),
      seal(new Uint8Array(60), [0, IPV4]),
      seal([0, IPV4]),
    ];
    expect(statuses(bed, packets)).toEqual(packets.map(() => "malformed"));
    expect(statuses(bed, [seal(INNER, [0, IPV4]), seal(ipv6, [0, IPV6])])).toEqual(["ok", "ok"]);
  });

  test("refuses inner packets outside the SA's selectors, either address, protocol or port", () => {
    const bed = new EspBed();
    const child = bed.install({
      selectors: {
        local: [trafficSelector("10.1.0.0/16")],
        remote: [trafficSelector("10.2.0.0/16", { protocol: 6, startPort: 443, endPort: 443 })],
      },
    });
    const seal = sealer(child);
    const tcp = {
      source: "10.2.0.1",
      destination: "10.1.0.1",
      protocol: 6,
      sourcePort: 443,
      destinationPort: 5000,
    };
    const inner = (change: Partial<typeof tcp> & { fragmentOffset?: number }) =>
      seal(innerPacket({ ...tcp, payload: new Uint8Array(20), ...change }), padding(2), [2, IPV4]);
    const packets = [
      inner({ source: "10.3.0.1" }),
      inner({ destination: "10.3.0.1" }),
      inner({ source: "10.1.0.1", destination: "10.2.0.1" }),
      inner({ protocol: 17 }),
      inner({ sourcePort: 444 }),
      inner({ sourcePort: 5000, destinationPort: 443 }),
      inner({ fragmentOffset: 5 }),
      inner({}),
    ];
    expect(statuses(bed, packets)).toEqual([...packets.slice(1).map(() => "selectorMismatch"), "ok"]);
    expect(bed.sad.traffic(child.inboundSpi)!.inbound.drops).toEqual({ selectorMismatch: 7 });
  });

  test("knows no SPI but its own: unknown, reserved, outbound, another worker's, given back", async () => {
    const bed = new EspBed();
    const child = bed.install();
    const good = sealer(child)(INNER, [0, IPV4]);
    const withSpi = (spi: number): Uint8Array => {
      const packet = good.slice();
      new DataView(packet.buffer).setUint32(0, spi);
      return packet;
    };
    const reserved = bed.sad.allocateSpi()!;
    const { slot } = bed.sad.outboundOf(child.inboundSpi)!;
    const spis = [
      ...Array.from({ length: 256 }, (_, spi) => spi),
      0xffff_ffff,
      reserved,
      child.outboundSpi,
      ((child.outboundSpi & ~2047) | slot) >>> 0,
      (child.inboundSpi ^ 0x800) >>> 0,
      (child.inboundSpi ^ 0x8000_0000) >>> 0,
    ];
    const packets = spis.map(withSpi);
    expect(statuses(bed, packets)).toEqual(packets.map(() => "noSa"));
    await bed.sad.remove(child.inboundSpi);
    expect(statuses(bed, [good])).toEqual(["noSa"]);
  });

  test("leaves the SA of another worker alone, though it is active and the packet authentic", () => {
    for (const owner of [0, 1, 2, 3, 5, 7]) {
      const bed = new EspBed({ owner });
      const packet = sealer(bed.install())(INNER, [0, IPV4]);
      expect(statuses(bed, [packet])).toEqual([owner === WORKER ? "ok" : "otherWorker"]);
    }
  });

  test("survives zeros of every length up to 64 KB, and random octets", () => {
    const bed = new EspBed();
    const child = bed.install();
    const lengths = [...Array.from({ length: 100 }, (_, i) => i), 1000, 1499, 9000, 65_507, 65_535, 66_000];
    for (const length of lengths) {
      expect(statuses(bed, [new Uint8Array(length)])).toEqual([length < 8 ? "runt" : "noSa"]);
      const noise = bed.random.octets(length);
      if (length >= 8) new DataView(noise.buffer).setUint32(0, child.inboundSpi);
      const sequenceLow = length >= 8 ? new DataView(noise.buffer).getUint32(4) : 0;
      const expected = length < 34 ? "runt" : sequenceLow === 0 ? "tooOld" : "integrityFailed";
      expect(statuses(bed, [noise])).toEqual([expected]);
    }
  });

  test("stops at hard limits as well", () => {
    const bed = new EspBed();
    const child = bed.install({ packetLimit: 3 });
    const seal = sealer(child);
    const packets = Array.from({ length: 5 }, () => seal(INNER, [0, IPV4]));
    expect(statuses(bed, packets)).toEqual(["ok", "ok", "ok", "limitReached", "limitReached"]);
  });
});
