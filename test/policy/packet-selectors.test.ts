import { expect, test } from "vitest";
import { selectorsOfPacket } from "../../src/policy/packet-selectors.ts";
import { formatTrafficSelector } from "../../src/policy/traffic-selectors.ts";
import { innerPacket } from "../support/inner-packets.ts";

const IPV4 = { source: "10.1.0.1", destination: "10.2.0.1" };
const IPV6 = { source: "fd01::1", destination: "fd02::1" };

test.each([
  [
    "UDP",
    { ...IPV4, sourcePort: 40_000, destinationPort: 53 },
    "10.1.0.1/32[udp/40000]",
    "10.2.0.1/32[udp/53]",
  ],
  [
    "TCP behind IPv6 extension headers",
    { ...IPV6, protocol: 6, sourcePort: 40_000, destinationPort: 443, extensionHeaders: [0, 60] },
    "fd01::1/128[tcp/40000]",
    "fd02::1/128[tcp/443]",
  ],
  ["ICMP, whatever its type", { ...IPV4, protocol: 1 }, "10.1.0.1/32[icmp]", "10.2.0.1/32[icmp]"],
  ["a later fragment", { ...IPV4, fragmentOffset: 100 }, "10.1.0.1/32[udp]", "10.2.0.1/32[udp]"],
  ["ports that are cut off", { ...IPV4, payload: new Uint8Array(3) }, "10.1.0.1/32[udp]", "10.2.0.1/32[udp]"],
])("the selectors of just one packet: %s", (_, facts, local, remote) => {
  const selectors = selectorsOfPacket(innerPacket(facts))!;
  expect(formatTrafficSelector(selectors.local)).toBe(local);
  expect(formatTrafficSelector(selectors.remote)).toBe(remote);
});

test("what is no IP packet has none", () => {
  expect(selectorsOfPacket(new Uint8Array(0))).toBeUndefined();
  expect(selectorsOfPacket(new Uint8Array(40).fill(0xff))).toBeUndefined();
  expect(selectorsOfPacket(innerPacket(IPV4).subarray(0, 25))).toBeUndefined();
});
