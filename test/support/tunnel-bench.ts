import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { allContenders } from "../../src/bench/tunnel/catalogue.ts";
import type { Contender } from "../../src/bench/tunnel/contender.ts";
import type { Measure } from "../../src/bench/tunnel/figures.ts";
import type { TunnelRecord } from "../../src/bench/tunnel/record.ts";
import { type Progress, runTunnelBench } from "../../src/bench/tunnel/run.ts";

export const MAIN = fileURLToPath(new URL("../../dist/src/cli/main.js", import.meta.url));
/** What strongSwan's packages are needed for. */
export const PEERS = "the tunnel bench needs iperf3, ping and its contenders";

/** `seconds`: of each measure. Each side has its own processors. */
export function runBench(
  contenders: readonly Contender[],
  {
    measures = ["tcp"],
    rounds = 1,
    seconds = 1,
    limitMs,
    substitutes,
    signal = new AbortController().signal,
    onProgress = () => {},
  }: {
    readonly measures?: readonly Measure[];
    readonly rounds?: number;
    readonly seconds?: number;
    readonly limitMs?: number;
    readonly substitutes?: Readonly<Record<string, string>>;
    readonly signal?: AbortSignal;
    readonly onProgress?: (progress: Progress) => void;
  } = {},
): Promise<TunnelRecord> {
  return runTunnelBench({
    contenders,
    measures,
    rounds,
    seconds,
    ...(limitMs !== undefined && { limitMs }),
    ...(substitutes !== undefined && { substitutes }),
    cores: "split",
    command: "test",
    signal,
    onProgress,
  });
}

/** One of those that users have, by its name. */
export function chosen(name: string): Contender {
  const all = allContenders({ ikebanaCommand: [process.execPath, MAIN] });
  return all.find((each) => each.name === name)!;
}

/** Of this process; others may be measuring at the same time. */
export function leftGroups(): readonly string[] {
  const { stdout } = spawnSync("find", ["/sys/fs/cgroup", "-name", `ikebana-bench-${process.pid}-*`], {
    encoding: "utf8",
  });
  return stdout.split("\n").filter((line) => line !== "");
}
