import { readFileSync } from "node:fs";
import type { TestHost } from "./namespace.ts";
import { udpDrops } from "./udp-drops.ts";

/** Packets that found a queue full on their way through a tunnel, by place: "right: UDP 4500". */
export type PathDrops = Readonly<Record<string, number>>;

/** What the queues of two hosts have dropped so far, by the direction that it was meant for: left to right, and back. */
export function readPathDrops(
  { left, right }: { readonly left: TestHost; readonly right: TestHost },
  /** Where the inner packets of each direction go. */
  ports: readonly [number, number],
): readonly [PathDrops, PathDrops] {
  const one = { side: "left", host: left };
  const other = { side: "right", host: right };
  return [onTheWay(one, other, ports[0]), onTheWay(other, one, ports[1])];
}

interface Side {
  readonly side: string;
  readonly host: TestHost;
}

function onTheWay(from: Side, to: Side, port: number): PathDrops {
  const drops: Record<string, number> = {};
  for (const [link, { outbound }] of linkDrops(from.host)) drops[`${from.side}: into ${link}`] = outbound;
  for (const [link, { inbound }] of linkDrops(to.host)) drops[`${to.side}: out of ${link}`] = inbound;
  drops[`${to.side}: UDP 4500`] = udpDrops(to.host.pid, 4500);
  drops[`${to.side}: UDP ${port}`] = udpDrops(to.host.pid, port);
  return drops;
}

/** Drops that are new since then, only those above zero. */
export function newDrops(after: PathDrops, before: PathDrops): PathDrops {
  return Object.fromEntries(
    Object.entries(after)
      .map(([place, count]) => [place, count - (before[place] ?? 0)] as const)
      .filter(([, count]) => count > 0),
  );
}

export function sumOf(drops: PathDrops): number {
  return Object.values(drops).reduce((sum, count) => sum + count, 0);
}

/** /proc/net/dev: name: 8 numbers of what came, 8 of what went; the fourth of each are drops. */
function linkDrops(host: TestHost): Map<string, { readonly inbound: number; readonly outbound: number }> {
  const lines = readFileSync(`/proc/${host.pid}/net/dev`, "utf8").split("\n").slice(2);
  const links = lines.filter((line) => line.includes(":")).map((line) => line.trim().split(/[:\s]+/));
  return new Map(
    links.map((columns) => [columns[0]!, { inbound: Number(columns[4]), outbound: Number(columns[12]) }]),
  );
}
