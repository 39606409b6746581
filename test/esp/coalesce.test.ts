import { describe, expect, test } from "vitest";
import {
  COALESCE_HEADERS,
  COALESCE_LIMIT,
  COALESCE_TCP,
  COALESCE_UDP,
  VNET_HEADER_SIZE,
  VNET_SEGMENT_LENGTH_OFFSET,
} from "../../assembly/layout.ts";
import { sealEsp } from "../../src/esp/reference.ts";
import { SeededRandom } from "../support/kernel.ts";
import {
  ACK,
  CWR,
  cutFrame,
  ECE,
  FIN,
  PSH,
  placesIn,
  SYN,
  type TransportFacts,
  transportPacket,
  writeChecksums,
} from "../support/super-packets.ts";
import { ANY, type Child, EspBed } from "./esp-bed.ts";

const ALL = COALESCE_HEADERS | COALESCE_TCP | COALESCE_UDP;
const RUNS = Math.max(60, Number(process.env.IKEBANA_FUZZ_RUNS ?? 0) / 100);

describe("packets that continue one another", () => {
  test("become super-packets which are cut into the same packets again, in the order of each flow, on random traffic", () => {
    const random = new SeededRandom(23);
    let joined = 0;
    for (let run = 0; run < RUNS; run++) {
      const { bed, child } = newBed(run + 1);
      const packets = randomTraffic(random, 20 + random.below(100));
      const kinds = random.below(8) === 0 ? COALESCE_HEADERS : ALL;
      const frames = coalesce(bed, child, packets, kinds);
      if (kinds === COALESCE_HEADERS) expect(frames.length).toBe(packets.length);
      joined += packets.length - frames.length;
      const arrived = frames.flatMap(({ frame }) => cutFrame(frame));
      expect(arrived.length).toBe(packets.length);
      for (const flow of new Set(packets.map(flowOf))) {
        const [sent, got] = [packets, arrived].map((list) => list.filter((each) => flowOf(each) === flow));
        expect(got!.length).toBe(sent!.length);
        expect(Buffer.compare(Buffer.concat(got!), Buffer.concat(sent!))).toBe(0);
      }
    }
    expect(joined).toBeGreaterThan(10 * RUNS);
  });

  test("come out as they were when the device refuses the super-packet", () => {
    const random = new SeededRandom(29);
    for (let run = 0; run < RUNS; run++) {
      const { bed, child } = newBed(run + 1);
      const packets = randomTraffic(random, 60);
      const pieces = coalesce(bed, child, packets, ALL).flatMap(({ write, pieces }) => {
        if (pieces > 1) bed.kernel.espSplitWrite(write);
        return bed.piecesOf(write);
      });
      expect(pieces.every((piece) => piece.subarray(0, VNET_HEADER_SIZE).every((octet) => octet === 0))).toBe(
        true,
      );
      const got = pieces.map((piece) => Buffer.from(piece.subarray(VNET_HEADER_SIZE)).toString("hex")).sort();
      expect(got).toEqual(packets.map((packet) => Buffer.from(packet).toString("hex")).sort());
    }
  });

  test.each([4, 6] as const)("of TCP over IPv%i: equal ones, a shorter one ends", (version) => {
    expect(piecesOf(stream({ version, lengths: [1000, 1000, 1000, 400, 1000, 1000] }))).toEqual([4, 2]);
    expect(piecesOf(stream({ version, lengths: [400, 1000, 1000] }))).toEqual([1, 2]);
  });

  test("of TCP end with PSH, which the super-packet has then", () => {
    const packets = stream({ version: 4, lengths: [500, 500, 500, 500], flags: [ACK, ACK | PSH, ACK, ACK] });
    const { bed, child } = newBed(1);
    const frames = coalesce(bed, child, packets, ALL);
    expect(frames.map(({ pieces }) => pieces)).toEqual([2, 2]);
    expect(frames.map(({ frame }) => frame[VNET_HEADER_SIZE + 33])).toEqual([ACK | PSH, ACK]);
    expect(piecesOf(stream({ version: 4, lengths: [9, 9], flags: [ACK | PSH, ACK] }))).toEqual([1, 1]);
  });

  test("are 64 at most, and 65,535 octets", () => {
    const many = stream({ version: 4, lengths: Array.from({ length: 130 }, () => 100) });
    expect(piecesOf(many)).toEqual([COALESCE_LIMIT, COALESCE_LIMIT, 2]);
    const large = stream({ version: 6, lengths: Array.from({ length: 10 }, () => 9000) });
    expect(piecesOf(large)).toEqual([7, 3]);
  });

  test("of several flows are told apart, and more flows than there is room for pass without harm", () => {
    const flows = Array.from({ length: 40 }, (_, i) =>
      stream({ version: 4, lengths: [300, 300, 300], sourcePort: 1000 + i }),
    );
    const mixed = (list: Uint8Array[][]): Uint8Array[] =>
      [0, 1, 2].flatMap((i) => list.map((flow) => flow[i]!));
    expect(piecesOf(mixed(flows.slice(0, 16)))).toEqual(Array.from({ length: 16 }, () => 3));
    const { bed, child } = newBed(1);
    const packets = mixed(flows);
    expect(coalesce(bed, child, packets, ALL).flatMap(({ frame }) => cutFrame(frame)).length).toBe(
      packets.length,
    );
  });

  test("of UDP: equal ones with consecutive identifications", () => {
    const packets = (identifications: readonly number[], lengths: readonly number[]): Uint8Array[] =>
      identifications.map((identification, i) =>
        transportPacket({ version: 4, kind: "udp", identification, payload: new Uint8Array(lengths[i]!) }),
      );
    expect(piecesOf(packets([1, 2, 3, 4, 5], [200, 200, 200, 200, 7]))).toEqual([5]);
    expect(piecesOf(packets([1, 2, 4, 5], [200, 200, 200, 200]))).toEqual([2, 2]);
    expect(piecesOf(packets([65_535, 0, 1], [200, 200, 201]))).toEqual([2, 1]);
  });

  test.each<[string, (packet: Uint8Array, view: DataView, transport: number) => void]>([
    ["a wrong transport checksum", (packet) => flip(packet, packet.length - 1)],
    ["a wrong header checksum", (packet) => flip(packet, 10)],
  ])("with %s go alone and as they came", (_, spoil) => {
    for (const kind of ["tcp", "udp"] as const) {
      for (const at of [0, 1, 2]) {
        const packets = stream({ version: 4, kind, lengths: [100, 100, 100] });
        spoil(packets[at]!, new DataView(packets[at]!.buffer), 20);
        const { bed, child } = newBed(1);
        const frames = coalesce(bed, child, packets, ALL);
        const alone = frames
          .filter(({ pieces }) => pieces === 1)
          .map(({ frame }) => frame.slice(VNET_HEADER_SIZE));
        expect(alone).toContainEqual(packets[at]);
        expect(frames.flatMap(({ frame }) => cutFrame(frame))).toEqual(packets);
      }
    }
  });

  const change = (edit: (packet: Uint8Array, view: DataView, transport: number) => unknown) => edit;
  test.each([
    ["another type of service", change((packet) => flip(packet, 1))],
    ["another time to live", change((packet) => flip(packet, packet[0] === 0x45 ? 8 : 7))],
    ["an ACK number that moved", change((_, view, at) => view.setUint32(at + 8, 9))],
    ["another window", change((_, view, at) => view.setUint16(at + 14, 9))],
    ["an urgent pointer", change((_, view, at) => view.setUint16(at + 18, 9))],
    ["another option", change((packet, _, at) => flip(packet, at + 21))],
    ["a gap in the numbers", change((_, view, at) => view.setUint32(at + 4, view.getUint32(at + 4) + 1))],
    ["FIN", change((packet, _, at) => packet.fill(ACK | FIN, at + 13, at + 14))],
    ["SYN", change((packet, _, at) => packet.fill(ACK | SYN, at + 13, at + 14))],
    ["CWR", change((packet, _, at) => packet.fill(ACK | CWR, at + 13, at + 14))],
    ["ECE", change((packet, _, at) => packet.fill(ACK | ECE, at + 13, at + 14))],
    ["no ACK", change((packet, _, at) => packet.fill(0, at + 13, at + 14))],
  ])("are not joined by a TCP packet with %s", (_, edit) => {
    for (const version of [4, 6] as const) {
      const packets = stream({ version, lengths: [100, 100, 100, 100] });
      edit(packets[2]!, new DataView(packets[2]!.buffer), version === 4 ? 20 : 40);
      writeChecksums(packets[2]!);
      expect(piecesOf(packets).slice(0, 2)).toEqual([2, 1]);
    }
  });

  test.each([
    ["a gap in the identifications", change((_, view) => view.setUint16(4, 99))],
    ["a fragment", change((_, view) => view.setUint16(6, 0x2000))],
    ["a later fragment", change((_, view) => view.setUint16(6, 5))],
    ["another fragment bit", change((_, view) => view.setUint16(6, 0))],
  ])("over IPv4 are not joined by %s", (_, edit) => {
    const packets = stream({ version: 4, lengths: [100, 100, 100] });
    edit(packets[2]!, new DataView(packets[2]!.buffer), 20);
    writeChecksums(packets[2]!);
    expect(piecesOf(packets)).toEqual([2, 1]);
  });

  test("leave out UDP without a checksum, packets without payload, and what has IPv4 options", () => {
    const udp = stream({ version: 4, kind: "udp", lengths: [100, 100] });
    for (const packet of udp) packet.fill(0, 26, 28);
    expect(piecesOf(udp)).toEqual([1, 1]);
    expect(piecesOf(stream({ version: 4, lengths: [0, 0, 0] }))).toEqual([1, 1, 1]);
    const optional = stream({ version: 4, lengths: [100, 100] }).map((packet) => {
      const longer = new Uint8Array(
        Buffer.concat([packet.subarray(0, 20), Uint8Array.of(1, 1, 1, 1), packet.subarray(20)]),
      );
      longer[0] = 0x46;
      new DataView(longer.buffer).setUint16(2, longer.length);
      return longer;
    });
    expect(piecesOf(optional)).toEqual([1, 1]);
  });

  test("are not overtaken by a packet of their flow that stands alone", () => {
    const packets = stream({ version: 4, lengths: [100, 100, 0, 100, 100] });
    const { bed, child } = newBed(1);
    const frames = coalesce(bed, child, packets, ALL);
    expect(frames.map(({ pieces }) => pieces)).toEqual([2, 1, 2]);
    expect(frames.flatMap(({ frame }) => cutFrame(frame))).toEqual(packets);
  });

  test("that were dropped are in no super-packet", () => {
    const { bed, child } = newBed(1);
    const packets = stream({ version: 4, lengths: [100, 100, 100] });
    const esp = seal(child, packets);
    esp[1]![20]! ^= 1;
    expect(bed.decapsulate(esp).map(({ status }) => status)).toEqual(["ok", "integrityFailed", "ok"]);
    expect(bed.coalesce(3, ALL).map(({ frame }) => frame.slice(VNET_HEADER_SIZE))).toEqual([
      packets[0],
      packets[2],
    ]);
  });
});

interface StreamFacts {
  readonly version: 4 | 6;
  readonly kind?: "tcp" | "udp";
  readonly lengths: readonly number[];
  readonly flags?: readonly number[];
  readonly sourcePort?: number;
}

/** Packets that follow one another. */
function stream({ version, kind = "tcp", lengths, flags, sourcePort = 5000 }: StreamFacts): Uint8Array[] {
  let sequence = 2 ** 32 - 150;
  return lengths.map((length, i) => {
    const packet = transportPacket({
      version,
      kind,
      sourcePort,
      identification: 65_534 + i,
      sequence,
      ...(flags !== undefined && { flags: flags[i]! }),
      options: Uint8Array.of(1, 1, 1, 1),
      payload: new Uint8Array(length).fill(i + 1),
    });
    sequence = (sequence + length) % 2 ** 32;
    return packet;
  });
}

/** Flows of both families and protocols, interleaved, with all that ends a super-packet among them. */
function randomTraffic(random: SeededRandom, count: number): Uint8Array[] {
  const flows = Array.from({ length: 1 + random.below(6) }, (_, i) => ({
    version: random.below(2) === 0 ? (4 as const) : (6 as const),
    kind: random.below(3) === 0 ? ("udp" as const) : ("tcp" as const),
    sourcePort: 1000 + i,
    sequence: 2 ** 32 - random.below(20_000),
    identification: random.below(65_536),
    length: 1 + random.below(1400),
    options: random.octets(4 * random.below(4)),
    window: random.below(65_536),
  }));
  return Array.from({ length: count }, () => {
    const flow = flows[random.below(flows.length)]!;
    const isOdd = random.below(12) === 0;
    if (isOdd) flow.window = random.below(65_536);
    if (random.below(15) === 0) flow.sequence += 1;
    if (random.below(15) === 0) flow.identification += 3;
    const length = random.below(10) === 0 ? random.below(1400) : flow.length;
    const facts: TransportFacts = {
      version: flow.version,
      kind: flow.kind,
      sourcePort: flow.sourcePort,
      sequence: flow.sequence % 2 ** 32,
      identification: flow.identification % 65_536,
      options: flow.options,
      window: flow.window,
      flags: [ACK, ACK, ACK, ACK, ACK, ACK | PSH, ACK | ECE, ACK | FIN, SYN][random.below(isOdd ? 9 : 5)]!,
      payload: random.octets(length),
    };
    flow.sequence += length;
    flow.identification++;
    const packet = transportPacket(facts);
    if (random.below(20) === 0) packet[random.below(packet.length - 20) + 20]! ^= 1 << random.below(8);
    return packet;
  });
}

function flip(packet: Uint8Array, at: number): void {
  packet[at]! ^= 1;
}

function newBed(seed: number): { bed: EspBed; child: Child } {
  const bed = new EspBed({ seed });
  return { bed, child: bed.install({ selectors: ANY }) };
}

/** Seals packets as the peer does and passes them through the kernel. */
function coalesce(bed: EspBed, child: Child, packets: readonly Uint8Array[], kinds: number) {
  const results = bed.decapsulate(seal(child, packets));
  expect(results.every(({ status }) => status === "ok")).toBe(true);
  const frames = bed.coalesce(packets.length, kinds);
  for (const { frame, pieces } of frames) {
    const segmentLength = new DataView(frame.buffer).getUint16(VNET_SEGMENT_LENGTH_OFFSET, true);
    if (pieces > 1) expect(cutFrame(frame).length).toBe(pieces);
    expect(segmentLength > 0).toBe(pieces > 1);
  }
  return frames;
}

function seal(child: Child, packets: readonly Uint8Array[]): Uint8Array[] {
  return packets.map((packet, i) => {
    const padLength = (4 - ((packet.length + 2) % 4)) % 4;
    const padding = Array.from({ length: padLength }, (_, place) => place + 1);
    const trailer = Uint8Array.from([...padding, padLength, packet[0]! >> 4 === 4 ? 4 : 41]);
    const plaintext = new Uint8Array(Buffer.concat([packet, trailer]));
    return sealEsp(child.inbound.facts, { sequence: BigInt(i + 1), plaintext });
  });
}

function piecesOf(packets: readonly Uint8Array[]): number[] {
  const { bed, child } = newBed(1);
  return coalesce(bed, child, packets, ALL).map(({ pieces }) => pieces);
}

function flowOf(packet: Uint8Array): string {
  const { transport, isTcp } = placesIn(packet);
  return `${transport} ${isTcp} ${packet.subarray(transport, transport + 4)}`;
}
