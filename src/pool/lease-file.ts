import { mkdirSync, readFileSync } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import type { RememberedLease } from "./address-pools.ts";

/** Longer than what we write for as many leases as we keep: what is longer is not ours. */
const LONGEST_FILE = 64 * 1024 * 1024;
const VERSION = 1;

/**
 * The file in which leases outlive us. It is replaced as a whole, so that a crash leaves the former or the next one. Writes that come
 * while one is under way become one.
 */
export class LeaseFile {
  readonly #path: string;
  #next: (() => readonly RememberedLease[]) | undefined;
  #writing: Promise<void> | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** What the former life left: nothing when there is no file. A file that nobody can read is told of by `fault` and counts as none. */
  load(): { readonly leases: readonly RememberedLease[]; readonly fault?: string } {
    let text: string;
    try {
      text = readFileSync(this.#path, "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return { leases: [] };
      return { leases: [], fault: `${this.#path}: ${(error as Error).message}` };
    }
    const leases = text.length > LONGEST_FILE ? undefined : leasesIn(text);
    return leases === undefined ? { leases: [], fault: `${this.#path} is no list of leases` } : { leases };
  }

  /** Writes what `remembered` says then, soon. Settles when it is on the disk; rejects when the disk refuses. */
  save(remembered: () => readonly RememberedLease[]): Promise<void> {
    this.#next = remembered;
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  async #writeAll(): Promise<void> {
    for (let next = this.#next; next !== undefined; next = this.#next) {
      this.#next = undefined;
      await this.#write(`${JSON.stringify({ version: VERSION, leases: next() })}\n`);
    }
  }

  async #write(text: string): Promise<void> {
    const draft = `${this.#path}.new`;
    mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 });
    try {
      const file = await open(draft, "w", 0o600);
      try {
        await file.writeFile(text);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(draft, this.#path);
    } catch (error) {
      await rm(draft, { force: true });
      throw error;
    }
  }
}

function leasesIn(text: string): readonly RememberedLease[] | undefined {
  try {
    const { version, leases } = JSON.parse(text) as { readonly version: unknown; readonly leases: unknown };
    return version === VERSION && Array.isArray(leases) && leases.every(isLease) ? leases : undefined;
  } catch {
    return undefined;
  }
}

function isLease(value: unknown): value is RememberedLease {
  if (typeof value !== "object" || value === null) return false;
  const { user, device, addresses } = value as Partial<RememberedLease>;
  return (
    typeof user === "string" &&
    typeof device === "string" &&
    Array.isArray(addresses) &&
    addresses.every((address) => typeof address === "string")
  );
}
