import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { availableParallelism } from "node:os";
import { stolenSeconds, TICKS_PER_SECOND } from "./processor-time.ts";

/** What others did while a contender was measured, as shares of all processor time: 0 to 1. */
export interface OthersLoad {
  /** Programs of this machine that are not part of the run. */
  readonly programs: number;
  /** What a hypervisor gave to other machines. */
  readonly stolen: number;
}

interface Snapshot {
  readonly atMs: number;
  readonly stolen: number;
  readonly ticks: number;
}

/**
 * Watches the rest of the machine from now on: the result says what it took until it is asked. `isOurs` says of a network namespace
 * ("net:[4026531840]") whether it is part of the run; so is this process with all that it started.
 */
export function watchOthers(isOurs: (network: string) => boolean): () => OthersLoad {
  const before = look(isOurs);
  return () => {
    const after = look(isOurs);
    const available = ((after.atMs - before.atMs) / 1000) * availableParallelism();
    const share = (seconds: number): number => Math.min(1, Math.max(0, seconds / available));
    return {
      programs: share((after.ticks - before.ticks) / TICKS_PER_SECOND),
      stolen: share(after.stolen - before.stolen),
    };
  };
}

function look(isOurs: (network: string) => boolean): Snapshot {
  return { atMs: performance.now(), stolen: stolenSeconds(), ticks: ticksOfOthers(isOurs) };
}

interface ProcessTimes {
  readonly id: number;
  readonly parent: number;
  readonly ticks: number;
}

/**
 * Time of everybody else, children that they have waited for included: who starts and ends in between is found with its parent, and what
 * it had before is no longer counted with itself.
 */
export function ticksOfOthers(
  isOurs: (network: string) => boolean,
  { root = "/proc", self = process.pid }: { readonly root?: string; readonly self?: number } = {},
): number {
  const all = readdirSync(root)
    .filter((name) => /^[0-9]+$/.test(name))
    .flatMap((name) => processTimes(root, name));
  const ours = new Set([self]);
  for (let before = 0; before < ours.size; ) {
    before = ours.size;
    for (const { id, parent } of all) if (ours.has(parent)) ours.add(id);
  }
  return all
    .filter(({ id }) => !ours.has(id) && !isOurs(networkOf(root, id)))
    .reduce((sum, { ticks }) => sum + ticks, 0);
}

/** pid (comm) state ppid ... utime stime cutime cstime are fields 14 to 17; comm may hold spaces and brackets. */
function processTimes(root: string, id: string): readonly ProcessTimes[] {
  try {
    const stat = readFileSync(`${root}/${id}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const ticks = fields.slice(11, 15).reduce((sum, each) => sum + Number(each), 0);
    return [{ id: Number(id), parent: Number(fields[1]), ticks }];
  } catch {
    return []; // it has just ended
  }
}

/** "" where we may not know. */
function networkOf(root: string, id: number): string {
  try {
    return readlinkSync(`${root}/${id}/ns/net`);
  } catch {
    return "";
  }
}
