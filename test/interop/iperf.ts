import { HostProcess, runOn } from "../support/host-process.ts";
import type { TestHost } from "../support/namespace.ts";
import { until } from "../support/waiting.ts";

export interface LoadResult {
  readonly what: string;
  readonly megabitsPerSecond: number;
  /** Datagrams or segments that did not arrive. */
  readonly lost: number;
  readonly received: number;
}

const PORT = 5201;

/** A second of TCP each way, then of UDP, from `client` to `server`. */
export async function measureLoad(
  client: { readonly host: TestHost; readonly address: string },
  server: { readonly host: TestHost; readonly address: string },
): Promise<readonly LoadResult[]> {
  const listener = new HostProcess(server.host, ["iperf3", "-s", "-B", server.address, "--forceflush"]);
  try {
    const results: LoadResult[] = [];
    for (const [what, ...words] of RUNS) {
      // It says so before each run; until then it is busy with the one before.
      const listenings = (): number => listener.out.split("Server listening").length - 1;
      await until("iperf3 listens", () => listenings() > results.length);
      const { out, error } = await runOn(client.host, [
        "iperf3",
        ...["-c", server.address, "-B", client.address, "-p", String(PORT), "-t", "1", "-J"],
        ...words,
      ]);
      results.push(readReport(what, out, error));
    }
    return results;
  } finally {
    await listener.stop("SIGKILL");
  }
}

/** UDP at a pace that both user-space daemons keep up with on a slow machine. */
const RUNS: readonly (readonly [string, ...string[]])[] = [
  ["TCP to strongSwan"],
  ["TCP from strongSwan", "-R"],
  ["UDP to strongSwan", "-u", "-b", "20M", "-l", "1200"],
];

function readReport(what: string, out: string, error: string): LoadResult {
  const report = JSON.parse(out === "" ? "{}" : out);
  const received = report.end?.sum_received ?? report.end?.sum;
  if (received === undefined) throw new Error(`iperf3, ${what}: ${report.error ?? error}`);
  const sum = report.end.sum ?? received;
  return {
    what,
    megabitsPerSecond: Math.round(received.bits_per_second / 1e5) / 10,
    lost: sum.lost_packets ?? 0,
    received: received.bytes,
  };
}
