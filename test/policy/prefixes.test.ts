import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseAddress, parsePrefix } from "../../src/bytes/ip-address.ts";
import { rangeToPrefixes } from "../../src/policy/prefixes.ts";

function prefixes(start: string, end: string): string[] {
  return rangeToPrefixes(parseAddress(start)!, parseAddress(end)!);
}

describe("a range of addresses as prefixes", () => {
  test.each([
    ["10.1.0.0", "10.1.255.255", ["10.1.0.0/16"]],
    ["0.0.0.0", "255.255.255.255", ["0.0.0.0/0"]],
    ["10.0.0.5", "10.0.0.5", ["10.0.0.5/32"]],
    ["10.0.0.5", "10.0.0.9", ["10.0.0.5/32", "10.0.0.6/31", "10.0.0.8/31"]],
    ["fd00::", "fd00::ffff:ffff:ffff:ffff", ["fd00::/64"]],
    ["::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ["::/0"]],
  ])("%s to %s", (start, end, expected) => {
    expect(prefixes(start, end)).toEqual(expected);
  });

  test("covers any range exactly, in order and without a gap", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffff }), fc.integer({ min: 0, max: 0xffff }), (a, b) => {
        const [low, high] = [Math.min(a, b), Math.max(a, b)];
        const found = rangeToPrefixes(address(low), address(high)).map((text) => parsePrefix(text)!);
        expect(found.at(0)!.start).toEqual(address(low));
        expect(found.at(-1)!.end).toEqual(address(high));
        for (let i = 1; i < found.length; i++) {
          expect(number(found[i]!.start)).toBe(number(found[i - 1]!.end) + 1);
        }
      }),
      { seed: 1 },
    );
  });
});

function address(low: number): Uint8Array {
  return Uint8Array.of(10, 0, low >>> 8, low & 0xff);
}

function number(octets: Uint8Array): number {
  return (octets[2]! << 8) | octets[3]!;
}
