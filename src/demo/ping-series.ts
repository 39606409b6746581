import { setTimeout as sleep } from "node:timers/promises";
import type { EchoResult } from "../platform/icmp-echo.ts";
import type { PingFacts } from "./story.ts";

/** Whatever answers pings. */
export interface Pinger {
  ping(options?: { readonly timeoutMs?: number }): Promise<EchoResult>;
}

/** Pings at a steady pace, without waiting for one answer before the next request. */
export async function pingSeries({
  pinger,
  count,
  intervalMs,
  timeoutMs = 1000,
  onSent = () => {},
}: {
  readonly pinger: Pinger;
  readonly count: number;
  readonly intervalMs: number;
  readonly timeoutMs?: number;
  readonly onSent?: (sent: number) => void;
}): Promise<readonly EchoResult[]> {
  const results: Promise<EchoResult>[] = [];
  for (let sent = 1; sent <= count; sent++) {
    results.push(pinger.ping({ timeoutMs }));
    onSent(sent);
    if (sent < count) await sleep(intervalMs);
  }
  return Promise.all(results);
}

export function summarizePings(destination: string, results: readonly EchoResult[]): PingFacts {
  const times = results.flatMap((result) => (result.kind === "reply" ? [result.rttMs] : []));
  times.sort((a, b) => a - b);
  return {
    family: destination.includes(":") ? 6 : 4,
    destination,
    sent: results.length,
    received: times.length,
    lost: results.length - times.length,
    rttMs:
      times.length === 0
        ? undefined
        : { min: times[0]!, median: medianOf(times), max: times[times.length - 1]! },
  };
}

function medianOf(sorted: readonly number[]): number {
  const middle = sorted.length >>> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
