import type { Sample } from "../figures.ts";
import type { Ground } from "../ground.ts";
import { LoadGenerator, type LoadReport } from "./load.ts";
import { duringTcp } from "./ping.ts";

/** G.711: 20 ms of sound in each packet. RTP and sound are 172 octets, with the headers of UDP and IPv4 200. */
const CALL = { packetsPerSecond: 50, payloadLength: 172 };
const PORT = 5202;

/** One direction of a telephone call, with nothing else to do and during a TCP transfer: how much it jitters, and what is lost. */
export async function measureVoice(ground: Ground, load: LoadGenerator, seconds: number): Promise<Sample> {
  // Beside the transfer, and so with a port of its own.
  const telephone = new LoadGenerator(ground, PORT);
  const call = (): Promise<LoadReport> => telephone.udp({ ...CALL, seconds });
  const idle = await call();
  const loaded = await duringTcp(load, seconds, call);
  return {
    voiceIdleJitterUs: idle.jitterMs * 1000,
    voiceIdleLostPercent: lostPercent(idle),
    voiceLoadedJitterUs: loaded.jitterMs * 1000,
    voiceLoadedLostPercent: lostPercent(loaded),
  };
}

function lostPercent({ packets, lostPackets }: LoadReport): number {
  return packets === 0 ? 100 : (100 * lostPackets) / packets;
}
