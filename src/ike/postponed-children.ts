import type { ChildPolicy } from "../policy/connection.ts";
import { createChild } from "./exchanges/create-child-sa.ts";
import type { IkeSa } from "./ike-sa.ts";
import type { TimerHandle } from "./timers.ts";

/** Child SAs that the peer did not make, and when it is asked again. At most one time for each child. */
export class PostponedChildren {
  readonly #ikeSa: IkeSa;
  readonly #timers = new Map<string, TimerHandle>();

  constructor(ikeSa: IkeSa) {
    this.#ikeSa = ikeSa;
  }

  /** Tries again to get a child SA from a peer that was busy. */
  add({ policy, at }: { readonly policy: ChildPolicy; readonly at: number }): void {
    this.cancel(policy.name);
    const handle = this.#ikeSa.machine.timers.set({
      at,
      reason: "rekey",
      fire: (now) => {
        this.#timers.delete(policy.name);
        createChild(this.#ikeSa, policy, now);
      },
    });
    this.#timers.set(policy.name, handle);
  }

  cancel(name: string): void {
    this.#ikeSa.machine.timers.cancel(this.#timers.get(name));
    this.#timers.delete(name);
  }

  /** Whom to ask for, for another IKE SA to ask. */
  takeAll(): readonly string[] {
    const names = [...this.#timers.keys()];
    this.clear();
    return names;
  }

  clear(): void {
    for (const handle of this.#timers.values()) this.#ikeSa.machine.timers.cancel(handle);
    this.#timers.clear();
  }
}
