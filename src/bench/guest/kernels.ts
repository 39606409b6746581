import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { PlatformError } from "../../errors/index.ts";

// Kernels as Debian's packages bring them, installed or unpacked.

/** A kernel's file, and its modules. */
export interface GuestKernel {
  readonly version: string;
  readonly image: string;
  /** Its modules are in "lib/modules" below. */
  readonly base: string;
}

/** The newest kernel in a folder whose modules are there too. Throws PlatformError (ENOENT) when there is none. */
export function findKernel(folder = "/"): GuestKernel {
  const boot = join(resolve(folder), "boot");
  // What was unpacked has its modules below usr since Debian 13; an installed system finds them in either way.
  const bases = [resolve(folder), join(resolve(folder), "usr")];
  const versions = (existsSync(boot) ? readdirSync(boot) : [])
    .flatMap((name) => /^vmlinuz-(.+)$/.exec(name)?.[1] ?? [])
    .sort((a, b) => b.localeCompare(a, "en", { numeric: true }));
  for (const version of versions) {
    const base = bases.find((each) => existsSync(modulesIn(each, version)));
    if (base !== undefined) return { version, image: join(boot, `vmlinuz-${version}`), base };
  }
  throw new PlatformError(
    `no kernel with its modules in ${boot}: apt-get install linux-image-amd64, or unpack that package (dpkg -x) and say where`,
    { code: "ENOENT" },
  );
}

/** Writes down what modules need of each other: who installs a kernel does that, who unpacks one does not. Throws PlatformError when that fails. */
export function indexModules(depmod: string, { base, version }: GuestKernel): void {
  if (existsSync(join(modulesIn(base, version), "modules.dep"))) return;
  const { status, stderr } = spawnSync(depmod, ["-b", base, version], { encoding: "utf8" });
  if (status !== 0) throw new PlatformError(`depmod for the kernel ${version}: ${stderr.trim()}`);
}

/** Files of a module and of what it needs, which comes first. None for what is built in. Throws PlatformError when there is no such module. */
export function modulesFor(
  modprobe: string,
  name: string,
  { base, version }: GuestKernel,
): readonly string[] {
  const words = ["-d", base, "-S", version, "--show-depends", name];
  const { stdout, stderr, status } = spawnSync(modprobe, words, { encoding: "utf8" });
  if (status !== 0) throw new PlatformError(`the kernel ${version} has no ${name}: ${stderr.trim()}`);
  return [...stdout.matchAll(/^insmod (\S+)/gm)].map(([, file]) => file!);
}

function modulesIn(base: string, version: string): string {
  return join(base, "lib/modules", version);
}
