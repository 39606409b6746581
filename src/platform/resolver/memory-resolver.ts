import type { Resolver, ResolverSettings } from "./resolver.ts";

/** Keeps the settings and answers nobody. */
export class MemoryResolver implements Resolver {
  readonly name = "memory";
  readonly splitsDomains = true;
  settings: ResolverSettings | undefined;

  set(settings: ResolverSettings): Promise<void> {
    this.settings = settings;
    return Promise.resolve();
  }

  restore(): Promise<void> {
    this.settings = undefined;
    return Promise.resolve();
  }
}
