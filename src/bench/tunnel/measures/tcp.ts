import type { Tunnel } from "../contender.ts";
import type { Sample } from "../figures.ts";
import { residentMiB } from "../memory.ts";
import { busySeconds } from "../processor-time.ts";
import type { LoadGenerator } from "./load.ts";

/** One TCP stream; what it costs the machine, the load generator included, since kernel work on behalf of a process counts too. */
export async function measureTcp(load: LoadGenerator, tunnel: Tunnel, seconds: number): Promise<Sample> {
  const before = busySeconds();
  const { octets, bitsPerSecond } = await load.tcp(seconds);
  const busy = busySeconds() - before;
  return {
    tcpMbps: bitsPerSecond / 1e6,
    cpuSecondsPerGb: (busy * 1e9) / octets,
    ...(tunnel.daemons.length > 0 && { residentMiB: residentMiB(tunnel.daemons) }),
  };
}
