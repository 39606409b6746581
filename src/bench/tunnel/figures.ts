/** What can be measured, as it is chosen on the command line and in the order in which it is done. */
export const MEASURES = [
  "start",
  "tcp",
  "tcp4",
  "reverse",
  "udp1400",
  "udp512",
  "udp200",
  "udp64",
  "ping",
  "voice",
  "pressure1",
  "pressure2",
  "throttled",
] as const;
export type Measure = (typeof MEASURES)[number];

export interface Figure {
  readonly measure: Measure;
  /** What it is where it stands alone. */
  readonly label: string;
  /** What it is in the table of its measure; left out when that is the same. */
  readonly column?: string;
  readonly unit: string;
  readonly better: "more" | "less";
}

/** Every number that a run can give. */
export const FIGURES = {
  firstPacketMs: {
    measure: "start",
    label: "start to first packet",
    unit: "ms",
    better: "less",
  },
  tcpMbps: { measure: "tcp", label: "TCP, one stream", unit: "Mbit/s", better: "more" },
  cpuSecondsPerGb: { measure: "tcp", label: "CPU, whole machine", unit: "s/GB", better: "less" },
  clientCpuSecondsPerGb: { measure: "tcp", label: "CPU, sending side", unit: "s/GB", better: "less" },
  gatewayCpuSecondsPerGb: { measure: "tcp", label: "CPU, receiving side", unit: "s/GB", better: "less" },
  residentMiB: { measure: "tcp", label: "memory, both daemons", unit: "MiB", better: "less" },
  tcp4Mbps: { measure: "tcp4", label: "TCP, four streams", unit: "Mbit/s", better: "more" },
  tcpReverseMbps: { measure: "reverse", label: "TCP, other way round", unit: "Mbit/s", better: "more" },
  udp1400PacketsPerSecond: rate("udp1400", "UDP in packets of 1400 octets, at most 1 % lost"),
  udp512PacketsPerSecond: rate("udp512", "UDP of 512 octets, at most 1 % lost"),
  udp200PacketsPerSecond: rate("udp200", "UDP of 200 octets, at most 1 % lost"),
  udp64PacketsPerSecond: rate("udp64", "UDP of 64 octets, at most 1 % lost"),
  ...roundTrips("pingIdle", "ping", "ping idle", ["P50", "P90", "P99", "P999"]),
  ...roundTrips("pingLoaded", "ping", "ping during TCP", ["P50", "P90", "P99", "P999"]),
  pingLoadedLostPercent: {
    measure: "ping",
    label: "pings lost during TCP",
    column: "lost",
    unit: "%",
    better: "less",
  },
  ...voice("voiceIdle", "voice idle"),
  ...voice("voiceLoaded", "voice during TCP"),
  ...underCondition("pressure1", "1 busy thread"),
  ...underCondition("pressure2", "2 busy threads"),
  ...underCondition("throttled", "throttled"),
} as const satisfies Readonly<Record<string, Figure>>;

export type FigureName = keyof typeof FIGURES;

/** What one contender gave in one round. */
export type Sample = Partial<Record<FigureName, number>>;

/** Octets of payload of the datagrams: what the name says, and as much as one packet of 1400 octets takes with its headers. */
export const UDP_PAYLOADS = { udp1400: 1372, udp512: 512, udp200: 200, udp64: 64 } as const;
export type UdpMeasure = keyof typeof UDP_PAYLOADS;

/** Measures that repeat throughput and round-trip times while the machine has something against it. */
const CONDITIONS = ["pressure1", "pressure2", "throttled"] as const satisfies readonly Measure[];
export type Condition = (typeof CONDITIONS)[number];

function rate(measure: UdpMeasure, label: string): Figure {
  return { measure, label, unit: "packets/s", better: "more" };
}

function roundTrips<P extends string, Q extends string>(
  prefix: P,
  measure: Measure,
  label: string,
  quantiles: readonly Q[],
): Readonly<Record<`${P}${Q}Us`, Figure>> {
  const entries = quantiles.map((quantile, index) => {
    const name = quantile === "P999" ? "p99.9" : quantile.toLowerCase();
    const full = `${label}, ${name}`;
    const figure: Figure = {
      measure,
      label: full,
      column: index === 0 ? full : name,
      unit: "µs",
      better: "less",
    };
    return [`${prefix}${quantile}Us`, figure];
  });
  return Object.fromEntries(entries);
}

function voice<P extends string>(
  prefix: P,
  label: string,
): Readonly<Record<`${P}JitterUs` | `${P}LostPercent`, Figure>> {
  const figures: readonly (readonly [string, Figure])[] = [
    [`${prefix}JitterUs`, { measure: "voice", label: `${label}, jitter`, unit: "µs", better: "less" }],
    [`${prefix}LostPercent`, { measure: "voice", label: `${label}, lost`, unit: "%", better: "less" }],
  ];
  return Object.fromEntries(figures) as Readonly<Record<`${P}JitterUs` | `${P}LostPercent`, Figure>>;
}

function underCondition<C extends Condition>(
  condition: C,
  label: string,
): Readonly<
  Record<`${C}TcpMbps` | `${C}PingIdle${"P50" | "P99"}Us` | `${C}PingLoaded${"P50" | "P99"}Us`, Figure>
> {
  return {
    [`${condition}TcpMbps`]: {
      measure: condition,
      label: `${label}: TCP, one stream`,
      unit: "Mbit/s",
      better: "more",
    },
    ...roundTrips(`${condition}PingIdle`, condition, `${label}: ping idle`, ["P50", "P99"]),
    ...roundTrips(`${condition}PingLoaded`, condition, `${label}: ping during TCP`, ["P50", "P99"]),
  } as ReturnType<typeof underCondition<C>>;
}
