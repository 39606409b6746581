/** An address range in CIDR text: "10.1.0.0/16", "fd00::/64". */
export type Prefix = string;

/** Addresses, routes and links of the host. Everything is idempotent where the kernel allows it; failures are PlatformErrors that name the thing. */
export interface Network {
  /** Index of the link, or undefined when there is none of that name. */
  linkIndex(name: string): number | undefined;
  setLinkUp(link: string, options?: { readonly mtu?: number }): void;
  deleteLink(link: string): void;
  addAddress(link: string, prefix: Prefix): void;
  removeAddress(link: string, prefix: Prefix): void;
  /** Addresses of the host with their prefix lengths and links. */
  addresses(): readonly { readonly link: string; readonly address: string; readonly prefixLength: number }[];
  addRoute(route: Route): void;
  removeRoute(route: Route): void;
  routes(): readonly Route[];
}

export interface Route {
  readonly destination: Prefix;
  readonly link?: string;
  readonly gateway?: string;
  /** Preferred source address. */
  readonly source?: string;
  readonly table?: number;
  readonly metric?: number;
}
