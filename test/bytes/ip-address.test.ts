import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fromHex, toHex } from "../../src/bytes/hex.ts";
import { customerPrefix, formatAddress, parseAddress, parsePrefix } from "../../src/bytes/ip-address.ts";

describe("addresses", () => {
  // Texts of RFC 5952 sections 1, 2 and 4, and of RFC 4291 section 2.2.
  test.each([
    ["192.0.2.1", "c0000201"],
    ["0.0.0.0", "00000000"],
    ["255.255.255.255", "ffffffff"],
    ["::", "00000000000000000000000000000000"],
    ["::1", "00000000000000000000000000000001"],
    ["1::", "00010000000000000000000000000000"],
    ["2001:db8::1", "20010db8000000000000000000000001"],
    ["2001:db8:0:1:1:1:1:1", "20010db8000000010001000100010001"],
    ["2001:0:0:1::1", "20010000000000010000000000000001"],
    ["2001:db8::1:0:0:1", "20010db8000000000001000000000001"],
    ["::ffff:192.0.2.1", "00000000000000000000ffffc0000201"],
    ["ff02::fb", "ff0200000000000000000000000000fb"],
    ["1:2:3:4:5:6:7:8", "00010002000300040005000600070008"],
    ["1:2:3:4:5:6:7:0", "00010002000300040005000600070000"],
  ])("%s is canonical text", (text, hex) => {
    expect(toHex(parseAddress(text)!)).toBe(hex);
    expect(formatAddress(fromHex(hex))).toBe(text);
  });

  test.each([
    ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
    ["2001:0db8::0001", "2001:db8::1"],
    ["2001:db8:0:0:1::", "2001:db8:0:0:1::"],
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
    ["::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"],
    ["::13.1.68.3", "::d01:4403"],
    ["0:0:0:0:0:FFFF:129.144.52.38", "::ffff:129.144.52.38"],
  ])("%s is read and written as %s", (text, canonical) => {
    expect(formatAddress(parseAddress(text)!)).toBe(canonical);
  });

  test.each([
    "",
    " ",
    "1.2.3",
    "1.2.3.4.5",
    "1.2.3.256",
    "01.2.3.4",
    "1.2.3.-4",
    "1..2.3",
    "1.2.3.4 ",
    "0x1.2.3.4",
    ":",
    ":::",
    "1:2",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7:8::",
    "1::2::3",
    ":1::2",
    "1::2:",
    "12345::",
    "g::",
    "fe80::1%eth0",
    "1.2.3.4::",
    "::1.2.3",
    "::1.2.3.4:5",
    "1:2:3:4:5:6:7:1.2.3.4",
    "[::1]",
  ])("%j is no address", (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });

  test("whatever is written is read back", () => {
    const octet = fc.oneof(fc.constant(0), fc.nat(255));
    const octets = fc
      .constantFrom(4, 16)
      .chain((length) => fc.array(octet, { minLength: length, maxLength: length }));
    fc.assert(
      fc.property(octets, (values) => {
        const address = Uint8Array.from(values);
        expect(parseAddress(formatAddress(address))).toEqual(address);
      }),
      { seed: 5952, numRuns: 2000 },
    );
  });

  test("other lengths are refused", () => {
    expect(() => formatAddress(new Uint8Array(5))).toThrow(RangeError);
  });
});

describe("prefixes", () => {
  test.each([
    ["10.1.0.0/16", "10.1.0.0", "10.1.255.255"],
    ["10.1.2.3/16", "10.1.0.0", "10.1.255.255"],
    ["10.1.2.3", "10.1.2.3", "10.1.2.3"],
    ["0.0.0.0/0", "0.0.0.0", "255.255.255.255"],
    ["192.0.2.128/25", "192.0.2.128", "192.0.2.255"],
    ["192.0.2.1/31", "192.0.2.0", "192.0.2.1"],
    ["fd00::/64", "fd00::", "fd00::ffff:ffff:ffff:ffff"],
    ["::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
    ["2001:db8::1/128", "2001:db8::1", "2001:db8::1"],
    ["2001:db8::/33", "2001:db8::", "2001:db8:7fff:ffff:ffff:ffff:ffff:ffff"],
  ])("%s reaches from %s to %s", (text, start, end) => {
    const range = parsePrefix(text)!;
    expect(formatAddress(range.start)).toBe(start);
    expect(formatAddress(range.end)).toBe(end);
  });

  test.each([
    "10.0.0.0/33",
    "10.0.0.0/",
    "10.0.0.0/-1",
    "10.0.0.0/08",
    "10.0.0/8",
    "::/129",
    "/8",
    "10.0.0.0/8/8",
    "x",
  ])("%j is no prefix", (text) => {
    expect(parsePrefix(text)).toBeUndefined();
  });
});

test.each([
  ["192.0.2.1", "192.0.2.255", true],
  ["192.0.2.1", "192.0.3.1", false],
  ["2001:db8:1:200::1", "2001:db8:1:2ff:ffff:ffff:ffff:ffff", true],
  ["2001:db8:1:200::1", "2001:db8:1:300::1", false],
  ["192.0.2.1", "c000:200::", false],
  ["nowhere", "nowhere", true],
])("%s and %s may be one customer's: %s", (one, other, areAlike) => {
  expect(customerPrefix(one) === customerPrefix(other)).toBe(areAlike);
});
