import { describe, expect, test } from "vitest";
import { formatAddress, parseAddress } from "../../src/bytes/ip-address.ts";
import type { SelectorSet } from "../../src/esp/selector-table.ts";
import type { DataPolicy } from "../../src/esp/spd.ts";
import { TrafficSelectorType } from "../../src/iana/ikev2-parameters.ts";
import type { TrafficSelector } from "../../src/wire/payloads/traffic-selector.ts";
import { innerPacket } from "../support/inner-packets.ts";
import { SeededRandom } from "../support/kernel.ts";
import { trafficSelector } from "../support/traffic-selectors.ts";
import { EspBed } from "./esp-bed.ts";

const RUNS = Number(process.env.IKEBANA_FUZZ_RUNS ?? 30);

describe("the policy of a packet", () => {
  test("is the first of a linear search, for random policies and packets that come and go", () => {
    for (let seed = 1; seed <= RUNS; seed++) {
      const random = new SeededRandom(seed);
      const bed = new EspBed({ seed });
      const policies = new Map<number, TrapPolicy>();
      for (let step = 0; step < 40; step++) {
        change(random, bed, policies);
        const packets = Array.from({ length: 8 }, () => randomPacket(random, [...policies.values()]));
        const results = bed.encapsulate(packets.map(octetsOf));
        for (const [i, packet] of packets.entries()) {
          const expected = linearSearch(policies, packet);
          const { status, sequence } = results[i]!;
          const found = status === "trapped" ? Number(sequence) : status;
          if (found !== (expected ?? "noPolicy"))
            expect.fail(
              `seed ${seed}, step ${step}: ${JSON.stringify(packet)} met ${found}, not ${expected}`,
            );
        }
      }
    }
  });

  test("is found among 10,000 others, and they leave nothing behind", async () => {
    const bed = new EspBed();
    const count = 10_000;
    for (let i = 0; i < count; i++) bed.spd.set(i, trap(i, { remote: [trafficSelector(hostOf(i))] }));
    for (const i of [0, 1, 4711, 9999]) expect(trapOf(bed, hostOf(i))).toBe(i);
    expect(trapOf(bed, "10.200.0.1")).toBe("noPolicy");
    bed.spd.set(count, trap(count, { remote: [trafficSelector("10.0.0.0/8")] }));
    expect(trapOf(bed, "10.200.0.1")).toBe(count);
    expect(trapOf(bed, hostOf(4711))).toBe(4711);

    for (let i = 0; i < count; i += 2) bed.spd.remove(i);
    expect(trapOf(bed, hostOf(4711))).toBe(4711);
    expect(trapOf(bed, hostOf(4712))).toBe(count);
    bed.spd.replace([]);
    expect(trapOf(bed, hostOf(4711))).toBe("noPolicy");
    await new Promise((resolve) => setImmediate(resolve));
    expect(bed.selectors.inUse).toBe(0);
    expect(bed.spd.inUse).toEqual({ policies: 0, prefixes: 1 });
  });

  test("changes in place: a policy that takes over another's precedence, and one that moves", () => {
    const bed = new EspBed();
    const remote = [trafficSelector("10.2.0.0/16")];
    bed.spd.set(5, trap(50, { remote }));
    bed.spd.set(7, trap(70, { remote }));
    expect(trapOf(bed, "10.2.0.1")).toBe(50);
    bed.spd.set(5, trap(51, { remote }));
    expect(trapOf(bed, "10.2.0.1")).toBe(51);
    bed.spd.set(3, trap(70, { remote }));
    bed.spd.remove(7);
    expect(trapOf(bed, "10.2.0.1")).toBe(70);
    bed.spd.remove(99);
    expect(trapOf(bed, "10.2.0.1")).toBe(70);
  });

  test("stays what it was when another finds no room", async () => {
    const bed = new EspBed({ policyCount: 100 });
    const remote = [trafficSelector("10.2.0.0/16")];
    bed.spd.set(1, trap(1, { remote }));
    const many = Array.from({ length: 260 }, (_, i) => trafficSelector(`${i >> 8}.${i & 255}.0.0/16`));
    expect(() => bed.spd.set(1, trap(2, { local: many, remote: many }))).toThrow(
      "67600 selectors do not fit",
    );
    // Each range is two prefixes, in both directions: 144 records.
    const awkward = Array.from({ length: 6 }, (_, i) => ({
      ...trafficSelector("0.0.0.0/0"),
      startAddress: Uint8Array.of(i, 255, 255, 255),
      endAddress: Uint8Array.of(i + 1, 0, 0, 0),
    }));
    expect(() => bed.spd.set(1, trap(2, { local: awkward, remote: awkward }))).toThrow("the SPD has no room");
    expect(trapOf(bed, "10.2.0.1")).toBe(1);
    // What was begun is undone: there is room for what fits.
    await new Promise((resolve) => setImmediate(resolve));
    expect(bed.spd.inUse).toEqual({ policies: 1, prefixes: 3 });
    bed.spd.set(2, trap(2, { local: awkward.slice(0, 4), remote: awkward.slice(0, 4) }));
    expect(bed.spd.inUse.policies).toBe(65);
  });
});

type TrapPolicy = Extract<DataPolicy, { action: "trap" }>;

interface RandomPacket {
  readonly family: 4 | 6;
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly protocol: number;
  readonly ports: readonly [number, number];
}

function trap(number: number, selectors: Partial<SelectorSet>): TrapPolicy {
  const any = [trafficSelector("0.0.0.0/0")];
  return { action: "trap", trap: number, selectors: { local: any, remote: any, ...selectors } };
}

/** The trap that a packet to `destination` meets, or what else becomes of it. */
function trapOf(bed: EspBed, destination: string): number | string {
  const [result] = bed.encapsulate([innerPacket({ source: "10.1.0.1", destination })]);
  return result!.status === "trapped" ? Number(result!.sequence) : result!.status;
}

function hostOf(i: number): string {
  return `10.${i >> 8}.${i & 255}.7`;
}

function change(random: SeededRandom, bed: EspBed, policies: Map<number, TrapPolicy>): void {
  const precedences = [...policies.keys()];
  const kind = random.below(12);
  if (kind < 4 && precedences.length > 0) {
    const precedence = precedences[random.below(precedences.length)]!;
    policies.delete(precedence);
    bed.spd.remove(precedence);
  } else if (kind < 11) {
    const precedence = random.below(60);
    const policy = trap(1000 * precedence + random.below(1000), randomSelectors(random));
    policies.set(precedence, policy);
    bed.spd.set(precedence, policy);
  } else {
    policies.clear();
    for (let i = random.below(20); i > 0; i--)
      policies.set(random.below(60), trap(random.below(100_000), randomSelectors(random)));
    bed.spd.replaceAll(policies);
  }
}

/** Few addresses with odd ends, so that policies overlap and ranges part at every bit. */
function randomAddress(random: SeededRandom, family: 4 | 6): Uint8Array {
  const address = parseAddress(family === 4 ? "10.0.0.0" : "fd00::")!;
  const places = family === 4 ? [1, 2, 3] : [1, 7, 8, 15];
  for (const place of places)
    address[place] = [0, 1, 127, 128, 254, 255, random.below(256)][random.below(7)]!;
  return address;
}

function randomSelectors(random: SeededRandom): SelectorSet {
  const family = random.below(3) === 0 ? 6 : 4;
  const protocol = [0, 0, 6, 17][random.below(4)]!;
  const side = () =>
    Array.from({ length: 1 + random.below(2) }, () => randomSelector(random, family, protocol));
  return { local: side(), remote: side() };
}

function randomSelector(random: SeededRandom, family: 4 | 6, protocol: number): TrafficSelector {
  const bits = family === 4 ? 32 : 128;
  const [a, b] = [randomAddress(random, family), randomAddress(random, family)];
  const kind = random.below(4);
  let [start, end] = Buffer.compare(a, b) <= 0 ? [a, b] : [b, a];
  if (kind === 0) [start, end] = [a, a];
  if (kind === 1) {
    const length = random.below(bits + 1);
    start = a.map((octet, i) => octet & maskOf(i, length));
    end = a.map((octet, i) => octet | (~maskOf(i, length) & 255));
  }
  const ports = random.below(3) === 0 && protocol !== 0 ? ([1000, 2000] as const) : ([0, 65535] as const);
  return {
    type: family === 4 ? TrafficSelectorType.TS_IPV4_ADDR_RANGE : TrafficSelectorType.TS_IPV6_ADDR_RANGE,
    protocol,
    startPort: ports[0],
    endPort: ports[1],
    startAddress: start,
    endAddress: end,
  };
}

function maskOf(octet: number, length: number): number {
  const bits = Math.min(Math.max(length - 8 * octet, 0), 8);
  return (0xff00 >> bits) & 255;
}

/** Half of the packets have addresses at the ends of some policy. */
function randomPacket(random: SeededRandom, policies: readonly TrapPolicy[]): RandomPacket {
  const common = {
    protocol: [6, 17, 50][random.below(3)]!,
    ports: [random.below(3000), random.below(3000)] as const,
  };
  if (policies.length > 0 && random.below(2) === 0) {
    const { local, remote } = policies[random.below(policies.length)]!.selectors;
    const [ours, theirs] = [local[random.below(local.length)]!, remote[random.below(remote.length)]!];
    const end = (selector: TrafficSelector) =>
      random.below(2) === 0 ? selector.startAddress : selector.endAddress;
    const family = ours.startAddress.length === 4 ? 4 : 6;
    return { family, source: end(ours), destination: end(theirs), ...common };
  }
  const family = random.below(3) === 0 ? 6 : 4;
  return {
    family,
    source: randomAddress(random, family),
    destination: randomAddress(random, family),
    ...common,
  };
}

function octetsOf({ source, destination, protocol, ports }: RandomPacket): Uint8Array {
  return innerPacket({
    source: formatAddress(source),
    destination: formatAddress(destination),
    protocol,
    ...(protocol === 50 ? {} : { sourcePort: ports[0], destinationPort: ports[1] }),
  });
}

/** RFC 4301 section 4.4.1: in order of precedence, each selector of each policy. */
function linearSearch(policies: Map<number, TrapPolicy>, packet: RandomPacket): number | undefined {
  const inOrder = [...policies].sort(([a], [b]) => a - b);
  return inOrder.find(([, { selectors }]) => {
    const { local, remote } = selectors;
    return local.some((ours) =>
      remote.some(
        (theirs) =>
          covers(ours, packet.source, packet, packet.ports[0]) &&
          covers(theirs, packet.destination, packet, packet.ports[1]),
      ),
    );
  })?.[1].trap;
}

function covers(selector: TrafficSelector, address: Uint8Array, packet: RandomPacket, port: number): boolean {
  const { startAddress, endAddress, protocol, startPort, endPort } = selector;
  if (startAddress.length !== address.length) return false;
  if (protocol !== 0 && protocol !== packet.protocol) return false;
  if (Buffer.compare(startAddress, address) > 0 || Buffer.compare(address, endAddress) > 0) return false;
  if (startPort === 0 && endPort === 65535) return true;
  return packet.protocol !== 50 && port >= startPort && port <= endPort;
}
