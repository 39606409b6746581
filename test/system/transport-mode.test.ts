import { describe, expect, test } from "vitest";
import { answeredPings, carryStream } from "../support/carried.ts";
import { requireRoot } from "../support/namespace.ts";
import { withRoutedTunnel } from "../support/routed-tunnel.ts";

// Two hosts protect what they say to each other, with no header inside ESP: the selectors are the addresses outside.

const mayRun = requireRoot("transport mode between two machines");
const OUTSIDE = { 4: ["192.0.2.1", "198.51.100.1"], 6: ["2001:db8:1::1", "2001:db8:2::1"] } as const;
const OCTETS = 4_000_000;

describe.skipIf(!mayRun)("transport mode", () => {
  if (!mayRun) return;
  test.each([
    { family: 4, encapsulation: "auto" },
    { family: 6, encapsulation: "auto" },
    { family: 4, encapsulation: "raw" },
    { family: 6, encapsulation: "raw" },
  ] as const)(
    "carries pings and TCP between the hosts themselves: IPv$family, encapsulation $encapsulation",
    async ({ family, encapsulation }) => {
      const [source, destination] = OUTSIDE[family];
      const selectors = [`["${source}"]`, `["${destination}"]`] as const;
      const connection = [`encapsulation: ${encapsulation}`, ""] as const;
      await withRoutedTunnel(
        { family, selectors, connection, child: "mode: transport" },
        async ({ left, right }) => {
          const there = { from: left.host, to: right.host, source, destination };
          const back = { from: right.host, to: left.host, source: destination, destination: source };
          expect([await answeredPings(there), await answeredPings(back)]).toEqual([10, 10]);
          for (const way of [there, back]) {
            const { sent, arrived } = await carryStream(way, OCTETS);
            expect(arrived).toBe(sent);
          }
          for (const { ikebana } of [left, right]) {
            const { inbound, outbound } = (await ikebana.connection()).ikeSa!.children[0]!;
            expect([inbound.drops, outbound.drops]).toEqual([{}, {}]);
            expect(inbound.packets).toBeGreaterThan(20);
            expect(ikebana.log).toContain("transport mode");
          }
        },
      );
    },
  );
});
