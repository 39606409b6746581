/** The machine's packet filter, as far as it works for us: all in one place of its own, and nothing else is touched. */
export interface Firewall {
  /**
   * Puts these rules in the place of those we had, all at once. Throws PlatformError; its code is "ENOENT" where the machine has no
   * packet filter that we know.
   */
  replace(rules: ForwardingRules): Promise<void>;
  /** Takes back all of ours, also what a former life left. */
  remove(): Promise<void>;
}

export interface ForwardingRules {
  /** The TUN device. */
  readonly link: string;
  /** Prefixes of its clients. */
  readonly pools: readonly string[];
  /** Clients leave under this machine's addresses, and nobody outside begins to talk to them. */
  readonly masquerades: boolean;
  /** What neither comes from the link nor goes to it is not forwarded: nobody but we wanted this machine to forward. */
  readonly isForUsOnly: boolean;
}
