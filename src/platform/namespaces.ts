import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from "node:child_process";
import { readlinkSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { PlatformError } from "../errors/index.ts";
import { LinuxNetwork } from "./network/linux-network.ts";
import type { VethEnd } from "./network/netlink/link.ts";
import { CLONE_NEWNET, O_CLOEXEC, O_RDONLY } from "./system-calls/constants.ts";
import { succeed } from "./system-calls/errno.ts";
import type { SystemCalls } from "./system-calls/system-calls.ts";

// Network namespaces without names: each belongs to a process and ends with it, so that nothing is left behind whatever
// kills us. Two of them that shall be joined must have one owner:
//
//   root                       supervisor ----------------- unshare -n ---> process in its namespace
//   unprivileged   unshare -Ur -n ---> supervisor ("root" of a user namespace) --- unshare -n ---> ...

/**
 * Who may make network namespaces here: root (also that of a user namespace), anybody through a user namespace of his own, or
 * nobody.
 */
export type NamespaceAccess = "root" | "user-namespace" | "none";

/** Finds out by doing it: what counts is what the kernel, a container and a security module allow together. */
export function namespaceAccess(): NamespaceAccess {
  if (succeeds(inNewNamespace(["true"]))) return "root";
  return succeeds(asSupervisor("user-namespace", inNewNamespace(["true"]))) ? "user-namespace" : "none";
}

/** The command line that runs a supervisor with the right to make namespaces, which needs a user namespace around it unless root runs it. */
export function asSupervisor(
  access: Exclude<NamespaceAccess, "none">,
  command: readonly string[],
): readonly string[] {
  return access === "root" ? command : ["unshare", "-Ur", "-n", "--", ...command];
}

/** Before a command line: what it starts is killed when the thread that starts it ends, however it ends. */
export const WITH_US = ["setpriv", "--pdeathsig", "KILL", "--"] as const;

/** A process in a network namespace of its own. */
export interface NamespaceProcess {
  readonly child: ChildProcess;
  readonly pid: number;
}

/**
 * Starts a command in a fresh network namespace, where all it finds is a loopback link that is down. Settles when it is
 * there. It is killed when the thread that called this ends, however it ends. Throws PlatformError when the command ends early.
 */
export async function spawnInNewNamespace(
  command: readonly string[],
  options: SpawnOptions = {},
): Promise<NamespaceProcess> {
  const [program, ...args] = inNewNamespace(command);
  const child = spawn(program!, args, options);
  const failed = new Promise<never>((_, reject) => {
    child.once("error", (cause) =>
      reject(new PlatformError(`start ${program}: ${cause.message}`, { code: "ENOENT", cause })),
    );
    child.once("exit", (code, signal) =>
      reject(new PlatformError(`${command[0]} ended before it had a network namespace (${signal ?? code})`)),
    );
  });
  try {
    await Promise.race([hasOwnNamespace(child), failed]);
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  }
  failed.catch(() => {});
  return { child, pid: child.pid! };
}

/** Runs `action` in the network namespace of a process: sockets that it opens stay there. Must not await. */
export function withNamespaceOf<T>(systemCalls: SystemCalls, pid: number, action: () => T): T {
  const what = `enter the network namespace of process ${pid}`;
  const own = succeed(what, systemCalls.open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  try {
    const other = succeed(what, systemCalls.open(`/proc/${pid}/ns/net`, O_RDONLY | O_CLOEXEC));
    const entered = systemCalls.setns(other, CLONE_NEWNET);
    systemCalls.close(other);
    succeed(what, entered);
    try {
      return action();
    } finally {
      succeed("return to our network namespace", systemCalls.setns(own, CLONE_NEWNET));
    }
  } finally {
    systemCalls.close(own);
  }
}

/** One end of a cable between two namespaces. */
export interface CableEnd {
  readonly pid: number;
  readonly link: string;
  /** Addresses of the link: "192.0.2.1/24". */
  readonly prefixes: readonly string[];
  /** As of a veth end: 1 lets every packet pass as a frame of its own. */
  readonly segmentLimit?: number;
}

/**
 * Joins the namespaces of two processes by a veth pair: links and loopback up, addresses set. It ends with either of them.
 * Returns when packets get through, some milliseconds later.
 */
export function joinNamespaces(systemCalls: SystemCalls, left: CableEnd, right: CableEnd): void {
  // The kernel notices at once that a link was plugged in when its index and that of its peer differ, and otherwise
  // within a second; in two fresh namespaces they would be the same.
  const index = nextLinkIndex;
  nextLinkIndex += 2;
  const network = new LinuxNetwork(systemCalls);
  try {
    network.createVethPair(vethEndOf(left, index), vethEndOf(right, index + 1));
  } finally {
    network.close();
  }
  for (const end of [left, right]) withNamespaceOf(systemCalls, end.pid, () => raise(systemCalls, end));
  for (const end of [left, right]) awaitCarrier(systemCalls, end);
}

function vethEndOf({ link, pid, segmentLimit }: CableEnd, index: number): VethEnd {
  return { name: link, pid, index, ...(segmentLimit !== undefined && { segmentLimit }) };
}

/** Above the few that a namespace comes with. */
let nextLinkIndex = 100;

function raise(systemCalls: SystemCalls, { link, prefixes }: CableEnd): void {
  const network = new LinuxNetwork(systemCalls);
  try {
    network.setLinkUp("lo");
    network.setLinkUp(link);
    for (const prefix of prefixes) network.addAddress(link, prefix);
  } finally {
    network.close();
  }
}

/** The end that was up before the other is switched on by the kernel's own work, and drops packets until then. */
function awaitCarrier(systemCalls: SystemCalls, { pid, link }: CableEnd): void {
  const network = withNamespaceOf(systemCalls, pid, () => new LinuxNetwork(systemCalls));
  const pause = new Int32Array(new SharedArrayBuffer(4));
  try {
    for (const end = performance.now() + 5000; performance.now() < end; Atomics.wait(pause, 0, 0, 1)) {
      if (network.hasCarrier(link)) return;
    }
    throw new PlatformError(`link ${link} is up and carries nothing after 5 s`, { code: "ETIMEDOUT" });
  } finally {
    network.close();
  }
}

/** setpriv stands behind unshare, because a change of credentials would take the death signal away again. */
function inNewNamespace(command: readonly string[]): readonly string[] {
  return ["unshare", "-n", "--", ...WITH_US, ...command];
}

function succeeds([program, ...args]: readonly string[]): boolean {
  return spawnSync(program!, args, { stdio: "ignore" }).status === 0;
}

/** The process is born into our namespace, and is in its own a moment later. */
async function hasOwnNamespace(child: ChildProcess): Promise<void> {
  const ours = readlinkSync("/proc/thread-self/ns/net");
  for (const end = performance.now() + 5000; performance.now() < end; await sleep(2)) {
    if (child.pid === undefined || child.exitCode !== null) continue;
    try {
      if (readlinkSync(`/proc/${child.pid}/ns/net`) !== ours) return;
    } catch {
      // It has just ended, and the event that says so is on its way.
    }
  }
  throw new PlatformError("a process got no network namespace in 5 s", { code: "ETIMEDOUT" });
}
