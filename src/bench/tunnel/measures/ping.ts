import { setTimeout as sleep } from "node:timers/promises";
import { PlatformError } from "../../../errors/index.ts";
import { quantile } from "../../statistics.ts";
import type { Sample } from "../figures.ts";
import { CLIENT, GATEWAY, type Ground } from "../ground.ts";
import { pingSeries } from "./echoes.ts";
import type { LoadGenerator } from "./load.ts";

const PINGS_PER_SECOND = 100;
/** TCP has found its rate by then. */
const RAMP_UP_S = 0.5;

/** Round-trip time with nothing else to do, and during a TCP transfer the same way. */
export async function measurePing(ground: Ground, load: LoadGenerator, seconds: number): Promise<Sample> {
  const series = { from: CLIENT.inner, to: GATEWAY.inner, count: Math.round(seconds * PINGS_PER_SECOND) };
  const idle = await pingSeries(ground.client, series);
  const transfer = load.tcp(Math.ceil(seconds + 2 * RAMP_UP_S));
  // It may fail while we still ping.
  transfer.catch(() => {});
  await sleep(RAMP_UP_S * 1000);
  const loaded = await pingSeries(ground.client, series);
  await transfer;
  for (const { sent, rttsMs } of [idle, loaded]) {
    if (rttsMs.length === 0) throw new PlatformError(`of ${sent} pings not one was answered`);
  }
  const us = (rttsMs: readonly number[], q: number): number => quantile(rttsMs, q) * 1000;
  return {
    pingIdleP50Us: us(idle.rttsMs, 0.5),
    pingIdleP90Us: us(idle.rttsMs, 0.9),
    pingIdleP99Us: us(idle.rttsMs, 0.99),
    pingLoadedP50Us: us(loaded.rttsMs, 0.5),
    pingLoadedP90Us: us(loaded.rttsMs, 0.9),
    pingLoadedP99Us: us(loaded.rttsMs, 0.99),
    pingLoadedLostPercent: 100 * (1 - loaded.rttsMs.length / loaded.sent),
  };
}
