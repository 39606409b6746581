import type { Condition, Sample } from "../figures.ts";
import type { Ground } from "../ground.ts";
import type { RunningProgram } from "../program.ts";
import { throttle } from "../throttle.ts";
import type { LoadGenerator } from "./load.ts";
import { quantileUs, takePings } from "./ping.ts";

/** What is left of each side's processors when it is throttled, as a stand-in for a small board. */
const THROTTLED_SHARE = 0.25;

/** Throughput and round-trip times while something else wants the processors too, or there is less of them. */
export async function measureCondition(
  condition: Condition,
  ground: Ground,
  load: LoadGenerator,
  seconds: number,
): Promise<Sample> {
  const end = impose(condition, ground);
  try {
    const { bitsPerSecond } = await load.tcp(seconds);
    const { idle, loaded } = await takePings(ground, load, seconds);
    return {
      [`${condition}TcpMbps`]: bitsPerSecond / 1e6,
      [`${condition}PingIdleP50Us`]: quantileUs(idle, 0.5),
      [`${condition}PingIdleP99Us`]: quantileUs(idle, 0.99),
      [`${condition}PingLoadedP50Us`]: quantileUs(loaded, 0.5),
      [`${condition}PingLoadedP99Us`]: quantileUs(loaded, 0.99),
    } satisfies Sample;
  } finally {
    await end();
  }
}

/** Returns what ends it. */
function impose(condition: Condition, ground: Ground): () => Promise<void> {
  switch (condition) {
    case "pressure1":
      return keepBusy(ground, 1);
    case "pressure2":
      return keepBusy(ground, 2);
    case "throttled":
      return throttle(ground, THROTTLED_SHARE);
  }
}

/** Threads that do nothing but compute, first one on the gateway's processors, then one on the client's. */
function keepBusy({ client, gateway }: Ground, count: 1 | 2): () => Promise<void> {
  const threads: readonly RunningProgram[] = [gateway, client]
    .slice(0, count)
    .map((host) => host.start("busy thread", ["sh", "-c", "while :; do :; done"]));
  return async () => {
    await Promise.all(threads.map((thread) => thread.kill()));
  };
}
