import { describe, expect, test } from "vitest";
import {
  VNET_CHECKSUM_START_OFFSET,
  VNET_KIND_OFFSET,
  VNET_SEGMENT_LENGTH_OFFSET,
} from "../../assembly/layout.ts";
import { referenceDecapsulate } from "../../src/esp/reference.ts";
import { SeededRandom } from "../support/kernel.ts";
import {
  ACK,
  CWR,
  cutFrame,
  ECE,
  FIN,
  PSH,
  plainFrame,
  superFrame,
  type TransportFacts,
  transportPacket,
  unsummedFrame,
} from "../support/super-packets.ts";
import { ANY, type Child, CIPHERS, EspBed } from "./esp-bed.ts";

const RUNS = Math.max(60, Number(process.env.IKEBANA_FUZZ_RUNS ?? 0) / 100);

describe("super-packets of a TUN device", () => {
  test("are cut into what a plain reference makes of them, each piece sealed, on random super-packets", () => {
    const random = new SeededRandom(17);
    for (let run = 0; run < RUNS; run++) {
      const { bed, child } = bedWith({ seed: run + 1, cipher: CIPHERS[run % CIPHERS.length]! });
      const frames = Array.from({ length: 1 + random.below(5) }, () => randomFrame(random));
      const results = bed.encapsulateFrames(frames);
      expect(results.map(({ status }) => status)).toEqual(frames.map(() => "ok"));
      const expected = frames.flatMap(cutFrame);
      const opened = open(
        child,
        results.flatMap(({ esp }) => esp),
      );
      expect(opened.length).toBe(expected.length);
      for (const [i, packet] of expected.entries()) {
        if (Buffer.compare(opened[i]!, packet) !== 0) expect(opened[i]).toEqual(packet);
      }
      expect(bed.sad.traffic(child.inboundSpi)!.outbound.packets).toBe(expected.length);
    }
  });

  test("of 65,535 octets in the smallest pieces fill more than one array of jobs", () => {
    const { bed, child } = bedWith({});
    const payload = new SeededRandom(3).octets(65_535 - 40);
    const frame = superFrame({ version: 4, kind: "tcp", payload, flags: ACK | PSH | FIN }, 48);
    const [result] = bed.encapsulateFrames([frame]);
    const expected = cutFrame(frame);
    expect(expected.length).toBeGreaterThan(1024);
    expect(Buffer.compare(Buffer.concat(open(child, result!.esp)), Buffer.concat(expected))).toBe(0);
  });

  test("stop where the SA's limit is, and what was dropped is counted segment by segment", () => {
    const { bed, child } = bedWith({ packetLimit: 10 });
    const facts = { version: 6, kind: "tcp" } as const;
    const frames = [4, 9, 3].map((count) =>
      superFrame({ ...facts, payload: new Uint8Array(count * 100) }, 100),
    );
    const results = bed.encapsulateFrames(frames);
    expect(results.map(({ status, esp }) => [status, esp.length])).toEqual([
      ["ok", 4],
      ["ok", 6],
      ["limitReached", 0],
    ]);
    const { packets, drops } = bed.sad.traffic(child.inboundSpi)!.outbound;
    expect([packets, drops]).toEqual([10, { limitReached: 6 }]);
  });

  test.each<[string, (frame: Uint8Array, view: DataView) => void]>([
    ["pieces of no octets", (_, view) => view.setUint16(VNET_SEGMENT_LENGTH_OFFSET, 0, true)],
    ["a transport header elsewhere", (_, view) => view.setUint16(VNET_CHECKSUM_START_OFFSET, 24, true)],
    ["a transport header outside", (_, view) => view.setUint16(VNET_CHECKSUM_START_OFFSET, 65_000, true)],
    ["another kind", (_, view) => view.setUint8(VNET_KIND_OFFSET, 3)],
    ["the kind of the other family", (_, view) => view.setUint8(VNET_KIND_OFFSET, 4)],
    ["the kind of the other protocol", (_, view) => view.setUint8(VNET_KIND_OFFSET, 5)],
    ["a TCP header that is too short", (frame) => frame.fill(0x10, 42, 43)],
    ["a TCP header that is longer than the packet", (frame) => frame.fill(0xf0, 42, 43)],
  ])("with %s are runts", (_, spoil) => {
    const { bed, child } = bedWith({});
    const frame = superFrame({ version: 4, kind: "tcp", payload: new Uint8Array(30) }, 10);
    spoil(frame, new DataView(frame.buffer));
    expect(bed.encapsulateFrames([frame])).toEqual([{ status: "runt", esp: [] }]);
    expect(bed.sad.traffic(child.inboundSpi)!.outbound.drops).toEqual({ runt: 1 });
  });
});

describe("packets behind a header", () => {
  test("have their checksum completed when the header asks for it, and are left alone when it does not", () => {
    const { bed, child } = bedWith({});
    const random = new SeededRandom(5);
    const facts = ([4, 6] as const).flatMap((version) =>
      (["tcp", "udp"] as const).flatMap((kind) =>
        Array.from({ length: 40 }, (_, i): TransportFacts => ({ version, kind, payload: random.octets(i) })),
      ),
    );
    for (const each of facts) {
      const whole = transportPacket(each);
      const wrong = whole.slice();
      wrong[wrong.length - 1]! ^= 1;
      const results = bed.encapsulateFrames([unsummedFrame(each), plainFrame(wrong)]);
      expect(
        open(
          child,
          results.flatMap(({ esp }) => esp),
        ),
      ).toEqual([whole, wrong]);
    }
  });

  test("give UDP all ones where the sum comes out as zero (RFC 768)", () => {
    const { bed, child } = bedWith({});
    const facts = { version: 4, kind: "udp" } as const;
    const sum = new DataView(transportPacket({ ...facts, payload: new Uint8Array(2) }).buffer).getUint16(26);
    const payload = Uint8Array.of(sum >> 8, sum & 0xff);
    const [result] = bed.encapsulateFrames([unsummedFrame({ ...facts, payload })]);
    expect(new DataView(open(child, result!.esp)[0]!.buffer).getUint16(26)).toBe(0xffff);
  });

  test("with a checksum outside of them are runts", () => {
    const { bed } = bedWith({});
    const frame = unsummedFrame({ version: 4, kind: "udp", payload: new Uint8Array(4) });
    new DataView(frame.buffer).setUint16(VNET_CHECKSUM_START_OFFSET, 25, true);
    expect(bed.encapsulateFrames([frame])).toEqual([{ status: "runt", esp: [] }]);
  });
});

function bedWith(facts: { seed?: number; cipher?: (typeof CIPHERS)[number]; packetLimit?: number }): {
  bed: EspBed;
  child: Child;
} {
  const bed = new EspBed({ seed: facts.seed ?? 1 });
  const child = bed.install({ selectors: ANY, ...facts });
  bed.protect(child);
  return { bed, child };
}

/** What the peer makes of ESP packets. */
function open(child: Child, esp: readonly Uint8Array[]): Uint8Array[] {
  return referenceDecapsulate(new Map([[child.outboundSpi, child.outbound]]), esp).map((opened) => {
    if (opened.status !== "ok") throw new Error(`the peer refuses: ${opened.status}`);
    return new Uint8Array(opened.packet);
  });
}

function randomFrame(random: SeededRandom): Uint8Array {
  const version = random.below(2) === 0 ? 4 : 6;
  const kind = random.below(3) === 0 ? "udp" : "tcp";
  const facts: TransportFacts = {
    version,
    kind,
    identification: random.below(65_536),
    mayFragment: random.below(2) === 0,
    trafficClass: random.below(256),
    hopLimit: random.below(256),
    sequence: random.below(2) === 0 ? 2 ** 32 - random.below(60_000) : random.below(2 ** 32),
    acknowledgement: random.below(2 ** 32),
    flags: [ACK, ACK | PSH, ACK | FIN, ACK | PSH | FIN, ACK | ECE | CWR][random.below(5)]!,
    window: random.below(65_536),
    options: random.octets(4 * random.below(11)),
    payload: random.octets(1 + random.below(random.below(4) === 0 ? 60_000 : 6000)),
  };
  const segmentLength = 1 + Math.floor(facts.payload.length / (1 + random.below(60)));
  return superFrame(facts, segmentLength);
}
