import { describe, expect, test } from "vitest";
import {
  type Decapsulated,
  type Encapsulated,
  referenceDecapsulate,
  referenceEncapsulate,
  sealEsp,
} from "../../src/esp/reference.ts";
import { innerPacket } from "../support/inner-packets.ts";
import type { SeededRandom } from "../support/kernel.ts";
import { OPAQUE, trafficSelector } from "../support/traffic-selectors.ts";
import { ALL_CIPHERS, ANY, type Child, EspBed, type EspResult, protectBy } from "./esp-bed.ts";

/** Beds; each takes some hundred packets. */
const RUNS = Math.max(40, Number(process.env.IKEBANA_FUZZ_RUNS ?? 0) / 1000);

const CHILDREN = 8;

describe("kernel and reference", () => {
  test("seal random batches of mixed ciphers and policies to the same octets and statuses", () => {
    const statuses = new Set<string>();
    for (let seed = 1; seed <= RUNS; seed++) {
      const bed = new EspBed({ seed });
      const children = mixedChildren(bed).slice(0, 5);
      bed.protect(...children);
      const policies = protectBy(...children);
      for (let round = 0; round < 3; round++) {
        const packets = randomInnerPackets(bed.random, 1 + bed.random.below(64));
        const results = bed.encapsulate(packets);
        for (const { status } of results) statuses.add(status);
        expect(results.map(seenOutside)).toEqual(
          packets.map((packet) => expectedSeen(referenceEncapsulate(policies, packet))),
        );
      }
    }
    expect([...statuses].sort()).toEqual(["noPolicy", "ok", "runt", "tooBig"]);
  });

  test("open random batches, with duplicates, forgeries and nonsense among them, to the same packets and statuses", () => {
    const statuses = new Set<string>();
    for (let seed = 1; seed <= RUNS; seed++) {
      const bed = new EspBed({ seed });
      const children = mixedChildren(bed);
      const inbound = new Map(children.map((child) => [child.inboundSpi, child.inbound]));
      const sequences = new Map(children.map((child) => [child, 0n]));
      for (let round = 0; round < 4; round++) {
        const count = 1 + bed.random.below(64);
        const packets = Array.from({ length: count }, () =>
          hostilePacket(bed.random, { children, sequences }),
        );
        for (let i = 0; i < count / 8; i++) {
          packets[bed.random.below(count)] = packets[bed.random.below(count)]!;
        }
        // Mostly what a path does that knows nothing of either.
        const classes = packets.map(() => (bed.random.below(2) === 0 ? 0 : bed.random.below(256)));
        const results = bed.decapsulate(packets, classes);
        for (const { status } of results) statuses.add(status);
        expect(results.map(seen)).toEqual(referenceDecapsulate(inbound, packets, classes).map(expectedSeen));
      }
    }
    // The generator is worth its name only when it reaches every cause.
    expect([...statuses].sort()).toEqual(
      [
        "ceOnNotEct",
        "dummy",
        "integrityFailed",
        "malformed",
        "noSa",
        "ok",
        "replayed",
        "runt",
        "selectorMismatch",
        "tooOld",
      ].sort(),
    );
  });
});

/** Child SAs of any suites, with and without ESN, five of them with selectors of their own, the others for everything. */
function mixedChildren(bed: EspBed): Child[] {
  const tcp = { protocol: 6, startPort: 80, endPort: 443 };
  const selectorSets = [
    { local: [trafficSelector("10.1.0.0/16")], remote: [trafficSelector("10.2.0.0/16", tcp)] },
    { local: [trafficSelector("fd01::/16", OPAQUE)], remote: [trafficSelector("fd02::/16", OPAQUE)] },
    {
      local: [trafficSelector("10.1.0.0/17", { protocol: 1, startPort: 0x0800, endPort: 0x08ff })],
      remote: [trafficSelector("10.0.0.0/8")],
    },
    {
      local: [trafficSelector("10.1.0.0/16"), trafficSelector("fd01::/17")],
      remote: [trafficSelector("fd02::/15"), trafficSelector("10.2.0.0/17")],
    },
    {
      local: [trafficSelector("fd01::/16")],
      remote: [trafficSelector("fd02::/16", { protocol: 17, startPort: 0, endPort: 999 })],
    },
  ];
  return Array.from({ length: CHILDREN }, (_, i) =>
    bed.install({
      cipher: ALL_CIPHERS[bed.random.below(ALL_CIPHERS.length)]!,
      esn: bed.random.below(2) === 1,
      selectors: selectorSets[i] ?? ANY,
      innerMtu: [0, 600, 1300, 1400][bed.random.below(4)]!,
      df: (["set", "copy", "clear"] as const)[bed.random.below(3)]!,
      copyDscp: (["out", "in", "yes", "no"] as const)[bed.random.below(4)]!,
      replayWindowPackets: [64, 128, 1024, 8192][bed.random.below(4)]!,
      cover: { padTo: [0, 0, 100, 1400][bed.random.below(4)]!, dummyEveryMs: 0, dummyLength: 0 },
    }),
  );
}

function randomInnerPackets(random: SeededRandom, count: number): Uint8Array[] {
  return Array.from({ length: count }, () => randomInnerPacket(random));
}

function randomInnerPacket(random: SeededRandom): Uint8Array {
  const pick = <T>(list: readonly T[]): T => list[random.below(list.length)]!;
  const isIpv4 = random.below(2) === 0;
  const host = (): string =>
    isIpv4
      ? `10.${1 + random.below(3)}.${random.below(256)}.${random.below(256)}`
      : `fd0${1 + random.below(3)}:${random.below(65536).toString(16)}::${random.below(65536).toString(16)}`;
  const protocol = pick([1, 6, 17, 47, 58, 132, 135, 136, 33]);
  const payload = random.octets(random.below(4) === 0 ? random.below(1440) : random.below(64));
  if (payload.length >= 4 && protocol === 1) payload[0] = 8;
  if (payload.length >= 28 && protocol === 6 && random.below(2) === 0) makeSyn(payload, random);
  if (payload.length >= 4 && random.below(2) === 0) {
    new DataView(payload.buffer).setUint16(2, pick([79, 80, 443, 444]));
  }
  const packet = innerPacket({
    source: host(),
    destination: host(),
    protocol,
    payload,
    fragmentOffset: random.below(4) === 0 ? random.below(100) : 0,
    extensionHeaders: Array.from({ length: random.below(3) === 0 ? random.below(11) : 0 }, () =>
      pick([0, 43, 44, 51, 60]),
    ),
  });
  if (isIpv4 && random.below(2) === 0) packet[6]! |= [0x40, 0x20][random.below(2)]!;
  if (random.below(2) === 0) packet[1] = isIpv4 ? random.below(256) : random.below(16) << 4;
  switch (random.below(12)) {
    case 0:
      return packet.subarray(0, random.below(packet.length));
    case 1:
      packet[random.below(Math.min(packet.length, 48))] = random.below(256);
      return packet;
    default:
      return packet;
  }
}

/** TCP options as some write them: an MSS among others, at an odd place, after a wrong length, or none. */
function makeSyn(payload: Uint8Array, random: SeededRandom): void {
  payload[12] = 0x70;
  payload[13] = 0x02;
  const mss = [2, 4, random.below(256), random.below(256)];
  const options = [
    [...mss, 1, 1, 1, 1],
    [1, ...mss, 3, 3, 7],
    [3, 3, 7, ...mss, 0],
    [4, 2, ...mss, 0, 0],
    [3, random.below(9), ...mss, 1, 1],
    [29, 4, 1, 1, ...mss],
    [1, 1, 1, 0, ...mss],
  ];
  payload.set(options[random.below(options.length)]!, 20);
}

/** An ESP packet for one of the children: mostly good, otherwise bad in a way that somebody out there is. */
function hostilePacket(
  random: SeededRandom,
  { children, sequences }: { readonly children: readonly Child[]; readonly sequences: Map<Child, bigint> },
): Uint8Array {
  const child = children[random.below(children.length)]!;
  const next = sequences.get(child)! + 1n;
  const isOld = random.below(6) === 0;
  const isJump = random.below(20) === 0;
  const sequence = isOld
    ? BigInt(random.below(Number(next)))
    : isJump
      ? next + BigInt(random.below(20_000))
      : next;
  if (sequence >= next) sequences.set(child, sequence);
  const { unit, takesWholeBlocks } = child.inbound.cipher;
  const plaintext = hostilePlaintext(random, takesWholeBlocks ? unit : 1);
  const octets = sealEsp(child.inbound.facts, { sequence, plaintext });
  switch (random.below(12)) {
    case 0:
      octets[random.below(octets.length)]! ^= 1 << random.below(8);
      return octets;
    case 1:
      return octets.subarray(0, random.below(octets.length));
    case 2:
      return random.octets(random.below(100));
    default:
      return octets;
  }
}

/** `unit` is what the length is a multiple of, because nothing else can be sealed. */
function hostilePlaintext(random: SeededRandom, unit: number): Uint8Array {
  const packet = randomInnerPacket(random);
  const filler = random.below(6) === 0 ? random.octets(random.below(200)) : new Uint8Array(0);
  const padLength = random.below(6) === 0 ? random.below(256) : (2 - packet.length) & 3;
  const padding = Uint8Array.from({ length: padLength }, (_, i) => i + 1);
  if (random.below(16) === 0 && padLength > 0) padding[random.below(padLength)]! ^= 0x10;
  const version = packet.length > 0 ? packet[0]! >> 4 : 0;
  const nextHeader = random.below(10) === 0 ? [4, 41, 59, 6][random.below(4)]! : version === 4 ? 4 : 41;
  const trailer = Uint8Array.of(random.below(40) === 0 ? 255 : padLength, nextHeader);
  const length = packet.length + filler.length + padding.length + trailer.length;
  return Buffer.concat([packet, filler, random.octets(-length & (unit - 1)), padding, trailer]);
}

interface Seen {
  readonly status: string;
  readonly sequence: bigint | undefined;
  readonly octets: string;
  readonly trafficClass?: number;
  readonly mayFragment?: boolean;
}

function seen({ status, sequence, octets }: EspResult): Seen {
  return {
    status,
    sequence: status === "ok" ? sequence : undefined,
    octets: Buffer.from(octets).toString("hex"),
  };
}

/** Sealed, the packet comes with what its outer header says. */
function seenOutside(result: EspResult): Seen {
  const { trafficClass, mayFragment } = result;
  return result.status === "ok" ? { ...seen(result), trafficClass, mayFragment } : seen(result);
}

function expectedSeen(result: Encapsulated | Decapsulated): Seen {
  if (result.status !== "ok") return { status: result.status, sequence: undefined, octets: "" };
  const octets = "packet" in result ? result.packet : result.octets;
  return {
    status: "ok",
    sequence: result.sequence,
    octets: Buffer.from(octets).toString("hex"),
    ...("trafficClass" in result && {
      trafficClass: result.trafficClass,
      mayFragment: result.mayFragment,
    }),
  };
}
