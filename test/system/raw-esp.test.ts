import { describe, expect, test } from "vitest";
import { LinuxNetwork } from "../../src/platform/network/linux-network.ts";
import { PacketCapture } from "../../src/platform/packet-capture.ts";
import { createLinuxSystemCalls } from "../../src/platform/system-calls/linux-system-calls.ts";
import { answeredPings, carryStream } from "../support/carried.ts";
import { requireRoot } from "../support/namespace.ts";
import { INSIDE, type RoutedTunnel, withRoutedTunnel } from "../support/routed-tunnel.ts";

// ESP straight on IP, with a router between that sees what passes.

const mayRun = requireRoot("raw ESP between two machines");
const OCTETS = 4_000_000;

describe.skipIf(!mayRun)("ESP without UDP between two machines", () => {
  if (!mayRun) return;
  test.each([
    { family: 4, left: "raw", right: "auto" },
    { family: 6, left: "raw", right: "auto" },
    { family: 4, left: "auto", right: "raw" },
    { family: 6, left: "raw", right: "raw" },
  ] as const)(
    "carries pings and TCP, and nothing answers it with ICMP: IPv$family outside, $left and $right",
    async ({ family, left, right }) => {
      const connection = [`encapsulation: ${left}`, `encapsulation: ${right}`] as const;
      await withRoutedTunnel({ family, connection }, async (tunnel) => {
        const capture = watch(tunnel);
        try {
          for (const [source, destination] of Object.values(INSIDE)) {
            const there = { from: tunnel.left.host, to: tunnel.right.host, source, destination };
            const back = { from: there.to, to: there.from, source: destination, destination: source };
            expect([await answeredPings(there), await answeredPings(back)]).toEqual([10, 10]);
          }
          capture.poll();
          const { counts } = capture;
          expect(counts.esp).toBeGreaterThanOrEqual(80);
          expect({ inUdp: counts["esp-in-udp"], other: counts.other }).toEqual({ inUdp: 0, other: 0 });

          for (const [source, destination] of Object.values(INSIDE)) {
            const there = { from: tunnel.left.host, to: tunnel.right.host, source, destination };
            const back = { from: there.to, to: there.from, source: destination, destination: source };
            for (const way of [there, back]) {
              const { sent, arrived } = await carryStream(way, OCTETS);
              expect(arrived).toBe(sent);
              expect(JSON.parse(arrived)).toMatchObject({ octets: OCTETS });
            }
          }
          for (const { ikebana } of [tunnel.left, tunnel.right]) {
            const { ikeSa } = await ikebana.connection();
            expect(ikeSa!.remote.port).toBe(500);
            const { inbound, outbound } = ikeSa!.children[0]!;
            expect([inbound.drops, outbound.drops]).toEqual([{}, {}]);
          }
        } finally {
          capture.close();
        }
      });
    },
  );

  test("is not what two sides with NAT traversal choose, and udp refuses a side without", async () => {
    await withRoutedTunnel({}, async (tunnel) => {
      const capture = watch(tunnel);
      try {
        const [source, destination] = INSIDE[4];
        const way = { from: tunnel.left.host, to: tunnel.right.host, source, destination };
        expect(await answeredPings(way)).toBe(10);
        capture.poll();
        expect(capture.counts.esp).toBe(0);
        expect(capture.counts["esp-in-udp"]).toBeGreaterThanOrEqual(20);
      } finally {
        capture.close();
      }
    });
  });
});

function watch({ router }: RoutedTunnel): PacketCapture {
  return router.inside(() => {
    const network = new LinuxNetwork(createLinuxSystemCalls());
    const link = network.linkIndex("near")!;
    network.close();
    return new PacketCapture({ link });
  });
}
