import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import { CAMPAIGN, progress } from "../support/campaign.ts";
import type { TestHost } from "../support/namespace.ts";
import { newDrops, type PathDrops, readPathDrops, sumOf } from "../support/path-drops.ts";
import { measureCapacity } from "../support/stream/capacity.ts";
import type { FlowResult } from "../support/stream/results.ts";
import { megabits, openStreams } from "../support/stream/streams.ts";
import { LEFT_INSIDE, RIGHT_INSIDE } from "./sites.ts";

const CONTROL_SECONDS = CAMPAIGN ? 30 : 3;
const PORTS = [5201, 5202] as const;

/** A tunnel that either end can be told to rekey. */
export interface RekeyedTunnel {
  readonly left: TestHost;
  readonly right: TestHost;
  rekeyByLeft(what: "children" | "ike"): Promise<unknown>;
  rekeyByRight(what: "children" | "ike"): Promise<unknown>;
  /** The ends that are Ikebana. */
  readonly ours: readonly ("left" | "right")[];
  /** What the data plane of each end has dropped so far, by cause; nothing of an end that is not ours. */
  ownDrops(): Promise<readonly [left: PathDrops, right: PathDrops]>;
}

/** How long each of those that rekey does so, and after how many seconds the IKE SA has its turn. */
export interface RekeyingPace {
  readonly seconds: number;
  readonly ikeEvery: number;
}

export const PACE: RekeyingPace = { seconds: CAMPAIGN ? 120 : 15, ikeEvery: 10 };

/** What became of the streams while somebody rekeyed. */
export interface StreamRun {
  readonly by: "nobody" | "left" | "right" | "both at once";
  readonly seconds: number;
  /** Of each direction, left to right first. */
  readonly ways: readonly {
    readonly result: FlowResult;
    /** Packets that found a queue full, by place. */
    readonly drops: PathDrops;
    /** Lost, and nobody had a full queue. */
    readonly unexplained: number;
  }[];
}

/** The kernel counts a message that our socket has no room for once, and it may be a train of so many datagrams (UDP_SEGMENT). */
const TRAIN_LENGTH = 64;

/** How many packets the drops stand for at most. */
function mostIn(drops: PathDrops, ours: RekeyedTunnel["ours"]): number {
  const inTrains = ours.reduce((sum, side) => sum + (drops[`${side}: UDP 4500`] ?? 0), 0);
  return sumOf(drops) + (TRAIN_LENGTH - 1) * inTrains;
}

/**
 * Streams numbered datagrams both ways at half of what the tunnel carries, which is measured first unless the caller knows: without any
 * rekeying, which shows what the path itself loses, then with a child SA rekeyed every second and the IKE SA every ten, by the left end,
 * by the right one and by both at once. `capacity`: datagrams in a second, each way.
 */
export async function streamWhileRekeying(
  tunnel: RekeyedTunnel,
  what: string,
  {
    pace = PACE,
    capacity: known,
  }: { readonly pace?: RekeyingPace; readonly capacity?: number | undefined } = {},
): Promise<{ readonly runs: readonly StreamRun[]; readonly capacity: number }> {
  const [leftInside] = LEFT_INSIDE;
  const [rightInside] = RIGHT_INSIDE;
  const streams = await openStreams(tunnel, [
    { from: "left", source: leftInside, destination: rightInside, port: PORTS[0] },
    { from: "right", source: rightInside, destination: leftInside, port: PORTS[1] },
  ]);
  try {
    const capacity = known ?? (await measureCapacity(streams));
    const rate = Math.floor(capacity / 2);
    progress(
      `${what}: ${Math.round(megabits(capacity))} Mbit/s each way at once; streams of ${rate} datagrams/s`,
    );
    const runs: StreamRun[] = [];
    for (const by of ["nobody", "left", "right", "both at once"] as const) {
      const seconds = by === "nobody" ? CONTROL_SECONDS : pace.seconds;
      const before = await readDrops(tunnel);
      const stream = streams.run({ rates: [rate, rate], seconds });
      await rekeyFor(tunnel, by, pace);
      const results = await stream;
      const after = await readDrops(tunnel);
      const ways = ([0, 1] as const).map((way) => {
        const drops = newDrops(after[way], before[way]);
        const result = results[way]!;
        return { result, drops, unexplained: Math.max(0, result.lost - mostIn(drops, tunnel.ours)) };
      });
      runs.push({ by, seconds, ways });
      for (const [way, { result, drops, unexplained }] of ways.entries()) {
        const { sent, lost, duplicates, overtaken, mostMs, slippedMs } = result;
        progress(
          `${what}, rekeyed by ${by}, ${way === 0 ? "left to right" : "right to left"}: ${sent} sent, ${lost} lost ` +
            `(${unexplained} unexplained, ${JSON.stringify(drops)}), ${duplicates} twice, ${overtaken} overtaken, ` +
            `longest ${mostMs.toFixed(1)} ms, slipped ${slippedMs.toFixed(0)} ms`,
        );
      }
    }
    return { runs, capacity };
  } finally {
    await streams.close();
  }
}

/** Nothing is lost but what found a queue full, nothing comes twice, and nothing comes changed. */
export function expectLossless(runs: readonly StreamRun[], log: string): void {
  for (const { by, ways } of runs) {
    for (const { result, unexplained } of ways) {
      const { sent, refused, duplicates, damaged, lostRuns } = result;
      const facts = `rekeyed by ${by}: ${JSON.stringify(lostRuns)}\n${log}`;
      expect({ unexplained, refused, duplicates, damaged }, facts).toEqual({
        unexplained: 0,
        refused: 0,
        duplicates: 0,
        damaged: 0,
      });
      expect(sent).toBeGreaterThan(0);
    }
  }
}

/** How often each end has to have a new child SA at least: it misses few of the turns that the legs have. */
export function leastRekeyings(runs: readonly StreamRun[]): number {
  const turns = runs.reduce((sum, run) => sum + (run.by === "nobody" ? 0 : run.seconds - 2), 0);
  return (turns * 3) / 4;
}

/** Full queues by direction: those of the hosts, and that of our own data plane, which sheds what waits too long to be sealed. */
async function readDrops(tunnel: RekeyedTunnel): Promise<readonly [PathDrops, PathDrops]> {
  const [there, back] = readPathDrops(tunnel, PORTS);
  const [left, right] = await tunnel.ownDrops();
  return [
    { ...there, "left: shed": left.shed ?? 0 },
    { ...back, "right: shed": right.shed ?? 0 },
  ];
}

async function rekeyFor(
  tunnel: RekeyedTunnel,
  by: StreamRun["by"],
  { seconds, ikeEvery }: RekeyingPace,
): Promise<void> {
  if (by === "nobody") return;
  const rekey = (what: "children" | "ike"): Promise<unknown> =>
    Promise.all([
      ...(by === "right" ? [] : [tunnel.rekeyByLeft(what)]),
      ...(by === "left" ? [] : [tunnel.rekeyByRight(what)]),
    ]);
  const begin = performance.now();
  for (let second = 1; second < seconds - 1; second++) {
    await sleep(Math.max(0, begin + second * 1000 - performance.now()));
    await rekey("children");
    if (second % ikeEvery !== 0) continue;
    await sleep(500);
    await rekey("ike");
  }
}
