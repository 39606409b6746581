import { runProgram } from "../run-program.ts";
import type { Resolver, ResolverSettings } from "./resolver.ts";

/** systemd-resolved: servers belong to a link, and go with it whatever becomes of us. */
export class Resolved implements Resolver {
  readonly name = "systemd-resolved";
  readonly splitsDomains = true;
  #link: string | undefined;

  async set({ link, servers, domains }: ResolverSettings): Promise<void> {
    this.#link = link;
    try {
      await resolvectl("dns", link, ...servers);
      // "~": names below it go to these servers, and are not completed with it. "~." is every name.
      await resolvectl(
        "domain",
        link,
        ...(domains.length === 0 ? ["~."] : domains.map((name) => `~${name}`)),
      );
      await resolvectl("default-route", link, domains.length === 0 ? "true" : "false");
    } catch (error) {
      await this.restore().catch(() => {});
      throw error;
    }
  }

  async restore(): Promise<void> {
    const link = this.#link;
    this.#link = undefined;
    if (link !== undefined) await resolvectl("revert", link);
  }
}

async function resolvectl(...args: readonly string[]): Promise<void> {
  await runProgram(["resolvectl", ...args]);
}
