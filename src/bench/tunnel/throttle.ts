import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { PlatformError } from "../../errors/index.ts";
import type { Ground } from "./ground.ts";

// Control groups limit what each side gets of its processors. Version 1 has a tree for processor time alone; in version 2 a group may
// have either processes or groups with limits below it, so that ours goes in beside our own, or further up.

/** Short, so that what waits for its turn does not wait long: the slower processor that this stands for never stops. */
const PERIOD_US = 10_000;
/** The kernel takes no less. */
const LOWEST_QUOTA_US = 1000;
const NAME = "ikebana-bench";

/**
 * Leaves each side of the ground so much of its processors (0 to 1) until what this returns is called. Throws PlatformError where this machine
 * lets us limit nothing.
 */
export function throttle({ client, gateway }: Ground, share: number): () => Promise<void> {
  const tree = findTree();
  const groups: string[] = [];
  const end = async (): Promise<void> => {
    for (const host of [client, gateway]) host.confine(tree.home);
    await Promise.all(groups.map(removeGroup));
  };
  try {
    for (const [name, host] of [
      ["client", client],
      ["gateway", gateway],
    ] as const) {
      const processors = host.processors?.length ?? availableParallelism() / 2;
      const group = makeGroup(tree, `${NAME}-${process.pid}-${name}`);
      groups.push(group);
      limit(group, Math.max(LOWEST_QUOTA_US, Math.round(share * processors * PERIOD_US)));
      host.confine(join(group, "cgroup.procs"));
    }
    return end;
  } catch (error) {
    void end();
    throw error;
  }
}

/** Why nothing can be throttled here; undefined when it can. Finds out by trying. */
export function throttleObstacle(): string | undefined {
  try {
    const group = makeGroup(findTree(), `${NAME}-${process.pid}-trial`);
    limit(group, PERIOD_US);
    rmdirSync(group);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

interface Tree {
  /** Below which our groups go. */
  readonly parent: string;
  /** Where our processes come from: a list of processes. */
  readonly home: string;
}

/** Of the places where a group may be made, the first in which processor time can be limited. */
function findTree(): Tree {
  const membership = readFileSync("/proc/self/cgroup", "utf8");
  for (const { place, isVersion2 } of mounts()) {
    const line = isVersion2 ? /^0::(.*)$/m : /^\d+:(?:[^:\n]*,)?cpu(?:,[^:\n]*)?:(.*)$/m;
    const own = join(place, line.exec(membership)?.[1] ?? "/");
    // A container may see its group under another name than the kernel calls it.
    const home = existsSync(join(own, "cgroup.procs")) ? own : place;
    for (const parent of isVersion2 ? ancestorsOf(home, place) : [home]) {
      if (offersLimits(parent, isVersion2)) return { parent, home: join(home, "cgroup.procs") };
    }
  }
  throw new PlatformError("no control group may be made here that limits processor time", { code: "EACCES" });
}

interface Mount {
  readonly place: string;
  readonly isVersion2: boolean;
}

function mounts(): readonly Mount[] {
  const lines = readFileSync("/proc/self/mounts", "utf8").split("\n");
  return lines.flatMap((line): readonly Mount[] => {
    const [, place, type, options] = line.split(" ");
    if (type === "cgroup2") return [{ place: place!, isVersion2: true }];
    return type === "cgroup" && options!.split(",").includes("cpu")
      ? [{ place: place!, isVersion2: false }]
      : [];
  });
}

function ancestorsOf(group: string, top: string): readonly string[] {
  return group === top || !group.startsWith(top) ? [top] : [group, ...ancestorsOf(dirname(group), top)];
}

function offersLimits(parent: string, isVersion2: boolean): boolean {
  try {
    removeLeftovers(parent);
    if (isVersion2) writeFileSync(join(parent, "cgroup.subtree_control"), "+cpu");
    const trial = makeGroup({ parent }, `${NAME}-${process.pid}-trial`);
    const offers = existsSync(join(trial, "cpu.max")) || existsSync(join(trial, "cpu.cfs_quota_us"));
    rmdirSync(trial);
    return offers;
  } catch {
    return false;
  }
}

function makeGroup({ parent }: Pick<Tree, "parent">, name: string): string {
  const group = join(parent, name);
  try {
    mkdirSync(group);
    return group;
  } catch (cause) {
    const { code = "PLATFORM" } = cause as NodeJS.ErrnoException;
    throw new PlatformError(`make control group ${name}: ${code}`, { code, cause });
  }
}

function limit(group: string, quotaUs: number): void {
  if (existsSync(join(group, "cpu.max"))) {
    writeFileSync(join(group, "cpu.max"), `${quotaUs} ${PERIOD_US}`);
  } else {
    writeFileSync(join(group, "cpu.cfs_period_us"), String(PERIOD_US));
    writeFileSync(join(group, "cpu.cfs_quota_us"), String(quotaUs));
  }
}

/** A process that was killed stays a member until its parent knows. */
async function removeGroup(group: string): Promise<void> {
  for (const end = performance.now() + 3000; ; await sleep(10)) {
    try {
      rmdirSync(group);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EBUSY" || performance.now() > end) throw error;
    }
  }
}

/** Of runs that were killed: their processes ended with them. */
function removeLeftovers(parent: string): void {
  for (const name of readdirSync(parent)) {
    const id = new RegExp(`^${NAME}-(\\d+)-`).exec(name)?.[1];
    if (id === undefined || existsSync(`/proc/${id}`)) continue;
    try {
      rmdirSync(join(parent, name));
    } catch {
      // Somebody is still in it.
    }
  }
}
