import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  decodePacketInfo,
  decodeSocketAddress,
  encodePacketInfo,
  encodeSocketAddress,
} from "../../src/platform/socket-address.ts";

describe("socket addresses", () => {
  test("are laid out as the kernel has them", () => {
    expect(Buffer.from(encodeSocketAddress({ address: "192.0.2.1", port: 4500 })).toString("hex")).toBe(
      "02001194c00002010000000000000000",
    );
    expect(Buffer.from(encodeSocketAddress({ address: "2001:db8::1", port: 500 })).toString("hex")).toBe(
      "0a0001f40000000020010db800000000000000000000000100000000",
    );
  });

  test.each(["192.0.2.1", "0.0.0.0", "2001:db8::1", "::", "fe80::1%3"])(
    "come back as they went: %s",
    (address) => {
      const encoded = encodeSocketAddress({ address, port: 65_535 });
      expect(decodeSocketAddress(encoded)).toEqual({ address, port: 65_535 });
    },
  );

  test("fit the room of an SA slot", () => {
    expect(encodeSocketAddress({ address: "::1", port: 1 }).length).toBeLessThanOrEqual(32);
    expect(encodePacketInfo("::1").length).toBeLessThanOrEqual(64);
  });

  test.each(["", "192.0.2", "example.org", "fe80::1%eth0", "::1%"])("are not made of %o", (address) => {
    expect(() => encodeSocketAddress({ address, port: 1 })).toThrow(RangeError);
  });

  test("of another family, or cut short, are undefined", () => {
    expect(decodeSocketAddress(Uint8Array.of(1, 0, 2, 3))).toBeUndefined();
    expect(decodeSocketAddress(new Uint8Array(28).fill(7))).toBeUndefined();
    expect(
      decodeSocketAddress(encodeSocketAddress({ address: "::1", port: 1 }).subarray(0, 20)),
    ).toBeUndefined();
  });
});

describe("packet info", () => {
  test.each(["192.0.2.1", "2001:db8::1", "fe80::1%3"])("comes back as it went: %s", (address) => {
    expect(decodePacketInfo(encodePacketInfo(address))).toBe(address);
  });

  test("of an unspecified address is empty, so that the kernel chooses", () => {
    expect(encodePacketInfo("0.0.0.0")).toHaveLength(0);
    expect(encodePacketInfo("::")).toHaveLength(0);
  });

  test("is found behind other control messages", () => {
    const other = new Uint8Array(24);
    other.set([20, 0, 0, 0, 0, 0, 0, 0, 17, 0, 0, 0, 104]);
    expect(decodePacketInfo(Buffer.concat([other, encodePacketInfo("192.0.2.1")]))).toBe("192.0.2.1");
  });

  test("of octets that make no sense is undefined, and reading them ends", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 128 }), (octets) => {
        const result = decodePacketInfo(octets);
        expect(result === undefined || typeof result === "string").toBe(true);
      }),
    );
    expect(decodePacketInfo(new Uint8Array(64))).toBeUndefined();
    expect(decodePacketInfo(new Uint8Array(64).fill(0xff))).toBeUndefined();
  });
});
