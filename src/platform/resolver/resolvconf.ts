import { runProgram } from "../run-program.ts";
import type { StateFile } from "../state-file.ts";
import type { Resolver, ResolverSettings } from "./resolver.ts";

/** Debian's resolvconf, or openresolv: it keeps a list for each link, and makes the file from all of them. */
export class Resolvconf implements Resolver {
  readonly name = "resolvconf";
  readonly splitsDomains = false;
  /** The name that our list has. */
  readonly #file: StateFile<string>;

  constructor(file: StateFile<string>) {
    this.#file = file;
  }

  async set({ link, servers, domains }: ResolverSettings): Promise<void> {
    // Debian's sorts lists by their names: this one goes before those of networks, where any other name would go last.
    const list = `tun.${link}`;
    this.#file.write(list);
    const search = domains.length === 0 ? [] : [`search ${domains.join(" ")}`];
    const input = [...servers.map((server) => `nameserver ${server}`), ...search, ""].join("\n");
    try {
      // To openresolv: instead of all others. It would put those of an ordinary network before ours.
      await runProgram(["resolvconf", "-a", list, "-m", "0", "-x"], { input });
    } catch (error) {
      this.#file.remove();
      throw error;
    }
  }

  async restore(): Promise<void> {
    const list = this.#file.read();
    if (list === undefined) return;
    await runProgram(["resolvconf", "-d", list, "-f"]);
    this.#file.remove();
  }
}
