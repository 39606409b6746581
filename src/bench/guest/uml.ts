import { spawn } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PlatformError } from "../../errors/index.ts";
import { WITH_US } from "../../platform/namespaces.ts";
import { findPrograms } from "../tunnel/program.ts";
import {
  followConsole,
  GUEST_DIRECTORY,
  type GuestOutcome,
  type GuestRun,
  initScript,
  NEEDED_MODULES,
  outcomeOf,
} from "./console.ts";

// A Linux kernel that runs as a process (Debian's package user-mode-linux), from this machine's own files, which it may only read. It has the
// ESP that the kernel of this machine may lack.

const MODULES = "/usr/lib/uml/modules";
const MEMORY_MIB = 2048;

const GROUND: Omit<GuestOutcome, "code"> = {
  kernel: "a user-mode Linux",
  distorts:
    "a system call costs some 60 µs instead of less than one, there is one processor for both ends and the load, and ciphers of the kernel have no AES " +
    "instructions; what makes few system calls, or none at all, as the kernel does, looks better than elsewhere, and nothing is as fast",
};

/**
 * Boots a guest, runs a program of this machine in it as root, and settles when it has ended; the guest ends with it. Throws PlatformError when there is
 * no such kernel, or it ends too early.
 */
export async function runInUml(run: GuestRun): Promise<GuestOutcome> {
  const [kernel] = findPrograms([
    { program: "linux.uml", package: "user-mode-linux" },
    { program: "setpriv", package: "util-linux" },
    { program: "unshare", package: "util-linux" },
    { program: "modprobe", package: "kmod" },
    { program: "ip", package: "iproute2" },
  ]);
  if (!existsSync(MODULES)) {
    throw new PlatformError(`${MODULES} not found: apt-get install user-mode-linux`, { code: "ENOENT" });
  }
  const { directory, command } = run;
  mkdirSync(join(directory, "lib"));
  symlinkSync(MODULES, join(directory, "lib/modules"));
  const init = join(directory, "init");
  const prepare = `mount -t hostfs -o ${directory} none ${GUEST_DIRECTORY}
modprobe -d ${GUEST_DIRECTORY} -a ${NEEDED_MODULES}`;
  writeFileSync(init, initScript(command, { prepare, halt: "halt -f" }));
  chmodSync(init, 0o755);
  // The kernel has processes of its own beside it: all of them end with the first of their process namespace.
  const child = spawn(
    WITH_US[0],
    [
      ...WITH_US.slice(1),
      ...["unshare", "--pid", "--fork", "--kill-child=KILL", "--", kernel!, `mem=${MEMORY_MIB}M`, "quiet"],
      ...["root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", `init=${init}`],
      ...[`uml_dir=${directory}/`, "con=null", "con0=fd:0,fd:1"],
    ],
    { detached: true, stdio: ["pipe", "pipe", "pipe"] },
  );
  return outcomeOf(await followConsole(child, run), { ground: GROUND, signal: run.signal });
}
