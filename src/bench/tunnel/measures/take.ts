import type { Tunnel } from "../contender.ts";
import { type Measure, type Sample, UDP_PAYLOADS } from "../figures.ts";
import type { Ground } from "../ground.ts";
import type { PingSeries, SeriesName } from "../record.ts";
import { measureCondition } from "./conditions.ts";
import type { LoadGenerator } from "./load.ts";
import { measurePing } from "./ping.ts";
import { measureTcp } from "./tcp.ts";
import { measureUdp } from "./udp.ts";
import { measureVoice } from "./voice.ts";

export interface Taken {
  readonly figures: Sample;
  readonly series?: Readonly<Record<SeriesName, PingSeries>>;
}

/** Takes one measure of a tunnel that is up. */
export async function take(
  measure: Measure,
  {
    ground,
    load,
    tunnel,
    seconds,
    firstPacketMs,
    earlier,
  }: {
    readonly ground: Ground;
    readonly load: LoadGenerator;
    readonly tunnel: Tunnel;
    readonly seconds: number;
    /** What was seen while the tunnel came up. */
    readonly firstPacketMs: number | undefined;
    /** What the round before gave. */
    readonly earlier: Sample | undefined;
  },
): Promise<Taken> {
  switch (measure) {
    case "start":
      return { figures: firstPacketMs === undefined ? {} : { firstPacketMs } };
    case "tcp":
      return { figures: await measureTcp(ground, load, tunnel, seconds) };
    case "tcp4":
      return { figures: { tcp4Mbps: mbps(await load.tcp(seconds, { streams: 4 })) } };
    case "reverse":
      return { figures: { tcpReverseMbps: mbps(await load.tcp(seconds, { isReverse: true })) } };
    case "udp1400":
    case "udp512":
    case "udp200":
    case "udp64": {
      const figure = `${measure}PacketsPerSecond` as const;
      const payloadLength = UDP_PAYLOADS[measure];
      return {
        figures: { [figure]: await measureUdp(load, { payloadLength, expected: earlier?.[figure] }) },
      };
    }
    case "ping":
      return measurePing(ground, load, seconds);
    case "voice":
      return { figures: await measureVoice(ground, load, seconds) };
    case "pressure1":
    case "pressure2":
    case "throttled":
      return { figures: await measureCondition(measure, ground, load, seconds) };
  }
}

function mbps({ bitsPerSecond }: { readonly bitsPerSecond: number }): number {
  return bitsPerSecond / 1e6;
}
