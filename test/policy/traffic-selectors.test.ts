import { expect, test } from "vitest";
import { PolicyError } from "../../src/errors/index.ts";
import { formatTrafficSelector, parseTrafficSelector } from "../../src/policy/traffic-selectors.ts";

test.each([
  "10.1.0.0/16",
  "0.0.0.0/0",
  "10.1.0.5-10.1.0.9",
  "10.0.0.0/8[tcp/443]",
  "10.0.0.0/8[udp/1000-2000]",
  "192.0.2.7/32[icmp]",
  "fd00::/64",
  "::/0",
  "2001:db8::1-2001:db8::7[tcp]",
  "10.0.0.0/8[tcp/opaque]",
  "10.0.0.0/8[200]",
  "10.0.0.0/8[ipv6-icmp]",
])("%s reads back as itself", (text) => {
  expect(formatTrafficSelector(parseTrafficSelector(text))).toBe(text);
});

test("other spellings mean the same", () => {
  expect(formatTrafficSelector(parseTrafficSelector("10.1.0.5"))).toBe("10.1.0.5/32");
  expect(formatTrafficSelector(parseTrafficSelector("10.1.2.3/16"))).toBe("10.1.0.0/16");
  expect(formatTrafficSelector(parseTrafficSelector("10.1.0.0-10.1.255.255[TCP/443-443]"))).toBe(
    "10.1.0.0/16[tcp/443]",
  );
  expect(formatTrafficSelector(parseTrafficSelector("10.1.0.0/16[6]"))).toBe("10.1.0.0/16[tcp]");
});

test("a selector has the octets of RFC 7296 section 3.13.1", () => {
  expect(parseTrafficSelector("10.1.0.0/16[tcp/80-443]")).toEqual({
    type: 7,
    protocol: 6,
    startPort: 80,
    endPort: 443,
    startAddress: Uint8Array.of(10, 1, 0, 0),
    endAddress: Uint8Array.of(10, 1, 255, 255),
  });
  expect(parseTrafficSelector("fd00::/64")).toMatchObject({
    type: 8,
    protocol: 0,
    startPort: 0,
    endPort: 65535,
  });
  expect(parseTrafficSelector("10.0.0.0/8[tcp/opaque]")).toMatchObject({ startPort: 65535, endPort: 0 });
});

test.each([
  "",
  "ten",
  "10.1.0.0/33",
  "10.1.0/16",
  "10.1.0.9-10.1.0.5",
  "10.1.0.0-fd00::1",
  "10.1.0.0/16[",
  "10.1.0.0/16[]",
  "10.1.0.0/16[tpc]",
  "10.1.0.0/16[0]",
  "10.1.0.0/16[256]",
  "10.1.0.0/16[tcp/70000]",
  "10.1.0.0/16[tcp/9-8]",
  "10.1.0.0/16[tcp/http]",
  "10.1.0.0/16[tcp/1/2]",
])("%j is refused", (text) => {
  expect(() => parseTrafficSelector(text)).toThrow(PolicyError);
  expect(() => parseTrafficSelector(text)).toThrow(`traffic selector "${text}"`);
});

test("selectors that make no sense still print", () => {
  const [four, sixteen] = [new Uint8Array(4), new Uint8Array(16)];
  const base = { type: 7, protocol: 0, startPort: 0, endPort: 65535 };
  expect(
    formatTrafficSelector({
      ...base,
      type: 9,
      startAddress: new Uint8Array(0),
      endAddress: new Uint8Array(0),
    }),
  ).toBe("type 9");
  expect(formatTrafficSelector({ ...base, startAddress: four, endAddress: sixteen })).toBe("type 7");
  expect(formatTrafficSelector({ ...base, startAddress: Uint8Array.of(9, 0, 0, 0), endAddress: four })).toBe(
    "9.0.0.0-0.0.0.0",
  );
  expect(formatTrafficSelector({ ...base, startPort: 5, startAddress: four, endAddress: four })).toBe(
    "0.0.0.0/32[any/5-65535]",
  );
});
