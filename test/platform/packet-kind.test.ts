import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { describeFrame } from "../../src/platform/packet-kind.ts";
import { encodeIpHeader } from "../../src/wire/ip-header.ts";

const ADDRESSES = {
  4: [Uint8Array.of(192, 0, 2, 1), Uint8Array.of(192, 0, 2, 2)],
  6: [Uint8Array.of(0x20, 1, ...new Array(14).fill(0)), Uint8Array.of(0x20, 2, ...new Array(14).fill(0))],
} as const;

function ethernet(type: number, body: Uint8Array): Uint8Array {
  return Buffer.concat([new Uint8Array(12), Uint8Array.of(type >> 8, type & 0xff), body]);
}

function ip(version: 4 | 6, protocol: number, upper: Uint8Array): Uint8Array {
  const [source, destination] = ADDRESSES[version];
  const header = encodeIpHeader({ source, destination, protocol, payloadLength: upper.length });
  return ethernet(version === 4 ? 0x0800 : 0x86dd, Buffer.concat([header, upper]));
}

function udp(source: number, destination: number, payload: readonly number[]): Uint8Array {
  const length = 8 + payload.length;
  const ports = [source >> 8, source & 0xff, destination >> 8, destination & 0xff];
  return Uint8Array.of(...ports, length >> 8, length & 0xff, 0, 0, ...payload);
}

const ESP = [0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 5, 1, 2, 3, 4];

describe.each([4, 6] as const)("a frame with IPv%i", (version) => {
  test.each<[string, number, Uint8Array]>([
    ["esp-in-udp", 17, udp(4500, 4500, ESP)],
    ["esp-in-udp", 17, udp(62_000, 4500, ESP)],
    ["esp", 50, Uint8Array.from(ESP)],
    ["ike", 17, udp(4500, 4500, [0, 0, 0, 0, 1, 2, 3, 4])],
    ["ike", 17, udp(500, 31_000, [1, 2, 3, 4])],
    ["keepalive", 17, udp(4500, 4500, [0xff])],
    ["other", 17, udp(53, 31_000, ESP)],
    ["other", 6, Uint8Array.from(ESP)],
    ["other", 17, udp(4500, 4500, [1, 2])],
  ])("is %s", (kind, protocol, upper) => {
    expect(describeFrame(ip(version, protocol, upper)).kind).toBe(kind);
  });

  test("tells addresses, SPI and sequence number of ESP, also when it is cut off behind them", () => {
    const frame = ip(version, 17, udp(4500, 4500, [...ESP, ...new Array(1000).fill(9)]));
    const expected = { kind: "esp-in-udp", spi: 0xcafebabe, sequenceNumber: 5 };
    expect(describeFrame(frame.subarray(0, 100))).toMatchObject(expected);
    expect(describeFrame(frame).source).toBe(version === 4 ? "192.0.2.1" : "2001::");
  });

  test("is a keepalive also when the frame is padded to its minimum", () => {
    const frame = Buffer.concat([ip(version, 17, udp(4500, 4500, [0xff])), new Uint8Array(17)]);
    expect(describeFrame(frame).kind).toBe("keepalive");
  });
});

describe("a frame", () => {
  test("of the link's own housekeeping is told apart", () => {
    expect(describeFrame(ethernet(0x0806, new Uint8Array(28))).kind).toBe("neighbors");
    expect(describeFrame(ip(6, 58, Uint8Array.of(135, 0, 0, 0))).kind).toBe("neighbors");
    expect(describeFrame(ip(6, 0, Uint8Array.of(58, 0, 5, 2, 0, 0, 1, 0, 143, 0, 0, 0))).kind).toBe(
      "neighbors",
    );
    expect(describeFrame(ip(6, 58, Uint8Array.of(128, 0, 0, 0))).kind).toBe("other");
  });

  test("of TCP has IKE and ESP inside on the port of NAT traversal alone", () => {
    expect(describeFrame(ip(4, 6, udp(40_000, 4500, ESP))).kind).toBe("in-tcp");
    expect(describeFrame(ip(6, 6, udp(4500, 40_000, ESP))).kind).toBe("in-tcp");
    expect(describeFrame(ip(4, 6, udp(40_000, 443, ESP))).kind).toBe("other");
  });

  test("with a later fragment is one, and with the first it is what it carries", () => {
    const first = ip(4, 17, udp(4500, 4500, ESP));
    first[14 + 6] = 0x20;
    expect(describeFrame(first).kind).toBe("esp-in-udp");
    const later = ip(4, 17, new Uint8Array(64));
    later[14 + 7] = 9;
    expect(describeFrame(later).kind).toBe("fragment");
    expect(describeFrame(ip(6, 44, Uint8Array.of(17, 0, 0, 8, 0, 0, 0, 1, 1, 2, 3, 4))).kind).toBe(
      "fragment",
    );
  });

  test("of any octets is described without an exception", () => {
    const types = fc.constantFrom(0x0800, 0x86dd, 0x0806, 0x1234);
    fc.assert(
      fc.property(types, fc.uint8Array({ maxLength: 128 }), (type, body) => {
        expect(typeof describeFrame(ethernet(type, body)).kind).toBe("string");
        expect(typeof describeFrame(body).kind).toBe("string");
      }),
      { numRuns: Number(process.env.IKEBANA_FUZZ_RUNS ?? 2000) },
    );
  });
});
