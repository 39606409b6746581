import type { LoadGenerator } from "./load.ts";
import { highestRate } from "./rate-search.ts";

const STEP_S = 0.5;

/**
 * How many datagrams in a second get through when at most one in a hundred may be lost. `expected`: what an earlier round found,
 * which shortens the search.
 */
export async function measureUdp(
  load: LoadGenerator,
  { payloadLength, expected }: { readonly payloadLength: number; readonly expected: number | undefined },
): Promise<number> {
  const { received } = await highestRate(async (packetsPerSecond) => {
    const { packets, lostPackets, seconds } = await load.udp({
      packetsPerSecond,
      payloadLength,
      seconds: STEP_S,
    });
    return { received: (packets - lostPackets) / seconds, loss: packets === 0 ? 1 : lostPackets / packets };
  }, expected);
  return received;
}
