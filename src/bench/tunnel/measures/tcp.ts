import type { Tunnel } from "../contender.ts";
import type { Sample } from "../figures.ts";
import type { Ground } from "../ground.ts";
import { residentMiB } from "../memory.ts";
import { busySeconds } from "../processor-time.ts";
import type { LoadGenerator } from "./load.ts";

/**
 * One TCP stream; what it costs the machine, the load generator included, since kernel work on behalf of a process counts too. Where each side
 * has processors of its own, also what it costs each.
 */
export async function measureTcp(
  ground: Ground,
  load: LoadGenerator,
  tunnel: Tunnel,
  seconds: number,
): Promise<Sample> {
  const { client, gateway } = ground;
  const busy = (): readonly number[] =>
    [undefined, client.processors, gateway.processors].map((processors) => busySeconds(processors));
  const before = busy();
  const { octets, bitsPerSecond } = await load.tcp(seconds);
  const [whole, sending, receiving] = busy().map((each, index) => ((each - before[index]!) * 1e9) / octets);
  return {
    tcpMbps: bitsPerSecond / 1e6,
    cpuSecondsPerGb: whole!,
    ...(client.processors && { clientCpuSecondsPerGb: sending! }),
    ...(gateway.processors && { gatewayCpuSecondsPerGb: receiving! }),
    ...(tunnel.daemons.length > 0 && { residentMiB: residentMiB(tunnel.daemons) }),
  };
}
