import {
  lstatSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { PlatformError } from "../../errors/index.ts";
import type { StateFile } from "../state-file.ts";
import type { Resolver, ResolverSettings } from "./resolver.ts";

/** What was in the place of our file. */
export type FormerFile =
  | { readonly kind: "none" }
  | { readonly kind: "link"; readonly target: string }
  | { readonly kind: "file"; readonly text: string; readonly mode: number };

/** The first line of what we write: a file that begins otherwise is somebody else's. */
export const MARK = "# Made by ikebana. What was here before comes back when it stops.";
/** glibc's MAXNS. */
const MAXIMUM_SERVERS = 3;

/**
 * The plain file that the C library reads. It knows servers for all names only: with domains that are not all, the former servers
 * stand behind ours. What was there is on the disk before the file changes.
 */
export class ResolvConfFile implements Resolver {
  readonly name: string;
  readonly splitsDomains = false;
  readonly #former: StateFile<FormerFile>;

  /** `path`: "/etc/resolv.conf" but for tests. */
  constructor(path: string, former: StateFile<FormerFile>) {
    this.name = path;
    this.#former = former;
  }

  set({ servers, domains }: ResolverSettings): Promise<void> {
    return this.#attempt("write", () => {
      const former = this.#isOurs() ? (this.#former.read() ?? { kind: "none" }) : this.#look();
      this.#former.write(former);
      const others = domains.length === 0 ? [] : serversIn(this.#textOf(former));
      const all = [...new Set([...servers, ...others])].slice(0, MAXIMUM_SERVERS);
      const search = domains.length === 0 ? [] : [`search ${domains.join(" ")}`];
      this.#put([MARK, ...all.map((server) => `nameserver ${server}`), ...search, ""].join("\n"), 0o644);
    });
  }

  restore(): Promise<void> {
    return this.#attempt("restore", () => {
      const former = this.#former.read();
      // Who wrote the file after us wants it that way.
      if (former !== undefined && this.#isOurs()) this.#putBack(former);
      this.#former.remove();
    });
  }

  #attempt(verb: string, action: () => void): Promise<void> {
    try {
      action();
      return Promise.resolve();
    } catch (cause) {
      const { code = "PLATFORM" } = cause as NodeJS.ErrnoException;
      return Promise.reject(new PlatformError(`${verb} ${this.name}: ${code}`, { code, cause }));
    }
  }

  #look(): FormerFile {
    const stats = lstatSync(this.name, { throwIfNoEntry: false });
    if (stats === undefined) return { kind: "none" };
    if (stats.isSymbolicLink()) return { kind: "link", target: readlinkSync(this.name) };
    return { kind: "file", text: readFileSync(this.name, "utf8"), mode: stats.mode & 0o777 };
  }

  #isOurs(): boolean {
    const now = this.#look();
    return now.kind === "file" && now.text.startsWith(MARK);
  }

  #textOf(former: FormerFile): string {
    if (former.kind === "file") return former.text;
    try {
      return former.kind === "link" ? readFileSync(this.name, "utf8") : "";
    } catch {
      return ""; // a link that leads nowhere
    }
  }

  #putBack(former: FormerFile): void {
    if (former.kind === "file") this.#put(former.text, former.mode);
    else if (former.kind === "none") rmSync(this.name, { force: true });
    else {
      const draft = `${this.name}.ikebana`;
      rmSync(draft, { force: true });
      symlinkSync(former.target, draft);
      renameSync(draft, this.name);
    }
  }

  #put(text: string, mode: number): void {
    const draft = `${this.name}.ikebana`;
    try {
      rmSync(draft, { force: true });
      writeFileSync(draft, text, { mode });
      renameSync(draft, this.name);
    } catch {
      rmSync(draft, { force: true });
      // In a container the file is a mount of its own, which nothing can take the place of.
      writeFileSync(this.name, text);
    }
  }
}

export function isFormerFile(value: unknown): value is FormerFile {
  if (typeof value !== "object" || value === null) return false;
  const { kind, target, text, mode } = value as Record<string, unknown>;
  if (kind === "link") return typeof target === "string";
  if (kind === "file") return typeof text === "string" && typeof mode === "number";
  return kind === "none";
}

function serversIn(text: string): readonly string[] {
  return Array.from(text.matchAll(/^\s*nameserver\s+(\S+)/gm), (match) => match[1]!);
}
