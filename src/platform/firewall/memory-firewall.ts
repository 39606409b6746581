import type { Firewall, ForwardingRules } from "./firewall.ts";

/** Keeps the rules and filters nothing. */
export class MemoryFirewall implements Firewall {
  rules: ForwardingRules | undefined;

  replace(rules: ForwardingRules): Promise<void> {
    this.rules = rules;
    return Promise.resolve();
  }

  remove(): Promise<void> {
    this.rules = undefined;
    return Promise.resolve();
  }
}
