import { expect, test } from "vitest";
import { flowHash } from "../../src/esp/flow-hash.ts";
import { type InnerPacketFacts, innerPacket } from "../support/inner-packets.ts";

function hash(packet: Uint8Array, { seed = 1, at = 10 } = {}): number {
  const octets = new Uint8Array(at + packet.length + (packet.length % 2) + 64);
  octets.set(packet, at);
  return flowHash(new Uint16Array(octets.buffer, 0, octets.length >>> 1), at, seed);
}

const TCP: InnerPacketFacts = {
  source: "10.1.0.1",
  destination: "10.2.0.1",
  protocol: 6,
  sourcePort: 1000,
  destinationPort: 80,
  payload: new Uint8Array(40),
};
const TCP6 = { ...TCP, source: "fd01::1", destination: "fd02::1" };

test.each([
  ["IPv4", TCP],
  ["IPv6", TCP6],
])("packets of a flow agree, whatever else they hold and wherever they lie: %s", (_, flow) => {
  const payload = new Uint8Array(100).fill(9);
  expect(hash(innerPacket({ ...flow, payload }))).toBe(hash(innerPacket(flow)));
  expect(hash(innerPacket(flow), { at: 0 })).toBe(hash(innerPacket(flow)));
});

test.each([
  ["IPv4", TCP],
  ["IPv6", TCP6],
])("addresses, protocol and ports tell flows apart, and so does the seed: %s", (_, flow) => {
  const variants: InnerPacketFacts[] = [
    flow,
    { ...flow, source: flow.destination, destination: flow.source },
    { ...flow, protocol: 17 },
    { ...flow, sourcePort: 1001 },
    { ...flow, destinationPort: 81 },
  ];
  const hashes = variants.map((variant) => hash(innerPacket(variant)));
  expect(new Set(hashes).size).toBe(variants.length);
  expect(hash(innerPacket(flow), { seed: 2 })).not.toBe(hashes[0]);
});

test("pieces of a fragmented packet are one flow, though only the first has ports", () => {
  const MORE_FRAGMENTS = 0x2000;
  const first = innerPacket({ ...TCP, fragmentOffset: MORE_FRAGMENTS });
  const last = innerPacket({ ...TCP, sourcePort: 7, destinationPort: 9, fragmentOffset: 100 });
  expect(hash(first)).toBe(hash(last));
});

test("flows of two hosts spread evenly over what the low bits can tell", () => {
  const buckets = new Uint32Array(64);
  for (let port = 0; port < 6400; port++)
    buckets[hash(innerPacket({ ...TCP, sourcePort: 10_000 + port })) & 63]!++;
  // Expected 100 each; six standard deviations.
  for (const count of buckets) expect(Math.abs(count - 100)).toBeLessThan(60);
});

test("what is no IP packet has a number too", () => {
  for (const first of [0x00, 0x50, 0xff, 0x4f, 0x4f]) {
    expect(hash(new Uint8Array(4).fill(first))).toBeGreaterThanOrEqual(0);
  }
});
