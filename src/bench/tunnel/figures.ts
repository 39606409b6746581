/** What can be measured, as it is chosen on the command line. */
export const MEASURES = ["tcp", "udp200", "ping"] as const;
export type Measure = (typeof MEASURES)[number];

export interface Figure {
  readonly measure: Measure;
  readonly label: string;
  readonly unit: string;
  readonly better: "more" | "less";
}

/** Every number that a run can give. */
export const FIGURES = {
  tcpMbps: { measure: "tcp", label: "TCP, one stream", unit: "Mbit/s", better: "more" },
  cpuSecondsPerGb: { measure: "tcp", label: "CPU, whole machine", unit: "s/GB", better: "less" },
  residentMiB: { measure: "tcp", label: "memory, both daemons", unit: "MiB", better: "less" },
  udp200PacketsPerSecond: {
    measure: "udp200",
    label: "UDP of 200 octets, at most 1 % lost",
    unit: "packets/s",
    better: "more",
  },
  pingIdleP50Us: { measure: "ping", label: "ping idle, p50", unit: "µs", better: "less" },
  pingIdleP90Us: { measure: "ping", label: "p90", unit: "µs", better: "less" },
  pingIdleP99Us: { measure: "ping", label: "p99", unit: "µs", better: "less" },
  pingLoadedP50Us: { measure: "ping", label: "ping during TCP, p50", unit: "µs", better: "less" },
  pingLoadedP90Us: { measure: "ping", label: "p90", unit: "µs", better: "less" },
  pingLoadedP99Us: { measure: "ping", label: "p99", unit: "µs", better: "less" },
  pingLoadedLostPercent: { measure: "ping", label: "lost", unit: "%", better: "less" },
} as const satisfies Readonly<Record<string, Figure>>;

export type FigureName = keyof typeof FIGURES;

/** What one contender gave in one round. */
export type Sample = Partial<Record<FigureName, number>>;
