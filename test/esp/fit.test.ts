import { describe, expect, test } from "vitest";
import {
  REPLY_PACKET_OFFSET,
  REPLY_SIZE,
  WORKER_BASE,
  WORKER_CLOCK_OFFSET,
  WORKER_REPLIES_OFFSET,
  WORKER_REPLY_COUNT_OFFSET,
  WORKER_SIZE,
} from "../../assembly/layout.ts";
import { formatAddress } from "../../src/bytes/ip-address.ts";
import { innerPacket } from "../support/inner-packets.ts";
import { ACK, cutFrame, superFrame, transportPacket, writeChecksums } from "../support/super-packets.ts";
import { trafficSelector } from "../support/traffic-selectors.ts";
import { ANY, type Child, EspBed, WORKER } from "./esp-bed.ts";

// Packets that are longer than the path of their SA takes.

const INNER_MTU = 1222;
const REGION = WORKER_BASE + WORKER * WORKER_SIZE;

const udp = (version: 4 | 6, length: number, mayFragment = false): Uint8Array =>
  transportPacket({
    version,
    kind: "udp",
    mayFragment,
    payload: new Uint8Array(length - (version === 4 ? 28 : 48)).map((_, i) => i),
  });

function bedWith(facts: Parameters<EspBed["install"]>[0] = {}): {
  readonly bed: EspBed;
  readonly child: Child;
} {
  const bed = new EspBed();
  const child = bed.install({ selectors: ANY, innerMtu: INNER_MTU, ...facts });
  bed.protect(child);
  return { bed, child };
}

/** The inner packets of ESP packets of AES-GCM. */
function openAll(child: Child, esp: readonly Uint8Array[]): Uint8Array[] {
  return esp.map((packet) => {
    const view = new DataView(packet.buffer, packet.byteOffset);
    const opened = child.outbound.cipher.open({
      spi: child.outboundSpi,
      sequence: BigInt(view.getUint32(4)),
      iv: packet.subarray(8, 16),
      sealed: packet.subarray(16),
    })!;
    return Uint8Array.from(opened.subarray(0, opened.length - 2 - opened.at(-2)!));
  });
}

/** What the kernel has for the TUN device. */
function replies(bed: EspBed): Uint8Array[] {
  return Array.from({ length: bed.view.getUint32(REGION + WORKER_REPLY_COUNT_OFFSET, true) }, (_, i) => {
    const at = REGION + WORKER_REPLIES_OFFSET + i * REPLY_SIZE;
    const length = bed.view.getUint32(at, true);
    return bed.octets.slice(at + REPLY_PACKET_OFFSET, at + REPLY_PACKET_OFFSET + length);
  });
}

/** RFC 1071, of whole words. */
function sumOf(...parts: readonly Uint8Array[]): number {
  const octets = Buffer.concat(parts);
  let sum = 0;
  octets.forEach((octet, i) => {
    sum += i % 2 === 0 ? octet << 8 : octet;
  });
  return sum % 0xffff;
}

const outboundOf = (bed: EspBed, child: Child) => bed.sad.traffic(child.inboundSpi)!.outbound;
const plain = (packet: Uint8Array): Uint8Array => new Uint8Array(Buffer.concat([new Uint8Array(10), packet]));

describe("an IPv4 packet with DF that is too long", () => {
  test("is dropped, and its sender is told the MTU (RFC 1191 section 4)", () => {
    const { bed, child } = bedWith();
    const packet = udp(4, INNER_MTU + 1);
    expect(bed.encapsulate([udp(4, INNER_MTU), packet]).map(({ status }) => status)).toEqual([
      "ok",
      "tooBig",
    ]);
    expect(outboundOf(bed, child)).toMatchObject({ packets: 1, drops: { tooBig: 1 } });
    const [reply, ...others] = replies(bed);
    expect(others).toEqual([]);
    const view = new DataView(reply!.buffer);
    expect(reply!.length).toBe(576);
    expect([view.getUint8(0), view.getUint16(2), view.getUint8(9)]).toEqual([0x45, 576, 1]);
    expect(formatAddress(reply!.slice(12, 16))).toBe("10.2.0.1");
    expect(formatAddress(reply!.slice(16, 20))).toBe("10.1.0.1");
    expect([reply![20], reply![21], view.getUint32(24)]).toEqual([3, 4, INNER_MTU]);
    expect(reply!.slice(28)).toEqual(packet.slice(0, 548));
    expect(sumOf(reply!.subarray(0, 20))).toBe(0);
    expect(sumOf(reply!.subarray(20))).toBe(0);
  });

  test("is answered only when it is no error itself, whole or a first fragment, and from one host to another", () => {
    const payload = new Uint8Array(INNER_MTU);
    const withDf = (packet: Uint8Array): Uint8Array => {
      packet[6]! |= 0x40;
      return packet;
    };
    const icmp = (type: number): Uint8Array => {
      const message = payload.slice();
      message[0] = type;
      return withDf(
        innerPacket({ source: "10.1.0.1", destination: "10.2.0.1", protocol: 1, payload: message }),
      );
    };
    const from = (source: string, destination: string): Uint8Array =>
      withDf(innerPacket({ source, destination, payload }));
    const silent = [
      ...[3, 4, 5, 11, 12].map(icmp),
      withDf(innerPacket({ source: "10.1.0.1", destination: "10.2.0.1", payload, fragmentOffset: 5 })),
      from("0.0.0.0", "10.2.0.1"),
      from("10.1.0.1", "224.0.0.1"),
      from("10.1.0.1", "255.255.255.255"),
    ];
    const { bed, child } = bedWith();
    expect(bed.encapsulate(silent).map(({ status }) => status)).toEqual(silent.map(() => "tooBig"));
    expect(replies(bed)).toEqual([]);
    bed.encapsulate([icmp(8), from("10.1.0.1", "10.2.0.1")]);
    expect(replies(bed)).toHaveLength(2);
    expect(outboundOf(bed, child).drops).toEqual({ tooBig: silent.length + 2 });
  });

  test("is answered at a limited rate, and counted always", () => {
    const { bed, child } = bedWith();
    const packets = Array.from({ length: 40 }, () => udp(4, 1400));
    const at = (ms: number): number => {
      bed.view.setFloat64(REGION + WORKER_CLOCK_OFFSET, ms, true);
      bed.encapsulate(packets);
      return replies(bed).length;
    };
    // 16 in a batch, 64 in a burst, then one in 5 ms.
    expect([1000, 1000, 1000, 1000, 1000, 1010, 1010].map(at)).toEqual([16, 16, 16, 16, 0, 2, 0]);
    expect(outboundOf(bed, child).drops).toEqual({ tooBig: 7 * 40 });
  });
});

describe("an IPv6 packet that is too long", () => {
  test("is dropped, and its sender is told an MTU of at least 1280 (RFC 4443 section 3.2)", () => {
    for (const [innerMtu, told] of [
      [1300, 1300],
      [INNER_MTU, 1280],
    ] as const) {
      const { bed, child } = bedWith({ innerMtu });
      const packet = udp(6, 1350);
      expect(bed.encapsulate([packet])[0]!.status).toBe("tooBig");
      expect(outboundOf(bed, child).drops).toEqual({ tooBig: 1 });
      const [reply] = replies(bed);
      const view = new DataView(reply!.buffer);
      expect(reply!.length).toBe(1280);
      expect([view.getUint32(0), view.getUint16(4), reply![6]]).toEqual([0x6000_0000, 1240, 58]);
      expect(formatAddress(reply!.slice(8, 24))).toBe("fd02::1");
      expect(formatAddress(reply!.slice(24, 40))).toBe("fd01::1");
      expect([reply![40], reply![41], view.getUint32(44)]).toEqual([2, 0, told]);
      expect(reply!.slice(48)).toEqual(packet.slice(0, 1232));
      const pseudo = Uint8Array.of(0, 0, 4, 0xd8, 0, 0, 0, 58);
      expect(sumOf(reply!.subarray(8, 40), pseudo, reply!.subarray(40))).toBe(0);
    }
  });

  test("goes whole up to 1280 octets, to be fragmented outside: its sender cannot send shorter ones", () => {
    const { bed, child } = bedWith();
    const results = bed.encapsulate([udp(6, INNER_MTU), udp(6, 1280), udp(6, 1281)]);
    expect(results.map(({ status, mayFragment }) => [status, mayFragment])).toEqual([
      ["ok", false],
      ["ok", true],
      ["tooBig", false],
    ]);
    expect(outboundOf(bed, child).events).toEqual({ fragmentedOutside: 1 });
  });

  test("is not answered when it is an error, or to or from many", () => {
    const payload = new Uint8Array(1300);
    const error = innerPacket({ source: "fd01::1", destination: "fd02::1", protocol: 58, payload });
    const toMany = innerPacket({ source: "fd01::1", destination: "ff02::1", payload });
    const fromNobody = innerPacket({ source: "::", destination: "fd02::1", payload });
    const { bed } = bedWith();
    expect(bed.encapsulate([error, toMany, fromNobody]).map(({ status }) => status)).toEqual([
      "tooBig",
      "tooBig",
      "tooBig",
    ]);
    expect(replies(bed)).toEqual([]);
  });
});

describe("an IPv4 packet without DF that is too long", () => {
  test("is fragmented before it is sealed, and the fragments make it again", () => {
    for (const length of [INNER_MTU + 1, 1400, 5000, 65_535]) {
      const { bed, child } = bedWith();
      const packet = udp(4, length, true);
      const [result] = bed.encapsulateFrames([plain(packet)]);
      expect(result!.status).toBe("ok");
      const fragments = openAll(child, result!.esp);
      const payload = new Uint8Array(length - 20);
      for (const [i, fragment] of fragments.entries()) {
        const view = new DataView(fragment.buffer);
        expect(fragment.length).toBeLessThanOrEqual(INNER_MTU);
        expect(view.getUint16(2)).toBe(fragment.length);
        expect(sumOf(fragment.subarray(0, 20))).toBe(0);
        const field = view.getUint16(6);
        expect((field & 0x2000) !== 0).toBe(i < fragments.length - 1);
        payload.set(fragment.subarray(20), (field & 0x1fff) * 8);
      }
      expect(payload).toEqual(packet.slice(20));
      expect(outboundOf(bed, child)).toMatchObject({ packets: fragments.length, events: { fragmented: 1 } });
    }
  });

  test("may be a fragment already, and have options of which some are for the first only", () => {
    const { bed, child } = bedWith();
    // Router alert (copied), record route (not copied), end.
    const options = Uint8Array.of(0x94, 4, 0, 0, 7, 7, 4, 1, 2, 3, 4, 0);
    const payload = new Uint8Array(2000).map((_, i) => i);
    const packet = new Uint8Array(Buffer.concat([udp(4, 28, true).subarray(0, 20), options, payload]));
    const view = new DataView(packet.buffer);
    packet[0] = 0x48;
    view.setUint16(2, packet.length);
    view.setUint16(6, 0x2000 | 100);
    const [result] = bed.encapsulateFrames([plain(packet)]);
    const fragments = openAll(child, result!.esp);
    const fields = fragments.map((fragment) => new DataView(fragment.buffer).getUint16(6));
    expect(fields).toEqual([0x2000 | 100, 0x2000 | (100 + 148)]);
    expect(fragments.map((fragment) => fragment.slice(20, 32))).toEqual([
      options,
      Uint8Array.of(0x94, 4, 0, 0, 1, 1, 1, 1, 1, 1, 1, 0),
    ]);
    expect(
      Buffer.concat(fragments.map((fragment) => fragment.subarray(32))).equals(Buffer.from(payload)),
    ).toBe(true);
    for (const fragment of fragments) expect(sumOf(fragment.subarray(0, 32))).toBe(0);
  });

  test("goes whole, to be fragmented outside, where the SA is for certain ports (RFC 4301 section 7)", () => {
    const ports = { protocol: 17, startPort: 5201, endPort: 5201 };
    const { bed, child } = bedWith({
      selectors: { local: [trafficSelector("10.1.0.0/16")], remote: [trafficSelector("10.2.0.0/16", ports)] },
    });
    const packet = udp(4, 1400, true);
    const [result] = bed.encapsulate([packet]);
    expect([result!.status, result!.mayFragment]).toEqual(["ok", true]);
    expect(openAll(child, [result!.octets])).toEqual([packet]);
    expect(outboundOf(bed, child)).toMatchObject({ packets: 1, events: { fragmentedOutside: 1 } });
  });

  test("is fragmented as far as the SA's limit lets it", () => {
    const { bed, child } = bedWith({ packetLimit: 1 });
    const [result] = bed.encapsulateFrames([plain(udp(4, 2000, true))]);
    expect(result!.esp).toHaveLength(1);
    expect(outboundOf(bed, child)).toMatchObject({ packets: 1, drops: { limitReached: 1 } });
  });
});

describe("the outer DF bit (RFC 4301 section 8.1)", () => {
  test.each([
    ["set", [false, false, false, false]],
    ["copy", [false, true, true, false]],
    ["clear", [true, true, true, true]],
  ] as const)("with df: %s", (df, expected) => {
    const { bed } = bedWith({ df });
    const packets = [udp(4, 500), udp(4, 500, true), udp(4, 1000, true), udp(6, 500)];
    expect(bed.encapsulate(packets).map(({ mayFragment }) => mayFragment)).toEqual(expected);
  });

  test("with df: clear nothing is too long, super-packets included", () => {
    const { bed, child } = bedWith({ df: "clear" });
    const frame = superFrame({ version: 4, kind: "tcp", flags: ACK, payload: new Uint8Array(4000) }, 1360);
    const results = bed.encapsulateFrames([plain(udp(4, 1400)), plain(udp(6, 1400)), frame]);
    expect(results.map(({ status }) => status)).toEqual(["ok", "ok", "ok"]);
    expect(openAll(child, results[2]!.esp)).toEqual(cutFrame(frame));
    expect(outboundOf(bed, child)).toMatchObject({ drops: {}, events: { fragmentedOutside: 3 } });
  });
});

describe.each([4, 6] as const)("a super-packet over IPv%i whose segments are too long", (version) => {
  const payload = new Uint8Array(10_000).map((_, i) => i ^ (i >> 8));

  test("of TCP is cut into shorter ones: the stream stays the same", () => {
    const { bed, child } = bedWith();
    const facts = { version, kind: "tcp", flags: ACK, payload } as const;
    const longest = INNER_MTU - (version === 4 ? 40 : 60);
    const [result] = bed.encapsulateFrames([superFrame(facts, 1400 - (version === 4 ? 40 : 60))]);
    expect(openAll(child, result!.esp)).toEqual(cutFrame(superFrame(facts, longest)));
    expect(outboundOf(bed, child).drops).toEqual({});
    expect(replies(bed)).toEqual([]);
  });

  test("of UDP is dropped, and its sender is told of the first", () => {
    const { bed, child } = bedWith();
    const frame = superFrame({ version, kind: "udp", payload }, 1300);
    const [result] = bed.encapsulateFrames([frame]);
    expect([result!.status, result!.esp]).toEqual(["tooBig", []]);
    expect(outboundOf(bed, child)).toMatchObject({ packets: 0, drops: { tooBig: 8 } });
    const [first] = cutFrame(frame);
    const quoted = replies(bed)[0]!.subarray(version === 4 ? 28 : 48);
    expect(Buffer.compare(quoted, first!.subarray(0, quoted.length))).toBe(0);
  });
});

test("padding to one length ends where the path does", () => {
  const { bed } = bedWith({ cover: { padTo: 1400, dummyEveryMs: 0, dummyLength: 0 } });
  const packet = udp(4, 100);
  writeChecksums(packet);
  const [padded, full] = bed.encapsulate([packet, udp(4, INNER_MTU)]);
  expect(padded!.octets.length).toBe(full!.octets.length);
});
