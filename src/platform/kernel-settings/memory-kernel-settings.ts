import { PlatformError } from "../../errors/index.ts";
import type { KernelSettings } from "./kernel-settings.ts";

/** A kernel that has just the settings that it begins with. */
export class MemoryKernelSettings implements KernelSettings {
  readonly values: Map<string, string>;

  constructor(values: Readonly<Record<string, string>> = {}) {
    this.values = new Map(Object.entries(values));
  }

  read(name: string): string | undefined {
    return this.values.get(name);
  }

  write(name: string, value: string): void {
    if (!this.values.has(name))
      throw new PlatformError(`set ${name.replaceAll("/", ".")} to ${value}: ENOENT`, { code: "ENOENT" });
    this.values.set(name, value);
  }

  list(name: string): readonly string[] {
    const below = [...this.values.keys()].filter((key) => key.startsWith(`${name}/`));
    return [...new Set(below.map((key) => key.slice(name.length + 1).split("/", 1)[0]!))];
  }
}
