import { appendFileSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { LEFT_INSIDE, ping, RIGHT_INSIDE } from "../interop/sites.ts";
import { type TwoOfUs, withTwoOfUs } from "../interop/two-of-us.ts";
import { CAMPAIGN, printTable, progress } from "../support/campaign.ts";
import { Scales } from "../support/heap/scales.ts";
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
/** The main thread's heap is weighed so often in all. */
const WEIGHINGS = 24;
/** Octets; the last are fragments inside. */
const PING_LENGTHS = [56, 600, 1200, 4000] as const;
/** As often as ping sleeps between two: from 10 ms on downwards it keeps a core busy instead. */
const PING_EVERY_S = "0.011";
/** Of resident memory. What V8 collects late is most of it; a record of 1 KB kept for each packet would be some hundred. */
const MOST_GROWTH_MB = CAMPAIGN ? 12 : 24;
/**
 * Of what the main thread keeps, garbage collected. Most of it is what the runtime learns of code that runs, and the gateway remembers which
 * tickets are spent. In the long form 4 KB kept for each IKE SA that is gone would be more.
 */
const MOST_KEPT_KB = 512;
/** Whoever asks through the control socket has a descriptor meanwhile. */
const PASSING_HANDLES = 3;

test.skipIf(!requireRoot("a soak"))(
  "a tunnel under load that changes keys and comes and goes takes no more memory, handles and threads than in the beginning",
  { timeout: (SECONDS + 120) * 1000 },
  async () => {
    const scales = [new Scales(), new Scales()] as const;
    const environments = [scales[0].environment, scales[1].environment] as const;
    const soak = async ({ sites, left, right }: TwoOfUs): Promise<void> => {
      const ends = [left, right] as const;
      // The last thousand lines are kept for `ikebana logs`: until there are so many, each would count as growth.
      for (const end of ends) await silence(end);
      const floods = ([0, 1] as const).flatMap((family) =>
        PING_LENGTHS.map((length) => {
          const words = ["ping", "-q", "-i", PING_EVERY_S, "-s", String(length), "-I"] as const;
          return new HostProcess(sites.left, [...words, LEFT_INSIDE[family], RIGHT_INSIDE[family]]);
        }),
      );
      const samples: Sample[] = [];
      const weights: Weight[] = [];
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
        if (second % Math.ceil(SECONDS / WEIGHINGS) === 0) {
          for (const [end, daemon] of ends.entries())
            weights.push({ end, keptKb: (await scales[end]!.weigh(daemon)) / 1024 });
        }
        if (CAMPAIGN && second % 300 === 0) progress(`${second} s: ${JSON.stringify(samples.slice(-2))}`);
      }
      for (const each of floods) await each.stop("SIGINT");
      expect(counts.rekeys).toBeGreaterThan(2);
      expect(counts.reconnects).toBeGreaterThan(2);
      expect(await ping(sites.left, { from: LEFT_INSIDE[0], to: RIGHT_INSIDE[0], count: 10 })).toEqual([]);

      const growths = ends.map((_, end) => {
        const of = (name: "memoryMb" | "handles" | "threads"): number =>
          growthOf(samples.filter((sample) => sample.end === end).map((sample) => sample[name]));
        const keptKb = growthOf(
          weights.filter((weight) => weight.end === end).map((weight) => weight.keptKb),
        );
        return { memoryMb: of("memoryMb"), keptKb, handles: of("handles"), threads: of("threads") };
      });
      if (CAMPAIGN) printTable(growths.map((growth, end) => ({ end, ...growth, ...counts })));
      for (const { memoryMb, keptKb, handles, threads } of growths) {
        expect(memoryMb).toBeLessThan(MOST_GROWTH_MB);
        expect(keptKb, JSON.stringify(weights)).toBeLessThan(MOST_KEPT_KB);
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
    };
    try {
      await withTwoOfUs(soak, { environments });
    } finally {
      for (const each of scales) each.close();
    }
  },
);

/** From now on its log has warnings alone. */
async function silence(end: IkebanaDaemon): Promise<void> {
  appendFileSync(join(end.directory, "ikebana.yaml"), "log: { level: warning }\n");
  expect(await end.client.reload()).toMatchObject({ kind: "done" });
}

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

interface Weight {
  readonly end: number;
  readonly keptKb: number;
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
function growthOf(values: readonly number[]): number {
  const quarter = Math.floor(values.length / 4);
  return median(values.slice(-quarter)) - median(values.slice(quarter, 2 * quarter));
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}
