import { HostProcess, runOn } from "../support/host-process.ts";
import type { TestHost } from "../support/namespace.ts";
import { until } from "../support/waiting.ts";

export interface StreamResult {
  readonly sent: number;
  readonly lost: number;
}

/** Numbered UDP datagrams at a steady pace from one site to the other, for so many seconds. What did not arrive is counted by its number. */
export async function streamUdp(facts: {
  readonly from: { readonly host: TestHost; readonly address: string };
  readonly to: { readonly host: TestHost; readonly address: string };
  readonly port: number;
  readonly seconds: number;
  readonly megabitsPerSecond: number;
}): Promise<StreamResult> {
  const { from, to, seconds, megabitsPerSecond } = facts;
  const port = ["-p", String(facts.port)];
  const listener = new HostProcess(to.host, ["iperf3", "-s", "-B", to.address, ...port, "--forceflush"]);
  try {
    await until("iperf3 listens", () => listener.out.includes("Server listening"));
    const { out, error } = await runOn(from.host, [
      "iperf3",
      ...["-c", to.address, "-B", from.address, ...port, "-t", String(seconds), "-J"],
      ...["-u", "-b", `${megabitsPerSecond}M`, "-l", "1200"],
    ]);
    const { end, error: failure } = JSON.parse(out === "" ? "{}" : out);
    if (end?.sum === undefined) throw new Error(`iperf3: ${failure ?? error}`);
    return { sent: end.sum.packets, lost: end.sum.lost_packets };
  } finally {
    await listener.stop("SIGKILL");
  }
}
