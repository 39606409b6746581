import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { PlatformError } from "../../errors/index.ts";
import { findPrograms } from "../tunnel/program.ts";

// A Linux kernel that runs as a process (Debian's package user-mode-linux), from this machine's own files, which it may only read. It has the
// ESP that the kernel of this machine may lack.

const MODULES = "/usr/lib/uml/modules";
/** ESP with what it is made of, and what namespaces, cables and tunnels take. */
const NEEDED = [
  "ipv6 esp4 esp6 xfrm_user seqiv echainiv authenc authencesn hmac ansi_cprng gcm ghash-generic ctr cbc",
  "chacha20poly1305 chacha_generic poly1305_generic sha512_generic crypto_null veth tun",
].join(" ");
const MEMORY_MIB = 2048;

/** What a figure that was measured in there means. */
export const UML_DISTORTS =
  "a system call costs some 60 µs instead of less than one, there is one processor for both ends and the load, and ciphers of the kernel have no AES " +
  "instructions; what makes few system calls, or none at all, as the kernel does, looks better than elsewhere, and nothing is as fast";

/** Where the guest may write: files there are ours. */
export interface GuestPlace {
  /** As this machine calls it. */
  readonly directory: string;
  remove(): void;
}

/** The same folder as the guest calls it. */
export const GUEST_DIRECTORY = "/mnt";

export function makeGuestPlace(): GuestPlace {
  const directory = mkdtempSync(join(tmpdir(), "ikebana-guest-"));
  return { directory, remove: () => rmSync(directory, { recursive: true, force: true }) };
}

/**
 * Boots a guest, runs a program of this machine in it as root, and settles with the code that it ends with; the guest ends with it. What it writes
 * to its error output goes to `onLine`; `signal` passes SIGINT on to it. Throws PlatformError when there is no such kernel, or it ends too early.
 */
export async function runInUml({
  command,
  place,
  onLine,
  signal,
}: {
  readonly command: readonly string[];
  readonly place: GuestPlace;
  readonly onLine: (line: string) => void;
  readonly signal: AbortSignal;
}): Promise<number> {
  const [kernel, unshare] = findPrograms([
    { program: "linux.uml", package: "user-mode-linux" },
    { program: "unshare", package: "util-linux" },
    { program: "modprobe", package: "kmod" },
    { program: "ip", package: "iproute2" },
  ]);
  if (!existsSync(MODULES)) {
    throw new PlatformError(`${MODULES} not found: apt-get install user-mode-linux`, { code: "ENOENT" });
  }
  const { directory } = place;
  mkdirSync(join(directory, "lib"));
  symlinkSync(MODULES, join(directory, "lib/modules"));
  const init = join(directory, "init");
  writeFileSync(init, initScript(directory, command));
  chmodSync(init, 0o755);
  // The kernel has processes of its own beside it: all of them end with the first of their process namespace.
  const child = spawn(
    unshare!,
    [
      ...["--pid", "--fork", "--kill-child=KILL", "--", kernel!, `mem=${MEMORY_MIB}M`, "quiet"],
      ...["root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", `init=${init}`],
      ...[`uml_dir=${directory}/`, "con=null", "con0=fd:0,fd:1"],
    ],
    { detached: true, stdio: ["pipe", "pipe", "pipe"] },
  );
  let code: number | undefined;
  let isRunning = false;
  let last = "";
  createInterface({ input: child.stdout }).on("line", (line) => {
    const [, ended] = /^ended (\d+)$/.exec(line) ?? [];
    if (ended !== undefined) code = Number(ended);
    else if (isRunning && code === undefined) onLine(line);
    if (line === "begin") isRunning = true;
    last = line;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    last = text.trim() || last;
  });
  child.stdin.on("error", () => {}); // it has halted
  const breakOff = (): void => void child.stdin.write("stop\n");
  signal.addEventListener("abort", breakOff);
  try {
    await once(child, "close");
  } finally {
    signal.removeEventListener("abort", breakOff);
    child.kill("SIGKILL");
  }
  if (code === undefined) throw new PlatformError(`the guest ended before the run did: ${last}`);
  return code;
}

/** One line from the console asks it to break off. */
function initScript(directory: string, command: readonly string[]): string {
  return `#!/bin/sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TMPDIR=/run
stty -echo -onlcr
mount -t proc none /proc
mount -t sysfs none /sys
mount -t hostfs -o ${directory} none ${GUEST_DIRECTORY}
modprobe -d ${GUEST_DIRECTORY} -a ${NEEDED}
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
halt -f
`;
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
