import type { Sample } from "../figures.ts";
import type { LoadGenerator } from "./load.ts";
import { highestRate } from "./rate-search.ts";

const PAYLOAD_LENGTH = 200;
const STEP_S = 0.7;

/** How many small datagrams in a second get through when at most one in a hundred may be lost. */
export async function measureUdp(load: LoadGenerator): Promise<Sample> {
  const { received } = await highestRate(async (packetsPerSecond) => {
    const { packets, lostPackets, seconds } = await load.udp({
      packetsPerSecond,
      payloadLength: PAYLOAD_LENGTH,
      seconds: STEP_S,
    });
    return { received: (packets - lostPackets) / seconds, loss: packets === 0 ? 1 : lostPackets / packets };
  });
  return { udp200PacketsPerSecond: received };
}
