import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PlatformError } from "../../errors/index.ts";
import type { KernelSettings } from "./kernel-settings.ts";

/** Of the network namespace of this process. */
export class LinuxKernelSettings implements KernelSettings {
  read(name: string): string | undefined {
    try {
      return readFileSync(pathOf(name), "utf8").trim();
    } catch {
      return undefined;
    }
  }

  write(name: string, value: string): void {
    try {
      writeFileSync(pathOf(name), `${value}\n`);
    } catch (cause) {
      const { code = "PLATFORM" } = cause as NodeJS.ErrnoException;
      throw new PlatformError(`set ${name.replaceAll("/", ".")} to ${value}: ${code}`, { code, cause });
    }
  }

  list(name: string): readonly string[] {
    try {
      return readdirSync(pathOf(name));
    } catch {
      return [];
    }
  }
}

function pathOf(name: string): string {
  return join("/proc/sys", name);
}
