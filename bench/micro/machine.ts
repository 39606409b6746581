import { execFileSync } from "node:child_process";
import { availableParallelism, cpus, loadavg, release, totalmem } from "node:os";

/** What a number depends on besides the code. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly node: string;
  readonly v8: string;
  readonly openssl: string;
  /** Over the last minute, when the run began: above 0 somebody else was at work. */
  readonly loadAverage: number;
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model ?? "unknown",
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: `Linux ${release()}`,
    node: process.versions.node,
    v8: process.versions.v8,
    openssl: process.versions.openssl,
    loadAverage: Math.round(loadavg()[0]! * 100) / 100,
  };
}

/** The commit that is checked out, with "+" when files other than results differ from it; "unknown" outside of a repository. */
export function describeCommit(directory: URL): string {
  try {
    const git = (...args: string[]) => execFileSync("git", args, { cwd: directory, encoding: "utf8" }).trim();
    const changes = git("status", "--porcelain", "--", ":/", ":!/bench/results");
    return git("rev-parse", "--short=10", "HEAD") + (changes === "" ? "" : "+");
  } catch {
    return "unknown";
  }
}
