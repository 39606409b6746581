import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { StateFile } from "../state-file.ts";
import { isFormerFile, MARK, ResolvConfFile } from "./resolv-conf-file.ts";
import { Resolvconf } from "./resolvconf.ts";
import { Resolved } from "./resolved.ts";
import type { Resolver, ResolverSettings } from "./resolver.ts";

/** Its socket is there for as long as it runs. */
const RESOLVED_SOCKET = "run/systemd/resolve/io.systemd.Resolve";
/** What systemd-resolved listens on for those who read the file. */
const RESOLVED_STUBS = /^\s*nameserver\s+127\.0\.0\.5[34]\b/m;

/**
 * The resolver that the machine has: systemd-resolved if it runs and the file leads to it, else resolvconf if there is one, else the
 * plain file. It is looked for each time, since a machine may change its mind.
 */
export class LinuxResolver implements Resolver {
  readonly #file: ResolvConfFile;
  readonly #resolvconf: Resolvconf;
  readonly #resolved = new Resolved();
  readonly #root: string;
  #current: Resolver;

  /** `root`: "/" but for tests. */
  constructor({ stateDirectory, root = "/" }: { readonly stateDirectory: string; readonly root?: string }) {
    const state = (name: string): string => join(stateDirectory, name);
    this.#root = root;
    this.#file = new ResolvConfFile(
      join(root, "etc/resolv.conf"),
      new StateFile(state("resolv.conf.json"), isFormerFile),
    );
    this.#resolvconf = new Resolvconf(new StateFile(state("resolvconf.json"), isText));
    this.#current = this.#find();
  }

  get name(): string {
    return this.#current.name;
  }

  get splitsDomains(): boolean {
    return this.#current.splitsDomains;
  }

  async set(settings: ResolverSettings): Promise<void> {
    const found = this.#find();
    if (found !== this.#current) await this.#current.restore();
    this.#current = found;
    await found.set(settings);
  }

  /** A former life may have had another one. */
  async restore(): Promise<void> {
    await this.#resolved.restore();
    await this.#resolvconf.restore();
    await this.#file.restore();
  }

  #find(): Resolver {
    // Our own file hides what was there: while it stands, we stay with it.
    const text = readText(this.#file.name);
    if (
      existsSync(join(this.#root, RESOLVED_SOCKET)) &&
      RESOLVED_STUBS.test(text) &&
      hasProgram("resolvectl")
    )
      return this.#resolved;
    return text.startsWith(MARK) || !hasProgram("resolvconf") ? this.#file : this.#resolvconf;
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function hasProgram(name: string): boolean {
  return (process.env.PATH ?? "").split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}
