import { setTimeout as sleep } from "node:timers/promises";
import { PlatformError } from "../../../errors/index.ts";
import { quantile } from "../../statistics.ts";
import type { Sample } from "../figures.ts";
import { CLIENT, GATEWAY, type Ground } from "../ground.ts";
import type { PingSeries, SeriesName } from "../record.ts";
import { type Echoes, pingSeries } from "./echoes.ts";
import type { LoadGenerator } from "./load.ts";

const INTERVAL_S = 0.005;
/** TCP has found its rate by then. */
const RAMP_UP_S = 0.5;
/** How much longer pings take than they should on a machine that is busy with a transfer, since each waits for its timer. */
const SLOWEST_PACE = 1.5;

/** Round-trip times with nothing else to do, and during a TCP transfer the same way. */
export interface Pings {
  readonly idle: Echoes;
  readonly loaded: Echoes;
}

/** Two hundred pings in a second, for so long idle and then under load. Throws PlatformError when not one was answered. */
export async function takePings(ground: Ground, load: LoadGenerator, seconds: number): Promise<Pings> {
  const series = {
    from: CLIENT.inner,
    to: GATEWAY.inner,
    count: Math.round(seconds / INTERVAL_S),
    intervalS: INTERVAL_S,
  };
  const idle = await pingSeries(ground.client, series);
  const loaded = await duringTcp(load, seconds, () => pingSeries(ground.client, series));
  for (const { sent, rttsMs } of [idle, loaded]) {
    if (rttsMs.length === 0) throw new PlatformError(`of ${sent} pings not one was answered`);
  }
  return { idle, loaded };
}

/** Does something of so many seconds while a TCP transfer runs: also the last of it. */
export async function duringTcp<T>(
  load: LoadGenerator,
  seconds: number,
  action: () => Promise<T>,
): Promise<T> {
  const transfer = load.tcp(Math.ceil(SLOWEST_PACE * seconds + 2 * RAMP_UP_S));
  // It may fail while we are still at it.
  transfer.catch(() => {});
  await sleep(RAMP_UP_S * 1000);
  const result = await action();
  await transfer;
  return result;
}

export async function measurePing(
  ground: Ground,
  load: LoadGenerator,
  seconds: number,
): Promise<{ readonly figures: Sample; readonly series: Readonly<Record<SeriesName, PingSeries>> }> {
  const { idle, loaded } = await takePings(ground, load, seconds);
  const figures = {
    pingIdleP50Us: quantileUs(idle, 0.5),
    pingIdleP90Us: quantileUs(idle, 0.9),
    pingIdleP99Us: quantileUs(idle, 0.99),
    pingIdleP999Us: quantileUs(idle, 0.999),
    pingLoadedP50Us: quantileUs(loaded, 0.5),
    pingLoadedP90Us: quantileUs(loaded, 0.9),
    pingLoadedP99Us: quantileUs(loaded, 0.99),
    pingLoadedP999Us: quantileUs(loaded, 0.999),
    pingLoadedLostPercent: 100 * (1 - loaded.rttsMs.length / loaded.sent),
  };
  return { figures, series: { pingIdle: seriesOf(idle), pingLoaded: seriesOf(loaded) } };
}

export function quantileUs({ rttsMs }: Echoes, q: number): number {
  return quantile(rttsMs, q) * 1000;
}

function seriesOf({ rttsMs, atMs }: Echoes): PingSeries {
  return { atMs, rttUs: rttsMs.map((ms) => Math.round(ms * 1000)) };
}
