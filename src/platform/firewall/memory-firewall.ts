import type { Firewall, ForwardingRules } from "./firewall.ts";

/** Keeps the rules and filters nothing. `machine`: those of all daemons on one machine. */
export class MemoryFirewall implements Firewall {
  rules: ForwardingRules | undefined;
  readonly #machine: Set<MemoryFirewall>;

  constructor(machine: Set<MemoryFirewall> = new Set()) {
    this.#machine = machine;
    machine.add(this);
  }

  replace(rules: ForwardingRules): Promise<void> {
    this.rules = rules;
    return Promise.resolve();
  }

  remove(): Promise<void> {
    this.rules = undefined;
    return Promise.resolve();
  }

  others(): ReturnType<Firewall["others"]> {
    const rules = [...this.#machine].flatMap((each) => (each === this ? [] : (each.rules ?? [])));
    return Promise.resolve(rules);
  }
}
