import { describe, expect, test } from "vitest";
import {
  SA_ACTIVE,
  SA_BASE,
  SA_SEQUENCE_OFFSET,
  SA_SLOT_COUNT,
  SA_SLOT_SIZE,
  SA_SPI_OFFSET,
  SA_STATE_OFFSET,
} from "../../assembly/layout.ts";
import { innerPacket } from "../support/inner-packets.ts";
import { OPAQUE, trafficSelector } from "../support/traffic-selectors.ts";
import { AES_256_CBC_SHA1, ANY, type Child, CIPHERS, EspBed } from "./esp-bed.ts";

const FROM_A = { source: "10.1.0.1", destination: "10.2.0.1" };

function statuses(bed: EspBed, packets: readonly Uint8Array[]): string[] {
  return bed.encapsulate(packets).map(({ status }) => status);
}

describe("encapsulation", () => {
  test.each(CIPHERS)(
    "packs datagrams back to back: SPI, number, IV, padding to whole words or blocks ($name)",
    (cipher) => {
      const bed = new EspBed();
      const child = bed.install({ cipher });
      bed.protect(child);
      const packets = Array.from({ length: 9 }, (_, i) =>
        innerPacket({ ...FROM_A, payload: new Uint8Array(i) }),
      );
      const results = bed.encapsulate(packets);
      results.forEach(({ octets, address, sequence }, i) => {
        const view = new DataView(octets.buffer);
        expect(view.getUint32(0)).toBe(child.outboundSpi);
        expect(view.getUint32(4)).toBe(i + 1);
        expect(sequence).toBe(BigInt(i + 1));
        // The IV is the number or made from it: it cannot repeat under a key.
        const { ivLength, icvLength, unit, ivOf } = child.outbound.cipher;
        expect(Buffer.compare(octets.subarray(8, 8 + ivLength), ivOf(sequence))).toBe(0);
        expect(octets.length).toBe(8 + ivLength + Math.ceil((20 + i + 2) / unit) * unit + icvLength);
        const next = results[i + 1];
        if (next !== undefined) expect(next.address).toBe(address + octets.length);
      });
    },
  );

  test("gives AES-CBC IVs that are all different, within an SA and between SAs", () => {
    const bed = new EspBed();
    const ivs = new Set<string>();
    for (let sas = 0; sas < 2; sas++) {
      const child = bed.install({ cipher: AES_256_CBC_SHA1 });
      bed.protect(child);
      for (let batch = 0; batch < 10; batch++) {
        const packets = Array.from({ length: 100 }, () => innerPacket(FROM_A));
        for (const { octets } of bed.encapsulate(packets)) {
          const iv = Buffer.from(octets.subarray(8, 24));
          // Not a number that counts up: it has no run of zeros.
          expect(iv.includes(Buffer.alloc(6))).toBe(false);
          ivs.add(iv.toString("hex"));
        }
      }
    }
    expect(ivs.size).toBe(2000);
  });

  test("sends no more than the packet that its own header describes", () => {
    const bed = new EspBed();
    bed.protect(bed.install());
    const packet = innerPacket({ ...FROM_A, payload: new Uint8Array(100) });
    const [plain, trailed] = bed.encapsulate([packet, Buffer.concat([packet, new Uint8Array(50)])]);
    expect(trailed!.octets.length).toBe(plain!.octets.length);
  });

  test("refuses what is no whole IP packet, at every length", () => {
    const bed = new EspBed();
    bed.protect(bed.install({ selectors: ANY }));
    const ipv4 = innerPacket({ ...FROM_A, payload: new Uint8Array(30) });
    const ipv6 = innerPacket({ source: "fd01::1", destination: "fd02::1", extensionHeaders: [0, 44, 60] });
    for (const packet of [ipv4, ipv6]) {
      for (let length = 0; length < packet.length; length++) {
        expect(statuses(bed, [packet.subarray(0, length)])).toEqual(["runt"]);
      }
      expect(statuses(bed, [packet])).toEqual(["ok"]);
    }
    const tooManyHeaders = innerPacket({
      source: "fd01::1",
      destination: "fd02::1",
      extensionHeaders: Array.from({ length: 9 }, () => 60),
    });
    expect(statuses(bed, [tooManyHeaders, new Uint8Array(60), new Uint8Array(60).fill(0x50)])).toEqual([
      "runt",
      "runt",
      "runt",
    ]);
  });

  test("drops by policy: none, discard, and a child SA that is gone", async () => {
    const bed = new EspBed();
    const child = bed.install();
    const packet = innerPacket(FROM_A);
    expect(statuses(bed, [packet])).toEqual(["noPolicy"]);
    bed.spd.replace([
      {
        action: "discard",
        selectors: { local: [trafficSelector("10.1.0.1/32")], remote: [trafficSelector("0.0.0.0/0")] },
      },
      { action: "protect", inboundSpi: child.inboundSpi },
    ]);
    await Promise.resolve();
    const other = innerPacket({ ...FROM_A, source: "10.1.0.2" });
    expect(statuses(bed, [packet, other])).toEqual(["noSa", "ok"]);
    await bed.sad.remove(child.inboundSpi);
    expect(statuses(bed, [packet, other])).toEqual(["noSa", "noSa"]);
  });

  test("lets a stale policy mean nothing when its slot has a new tenant", async () => {
    const bed = new EspBed();
    bed.protect(bed.install());
    const [first] = [...statuses(bed, [innerPacket(FROM_A)])];
    expect(first).toBe("ok");
    // Fill the SAD, so that the slots of the first child are the next to be given.
    for (let spi = bed.sad.allocateSpi(); spi !== undefined; spi = bed.sad.allocateSpi());
    const firstSpi = [...activeSpis(bed)][0]!;
    await bed.sad.remove(firstSpi);
    const tenant = bed.install({
      selectors: { local: [trafficSelector("10.7.0.0/16")], remote: [trafficSelector("10.8.0.0/16")] },
    });
    expect(tenant.inboundSpi % SA_SLOT_COUNT).toBe(firstSpi % SA_SLOT_COUNT);
    expect(tenant.inboundSpi).not.toBe(firstSpi);
    expect(statuses(bed, [innerPacket(FROM_A)])).toEqual(["noSa"]);
    expect(bed.sad.traffic(tenant.inboundSpi)!.outbound.packets).toBe(0);
  });

  test("stops at the packet limit: of 1001 packets the last does not leave", () => {
    const bed = new EspBed();
    const child = bed.install({ packetLimit: 1000 });
    bed.protect(child);
    const packets = Array.from({ length: 1001 }, () => innerPacket(FROM_A));
    expect(statuses(bed, packets)).toEqual([...packets.slice(1).map(() => "ok"), "limitReached"]);
    expect(statuses(bed, packets.slice(0, 2))).toEqual(["limitReached", "limitReached"]);
    expect(bed.sad.traffic(child.inboundSpi)!.outbound).toMatchObject({
      packets: 1000,
      sequence: 1000,
      drops: { limitReached: 3 },
    });
  });

  test("stops before the octet limit is passed, and takes what still fits", () => {
    const bed = new EspBed();
    bed.protect(bed.install({ octetLimit: 100 }));
    const of = (length: number) => innerPacket({ ...FROM_A, payload: new Uint8Array(length - 20) });
    expect(statuses(bed, [of(60), of(41), of(40), of(20)])).toEqual([
      "ok",
      "limitReached",
      "ok",
      "limitReached",
    ]);
  });

  test("never lets the number cycle: 32 bits without ESN, 64 with", async () => {
    const bed = new EspBed();
    const narrow = bed.install();
    const wide = bed.install({ esn: true });
    for (const [child, last] of [
      [narrow, 2n ** 32n - 1n],
      [wide, 2n ** 64n - 1n],
    ] as const) {
      bed.protect(child);
      await Promise.resolve(); // the policies before these have to settle first
      setSequence(bed, child, last - 2n);
      const results = bed.encapsulate([1, 2, 3, 4].map(() => innerPacket(FROM_A)));
      expect(results.map(({ status }) => status)).toEqual([
        "ok",
        "ok",
        "sequenceExhausted",
        "sequenceExhausted",
      ]);
      expect(results.map(({ sequence }) => sequence)).toEqual([last - 1n, last, 0n, 0n]);
    }
  });

  test("with ESN goes on across 2^32", () => {
    const bed = new EspBed();
    const child = bed.install({ esn: true });
    bed.protect(child);
    setSequence(bed, child, 2n ** 32n - 2n);
    const results = bed.encapsulate([1, 2, 3].map(() => innerPacket(FROM_A)));
    expect(results.map(({ sequence }) => sequence)).toEqual([2n ** 32n - 1n, 2n ** 32n, 2n ** 32n + 1n]);
    expect(results.map(({ octets }) => new DataView(octets.buffer).getUint32(4))).toEqual([
      0xffff_ffff, 0, 1,
    ]);
  });

  test("drops a packet whose ESP would not fit a datagram, and what follows still leaves", () => {
    const bed = new EspBed();
    bed.protect(bed.install());
    const of = (length: number) => innerPacket({ ...FROM_A, payload: new Uint8Array(length - 20) });
    // 16 octets of header and IV, 16 of ICV, 2 of trailer, a multiple of four: 65,472 is the most.
    expect(statuses(bed, [of(65_535), of(65_473), of(65_470), of(40)])).toEqual([
      "tooLong",
      "tooLong",
      "ok",
      "ok",
    ]);
  });

  test("drops what the send slab has no room for, without a number", () => {
    const bed = new EspBed();
    const child = bed.install();
    bed.protect(child);
    const big = innerPacket({ ...FROM_A, payload: new Uint8Array(65_000) });
    // More than the TUN slab holds, so one packet is described again and again.
    const start = bed.encapsulate([big]).length;
    const source = bed.sourceOf(0);
    for (let i = 0; i < 30; i++) bed.describe(i, source, big.length);
    bed.kernel.espEncapsulateBatch(0, 30);
    const results = bed.results(30);
    const fit = results.filter(({ status }) => status === "ok").length;
    expect(fit).toBe(Math.floor(1_638_400 / results[0]!.octets.length));
    expect(results.slice(fit).every(({ status }) => status === "tooLong")).toBe(true);
    expect(bed.sad.traffic(child.inboundSpi)!.outbound.sequence).toBe(start + fit);
  });

  test("does nothing for a batch beyond the descriptors", () => {
    const bed = new EspBed();
    const child = bed.install();
    bed.protect(child);
    bed.kernel.espEncapsulateBatch(1000, 25);
    bed.kernel.espEncapsulateBatch(0xffff_ffff, 2);
    bed.kernel.espDecapsulateBatch(1024, 1);
    expect(bed.sad.traffic(child.inboundSpi)!.outbound.packets).toBe(0);
  });
});

describe("selectors", () => {
  const tcp = (startPort: number, endPort = startPort) => ({ protocol: 6, startPort, endPort });
  const cases: readonly {
    readonly name: string;
    readonly local?: ReturnType<typeof trafficSelector>;
    readonly remote?: ReturnType<typeof trafficSelector>;
    readonly matches: readonly Uint8Array[];
    readonly misses: readonly Uint8Array[];
  }[] = [
    {
      name: "an address range takes its first and last address and neither neighbour",
      remote: { ...trafficSelector("10.2.0.5"), endAddress: Uint8Array.of(10, 2, 0, 9) },
      matches: [5, 7, 9].map((n) => innerPacket({ ...FROM_A, destination: `10.2.0.${n}` })),
      misses: [4, 10].map((n) => innerPacket({ ...FROM_A, destination: `10.2.0.${n}` })),
    },
    {
      name: "an IPv6 range compares all sixteen octets",
      local: trafficSelector("::/0"),
      remote: trafficSelector("fd02::8000:0:0:0/66"),
      matches: ["fd02::8000:0:0:0", "fd02::bfff:ffff:ffff:ffff"].map((destination) =>
        innerPacket({ source: "fd01::1", destination }),
      ),
      misses: ["fd02::7fff:ffff:ffff:ffff", "fd02::c000:0:0:0", "fd02:0:0:1:8000::"].map((destination) =>
        innerPacket({ source: "fd01::1", destination }),
      ),
    },
    {
      name: "ports of TCP",
      remote: trafficSelector("10.2.0.0/16", tcp(80, 90)),
      matches: [80, 90].map((destinationPort) =>
        innerPacket({ ...FROM_A, protocol: 6, sourcePort: 1, destinationPort }),
      ),
      misses: [
        innerPacket({ ...FROM_A, protocol: 6, sourcePort: 80, destinationPort: 79 }),
        innerPacket({ ...FROM_A, protocol: 6, sourcePort: 80, destinationPort: 91 }),
        innerPacket({ ...FROM_A, protocol: 17, sourcePort: 80, destinationPort: 80 }),
        innerPacket({ ...FROM_A, protocol: 6, destinationPort: 80, fragmentOffset: 1 }),
      ],
    },
    {
      name: "OPAQUE takes later fragments and protocols without ports only",
      local: trafficSelector("10.1.0.0/16", OPAQUE),
      matches: [
        innerPacket({ ...FROM_A, protocol: 6, fragmentOffset: 100 }),
        innerPacket({ ...FROM_A, protocol: 47 }),
      ],
      misses: [innerPacket({ ...FROM_A, protocol: 6 }), innerPacket({ ...FROM_A, protocol: 1 })],
    },
    {
      name: "any port takes fragments too",
      local: trafficSelector("10.1.0.0/16", { protocol: 17 }),
      matches: [innerPacket({ ...FROM_A, fragmentOffset: 100 }), innerPacket(FROM_A)],
      misses: [innerPacket({ ...FROM_A, protocol: 6 })],
    },
    {
      name: "an ICMP type and code are the sender's port, and the other side's has no say",
      local: trafficSelector("10.1.0.0/16", { protocol: 1, startPort: 0x0800, endPort: 0x0800 }),
      remote: trafficSelector("10.2.0.0/16", { protocol: 1, startPort: 0x0000, endPort: 0x0000 }),
      matches: [innerPacket({ ...FROM_A, protocol: 1, payload: Uint8Array.of(8, 0, 1, 2, 3, 4, 5, 6) })],
      misses: [
        innerPacket({ ...FROM_A, protocol: 1, payload: Uint8Array.of(0, 0, 1, 2, 3, 4, 5, 6) }),
        innerPacket({ ...FROM_A, protocol: 1, payload: Uint8Array.of(8, 1, 1, 2, 3, 4, 5, 6) }),
      ],
    },
    {
      name: "ports behind IPv6 extension headers are found, in the first fragment as well",
      local: trafficSelector("fd01::/16"),
      remote: trafficSelector("fd02::/16", tcp(443)),
      matches: [[0], [0, 60], [51], [44], [0, 43, 60, 44, 51, 60]].map((extensionHeaders) =>
        innerPacket({
          source: "fd01::1",
          destination: "fd02::1",
          protocol: 6,
          destinationPort: 443,
          extensionHeaders,
        }),
      ),
      misses: [
        innerPacket({
          source: "fd01::1",
          destination: "fd02::1",
          protocol: 6,
          destinationPort: 443,
          extensionHeaders: [0, 44],
          fragmentOffset: 1,
        }),
        innerPacket({
          source: "fd01::1",
          destination: "fd02::1",
          protocol: 17,
          destinationPort: 443,
          extensionHeaders: [0],
        }),
      ],
    },
  ];

  test.each(cases)("$name", ({ local, remote, matches, misses }) => {
    const bed = new EspBed();
    bed.protect(
      bed.install({
        selectors: {
          local: [local ?? trafficSelector("10.1.0.0/16")],
          remote: [remote ?? trafficSelector("10.2.0.0/16")],
        },
      }),
    );
    expect(statuses(bed, matches)).toEqual(matches.map(() => "ok"));
    expect(statuses(bed, misses)).toEqual(misses.map(() => "noPolicy"));
  });

  test("the first of several policies that matches decides", () => {
    const bed = new EspBed();
    const wide = bed.install();
    const narrow = bed.install({
      selectors: {
        local: [trafficSelector("10.1.0.0/16")],
        remote: [trafficSelector("10.2.0.0/16", tcp(22))],
      },
    });
    bed.protect(narrow, wide);
    const ssh = innerPacket({ ...FROM_A, protocol: 6, destinationPort: 22 });
    const web = innerPacket({ ...FROM_A, protocol: 6, destinationPort: 80 });
    const spis = bed.encapsulate([ssh, web]).map(({ octets }) => new DataView(octets.buffer).getUint32(0));
    expect(spis).toEqual([narrow.outboundSpi, wide.outboundSpi]);
  });
});

function* activeSpis(bed: EspBed): Generator<number> {
  for (let slot = 0; slot < SA_SLOT_COUNT; slot++) {
    const at = SA_BASE + slot * SA_SLOT_SIZE;
    if (bed.view.getUint32(at + SA_STATE_OFFSET, true) !== SA_ACTIVE) continue;
    const spi = bed.view.getUint32(at + SA_SPI_OFFSET, true);
    if (bed.sad.traffic(spi) !== undefined) yield spi;
  }
}

function setSequence(bed: EspBed, child: Child, sequence: bigint): void {
  const { slot } = bed.sad.outboundOf(child.inboundSpi)!;
  bed.view.setBigUint64(SA_BASE + slot * SA_SLOT_SIZE + SA_SEQUENCE_OFFSET, sequence, true);
}
