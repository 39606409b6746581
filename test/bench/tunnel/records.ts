import type { Sample } from "../../../src/bench/tunnel/figures.ts";
import type { ContenderRecord, TunnelRecord } from "../../../src/bench/tunnel/record.ts";

// Records of runs that never were.

export function contender(name: string, samples: readonly Sample[]): ContenderRecord {
  return { name, title: name, samples: samples.map((figures, index) => ({ round: index + 1, figures })) };
}

/** One that was shown to encrypt. */
export function tunnel(name: string, samples: readonly Sample[]): ContenderRecord {
  const proof = { frames: 40, octets: 6000, plaintextFrames: 0 };
  const facts = { version: "1.0", cipher: "AES-256-GCM", mtu: 1400, offloads: "TSO, GSO, GRO", proof };
  return { ...contender(name, samples), facts };
}

export function recordOf(contenders: readonly ContenderRecord[]): TunnelRecord {
  return {
    bench: "tunnel",
    date: "2026-01-01T00:00:00.000Z",
    command: "ikebana bench tunnel",
    machine: {
      cpu: "a cpu",
      cores: 2,
      cpuFlags: ["aes"],
      memoryGiB: 8,
      kernel: "Linux 6.1",
      distribution: "Debian",
      node: "20.0.0",
      governor: "none",
      mitigations: [],
      loadAverage: 0,
    },
    loadGenerator: "iperf 3.12",
    settings: { rounds: 3, seconds: 3, cores: "split", measures: ["tcp"], innerMtu: 1400 },
    isComplete: true,
    contenders,
  };
}
