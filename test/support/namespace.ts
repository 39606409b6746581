import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readlinkSync } from "node:fs";
import {
  joinNamespaces,
  spawnInNewNamespace,
  WITH_US,
  withNamespaceOf,
} from "../../src/platform/namespaces.ts";
import { LinuxNetwork } from "../../src/platform/network/linux-network.ts";
import { CLONE_NEWNET } from "../../src/platform/system-calls/constants.ts";
import { succeed } from "../../src/platform/system-calls/errno.ts";
import { createLinuxSystemCalls } from "../../src/platform/system-calls/linux-system-calls.ts";

/**
 * Whether tests that need root may run. When they may not, says so in one line, or fails where IKEBANA_REQUIRE_INTEROP=1
 * promises that nothing is skipped.
 */
export function requireRoot(what: string): boolean {
  if (process.platform === "linux" && process.getuid?.() === 0) return true;
  if (process.env.IKEBANA_REQUIRE_INTEROP === "1") throw new Error(`${what}: needs root on Linux`);
  console.log(`skipped: ${what} (needs root on Linux)`);
  return false;
}

/**
 * Moves this thread into a network namespace of its own, which nobody else has a name for and which ends with the process.
 * Vitest runs each file in a process, so call it once at the top of a file.
 */
export function enterFreshNamespace(): void {
  succeed("unshare the network namespace", createLinuxSystemCalls().unshare(CLONE_NEWNET));
}

/** Raises the loopback link and gives it more addresses. */
export function raiseLoopback(prefixes: readonly string[]): void {
  const network = new LinuxNetwork(createLinuxSystemCalls());
  network.setLinkUp("lo");
  for (const prefix of prefixes) network.addAddress("lo", prefix);
  network.close();
}

/** A machine of a test: a network and a mount namespace without a name, held by a process that sleeps. */
export interface TestHost {
  /** Of the process that holds the namespaces; `nsenter -t PID -n -m` joins them. */
  readonly pid: number;
  /** Runs a command to its end. */
  run(command: string, args: readonly string[], options?: RunOptions): RunResult;
  /** Starts a command that keeps running; it is killed when the host is closed. */
  start(command: string, args: readonly string[], options?: SpawnOptions): ChildProcess;
  /** Runs `action` in this process, with sockets that it opens inside the host's network. Must not await. */
  inside<T>(action: () => T): T;
  /** Kills every process in the host's network, by their ids. The network goes with them. */
  close(): Promise<void>;
}

interface RunOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

interface RunResult {
  /** -1 when a signal or the timeout ended it. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * A host with a loopback link that is up and nothing else. Its mounts are its own: it may cover /run or /etc with a tmpfs. So is the
 * file of its resolver, which a client on it may change.
 */
export async function createHost(): Promise<TestHost> {
  // The line says that the mount namespace is there too.
  const hold = ["unshare", "-m", "--", "sh", "-c", `${OWN_RESOLVER}; echo; exec sleep infinity`];
  const { child: holder, pid } = await spawnInNewNamespace(hold, { stdio: ["ignore", "pipe", "inherit"] });
  await once(holder.stdout!, "data");
  const systemCalls = createLinuxSystemCalls();
  const started: ChildProcess[] = [];
  const place = readlinkSync(`/proc/${pid}/ns/net`);
  const enter = ["nsenter", "-t", String(pid), "-n", "-m", "--", ...WITH_US];
  const inside = <T>(action: () => T): T => withNamespaceOf(systemCalls, pid, action);
  inside(() => raiseLoopback([]));

  return {
    pid,
    inside,
    run: (command, args, { input, env, timeoutMs = 30_000 } = {}) => {
      const { status, stdout, stderr, error } = spawnSync(enter[0]!, [...enter.slice(1), command, ...args], {
        encoding: "utf8",
        timeout: timeoutMs,
        killSignal: "SIGKILL",
        maxBuffer: 64 * 1024 * 1024,
        ...(input !== undefined && { input }),
        ...(env !== undefined && { env: { ...process.env, ...env } }),
      });
      return {
        status: status ?? -1,
        stdout,
        stderr: stderr + (error === undefined ? "" : `\n${error.message}`),
      };
    },
    start: (command, args, options = {}) => {
      const child = spawn(enter[0]!, [...enter.slice(1), command, ...args], options);
      started.push(child);
      return child;
    },
    close: async () => {
      for (const child of started) child.kill("SIGKILL");
      for (const left of processesIn(place)) process.kill(left, "SIGKILL");
      await Promise.all([...started, holder].map(ended));
    },
  };
}

/** A copy in memory takes the place of the file, or of its whole folder where it is a link, which cannot be covered. */
const OWN_RESOLVER = `set -e
copy=$(mktemp -d)
mount -t tmpfs tmpfs "$copy"
if [ -L /etc/resolv.conf ]; then
  cp -a /etc/. "$copy"
  mount --bind "$copy" /etc
elif [ -e /etc/resolv.conf ]; then
  cp -a /etc/resolv.conf "$copy"
  mount --bind "$copy/resolv.conf" /etc/resolv.conf
fi
umount -l "$copy"
rmdir "$copy"`;

export interface JoinedHosts {
  readonly left: TestHost;
  readonly right: TestHost;
  close(): Promise<void>;
}

/** Two hosts joined by a cable; each has a link "wire0" with its addresses ("192.0.2.1/24"). */
export async function createJoinedHosts({
  left: leftPrefixes,
  right: rightPrefixes,
}: {
  readonly left: readonly string[];
  readonly right: readonly string[];
}): Promise<JoinedHosts> {
  const [left, right] = await Promise.all([createHost(), createHost()]);
  const close = async (): Promise<void> => {
    await Promise.all([left.close(), right.close()]);
  };
  try {
    joinNamespaces(
      createLinuxSystemCalls(),
      { pid: left.pid, link: "wire0", prefixes: leftPrefixes },
      { pid: right.pid, link: "wire0", prefixes: rightPrefixes },
    );
  } catch (error) {
    await close();
    throw error;
  }
  return { left, right, close };
}

/** Ids of the processes in a network namespace; those that daemons left behind are among them. */
function processesIn(place: string): number[] {
  const ids = readdirSync("/proc").filter((name) => /^[0-9]+$/.test(name));
  return ids.map(Number).filter((id) => {
    try {
      return id !== process.pid && readlinkSync(`/proc/${id}/ns/net`) === place;
    } catch {
      return false; // it has ended, or is the kernel's
    }
  });
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
}
