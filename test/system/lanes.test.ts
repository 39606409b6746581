import { describe, expect, test } from "vitest";
import type { ConnectionStatus } from "../../src/engine/status.ts";
import { carryStream } from "../support/carried.ts";
import { requireRoot } from "../support/namespace.ts";
import { INSIDE, withRoutedTunnel } from "../support/routed-tunnel.ts";
import { until } from "../support/waiting.ts";

// Two tunnels of one peer, one for each family inside, on several data workers at either end.

const mayRun = requireRoot("several data workers");
const OCTETS = 2_500_000;

describe.skipIf(!mayRun)("two tunnels on several data workers", () => {
  test.each([
    { workers: 3, family: 6, encapsulation: "udp" },
    { workers: 4, family: 4, encapsulation: "raw" },
  ] as const)(
    "carry TCP both ways at once while they are rekeyed: $workers workers, $encapsulation, IPv$family outside",
    async ({ workers, family, encapsulation }) => {
      const connection = `encapsulation: ${encapsulation}`;
      await withRoutedTunnel(
        {
          family,
          connection: [connection, connection],
          top: `workers: ${workers}`,
          selectors: ["10.1.0.0/24", "10.2.0.0/24"],
          second: ['"fd01::/64"', '"fd02::/64"'],
          child: "rekey: { packets: 1000 }",
        },
        async ({ left, right }) => {
          const before = new Set(await spisOf(left.ikebana));
          const ways = Object.values(INSIDE).flatMap(([source, destination]) => [
            { from: left.host, to: right.host, source, destination },
            { from: right.host, to: left.host, source: destination, destination: source },
          ]);
          const streams = await Promise.all(ways.map((way) => carryStream(way, OCTETS)));
          for (const { sent, arrived } of streams) {
            expect(arrived).toBe(sent);
            expect(JSON.parse(arrived)).toMatchObject({ octets: OCTETS });
          }
          // A rekeying may be under way, and a child SA stays in the list until the peer has answered its Delete.
          await until(
            "no child SA of the beginning is left",
            async () => !(await spisOf(left.ikebana)).some((spi) => before.has(spi)),
            { describe: () => left.ikebana.log },
          );
          for (const { ikebana } of [left, right]) {
            const { dataPlane } = await ikebana.status();
            expect(dataPlane.workers).toBe(workers);
            expect(dataPlane.drops).not.toHaveProperty("otherWorker");
            expect(dataPlane.drops).not.toHaveProperty("deviceRefused");
          }
        },
      );
    },
  );
});

async function spisOf(ikebana: { connection(): Promise<ConnectionStatus> }): Promise<string[]> {
  return (await ikebana.connection()).ikeSa!.children.map(({ inboundSpi }) => inboundSpi);
}
