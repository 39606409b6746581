import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** A process as it was seen; its start time tells it from a later one with the same id. */
export interface SeenProcess {
  readonly id: number;
  readonly parent: number;
  readonly startedAt: string;
  readonly name: string;
  /** Its network namespace, "net:[4026531840]"; undefined when it has just ended. */
  readonly network: string | undefined;
}

/** Every process that a process has started, directly or through others. Those that have ended and wait for their parent do not count. */
export function descendantsOf(ancestor: number): readonly SeenProcess[] {
  const all = allProcesses();
  const found = new Set([ancestor]);
  for (let before = 0; before < found.size; ) {
    before = found.size;
    for (const { id, parent } of all) if (found.has(parent)) found.add(id);
  }
  return all.filter(({ id }) => id !== ancestor && found.has(id));
}

/** Those of the processes that still run, and others that live in one of their network namespaces but not in ours. */
export function survivorsOf(seen: readonly SeenProcess[]): readonly SeenProcess[] {
  const own = readlinkSync("/proc/self/ns/net");
  const networks = new Set(seen.map(({ network }) => network).filter((each) => each !== own));
  networks.delete(undefined);
  const known = new Set(seen.map(({ id, startedAt }) => `${id} ${startedAt}`));
  return allProcesses().filter(
    ({ id, startedAt, network }) => known.has(`${id} ${startedAt}`) || networks.has(network),
  );
}

function allProcesses(): readonly SeenProcess[] {
  const ids = readdirSync("/proc").filter((name) => /^[0-9]+$/.test(name));
  return ids.flatMap((id) => {
    try {
      const stat = readFileSync(`/proc/${id}/stat`, "utf8");
      // pid (comm) state ppid ... starttime is the 22nd; comm may hold spaces and brackets.
      const name = stat.slice(stat.indexOf("(") + 1, stat.lastIndexOf(")"));
      const rest = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      if (rest[0] === "Z" || rest[0] === "X") return [];
      return [
        { id: Number(id), parent: Number(rest[1]), startedAt: rest[19]!, name, network: networkOf(id) },
      ];
    } catch {
      return []; // it has just ended
    }
  });
}

function networkOf(id: string): string | undefined {
  try {
    return readlinkSync(`/proc/${id}/ns/net`);
  } catch {
    return undefined;
  }
}
