import type { Host } from "../ground.ts";
import { findPrograms } from "../program.ts";

/** Round-trip times of the echo requests that were answered, in their order. */
export interface Echoes {
  readonly sent: number;
  readonly rttsMs: readonly number[];
}

const INTERVAL_S = 0.01;
/** Exit code of ping. */
const NOTHING_ANSWERED = 1;
/** How long it waits for what has not been answered in the end. */
const PATIENCE_S = 3;

/**
 * A hundred pings in a second. `pattern`: hex of at most 16 octets that each carries again and again. Throws PlatformError without
 * a `ping`.
 */
export async function pingSeries(
  host: Host,
  {
    from,
    to,
    count,
    pattern,
  }: { readonly from: string; readonly to: string; readonly count: number; readonly pattern?: string },
): Promise<Echoes> {
  const [program] = findPrograms([{ program: "ping", package: "iputils-ping" }]);
  const { out } = await host.run(
    [
      ...[
        program!,
        "-n",
        "-i",
        String(INTERVAL_S),
        "-c",
        String(count),
        "-W",
        String(PATIENCE_S),
        "-I",
        from,
      ],
      ...(pattern === undefined ? [] : ["-p", pattern]),
      to,
    ],
    { timeoutMs: (count * INTERVAL_S + PATIENCE_S + 10) * 1000, codes: [0, NOTHING_ANSWERED] },
  );
  return readEchoes(out);
}

/** Reads what ping prints. */
export function readEchoes(text: string): Echoes {
  const rttsMs = [...text.matchAll(/bytes from .*icmp_seq=\d+.* time=([\d.]+) ms(?! \(DUP)/g)].map(([, ms]) =>
    Number(ms),
  );
  const sent = Number(/(\d+) packets transmitted/.exec(text)?.[1] ?? 0);
  return { sent, rttsMs };
}
