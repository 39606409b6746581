import type { StateFile } from "../state-file.ts";
import type { KernelSettings } from "./kernel-settings.ts";

/** Settings that we have changed, in the order in which we did. */
export interface Borrowed {
  /** Settings begin anew with each boot. */
  readonly boot: string;
  readonly changes: readonly Change[];
}

export interface Change {
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

  /** Makes a change that was decided upon before; somebody else may have made the same meanwhile. Throws PlatformError when it is refused. */
  make(change: Change): void {
    const { name, ours } = change;
    if (!this.#changes.some((known) => known.name === name)) this.#remember([...this.#changes, change]);
    if (this.#settings.read(name) !== ours) this.#settings.write(name, ours);
  }

  /**
   * Settings that others have changed and that we need as they are now: whoever needs one last puts it back. What is not as they have set it
   * is nobody's.
   */
  share(changes: readonly Change[]): void {
    const held = new Map(this.#changes.map((change) => [change.name, change]));
    for (const change of changes) {
      const { name, ours } = change;
      if (!held.has(name) && this.#settings.read(name) === ours) held.set(name, change);
    }
    if (held.size > this.#changes.length) this.#remember([...held.values()]);
  }

  /** What there is to put back: ours, or what a former life left. */
  get changes(): readonly Change[] {
    if (this.#changes.length > 0) return this.#changes;
    const left = this.#file.read();
    return left?.boot === this.#boot() ? left.changes : [];
  }

  /**
   * Puts everything back, the last change first; also what a former life left. What others have `shared` and need stays as it is, and remains
   * ours to put back too, until `forget`. Throws the first refusal, having tried all.
   */
  restore(shared: readonly Change[] = []): void {
    const isShared = ({ name, ours }: Change): boolean =>
      shared.some((change) => change.name === name && change.ours === ours);
    const refusals: unknown[] = [];
    const { changes } = this;
    for (const change of changes.toReversed()) {
      const { name, before, ours } = change;
      if (isShared(change)) continue;
      try {
        if (this.#settings.read(name) === ours) this.#settings.write(name, before);
      } catch (error) {
        refusals.push(error);
      }
    }
    const kept = changes.filter(isShared);
    if (kept.length > 0) this.#remember(kept);
    else this.forget();
    if (refusals.length > 0) throw refusals[0];
  }

  /** Nothing is ours to put back any more. */
  forget(): void {
    this.#changes = [];
    this.#file.remove();
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
