import { FIGURES, type FigureName } from "./figures.ts";
import { type ContenderRecord, samplesOf } from "./record.ts";

/** Figures that belong together: they share a table, and a place in the report. */
export interface Section {
  readonly title: string;
  readonly figures: readonly FigureName[];
}

export const SECTIONS = {
  throughput: { title: "Throughput", figures: ["tcpMbps", "tcp4Mbps", "tcpReverseMbps"] },
  packets: {
    title: "Throughput against packet size",
    figures: [
      "udp64PacketsPerSecond",
      "udp200PacketsPerSecond",
      "udp512PacketsPerSecond",
      "udp1400PacketsPerSecond",
    ],
  },
  processor: {
    title: "Processor time",
    figures: ["cpuSecondsPerGb", "clientCpuSecondsPerGb", "gatewayCpuSecondsPerGb"],
  },
  idle: {
    title: "Round trips, idle",
    figures: ["pingIdleP50Us", "pingIdleP90Us", "pingIdleP99Us", "pingIdleP999Us"],
  },
  loaded: {
    title: "Round trips under load",
    figures: [
      "pingLoadedP50Us",
      "pingLoadedP90Us",
      "pingLoadedP99Us",
      "pingLoadedP999Us",
      "pingLoadedLostPercent",
    ],
  },
  voice: {
    title: "A telephone call",
    figures: ["voiceIdleJitterUs", "voiceLoadedJitterUs", "voiceIdleLostPercent", "voiceLoadedLostPercent"],
  },
  pressure1: { title: "One busy thread beside", figures: figuresOf("pressure1") },
  pressure2: { title: "Two busy threads beside", figures: figuresOf("pressure2") },
  throttled: { title: "Throttled to a quarter", figures: figuresOf("throttled") },
  start: { title: "Start and memory", figures: ["firstPacketMs", "residentMiB"] },
} as const satisfies Readonly<Record<string, Section>>;

/** Of a section's figures those that somebody has. */
export function figuresIn(
  { figures }: Section,
  contenders: readonly ContenderRecord[],
): readonly FigureName[] {
  return figures.filter((figure) => contenders.some((each) => samplesOf(each, figure).length > 0));
}

function figuresOf(measure: "pressure1" | "pressure2" | "throttled"): readonly FigureName[] {
  return (Object.keys(FIGURES) as FigureName[]).filter((name) => FIGURES[name].measure === measure);
}
