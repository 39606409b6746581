import type { Host } from "../ground.ts";
import { findPrograms } from "../program.ts";

/** Round-trip times of the echo requests that were answered, in their order. */
export interface Echoes {
  readonly sent: number;
  readonly rttsMs: readonly number[];
  /** When each answer came: milliseconds after the first of them. */
  readonly atMs: readonly number[];
}

const INTERVAL_S = 0.01;
/** Exit code of ping. */
const NOTHING_ANSWERED = 1;
/** How long it waits for what has not been answered in the end. */
const PATIENCE_S = 3;

/**
 * Pings at a steady rate, a hundred in a second unless said otherwise. `pattern`: hex of at most 16 octets that each carries again and
 * again. Throws PlatformError without a `ping`.
 */
export async function pingSeries(
  host: Host,
  {
    from,
    to,
    count,
    pattern,
    intervalS = INTERVAL_S,
  }: {
    readonly from: string;
    readonly to: string;
    readonly count: number;
    readonly pattern?: string;
    readonly intervalS?: number;
  },
): Promise<Echoes> {
  const [program] = findPrograms([{ program: "ping", package: "iputils-ping" }]);
  const { out } = await host.run(
    [
      ...[program!, "-n", "-D", "-i", String(intervalS), "-c", String(count)],
      ...["-W", String(PATIENCE_S), "-I", from],
      ...(pattern === undefined ? [] : ["-p", pattern]),
      to,
    ],
    // On a machine that has hardly any time left for it, it does not keep its pace.
    { timeoutMs: (4 * count * intervalS + PATIENCE_S + 20) * 1000, codes: [0, NOTHING_ANSWERED] },
  );
  return readEchoes(out);
}

/** Reads what `ping -D` prints. */
export function readEchoes(text: string): Echoes {
  const answers = [
    ...text.matchAll(/^\[([\d.]+)\] .*bytes from .*icmp_seq=\d+.* time=([\d.]+) ms(?! \(DUP)/gm),
  ].map(([, seconds, ms]) => ({ at: Number(seconds) * 1000, rtt: Number(ms) }));
  const first = answers[0]?.at ?? 0;
  return {
    sent: Number(/(\d+) packets transmitted/.exec(text)?.[1] ?? 0),
    rttsMs: answers.map(({ rtt }) => rtt),
    atMs: answers.map(({ at }) => Math.round(at - first)),
  };
}
