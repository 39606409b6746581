import type { ChildPolicy } from "../policy/connection.ts";
import { createChild } from "./exchanges/create-child-sa.ts";
import type { IkeSa } from "./ike-sa.ts";
import { retryTime } from "./lifetimes.ts";
import type { TimerHandle } from "./timers.ts";

/** Child SAs that the peer did not make, and when it is asked again. At most one time for each child. */
export class PostponedChildren {
  readonly #ikeSa: IkeSa;
  readonly #timers = new Map<string, TimerHandle>();
  /** How often each was refused. */
  readonly #failures = new Map<string, number>();

  constructor(ikeSa: IkeSa) {
    this.#ikeSa = ikeSa;
  }

  /** Tries again to get a child SA from a peer that was busy or did not want to, later each time. */
  add(policy: ChildPolicy, now: number): void {
    const failures = (this.#failures.get(policy.name) ?? 0) + 1;
    this.cancel(policy.name);
    this.#failures.set(policy.name, failures);
    const mostMs = this.#ikeSa.machine.limits.createRetryMaxMs;
    const at = retryTime(this.#ikeSa, { now, failures, mostMs });
    const handle = this.#ikeSa.machine.timers.set({
      at,
      reason: "rekey",
      fire: (then) => {
        this.#timers.delete(policy.name);
        createChild(this.#ikeSa, policy, then);
      },
    });
    this.#timers.set(policy.name, handle);
  }

  /** It is there, or nobody wants it. */
  cancel(name: string): void {
    this.#failures.delete(name);
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
    if (this.#timers.size === 0 && this.#failures.size === 0) return;
    for (const handle of this.#timers.values()) this.#ikeSa.machine.timers.cancel(handle);
    this.#timers.clear();
    this.#failures.clear();
  }
}
