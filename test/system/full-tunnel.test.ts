import { describe, expect, test } from "vitest";
import { LinuxNetwork } from "../../src/platform/network/linux-network.ts";
import type { Network } from "../../src/platform/network/network.ts";
import { PacketCapture } from "../../src/platform/packet-capture.ts";
import { createLinuxSystemCalls } from "../../src/platform/system-calls/linux-system-calls.ts";
import { answeredPings, carryStream } from "../support/carried.ts";
import { requireRoot, type TestHost } from "../support/namespace.ts";
import { INSIDE, withRoutedTunnel } from "../support/routed-tunnel.ts";

// Everything goes into the tunnel but the tunnel's own packets, which take the default route that the host had before.

const mayRun = requireRoot("full tunnels");
const EVERYTHING = '["0.0.0.0/0", "::/0"]';
const OCTETS = 4_000_000;

describe.skipIf(!mayRun)("a tunnel for everything", () => {
  if (!mayRun) return;
  test.each([
    { family: 4, encapsulation: "auto" },
    { family: 6, encapsulation: "auto" },
    { family: 4, encapsulation: "raw" },
    { family: 6, encapsulation: "raw" },
  ] as const)(
    "does not swallow its own packets: IPv$family outside, encapsulation $encapsulation",
    async ({ family, encapsulation }) => {
      const selectors = ['[10.1.0.0/24, "fd01::/64"]', EVERYTHING] as const;
      const connection = [`encapsulation: ${encapsulation}`, ""] as const;
      await withRoutedTunnel({ family, selectors, connection }, async ({ left, router, right }) => {
        const capture = router.inside(
          () => new PacketCapture({ link: onNetwork(router, (network) => network.linkIndex("near")!) }),
        );
        try {
          for (const [source, destination] of Object.values(INSIDE)) {
            const there = { from: left.host, to: right.host, source, destination };
            const back = { from: right.host, to: left.host, source: destination, destination: source };
            expect([await answeredPings(there), await answeredPings(back)]).toEqual([10, 10]);
          }
          capture.poll();
          const { esp, other } = capture.counts;
          const encapsulated = capture.counts["esp-in-udp"];
          expect({ other, isRaw: esp > 0, isInUdp: encapsulated > 0 }).toEqual({
            other: 0,
            isRaw: encapsulation === "raw",
            isInUdp: encapsulation !== "raw",
          });
          for (const [source, destination] of Object.values(INSIDE)) {
            const { sent, arrived } = await carryStream(
              { from: left.host, to: right.host, source, destination },
              OCTETS,
            );
            expect(arrived).toBe(sent);
          }
          expect(ruleCount(left.host)).toBeGreaterThan(FIRST_RULES);
          await left.ikebana.stop();
          expect(ruleCount(left.host)).toBe(FIRST_RULES);
        } finally {
          capture.close();
        }
      });
    },
  );
});

/** Of a fresh namespace, both families: local and main, and the default table of IPv4. */
const FIRST_RULES = 5;

function ruleCount(host: TestHost): number {
  return onNetwork(host, (network) => network.rules().length);
}

function onNetwork<T>(host: TestHost, ask: (network: Network) => T): T {
  return host.inside(() => {
    const network = new LinuxNetwork(createLinuxSystemCalls());
    try {
      return ask(network);
    } finally {
      network.close();
    }
  });
}
