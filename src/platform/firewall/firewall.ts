import type { Change } from "../kernel-settings/borrowed-settings.ts";

/** The machine's packet filter, as far as it works for us: all in one place of its own, and nothing else is touched. */
export interface Firewall {
  /**
   * Puts these rules in the place of those we had, all at once. Throws PlatformError; its code is "ENOENT" where the machine has no
   * packet filter that we know.
   */
  replace(rules: ForwardingRules): Promise<void>;
  /** Takes back all of ours, also what a former life left. */
  remove(): Promise<void>;
  /** What others of us have written down beside their rules, also those that were killed. Nothing where it cannot be read. */
  others(): Promise<readonly OtherRules[]>;
}

interface OtherRules {
  /** Their TUN device, which goes with them. */
  readonly link: string;
  readonly borrowed: readonly Change[];
}

export interface ForwardingRules {
  /** The TUN device. */
  readonly link: string;
  /** Prefixes of its clients. */
  readonly pools: readonly string[];
  /** Clients leave under this machine's addresses, and nobody outside begins to talk to them. */
  readonly masquerades: boolean;
  /** Links of gateways, whosever they are. */
  readonly group: number;
  /** Packets of these families that neither come from a link of the group nor go to one are not forwarded: nobody but gateways wanted that. */
  readonly onlyForGroup: readonly (4 | 6)[];
  /** Settings of the kernel that forwarding needs: stands beside the rules, for others of us to read. */
  readonly borrowed: readonly Change[];
}
