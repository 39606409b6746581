/** Where the machine's programs ask for names. */
export interface Resolver {
  /** "systemd-resolved", "resolvconf", or the file's path. */
  readonly name: string;
  /** Whether it can ask our servers about our domains and others about the rest. */
  readonly splitsDomains: boolean;
  /** Asks these servers from now on. Throws PlatformError, and all is as it was then. */
  set(settings: ResolverSettings): Promise<void>;
  /** As it was before; also what a former life left. Nothing happens where nothing of ours is left. */
  restore(): Promise<void>;
}

export interface ResolverSettings {
  /** Through which the servers are reached. */
  readonly link: string;
  /** Addresses, in order of preference; at least one. */
  readonly servers: readonly string[];
  /** Names below these are for `servers`; none: all names are. */
  readonly domains: readonly string[];
}
