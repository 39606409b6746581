import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { explainUnacceptable, isSubset, narrow, narrowBoth } from "../../src/policy/narrow.ts";
import {
  formatTrafficSelector,
  formatTrafficSelectors,
  selectorsFromPrefixes,
} from "../../src/policy/traffic-selectors.ts";
import type { TrafficSelector } from "../../src/wire/payloads/traffic-selector.ts";

const RUNS = Number(process.env.IKEBANA_FUZZ_RUNS ?? 2000);
const ts = (...texts: string[]): TrafficSelector[] => selectorsFromPrefixes(texts);
const narrowed = (offered: TrafficSelector[], allowed: TrafficSelector[]): string[] =>
  narrow({ offered, allowed }).map(formatTrafficSelector);

describe("narrowBoth", () => {
  const pieces = (net: string, count: number): TrafficSelector[] =>
    ts(...Array.from({ length: count }, (_, port) => `${net}[udp/${2 * port}]`));
  const countsOf = (local: number, remote: number, allowed: number): readonly number[] => {
    const policy = (net: string): TrafficSelector[] =>
      ts(...Array.from({ length: allowed }, (_, i) => `${net}.${i}.0.0/16`));
    const sides = narrowBoth({
      offered: { local: pieces("10.0.0.1", local), remote: pieces("11.0.0.1", remote) },
      allowed: { local: policy("10"), remote: policy("11") },
    });
    expect(sides.local).toEqual(pieces("10.0.0.1", local).slice(0, sides.local.length));
    expect(sides.remote).toEqual(pieces("11.0.0.1", remote).slice(0, sides.remote.length));
    return [sides.local.length, sides.remote.length];
  };

  test("gives a peer that cuts a policy into many pairs the first of them", () => {
    expect(countsOf(16, 16, 1)).toEqual([16, 16]);
    expect(countsOf(255, 1, 1)).toEqual([255, 1]);
    expect(countsOf(255, 255, 1)).toEqual([16, 16]);
    expect(countsOf(255, 4, 1)).toEqual([64, 4]);
    expect(countsOf(8, 100, 1)).toEqual([8, 32]);
  });

  test("gives as many pairs as the policy itself has", () => {
    expect(countsOf(40, 40, 40)).toEqual([40, 40]);
    expect(countsOf(255, 255, 40)).toEqual([40, 40]);
  });
});

describe("narrow", () => {
  test.each([
    [["10.0.0.0/8"], ["10.1.0.0/16"], ["10.1.0.0/16"]],
    [["10.1.0.0/16"], ["10.0.0.0/8"], ["10.1.0.0/16"]],
    [
      ["0.0.0.0/0", "::/0"],
      ["10.1.0.0/16", "fd00::/64"],
      ["10.1.0.0/16", "fd00::/64"],
    ],
    [["10.1.0.0-10.1.0.99"], ["10.1.0.50-10.1.0.200"], ["10.1.0.50-10.1.0.99"]],
    [["10.1.0.0/16"], ["10.2.0.0/16"], []],
    [["10.0.0.0/8"], ["fd00::/8"], []],
    [["10.1.0.0/16[tcp]"], ["10.0.0.0/8[tcp/443]"], ["10.1.0.0/16[tcp/443]"]],
    [["10.1.0.0/16"], ["10.0.0.0/8[udp/1000-2000]"], ["10.1.0.0/16[udp/1000-2000]"]],
    [["10.1.0.0/16[udp]"], ["10.0.0.0/8[tcp]"], []],
    [["10.1.0.0/16[tcp/1-100]"], ["10.1.0.0/16[tcp/100-200]"], ["10.1.0.0/16[tcp/100]"]],
    // The packet that set it off comes first; it lies within what follows.
    [["10.1.0.5[tcp/40000]", "10.1.0.0/16"], ["10.1.0.0/16"], ["10.1.0.0/16"]],
    [
      ["10.1.0.5[tcp/40000]", "10.1.0.0/16[udp]"],
      ["10.1.0.0/24"],
      ["10.1.0.5/32[tcp/40000]", "10.1.0.0/24[udp]"],
    ],
    // OPAQUE is within any port, and nowhere else.
    [["10.1.0.0/16[tcp/opaque]"], ["10.1.0.0/16"], ["10.1.0.0/16[tcp/opaque]"]],
    [["10.1.0.0/16[tcp/opaque]"], ["10.1.0.0/16[tcp/0-65534]"], []],
    [[], ["10.1.0.0/16"], []],
    [["10.1.0.0/16"], [], []],
  ])("%j within %j is %j", (offered, allowed, expected) => {
    expect(narrowed(ts(...offered), ts(...allowed))).toEqual(expected);
  });

  test("reversed ranges, mixed families, other types and ports without a protocol match nothing", () => {
    const [good] = ts("10.1.0.0/16[tcp/1-100]");
    const bad: TrafficSelector[] = [
      { ...good!, startPort: 100, endPort: 1 },
      { ...good!, startAddress: good!.endAddress, endAddress: good!.startAddress },
      { ...good!, type: 8 },
      { ...good!, type: 9 },
      { ...good!, startAddress: new Uint8Array(16) },
      { ...good!, type: 9, startAddress: new Uint8Array(0), endAddress: new Uint8Array(0) },
      { ...good!, protocol: 0 },
    ];
    for (const selector of bad) {
      expect(narrowed([selector], ts("0.0.0.0/0", "::/0"))).toEqual([]);
      expect(narrowed(ts("0.0.0.0/0", "::/0"), [selector])).toEqual([]);
    }
    expect(narrowed([...bad, good!], ts("0.0.0.0/0"))).toEqual(["10.1.0.0/16[tcp/1-100]"]);
  });

  test("gives at most the 255 selectors that a payload can hold, whatever is offered", () => {
    const offered = Array.from({ length: 255 }, (_, i) => ts(`10.0.${i}.0/25[tcp]`)[0]!);
    const allowed = Array.from({ length: 100 }, (_, i) => ts(`0.0.0.0/0[tcp/${1 + 2 * i}]`)[0]!);
    const result = narrow({ offered, allowed });
    expect(result).toHaveLength(255);
    expect(isSubset(result, allowed)).toBe(true);
  });
});

interface Packet {
  readonly address: number;
  readonly protocol: number;
  /** -1 is hidden. */
  readonly port: number;
}

/** Addresses 0 to 7 of 10.0.0.0, TCP, UDP and one that no selector names, ports within and beyond what selectors name. */
const PACKETS: readonly Packet[] = [0, 1, 2, 3, 4, 5, 6, 7].flatMap((address) =>
  [1, 6, 17].flatMap((protocol) =>
    [-1, 0, 1, 2, 3, 4, 5, 65535].map((port) => ({ address, protocol, port })),
  ),
);

function matches(selectors: readonly TrafficSelector[], packet: Packet): boolean {
  return selectors.some((selector) => {
    const { protocol, startPort, endPort, startAddress, endAddress } = selector;
    const isAnyPort = startPort === 0 && endPort === 65535;
    if (protocol === 0 && !isAnyPort) return false;
    if (protocol !== 0 && protocol !== packet.protocol) return false;
    if (packet.address < startAddress[3]! || packet.address > endAddress[3]!) return false;
    if (isAnyPort) return true;
    if (startPort === 65535 && endPort === 0) return packet.port === -1;
    return startPort <= packet.port && packet.port <= endPort;
  });
}

const smallSelectors = fc.array(
  fc
    .record({
      type: fc.constant(7),
      protocol: fc.constantFrom(0, 6, 17),
      ports: fc.oneof(
        fc.constant([0, 65535] as const),
        fc.constant([65535, 0] as const),
        fc.tuple(fc.integer({ min: 0, max: 4 }), fc.integer({ min: 0, max: 4 })),
      ),
      start: fc.integer({ min: 0, max: 7 }),
      end: fc.integer({ min: 0, max: 7 }),
    })
    .map(
      ({ type, protocol, ports, start, end }): TrafficSelector => ({
        type,
        protocol,
        startPort: ports[0],
        endPort: ports[1],
        startAddress: Uint8Array.of(10, 0, 0, start),
        endAddress: Uint8Array.of(10, 0, 0, end),
      }),
    ),
  { maxLength: 5 },
);

test("a packet matches what was narrowed exactly when it matches both sides", () => {
  fc.assert(
    fc.property(smallSelectors, smallSelectors, (offered, allowed) => {
      const result = narrow({ offered, allowed });
      const wrong = PACKETS.filter(
        (packet) => matches(result, packet) !== (matches(offered, packet) && matches(allowed, packet)),
      );
      expect(wrong).toEqual([]);
      expect(isSubset(result, offered)).toBe(true);
      expect(isSubset(result, allowed)).toBe(true);
    }),
    { seed: 5, numRuns: RUNS },
  );
});

test("isSubset agrees with trying every packet", () => {
  let subsets = 0;
  fc.assert(
    fc.property(smallSelectors, smallSelectors, (inner, outer) => {
      const expected = PACKETS.every((packet) => !matches(inner, packet) || matches(outer, packet));
      if (expected && inner.length > 0) subsets++;
      expect(isSubset(inner, outer)).toBe(expected);
    }),
    { seed: 6, numRuns: RUNS },
  );
  expect(subsets).toBeGreaterThan(RUNS / 50);
});

test("narrowed ranges of large IPv4 and IPv6 spaces stay within both sides", () => {
  const range = (length: number) =>
    fc
      .tuple(
        fc.uint8Array({ minLength: length, maxLength: length }),
        fc.uint8Array({ minLength: length, maxLength: length }),
      )
      .map(([a, b]): TrafficSelector => {
        const [startAddress, endAddress] = Buffer.compare(a, b) <= 0 ? [a, b] : [b, a];
        return {
          type: length === 4 ? 7 : 8,
          protocol: 0,
          startPort: 0,
          endPort: 65535,
          startAddress,
          endAddress,
        };
      });
  const list = fc.array(fc.oneof(range(4), range(16)), { maxLength: 6 });
  fc.assert(
    fc.property(list, list, (offered, allowed) => {
      const result = narrow({ offered, allowed });
      expect(isSubset(result, offered)).toBe(true);
      expect(isSubset(result, allowed)).toBe(true);
      expect(narrow({ offered: result, allowed })).toEqual(result);
    }),
    { seed: 7, numRuns: RUNS },
  );
});

test("isSubset sees that two halves cover a whole, and that a gap does not", () => {
  expect(isSubset(ts("10.0.0.0/8"), ts("10.0.0.0/9", "10.128.0.0/9"))).toBe(true);
  expect(isSubset(ts("10.0.0.0/8"), ts("10.0.0.0/9", "10.128.0.1-10.255.255.255"))).toBe(false);
  expect(isSubset(ts("10.0.0.0/8[tcp/5-9]"), ts("10.0.0.0/8[tcp/0-7]", "10.0.0.0/8[tcp/8-10]"))).toBe(true);
  // All numbers are not any port: hidden ports are left.
  expect(isSubset(ts("10.0.0.0/8[tcp]"), ts("10.0.0.0/8[tcp/0-7]", "10.0.0.0/8[tcp/8-65535]"))).toBe(false);
  expect(isSubset(ts("10.0.0.0/8"), ts("10.0.0.0/8[tcp]", "10.0.0.0/8[udp]"))).toBe(false);
});

test("a refusal names both sides", () => {
  const sides = { offered: ts("10.0.0.0/8"), allowed: ts("10.1.0.0/16", "fd00::/64[tcp/443]") };
  expect(explainUnacceptable({ name: "TSi", ...sides })).toBe(
    "TSi 10.0.0.0/8 is outside policy 10.1.0.0/16, fd00::/64[tcp/443]",
  );
  const many = Array.from({ length: 20 }, (_, i) => ts(`10.${i}.0.0/16`)[0]!);
  expect(formatTrafficSelectors(many)).toMatch(/10\.15\.0\.0\/16 and 4 more$/);
  expect(formatTrafficSelectors([])).toBe("nothing");
});
