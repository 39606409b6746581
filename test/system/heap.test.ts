import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { LEFT_INSIDE, RIGHT_INSIDE, type Sites } from "../interop/sites.ts";
import { withTwoOfUs } from "../interop/two-of-us.ts";
import { CAMPAIGN, progress } from "../support/campaign.ts";
import { allocatedBy, describeSites, HeapProbe } from "../support/heap/heap-probe.ts";
import { HostProcess, runOn } from "../support/host-process.ts";
import type { IkebanaDaemon } from "../support/ikebana.ts";
import { requireRoot } from "../support/namespace.ts";
import { requireStrongswan } from "../support/strongswan.ts";
import { until } from "../support/waiting.ts";

const WHAT = "the heap of the data worker";
const SECONDS = CAMPAIGN ? 60 : 4;
/** Of the left and of the right end. */
const WORKERS = [1, 2] as const;
/** Until what runs often is compiled; what is not yet puts every number with a fraction into an object. */
const WARM_UP_SECONDS = 3;
const SAMPLED_SECONDS = 3;
/** For compiled code and what it has learnt, however long the transfer. An octet kept for each packet of the long form would be more. */
const MOST_GROWTH = 100_000;
const MOST_REPETITIONS = 3;
/**
 * A system call takes an address beyond what fits into a small integer, which makes an object of 16 octets; so does the time of a round.
 * They go with the rounds, in which bursts travel. An object for each packet would be more.
 */
const MOST_OCTETS_PER_PACKET = 32;

test.skipIf(!requireRoot(WHAT) || !requireStrongswan(WHAT))(
  "a transfer both ways with small packets beside it leaves the heaps of all data workers as they were, and allocates nothing for a packet",
  { timeout: 300_000 },
  async () => {
    const probes = [new HeapProbe(), new HeapProbe()] as const;
    const environments = [probes[0].environment, probes[1].environment] as const;
    try {
      await withTwoOfUs(
        async ({ sites, left, right }) => {
          const listener = new HostProcess(sites.right, [
            "iperf3",
            "-s",
            "-B",
            RIGHT_INSIDE[0],
            "--forceflush",
          ]);
          await until("iperf3 listens", () => listener.out.includes("Server listening"));
          await transfer(sites, WARM_UP_SECONDS);
          const ends = [left, right] as const;
          const grow = async (): Promise<readonly number[]> => {
            for (const [i, end] of ends.entries()) await probes[i]!.weigh(end);
            await transfer(sites, SECONDS);
            return (await Promise.all(ends.map((end, i) => probes[i]!.sample(end)))).flat();
          };
          // A slow machine compiles and learns longer than the warm-up; what were kept for packets would be kept every time.
          let grown = await grow();
          for (let more = 0; more < MOST_REPETITIONS && Math.max(...grown) >= MOST_GROWTH; more++) {
            for (const [i, end] of ends.entries()) await probes[i]!.end(end);
            grown = await grow();
          }
          const before = await Promise.all(ends.map(countPackets));
          await transfer(sites, SAMPLED_SECONDS);
          await sleep(100);
          const after = await Promise.all(ends.map(countPackets));
          for (const [i, end] of ends.entries()) {
            const packets = after[i]! - before[i]!;
            const threads = await probes[i]!.end(end);
            const names = threads.map(({ url }) => url.split("/").at(-1));
            expect(names).toEqual(Array.from({ length: WORKERS[i]! }, () => "worker.js"));
            const each = threads.reduce((sum, thread) => sum + allocatedBy(thread), 0) / packets;
            const sites = threads.map(describeSites).join("\n");
            if (CAMPAIGN) {
              progress(
                `${packets} packets, ${each.toFixed(1)} octets each, heaps grown by ${grown}\n${sites}`,
              );
            }
            expect(packets).toBeGreaterThan(10_000);
            expect(each, sites).toBeLessThan(MOST_OCTETS_PER_PACKET);
          }
          for (const octets of grown) expect(octets).toBeLessThan(MOST_GROWTH);
        },
        { environments, workers: WORKERS },
      );
    } finally {
      for (const probe of probes) probe.close();
    }
  },
);

/** TCP both ways over IPv4, pings over IPv6. */
async function transfer({ left }: Sites, seconds: number): Promise<void> {
  const limit = { timeoutMs: seconds * 1000 + 30_000 };
  const time = String(seconds);
  const tcp = ["iperf3", "-c", RIGHT_INSIDE[0], "-B", LEFT_INSIDE[0], "-t", time, "--bidir"] as const;
  const pings = ["ping", "-i", "0.005", "-w", time, "-I", LEFT_INSIDE[1], RIGHT_INSIDE[1]] as const;
  const [{ code, error }] = await Promise.all([runOn(left, tcp, limit), runOn(left, pings, limit)]);
  if (code !== 0) throw new Error(`iperf3: ${error}`);
}

/** Inner packets so far, both ways. */
async function countPackets(daemon: IkebanaDaemon): Promise<number> {
  const { tunRead, udpReceive } = (await daemon.status()).dataPlane.systemCalls;
  return tunRead.packets + udpReceive.packets;
}
