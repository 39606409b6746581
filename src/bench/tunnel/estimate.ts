import type { Contender } from "./contender.ts";
import type { Measure } from "./figures.ts";

// Seconds, as they are on a machine with two cores. A run learns from its first contenders how much faster or slower this one is.

/** Fresh ground, daemons, proof and warm-up. */
const START_S = 5;
/** Of iperf3, which has to agree about each transfer. */
const TRANSFER_OVERHEAD_S = 0.6;
/** Trials of half a second until a rate is found. */
const RATE_SEARCH_S = 5;
/** A transfer begins before what is measured beside it, and ends well after it. */
const LOADED_OVERHEAD_S = 3;

/** How long a contender will probably take in one round. */
export function expectedMs(
  { startSeconds = 0 }: Pick<Contender, "startSeconds">,
  { measures, seconds }: { readonly measures: readonly Measure[]; readonly seconds: number },
): number {
  return 1000 * measures.reduce((sum, measure) => sum + secondsFor(measure, seconds), START_S + startSeconds);
}

function secondsFor(measure: Measure, seconds: number): number {
  switch (measure) {
    case "start":
      return 0;
    case "tcp":
    case "tcp4":
    case "reverse":
      return seconds + TRANSFER_OVERHEAD_S;
    case "udp1400":
    case "udp512":
    case "udp200":
    case "udp64":
      return RATE_SEARCH_S;
    case "ping":
    case "voice":
      return 2 * seconds + LOADED_OVERHEAD_S;
    case "pressure1":
    case "pressure2":
    case "throttled":
      return 3 * seconds + TRANSFER_OVERHEAD_S + LOADED_OVERHEAD_S;
  }
}
