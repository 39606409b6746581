import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { LEFT_INSIDE, ping, RIGHT_INSIDE } from "../interop/sites.ts";
import { withTwoOfUs } from "../interop/two-of-us.ts";
import { CAMPAIGN, printTable, progress } from "../support/campaign.ts";
import { HostProcess } from "../support/host-process.ts";
import type { IkebanaDaemon } from "../support/ikebana.ts";
import { requireRoot } from "../support/namespace.ts";
import { until } from "../support/waiting.ts";

// An hour of a tunnel's life, or two minutes of it in CI: small packets both ways all the time, new keys again and again, goodbyes and new
// beginnings in between. What the two daemons take of their machine must be the same at the end as it was when they had seen everything
// once.

const SECONDS = Number(process.env.IKEBANA_SOAK_SECONDS ?? (CAMPAIGN ? 3600 : 120));
const REKEY_EVERY = CAMPAIGN ? 10 : 2;
const RECONNECT_EVERY = CAMPAIGN ? 60 : 4;
const SAMPLE_EVERY = CAMPAIGN ? 10 : 1;
const LOOK_EVERY_MS = 1000;
/** Octets; the last are fragments inside. */
const PING_LENGTHS = [56, 600, 1200, 4000] as const;
/** As often as ping sleeps between two: from 10 ms on downwards it keeps a core busy instead. */
const PING_EVERY_S = "0.011";
/** Of resident memory. What V8 collects late is most of it; a record of 1 KB kept for each packet would be some hundred. */
const MOST_GROWTH_MB = CAMPAIGN ? 12 : 24;
/** Whoever asks through the control socket has a descriptor meanwhile. */
const PASSING_HANDLES = 3;

test.skipIf(!requireRoot("a soak"))(
  "a tunnel under load that changes keys and comes and goes takes no more memory, handles and threads than in the beginning",
  { timeout: (SECONDS + 120) * 1000 },
  async () => {
    await withTwoOfUs(async ({ sites, left, right }) => {
      const ends = [left, right] as const;
      const floods = ([0, 1] as const).flatMap((family) =>
        PING_LENGTHS.map((length) => {
          const words = ["ping", "-q", "-i", PING_EVERY_S, "-s", String(length), "-I"] as const;
          return new HostProcess(sites.left, [...words, LEFT_INSIDE[family], RIGHT_INSIDE[family]]);
        }),
      );
      const samples: Sample[] = [];
      const counts = { rekeys: 0, reconnects: 0 };
      for (let second = 1; second <= SECONDS; second++) {
        await sleep(LOOK_EVERY_MS);
        if (second % RECONNECT_EVERY === 0) {
          await reconnect(left);
          counts.reconnects++;
        } else if (second % REKEY_EVERY === 0) {
          const what = counts.rekeys % 2 === 0 ? "children" : "ike";
          expect(await ends[counts.rekeys % 3 === 0 ? 1 : 0].client.rekey("office", what)).toMatchObject({
            kind: "done",
          });
          counts.rekeys++;
        }
        if (second % SAMPLE_EVERY === 0) samples.push(...ends.map((end, i) => takeSample(end, i)));
        if (CAMPAIGN && second % 300 === 0) progress(`${second} s: ${JSON.stringify(samples.slice(-2))}`);
      }
      for (const each of floods) await each.stop("SIGINT");
      expect(counts.rekeys).toBeGreaterThan(2);
      expect(counts.reconnects).toBeGreaterThan(2);
      expect(await ping(sites.left, { from: LEFT_INSIDE[0], to: RIGHT_INSIDE[0], count: 10 })).toEqual([]);

      const growths = ends.map((_, end) => growthOf(samples.filter((sample) => sample.end === end)));
      if (CAMPAIGN) printTable(growths.map((growth, end) => ({ end, ...growth, ...counts })));
      for (const { memoryMb, handles, threads } of growths) {
        expect(memoryMb).toBeLessThan(MOST_GROWTH_MB);
        expect(handles).toBeLessThanOrEqual(PASSING_HANDLES);
        expect(threads).toBe(0);
      }
      // What was replaced is gone: one child SA in use on each side.
      for (const end of ends) {
        await until(
          "one child SA is left",
          async () => (await end.status()).dataPlane.memory.sas.inUse === 2,
        );
      }
    });
  },
);

async function reconnect(end: IkebanaDaemon): Promise<void> {
  for (const verb of ["down", "up"] as const) {
    expect(await end.client[verb]("office")).toMatchObject({ kind: "done" });
  }
}

interface Sample {
  readonly end: number;
  readonly memoryMb: number;
  readonly handles: number;
  readonly threads: number;
}

function takeSample({ pid }: IkebanaDaemon, end: number): Sample {
  const [, resident] = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))!;
  return {
    end,
    memoryMb: Number(resident) / 1024,
    handles: readdirSync(`/proc/${pid}/fd`).length,
    threads: readdirSync(`/proc/${pid}/task`).length,
  };
}

/** From the second quarter, when all has happened once, to the last. */
function growthOf(samples: readonly Sample[]): Omit<Sample, "end"> {
  const quarter = Math.floor(samples.length / 4);
  const grown = (name: keyof Sample): number =>
    median(samples.slice(-quarter).map((sample) => sample[name])) -
    median(samples.slice(quarter, 2 * quarter).map((sample) => sample[name]));
  return { memoryMb: grown("memoryMb"), handles: grown("handles"), threads: grown("threads") };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}
