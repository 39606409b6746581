import type { Change } from "../platform/kernel-settings/borrowed-settings.ts";
import type { KernelSettings } from "../platform/kernel-settings/kernel-settings.ts";

const IPV4 = "net/ipv4/ip_forward";
const IPV6 = "net/ipv6/conf/all/forwarding";

/** Links of gateways, whosever they are: what the machine forwards for one of us, the others do not drop. */
export const FORWARDING_GROUP = 7_296;

/** What nobody but gateways wanted the machine to forward. */
export function familiesSwitchedOn(changes: readonly Change[]): readonly (4 | 6)[] {
  const families = [...new Set(changes.map(({ name }) => name))];
  return families.flatMap((name) => (name === IPV4 ? [4] : name === IPV6 ? [6] : []));
}

/**
 * What makes the machine forward packets of these families, in the order in which it has to be done. A link that learns its IPv6 routes from
 * routers goes on to do so: it would forget them as soon as the machine is a router itself (accept_ra 1), unless told otherwise before (2).
 */
export function forwardingChanges(settings: KernelSettings, families: readonly (4 | 6)[]): readonly Change[] {
  const isOff = (family: 4 | 6): boolean =>
    families.includes(family) && settings.read(family === 4 ? IPV4 : IPV6) === "0";
  const changes: Change[] = [];
  if (isOff(4)) changes.push({ name: IPV4, before: "0", ours: "1" });
  if (!isOff(6)) return changes;
  for (const link of settings.list("net/ipv6/conf")) {
    const name = `net/ipv6/conf/${link}/accept_ra`;
    if (link !== "all" && settings.read(name) === "1") changes.push({ name, before: "1", ours: "2" });
  }
  changes.push({ name: IPV6, before: "0", ours: "1" });
  return changes;
}
