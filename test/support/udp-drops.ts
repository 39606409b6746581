import { readFileSync } from "node:fs";

/**
 * Datagrams that UDP sockets on a port dropped because their queues were full, in the network of a process. Sockets that are
 * closed are forgotten.
 */
export function udpDrops(pid: number | "self", port: number): number {
  let drops = 0;
  for (const family of ["udp", "udp6"]) {
    for (const line of readFileSync(`/proc/${pid}/net/${family}`, "utf8").split("\n").slice(1)) {
      const columns = line.trim().split(/\s+/);
      const local = columns[1]?.split(":")[1];
      if (local !== undefined && Number.parseInt(local, 16) === port) drops += Number(columns.at(-1));
    }
  }
  return drops;
}
