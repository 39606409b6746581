import { fileURLToPath } from "node:url";
import { HostProcess, runOn } from "./host-process.ts";
import type { TestHost } from "./namespace.ts";
import { until } from "./waiting.ts";

const TCP_END = fileURLToPath(new URL("./integrity/tcp-end.mjs", import.meta.url));

/** One way between two hosts, by addresses inside. */
export interface Way {
  readonly from: TestHost;
  readonly to: TestHost;
  readonly source: string;
  readonly destination: string;
}

/**
 * Sends octets by TCP in pieces of random sizes, the same again for a seed. What was sent and what arrived, in the words of either end:
 * equal when all is well, and nothing when it was not through in time.
 */
export async function carryStream(
  { from, to, source, destination }: Way,
  octets: number,
  { seed = "", timeoutMs = 300_000 }: { readonly seed?: string; readonly timeoutMs?: number } = {},
): Promise<{ readonly sent: string; readonly arrived: string }> {
  const node = process.execPath;
  const sink = new HostProcess(to, [node, TCP_END, "sink", destination, "9000"]);
  await until("the sink listens", () => sink.error.includes("listening"));
  const words = ["source", source, destination, "9000", String(octets), seed];
  const { code, out } = await runOn(from, [node, TCP_END, ...words], { timeoutMs });
  if (code !== 0) await sink.stop("SIGKILL");
  await sink.ended;
  return { sent: out, arrived: sink.out };
}

/** How many of ten pings are answered, each of `length` octets of payload. With a deadline ping sends more as long as answers are late. */
export async function answeredPings({ from, source, destination }: Way, length = 56): Promise<number> {
  const words = ["-c", "10", "-i", "0.02", "-w", "5", "-s", String(length), "-I", source, destination];
  const { out } = await runOn(from, ["ping", ...words]);
  const answered = new Set(
    [...out.matchAll(/bytes from .*icmp_seq=(\d+)/g)].map(([, number]) => Number(number)),
  );
  return [...answered].filter((number) => number <= 10).length;
}

/** Echo requests that a host has received so far, of both families, whether or not it could answer. */
export function echoRequests(host: TestHost): number {
  const read = (file: string): string => host.run("cat", [file]).stdout;
  const [names, values] = read("/proc/net/snmp")
    .split("\n")
    .filter((line) => line.startsWith("Icmp:"))
    .map((line) => line.split(" "));
  const ipv6 = /Icmp6InEchos\s+(\d+)/.exec(read("/proc/net/snmp6"))?.[1];
  return Number(values![names!.indexOf("InEchos")]) + Number(ipv6);
}
