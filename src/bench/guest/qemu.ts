import { spawn, spawnSync } from "node:child_process";
import { accessSync, chmodSync, constants, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { basename, dirname, join } from "node:path";
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
  quoted,
  type Seen,
} from "./console.ts";
import { type ArchiveEntry, buildInitramfs } from "./initramfs.ts";
import { findKernel, type GuestKernel, indexModules, modulesFor } from "./kernels.ts";

// A virtual machine (Debian's packages qemu-system-x86 and linux-image-amd64) from this machine's own files, which it may only read: they come by 9P.
// Where /dev/kvm works it has the processor itself, and what is measured is real.

const MEMORY_MIB = 2048;
/** What takes a kernel to the files of its host. */
const FIRST_MODULES = ["virtio_pci", "9pnet_virtio", "9p"];
/** With /dev/kvm a guest boots within seconds, or never: some let it be opened and cannot run a kernel like this one. */
const KVM_PATIENCE_MS = 60_000;
const NINE_P = "trans=virtio,version=9p2000.L,msize=512000";

const GROUNDS = {
  kvm: {
    kernel: "a virtual machine (QEMU, KVM)",
    distorts:
      "a hypervisor lies below, so that timers, interrupts and sleeping processors take longer to wake",
  },
  tcg: {
    kernel: "a virtual machine (QEMU, emulated)",
    distorts:
      "every instruction is emulated, also those for AES and vectors, whose share is not what it is on a processor; nothing is as fast, and times are only good for the order of contenders, if at all",
  },
} as const;

/**
 * Boots a virtual machine, runs a program of this machine in it as root, and settles when it has ended; the machine ends with it. Throws PlatformError
 * when something is not installed, or the machine ends too early.
 */
export async function runInQemu(run: GuestRun): Promise<GuestOutcome> {
  if (process.arch !== "x64") throw new PlatformError(`no guest in QEMU on ${process.arch}, only on x64`);
  const [qemu, busybox, modprobe, depmod, ldd] = findPrograms([
    { program: "qemu-system-x86_64", package: "qemu-system-x86" },
    { program: "busybox", package: "busybox-static" },
    { program: "modprobe", package: "kmod" },
    { program: "depmod", package: "kmod" },
    { program: "ldd", package: "libc-bin" },
    { program: "setpriv", package: "util-linux" },
    { program: "ip", package: "iproute2" },
  ]);
  const { directory, command, signal, kernelFolder } = run;
  const kernel = findKernel(kernelFolder);
  if (kernelFolder !== undefined) indexModules(depmod!, kernel);
  const init = join(directory, "init");
  const prepare = `mount -t devtmpfs none /dev
mount -t 9p -o ${NINE_P},cache=none place ${GUEST_DIRECTORY}
modprobe -d ${quoted(kernel.base)} -a ${NEEDED_MODULES} 2>/dev/null
modprobe -d ${quoted(kernel.base)} -a aesni_intel ghash_clmulni_intel 2>/dev/null`;
  // QEMU is told not to boot again, but to end.
  const halt = "echo b >/proc/sysrq-trigger; sleep 60";
  writeFileSync(init, initScript(command, { prepare, halt }));
  chmodSync(init, 0o755);
  const archive = join(directory, "initramfs");
  writeFileSync(
    archive,
    buildInitramfs(contentOf({ busybox: busybox!, modprobe: modprobe!, ldd: ldd!, kernel, init })),
  );
  const boot = (acceleration: keyof typeof GROUNDS, patienceMs?: number): Promise<Seen> => {
    const words = machineWords({ kernel, archive, directory });
    const [program, ...args] = [...WITH_US, qemu!, "-accel", acceleration, ...words];
    const child = spawn(program!, args, {
      detached: true,
      stdio: ["pipe", "pipe", "pipe"],
    });
    return followConsole(child, run, patienceMs);
  };
  if (mayUseKvm()) {
    const seen = await boot("kvm", KVM_PATIENCE_MS);
    if (seen.hasBegun || signal.aborted) return outcomeOf(seen, { ground: GROUNDS.kvm, signal });
  }
  return outcomeOf(await boot("tcg"), { ground: GROUNDS.tcg, signal });
}

function mayUseKvm(): boolean {
  try {
    accessSync("/dev/kvm", constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function machineWords({
  kernel,
  archive,
  directory,
}: {
  readonly kernel: GuestKernel;
  readonly archive: string;
  readonly directory: string;
}): readonly string[] {
  const share = "security_model=none,multidevs=remap";
  return [
    ...["-nodefaults", "-display", "none", "-no-reboot", "-cpu", "max"],
    ...["-smp", String(availableParallelism()), "-m", String(MEMORY_MIB)],
    ...["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"],
    ...["-kernel", kernel.image, "-initrd", archive],
    ...["-append", "console=ttyS0 quiet panic=-1"],
    ...["-virtfs", `local,path=/,mount_tag=root,readonly=on,${share}`],
    ...["-virtfs", `local,path=${directory},mount_tag=place,${share}`],
  ];
}

/** A shell with what it is linked to, and the modules for 9P: enough to get to the files of the host. */
function contentOf({
  busybox,
  modprobe,
  ldd,
  kernel,
  init,
}: {
  readonly busybox: string;
  readonly modprobe: string;
  readonly ldd: string;
  readonly kernel: GuestKernel;
  readonly init: string;
}): readonly ArchiveEntry[] {
  const modules = FIRST_MODULES.flatMap((name) => modulesFor(modprobe, name, kernel));
  const files = new Map<string, string>([["bin/busybox", busybox]]);
  for (const library of librariesOf(ldd, busybox)) files.set(library.slice(1), library);
  for (const file of modules) files.set(`modules/${basename(file)}`, file);
  const folders = new Set([...files.keys()].flatMap(foldersAbove));
  const script = `#!/bin/busybox sh
${[...new Set(modules)].map((file) => `/bin/busybox insmod /modules/${basename(file)}`).join("\n")}
/bin/busybox mount -t 9p -o ${NINE_P},ro,cache=loose root /root
exec /bin/busybox switch_root /root ${init}
`;
  return [
    ...["dev", "root", ...folders].map((name) => ({ name, kind: "folder" as const })),
    { name: "dev/console", kind: "character device", device: { major: 5, minor: 1 } },
    ...[...files].map(([name, file]) => ({ name, kind: "file" as const, content: readFileSync(file) })),
    { name: "init", kind: "file", content: Buffer.from(script) },
  ];
}

/** None of a program that is linked statically. */
function librariesOf(ldd: string, program: string): readonly string[] {
  const { stdout } = spawnSync(ldd, [program], { encoding: "utf8" });
  return [...(stdout ?? "").matchAll(/(?:^|\s)(\/\S+) \(0x/g)].map(([, file]) => file!);
}

/** "a/b/c" is below "a" and "a/b". */
function foldersAbove(file: string): readonly string[] {
  const above = dirname(file);
  return above === "." ? [] : [...foldersAbove(above), above];
}
