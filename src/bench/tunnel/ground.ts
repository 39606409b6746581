import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, readlinkSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { PlatformError } from "../../errors/index.ts";
import { joinNamespaces, spawnInNewNamespace, WITH_US, withNamespaceOf } from "../../platform/namespaces.ts";
import { LinuxNetwork } from "../../platform/network/linux-network.ts";
import { createLinuxSystemCalls } from "../../platform/system-calls/linux-system-calls.ts";
import type { SystemCalls } from "../../platform/system-calls/system-calls.ts";
import { type CommandResult, RunningProgram } from "./program.ts";

// The ground on which all contenders meet: two network namespaces of this machine and a cable. The load runs between the inner
// addresses, which are on the loopback links; who leads it from one to the other is the contender's affair.
//
//   10.78.1.1  [ client ]  192.0.2.2 ====== wire0 ====== 192.0.2.1  [ gateway ]  10.78.2.1
//
// Each side has half of the processors to itself, as two machines would: a tunnel is two busy processes and a load that is two more, and
// whether the scheduler puts the busy ones on one processor or on two would decide more than the contender does.

export const OUTER_LINK = "wire0";

/** One side: where it is outside and inside, and what lies behind it. */
export interface SidePlan {
  readonly outer: string;
  readonly inner: string;
  readonly network: string;
}

export const CLIENT: SidePlan = { outer: "192.0.2.2", inner: "10.78.1.1", network: "10.78.1.0/24" };
export const GATEWAY: SidePlan = { outer: "192.0.2.1", inner: "10.78.2.1", network: "10.78.2.0/24" };

/** Inside of every tunnel, so that all cut the load into equal packets. It is what Ikebana and strongSwan do by themselves. */
export const INNER_MTU = 1400;

/** A side's machine: a network and a mount namespace without a name, held by a process that sleeps. */
export interface Host {
  readonly plan: SidePlan;
  /** Of the process that holds the namespaces. */
  readonly pid: number;
  /** Those that it has to itself, by their numbers; undefined when it shares all of them with the other side. */
  readonly processors: readonly number[] | undefined;
  /** Starts a program there. It ends with the ground, or with this process. */
  start(
    name: string,
    command: readonly string[],
    environment?: Readonly<Record<string, string>>,
  ): RunningProgram;
  /** Runs a program there to its end. Throws PlatformError when that is none of `codes` (0 only, if left out), or does not come. */
  run(
    command: readonly string[],
    options?: { readonly timeoutMs?: number; readonly codes?: readonly number[] },
  ): Promise<CommandResult>;
  /** Runs `action` with sockets that it opens inside the host's network. Must not await. */
  inside<T>(action: () => T): T;
  /** When a process that `start` has started, and that still runs, began: by `performance.now()`. */
  startedAtMs(pid: number): number | undefined;
  /** Moves all that runs there into a control group, and starts there what comes: `file` is the group's list of processes. */
  confine(file: string): void;
}

export interface Ground {
  readonly client: Host;
  readonly gateway: Host;
  /** For keys and configurations: in memory, open to both hosts and us, and gone with the client's mounts. */
  readonly directory: string;
  readonly systemCalls: SystemCalls;
  /** Whether a network namespace ("net:[4026531840]") is one of the two. */
  holds(network: string): boolean;
  /** Ends every process in the two networks, by their ids; the networks go with them. May be called again. */
  close(): Promise<void>;
}

/** "split": each side has its own processors. "any": all processes go where the scheduler puts them. */
export const CORES = ["split", "any"] as const;
export type Cores = (typeof CORES)[number];

/** Throws PlatformError where namespaces may not be made. With one processor there is nothing to split. */
export async function layGround(cores: Cores): Promise<Ground> {
  const systemCalls = createLinuxSystemCalls();
  const hosts: OpenHost[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(hosts.map((host) => host.close()));
  };
  try {
    const [ofClient, ofGateway] = cores === "split" ? halves(availableParallelism()) : [];
    hosts.push(await openHost(systemCalls, { plan: CLIENT, processors: ofClient }));
    hosts.push(await openHost(systemCalls, { plan: GATEWAY, processors: ofGateway }));
    const [client, gateway] = hosts as [OpenHost, OpenHost];
    joinNamespaces(systemCalls, cableEnd(client), cableEnd(gateway));
    for (const host of hosts) {
      host.inside(() =>
        withNetwork(systemCalls, (network) => network.addAddress("lo", `${host.plan.inner}/32`)),
      );
    }
    const directory = `/proc/${client.pid}/root/run/bench`;
    mkdirSync(directory, { mode: 0o700 });
    const places = hosts.map(({ place }) => place);
    const holds = (network: string): boolean => places.includes(network);
    return { client, gateway, directory, systemCalls, holds, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Numbers of processors: the first half and the second. */
function halves(count: number): readonly (readonly number[])[] {
  const middle = count >>> 1;
  const all = Array.from({ length: count }, (_, index) => index);
  return middle === 0 ? [] : [all.slice(0, middle), all.slice(middle)];
}

export function withNetwork<T>(systemCalls: SystemCalls, action: (network: LinuxNetwork) => T): T {
  const network = new LinuxNetwork(systemCalls);
  try {
    return action(network);
  } finally {
    network.close();
  }
}

function cableEnd({ pid, plan }: Host) {
  return { pid, link: OUTER_LINK, prefixes: [`${plan.outer}/24`] };
}

interface OpenHost extends Host {
  /** Its network namespace. */
  readonly place: string;
  close(): Promise<void>;
}

/** Its /run is its own, since daemons leave sockets there under names that both sides would use. */
const HOLD = [
  "unshare",
  "-m",
  "--",
  "sh",
  "-c",
  "mount -t tmpfs tmpfs /run && echo ready && exec sleep infinity",
];

async function openHost(
  systemCalls: SystemCalls,
  { plan, processors }: { readonly plan: SidePlan; readonly processors: readonly number[] | undefined },
): Promise<OpenHost> {
  const { child: holder, pid } = await spawnInNewNamespace(HOLD, {
    stdio: ["ignore", "pipe", "ignore"],
    detached: true,
  });
  await Promise.race([once(holder.stdout!, "data"), diedEarly(holder)]);
  const place = readlinkSync(`/proc/${pid}/ns/net`);
  const on = processors === undefined ? [] : ["taskset", "-c", processors.join(",")];
  const enter = [...on, "nsenter", "-t", String(pid), "-n", "-m", "--", ...WITH_US];
  const started = new Set<RunningProgram>();
  let confinement: readonly string[] = [];
  const start: Host["start"] = (name, command, environment) => {
    const program = new RunningProgram(name, [...confinement, ...enter, ...command], environment);
    started.add(program);
    void program.ended.then(() => started.delete(program));
    return program;
  };
  return {
    plan,
    pid,
    place,
    processors,
    start,
    run: async (command, { timeoutMs = 30_000, codes = [0] } = {}) => {
      const program = start(command[0]!, command);
      const limit = setTimeout(() => void program.kill(), timeoutMs);
      const result = await program.ended;
      clearTimeout(limit);
      if (result.code !== null && codes.includes(result.code)) return result;
      const end = result.code === null ? "was ended" : `ended with ${result.code}`;
      throw new PlatformError(`${command.join(" ")} ${end}: ${program.lastWords}`);
    },
    inside: (action) => withNamespaceOf(systemCalls, pid, action),
    startedAtMs: (id) => [...started].find((program) => program.pid === id)?.startedAtMs,
    confine: (file) => {
      for (const id of processesIn(place)) moveProcess(id, file);
      confinement = ["sh", "-c", 'echo $$ > "$0" && exec "$@"', file];
    },
    close: async () => {
      await Promise.all([...started].map((program) => program.kill()));
      for (const left of processesIn(place)) if (left !== pid) endProcess(left);
      if (holder.exitCode !== null || holder.signalCode !== null) return;
      const gone = once(holder, "exit");
      holder.kill("SIGKILL");
      await gone;
    },
  };
}

async function diedEarly(holder: ChildProcess): Promise<never> {
  await once(holder, "exit");
  throw new PlatformError("a namespace of its own for mounts is not to be had here", { code: "EPERM" });
}

/** Ids of the processes in a network namespace; what daemons left behind is among them. */
function processesIn(place: string): readonly number[] {
  const ids = readdirSync("/proc").filter((name) => /^[0-9]+$/.test(name));
  return ids.map(Number).filter((id) => {
    try {
      return id !== process.pid && readlinkSync(`/proc/${id}/ns/net`) === place;
    } catch {
      return false; // it has ended, or is the kernel's
    }
  });
}

function endProcess(id: number): void {
  try {
    process.kill(id, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

function moveProcess(id: number, file: string): void {
  try {
    writeFileSync(file, String(id));
  } catch (error) {
    // It has ended by itself.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
