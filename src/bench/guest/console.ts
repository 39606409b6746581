import type { ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { PlatformError } from "../../errors/index.ts";

/** The same folder as guests call it. */
export const GUEST_DIRECTORY = "/mnt";

/** What a guest's kernel needs for ESP with what it is made of, and for namespaces, cables and tunnels. */
export const NEEDED_MODULES = [
  "ipv6 esp4 esp6 xfrm_user seqiv echainiv authenc authencesn hmac ansi_cprng gcm ghash-generic ctr cbc",
  "chacha20poly1305 chacha_generic poly1305_generic sha512_generic crypto_null veth tun",
].join(" ");

/** A run in a guest. */
export interface GuestRun {
  readonly command: readonly string[];
  /** Where the guest may write, as this machine calls it: files there are ours. */
  readonly directory: string;
  /** Where the package of a kernel was unpacked that is to be booted instead of the installed one. */
  readonly kernelFolder?: string;
  /** Called with each line that the command writes to its error output. */
  readonly onLine: (line: string) => void;
  /** Passes SIGINT on to the command. */
  readonly signal: AbortSignal;
}

/** How it ended, and on what ground it was. */
export interface GuestOutcome {
  readonly code: number;
  /** "a user-mode Linux". */
  readonly kernel: string;
  /** What a figure that was measured in there cannot say. */
  readonly distorts: string;
}

/**
 * What the first process of a guest runs: `prepare` mounts what is needed, GUEST_DIRECTORY as well; then the command, whose begin and end are told on
 * the console; then `halt`. One line from the console asks the command to break off.
 */
export function initScript(
  command: readonly string[],
  { prepare, halt }: { readonly prepare: string; readonly halt: string },
): string {
  return `#!/bin/sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TMPDIR=/run
stty -echo -onlcr
mount -t proc none /proc
mount -t sysfs none /sys
mount -t cgroup2 none /sys/fs/cgroup 2>/dev/null
${prepare}
mount -t tmpfs tmpfs /run
ip link set lo up
cd ${GUEST_DIRECTORY}
# What runs beside the shell would read from nowhere.
exec 3<&0
echo begin
${command.map(quoted).join(" ")} </dev/null 2>&1 >/dev/null &
run=$!
{ read -r stop <&3 && kill -INT $run; } &
wait $run
code=$?
# A wait that a signal ends is not the end of what is waited for.
while kill -0 $run 2>/dev/null; do wait $run; code=$?; done
echo "ended $code"
${halt}
`;
}

/** What was seen on a console until the guest had ended. */
export interface Seen {
  /** Of the command; undefined when the guest ended before it. */
  readonly code: number | undefined;
  /** Whether the command was begun at all. */
  readonly hasBegun: boolean;
  /** The last that was written. */
  readonly last: string;
}

/** Follows the console of a guest whose init is `initScript`'s until it ends; ends it when nothing is begun in `patienceMs`. */
export async function followConsole(
  child: ChildProcessByStdio<Writable, Readable, Readable>,
  { onLine, signal }: Pick<GuestRun, "onLine" | "signal">,
  patienceMs = Number.POSITIVE_INFINITY,
): Promise<Seen> {
  let code: number | undefined;
  let hasBegun = false;
  let last = "";
  createInterface({ input: child.stdout }).on("line", (text) => {
    const line = text.replace(/\r$/, "");
    const [, ended] = /^ended (\d+)$/.exec(line) ?? [];
    if (ended !== undefined) code = Number(ended);
    else if (hasBegun && code === undefined) onLine(line);
    if (line === "begin") hasBegun = true;
    if (line !== "") last = line;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    last = text.trim() || last;
  });
  child.stdin.on("error", () => {}); // it has halted
  const breakOff = (): void => {
    if (hasBegun) child.stdin.write("stop\n");
    else child.kill("SIGKILL");
  };
  signal.addEventListener("abort", breakOff);
  const impatience = Number.isFinite(patienceMs)
    ? setTimeout(() => {
        if (!hasBegun) child.kill("SIGKILL");
      }, patienceMs)
    : undefined;
  try {
    await once(child, "close");
    return { code, hasBegun, last };
  } finally {
    clearTimeout(impatience);
    signal.removeEventListener("abort", breakOff);
    child.kill("SIGKILL");
  }
}

/** What came of a run on `ground`. Throws PlatformError when the guest ended before the command did, or was broken off before it began. */
export function outcomeOf(
  { code, hasBegun, last }: Seen,
  { ground, signal }: { readonly ground: Omit<GuestOutcome, "code">; readonly signal: AbortSignal },
): GuestOutcome {
  if (code !== undefined) return { code, ...ground };
  if (signal.aborted && !hasBegun) throw new PlatformError("broken off before the guest was up");
  throw new PlatformError(`the guest ended before the run did: ${last}`);
}

/** A word as a shell takes it, whatever is in it. */
export function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
