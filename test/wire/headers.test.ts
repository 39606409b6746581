import { describe, expect, test } from "vitest";
import { concat } from "../../src/bytes/concat.ts";
import { fromHex, toHex } from "../../src/bytes/hex.ts";
import { WireError } from "../../src/errors/index.ts";
import {
  classifyDatagram,
  decodeEspHeader,
  decodeIpHeader,
  decodeNonEspMarker,
  encodeEspHeader,
  encodeIpHeader,
  encodeKeepalive,
  encodeNonEspMarker,
  internetChecksum,
  upperLayerChecksum,
} from "../../src/wire/index.ts";

describe("IP headers", () => {
  // The header checksum of this example is known: b861.
  const ipv4 = fromHex("4500 0073 0000 4000 4011 b861 c0a80001 c0a800c7".replaceAll(" ", ""));

  test("an IPv4 header is encoded to known octets, checksum included", () => {
    const header = encodeIpHeader({
      source: fromHex("c0a80001"),
      destination: fromHex("c0a800c7"),
      protocol: 17,
      payloadLength: 95,
    });
    expect(toHex(header)).toBe(toHex(ipv4));
    expect(internetChecksum(header)).toBe(0);
  });

  test("an IPv4 header is read, options included", () => {
    const packet = concat(
      fromHex("4788 0020 1234 2003 3f06 0000 0a000001 0a000002 01010101 01010100"),
      new Uint8Array(9),
    );
    expect(decodeIpHeader(packet)).toEqual({
      version: 4,
      headerLength: 28,
      totalLength: 32,
      trafficClass: 0x88,
      hopLimit: 63,
      protocol: 6,
      fragmentOffset: 24,
      hasMoreFragments: true,
      source: fromHex("0a000001"),
      destination: fromHex("0a000002"),
    });
  });

  test("an IPv6 header goes both ways", () => {
    const source = fromHex("fd000000000000000000000000000001");
    const destination = fromHex("fd000000000000000000000000000002");
    const octets = encodeIpHeader({
      source,
      destination,
      protocol: 58,
      payloadLength: 8,
      trafficClass: 0xb8,
      hopLimit: 1,
    });
    expect(toHex(octets)).toBe(`6b80000000083a01${toHex(source)}${toHex(destination)}`);
    expect(decodeIpHeader(concat(octets, new Uint8Array(8)))).toEqual({
      version: 6,
      headerLength: 40,
      totalLength: 48,
      trafficClass: 0xb8,
      hopLimit: 1,
      protocol: 58,
      fragmentOffset: 0,
      hasMoreFragments: false,
      source,
      destination,
    });
  });

  test("IPv6 extension headers are passed over up to the upper layer or a later fragment", () => {
    const packet = (nextHeader: number, payload: string): Uint8Array => {
      const rest = fromHex(payload);
      const addresses = new Uint8Array(16);
      return concat(
        encodeIpHeader({
          source: addresses,
          destination: addresses,
          protocol: nextHeader,
          payloadLength: rest.length,
        }),
        rest,
      );
    };
    const options = "3c000000 00000000";
    const destinationOptions = `2c010000 00000000 ${"00".repeat(8)}`;
    const first = packet(0, `${options} ${destinationOptions} 11000001 00000000 00010002 00080000`);
    expect(decodeIpHeader(first)).toMatchObject({
      headerLength: 72,
      protocol: 17,
      fragmentOffset: 0,
      hasMoreFragments: true,
    });
    const later = packet(44, "00000108 00000000 ffffffff ffffffff");
    expect(decodeIpHeader(later)).toMatchObject({
      headerLength: 48,
      protocol: 0,
      fragmentOffset: 264,
      hasMoreFragments: false,
    });
    expect(() => decodeIpHeader(packet(0, "3c0a0000 00000000"))).toThrow(
      "IPv6 extension header: Options runs past the end",
    );
  });

  test.each([
    ["nothing", ""],
    ["another version", "55"],
    ["half a header", "4500001400000000"],
    ["IHL 4", "44000014000040004011000000000000 00000000"],
    ["Total Length below the header", "45000013000040004011000000000000 00000000"],
    ["Total Length beyond the octets", "45000015000040004011000000000000 00000000"],
    ["IPv6 payload beyond the octets", `60000000 0001 3b 40 ${"00".repeat(32)}`],
  ])("%s is refused", (_name, hex) => {
    expect(() => decodeIpHeader(fromHex(hex))).toThrow(WireError);
  });

  test("the checksum of an ICMPv6 echo request covers the pseudo-header", () => {
    const packet = {
      source: fromHex("fe800000000000000000000000000001"),
      destination: fromHex("fe800000000000000000000000000002"),
      protocol: 58,
    };
    // 8000 + fe80 + 1 + fe80 + 2 + 8 + 3a + 1234 + 1, folded and inverted.
    const checksum = upperLayerChecksum({ ...packet, octets: fromHex("8000000012340001") });
    expect(checksum.toString(16)).toBe("7083");
    const octets = fromHex(`8000${checksum.toString(16)}12340001`);
    expect(upperLayerChecksum({ ...packet, octets })).toBe(0);
    expect(upperLayerChecksum({ ...packet, octets: concat(octets, Uint8Array.of(1)) })).not.toBe(0);
  });
});

describe("ESP headers", () => {
  test("go both ways", () => {
    const octets = encodeEspHeader({ spi: 0xc0000001, sequenceNumber: 0xffffffff });
    expect(toHex(octets)).toBe("c0000001ffffffff");
    expect(decodeEspHeader(concat(octets, new Uint8Array(20)))).toEqual({
      spi: 0xc0000001,
      sequenceNumber: 0xffffffff,
    });
    expect(() => decodeEspHeader(octets.subarray(0, 7))).toThrow(
      "ESP header: Sequence Number runs past the end at octet 4",
    );
  });
});

describe("datagrams of port 4500", () => {
  test.each([
    ["ff", "keepalive"],
    ["", "runt"],
    ["00", "runt"],
    ["ffff", "runt"],
    ["000000", "runt"],
    ["00000000", "ike"],
    ["0000000012", "ike"],
    ["00000001000000", "runt"],
    ["0000000100000001", "esp"],
    ["8000000000000001", "esp"],
    ["ff000000000000", "runt"],
  ])("%j is %s", (hex, kind) => {
    expect(classifyDatagram(fromHex(hex))).toBe(kind);
  });

  test("the marker is put in front and taken away", () => {
    const message = fromHex("0102");
    const datagram = encodeNonEspMarker(message);
    expect(toHex(datagram)).toBe("000000000102");
    expect(classifyDatagram(datagram)).toBe("ike");
    expect(decodeNonEspMarker(datagram)).toEqual(message);
    expect(() => decodeNonEspMarker(fromHex("0000000100000001"))).toThrow(WireError);
    expect(() => decodeNonEspMarker(fromHex("000000"))).toThrow(WireError);
    expect(classifyDatagram(encodeKeepalive())).toBe("keepalive");
  });
});
