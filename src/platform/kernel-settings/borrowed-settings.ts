import type { StateFile } from "../state-file.ts";
import type { KernelSettings } from "./kernel-settings.ts";

/** Settings that we have changed, in the order in which we did. */
export interface Borrowed {
  /** Settings begin anew with each boot. */
  readonly boot: string;
  readonly changes: readonly Change[];
}

interface Change {
  readonly name: string;
  readonly before: string;
  readonly ours: string;
}

/**
 * Settings of the kernel that are ours for a while. What they were is on the disk before they change, so that the next life can put
 * back what this one could not. What somebody else has changed meanwhile stays as it is.
 */
export class BorrowedSettings {
  readonly #settings: KernelSettings;
  readonly #file: StateFile<Borrowed>;
  #changes: readonly Change[] = [];

  constructor(settings: KernelSettings, file: StateFile<Borrowed>) {
    this.#settings = settings;
    this.#file = file;
  }

  get settings(): KernelSettings {
    return this.#settings;
  }

  /** False when the setting has the value already, or the kernel has none of that name. Throws PlatformError when it is refused. */
  change(name: string, ours: string): boolean {
    const before = this.#settings.read(name);
    if (before === undefined || before === ours) return false;
    const known = this.#changes.some((change) => change.name === name);
    if (!known) this.#remember([...this.#changes, { name, before, ours }]);
    this.#settings.write(name, ours);
    return true;
  }

  /** Puts everything back, the last change first; also what a former life left. Throws the first refusal, having tried all. */
  restore(): void {
    const left = this.#file.read();
    const isOfThisBoot = left?.boot === this.#boot();
    const changes = this.#changes.length > 0 ? this.#changes : isOfThisBoot ? (left?.changes ?? []) : [];
    const refusals: unknown[] = [];
    for (const { name, before, ours } of changes.toReversed()) {
      try {
        if (this.#settings.read(name) === ours) this.#settings.write(name, before);
      } catch (error) {
        refusals.push(error);
      }
    }
    this.#changes = [];
    this.#file.remove();
    if (refusals.length > 0) throw refusals[0];
  }

  #remember(changes: readonly Change[]): void {
    this.#file.write({ boot: this.#boot(), changes });
    this.#changes = changes;
  }

  #boot(): string {
    return this.#settings.read("kernel/random/boot_id") ?? "";
  }
}

export function isBorrowed(value: unknown): value is Borrowed {
  if (typeof value !== "object" || value === null) return false;
  const { boot, changes } = value as Partial<Borrowed>;
  return (
    typeof boot === "string" &&
    Array.isArray(changes) &&
    changes.every(({ name, before, ours }: Partial<Change>) =>
      [name, before, ours].every((text) => typeof text === "string"),
    )
  );
}
