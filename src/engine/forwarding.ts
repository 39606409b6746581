import type { BorrowedSettings } from "../platform/kernel-settings/borrowed-settings.ts";

const IPV4 = "net/ipv4/ip_forward";
const IPV6 = "net/ipv6/conf/all/forwarding";

/** Whether the machine forwards packets of both families already. */
export function forwardsAll(borrowed: BorrowedSettings, families: readonly (4 | 6)[]): boolean {
  return families.every((family) => borrowed.settings.read(family === 4 ? IPV4 : IPV6) !== "0");
}

/**
 * Makes the machine forward packets of these families. A link that learns its IPv6 routes from routers goes on to do so: it would
 * forget them as soon as the machine is a router itself (accept_ra 1), unless told otherwise before (2).
 */
export function switchForwardingOn(borrowed: BorrowedSettings, families: readonly (4 | 6)[]): void {
  const { settings } = borrowed;
  if (families.includes(4)) borrowed.change(IPV4, "1");
  if (!families.includes(6) || settings.read(IPV6) !== "0") return;
  for (const link of settings.list("net/ipv6/conf")) {
    const acceptance = `net/ipv6/conf/${link}/accept_ra`;
    if (link !== "all" && settings.read(acceptance) === "1") borrowed.change(acceptance, "2");
  }
  borrowed.change(IPV6, "1");
}
