import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { HostProcess, runOn } from "./host-process.ts";
import type { TestHost } from "./namespace.ts";
import { until } from "./waiting.ts";

const TCP_END = fileURLToPath(new URL("../system/fixtures/tcp-end.mjs", import.meta.url));

/** Carries a TCP stream in random pieces from one host to another and shows that it arrived to the octet. */
export async function expectEqualStreams(flow: {
  readonly from: TestHost;
  readonly to: TestHost;
  readonly source: string;
  readonly destination: string;
  readonly octets: number;
}): Promise<void> {
  const node = process.execPath;
  const sink = new HostProcess(flow.to, [node, TCP_END, "sink", flow.destination, "9000"]);
  await until("the sink listens", () => sink.error.includes("listening"));
  const words = ["source", flow.source, flow.destination, "9000", String(flow.octets)];
  const sent = await runOn(flow.from, [node, TCP_END, ...words], { timeoutMs: 120_000 });
  await sink.ended;
  expect(JSON.parse(sink.out)).toMatchObject({ octets: flow.octets });
  expect(sink.out).toBe(sent.out);
}
