import { readFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg, release, totalmem } from "node:os";

/** What a figure depends on besides the programs: recorded before a run. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  /** Of the instructions that ciphers use, those that the processor has. */
  readonly cpuFlags: readonly string[];
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly distribution: string;
  readonly node: string;
  /** Frequency governor, or "none" where nobody governs. */
  readonly governor: string;
  /** Weaknesses of the processor that the kernel works around, at a price: "spectre_v2: Mitigation: ...". */
  readonly mitigations: readonly string[];
  /** Over the last minute: above 0 somebody else was at work. */
  readonly loadAverage: number;
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model ?? "unknown",
    cores: availableParallelism(),
    cpuFlags: cipherFlags(readOr("/proc/cpuinfo", "")),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: `Linux ${release()}`,
    distribution: /^PRETTY_NAME="?([^"\n]*)/m.exec(readOr("/etc/os-release", ""))?.[1] ?? "unknown",
    node: process.versions.node,
    governor: readOr("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "none").trim(),
    mitigations: WEAKNESSES.flatMap((name) => {
      const state = readOr(`/sys/devices/system/cpu/vulnerabilities/${name}`, "").trim();
      return state.startsWith("Mitigation") ? [`${name}: ${state}`] : [];
    }),
    loadAverage: Math.round(loadavg()[0]! * 100) / 100,
  };
}

/** x86 and ARM names of AES, carry-less multiplication, SHA and wide vectors. */
const CIPHER_FLAGS: readonly string[] = [
  ...["aes", "vaes", "pclmulqdq", "vpclmulqdq", "sha_ni", "avx2", "avx512f"],
  ...["pmull", "sha1", "sha2", "asimd", "sve"],
];

const WEAKNESSES = ["meltdown", "spectre_v1", "spectre_v2", "spec_store_bypass", "mds", "retbleed"] as const;

function cipherFlags(cpuinfo: string): readonly string[] {
  const flags = new Set(/^(?:flags|Features)\s*:\s*(.*)$/m.exec(cpuinfo)?.[1]?.split(" ") ?? []);
  return CIPHER_FLAGS.filter((flag) => flags.has(flag));
}

function readOr(file: string, otherwise: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return otherwise;
  }
}
