import type { Route, Rule } from "./network.ts";

/** "10.2.0.0/16 via 192.0.2.1 dev eth0 table 220", as error messages name a route. */
export function describeRoute({ destination, gateway, link, source, table, metric }: Route): string {
  return words(destination, { via: gateway, dev: link, src: source, table, metric });
}

/** "priority 100 not mark 7 table 220". */
export function describeRule(rule: Rule): string {
  return words(`IPv${rule.family} rule`, {
    priority: rule.priority,
    iif: rule.inLink,
    from: rule.source,
    to: rule.destination,
    ipproto: rule.protocol,
    sport: rule.sourcePort,
    [rule.isInverted === true ? "not mark" : "mark"]: rule.mark,
    table: rule.table,
  });
}

function words(first: string, named: Readonly<Record<string, string | number | undefined>>): string {
  const rest = Object.entries(named).filter(([, value]) => value !== undefined);
  return [first, ...rest.map(([name, value]) => `${name} ${value}`)].join(" ");
}
