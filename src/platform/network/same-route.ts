import { MAIN_TABLE, type Route } from "./network.ts";
import { canonicalPrefix, parseCidr } from "./prefix.ts";

/** Linux gives an IPv6 route without a metric this one (IP6_RT_PRIO_USER), and an IPv4 route 0. */
const DEFAULT_IPV6_METRIC = 1024;

/** Whether the route that is there is the one that is wanted. A wanted route with a gateway may leave its link to the kernel. */
export function isSameRoute(wanted: Route, present: Route): boolean {
  return (
    isInTheWay(wanted, present) &&
    wanted.gateway === present.gateway &&
    wanted.source === present.source &&
    (wanted.link === undefined || wanted.link === present.link)
  );
}

/** Whether both lead to one destination with one metric in one table, so that only one of them can be there. */
export function isInTheWay(wanted: Route, present: Route): boolean {
  return (
    canonicalPrefix(wanted.destination) === canonicalPrefix(present.destination) &&
    (wanted.table ?? MAIN_TABLE) === (present.table ?? MAIN_TABLE) &&
    effectiveMetric(wanted) === effectiveMetric(present)
  );
}

/** The metric as text of a route should show it: undefined for the default of the family. */
export function shownMetric(family: 4 | 6, metric: number): number | undefined {
  return metric === defaultMetric(family) ? undefined : metric;
}

export function effectiveMetric({ destination, metric }: Route): number {
  // The kernel reads a metric of 0 as none.
  return metric || defaultMetric(parseCidr(destination).family);
}

function defaultMetric(family: 4 | 6): number {
  return family === 4 ? 0 : DEFAULT_IPV6_METRIC;
}
