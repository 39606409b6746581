import { expect, test } from "vitest";
import { createSites, LEFT_INSIDE, pingBothWays, RIGHT_INSIDE } from "../interop/sites.ts";
import { progress } from "../support/campaign.ts";
import { type IkebanaDaemon, startIkebana } from "../support/ikebana.ts";
import { requireRoot } from "../support/namespace.ts";
import { newDrops, readPathDrops, sumOf } from "../support/path-drops.ts";
import { openStreams } from "../support/stream/streams.ts";
import { until } from "../support/waiting.ts";

const PORTS = [5201, 5202] as const;
const RATE = 500;
/** Of one run of streams; they go on until it was shown again in the midst of one. */
const SECONDS = 5;
const MOST_RUNS = 8;
const REPLACED = "another one was set up in its place";

/** The side that is called believes the other for 20 s, and says so (RFC 4478): it calls again after half of that, and goes on for five more by both. */
const configuration = (ours: 1 | 2, more: string): string => `
socket: ikebana.sock
state: state
connections:
  office:
    local: { address: 192.0.2.${ours}, id: host${ours}.example.org, psk: "correct horse battery staple" }
    remote: { address: 192.0.2.${3 - ours}, id: host${3 - ours}.example.org }
    ${more}
    children:
      lan: { local: [10.${ours}.0.0/24, "fd0${ours}::/64"], remote: [10.${3 - ours}.0.0/24, "fd0${3 - ours}::/64"] }
`;

test.skipIf(!requireRoot("logins that are shown again"))(
  "who has called shows again who it is, in a new IKE SA that stands before the old one goes, and numbered streams lose nothing",
  async () => {
    const sites = await createSites();
    const daemons: IkebanaDaemon[] = [];
    const log = (): string => daemons.map((daemon) => daemon.log).join("\n");
    try {
      const right = await startIkebana(sites.right, configuration(2, "start: respond\n    reauth: 20s"));
      const left = await startIkebana(sites.left, configuration(1, "start: start"));
      daemons.push(left, right);
      await until("the tunnel is up", async () => (await pingBothWays(sites)).length === 0, {
        describe: log,
      });
      const streams = await openStreams(sites, [
        { from: "left", source: LEFT_INSIDE[0], destination: RIGHT_INSIDE[0], port: PORTS[0] },
        { from: "right", source: RIGHT_INSIDE[0], destination: LEFT_INSIDE[0], port: PORTS[1] },
      ]);
      try {
        const spi = (await left.connection()).ikeSa!.initiatorSpi;
        for (let run = 0; !left.log.includes(REPLACED); run++) {
          expect(run, log()).toBeLessThan(MOST_RUNS);
          const before = readPathDrops(sites, PORTS);
          const results = await streams.run({ rates: [RATE, RATE], seconds: SECONDS });
          const after = readPathDrops(sites, PORTS);
          progress(`shown again under streams: ${results.map(({ lost }) => lost)} lost`);
          for (const [way, { sent, lost, duplicates, damaged }] of results.entries()) {
            const full = sumOf(newDrops(after[way]!, before[way]!));
            expect({ duplicates, damaged, unexplained: Math.max(0, lost - full) }, log()).toEqual({
              duplicates: 0,
              damaged: 0,
              unexplained: 0,
            });
            expect(sent).toBeGreaterThan(RATE);
          }
        }
        expect((await left.connection()).ikeSa!.initiatorSpi).not.toBe(spi);
      } finally {
        await streams.close();
      }
      expect(right.log).not.toContain("has not authenticated again in time");
      expect(await pingBothWays(sites), log()).toEqual([]);
    } finally {
      for (const daemon of daemons) await daemon.stop("SIGKILL");
      await sites.close();
    }
  },
);
