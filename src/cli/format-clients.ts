import type { ChildSaStatus, IkeSaStatus } from "../engine/status.ts";
import { printable } from "../log/redact.ts";
import { BOLD, DIM, dropText, GREEN, type Look, weakText, YELLOW } from "./look.ts";
import { formatBitRate, formatDuration, formatOctets } from "./quantities.ts";

/** A column's cells, the first of them its title. */
type Column = readonly string[];

/**
 * Everybody who is connected to a gateway, those that came last at the end:
 *
 *   gateway  2 clients
 *     user   inside               outside            client   since   in      out
 *     anna   10.77.0.2, fd77::2   203.0.113.9:51234  Apple    12m 4s  1.2 MB  3.4 MB  aes256gcm16-prfsha256-ecp256, aes256gcm16
 *     berta  10.77.0.3            198.51.100.7:4500  Windows  3s      999 B   0 B     aes256-sha1-prfsha1-modp1024 (weak: sha1, ...
 *
 * While the status is watched, rates take the place of octets.
 */
export function clientsBlock(name: string, clients: readonly IkeSaStatus[], look: Look): string {
  const { paint } = look;
  const count = clients.length === 1 ? "1 client" : `${clients.length} clients`;
  const title = `${paint(printable(name), BOLD)}  ${clients.length === 0 ? "nobody is connected" : paint(count, GREEN)}`;
  if (clients.length === 0) return title;
  const inOrder = [...clients].sort((a, b) => b.establishedMs - a.establishedMs);
  const columns: readonly Column[] = [
    ["user", ...inOrder.map(({ user, remote }) => printable(user ?? remote.identity))],
    ["inside", ...inOrder.map(({ internalAddresses = [] }) => internalAddresses.join(", "))],
    ["outside", ...inOrder.map(({ remote }) => outside(remote))],
    ["client", ...inOrder.map(({ client = "unknown" }) => CLIENT_NAMES[client])],
    ["since", ...inOrder.map(({ establishedMs }) => formatDuration(establishedMs))],
    ["in", ...inOrder.map((client) => carried(client, "inbound", look))],
    ["out", ...inOrder.map((client) => carried(client, "outbound", look))],
  ];
  const widths = columns.map((cells) => Math.max(...cells.map((cell) => cell.length)));
  const lines = ["", ...inOrder.map((client) => algorithms(client, look))].map((rest, row) => {
    const cells = columns.map((column, index) => column[row]!.padEnd(widths[index]!)).join("  ");
    const line = `  ${cells}  ${rest}`.trimEnd();
    return row === 0 ? paint(line, DIM) : line;
  });
  return [title, ...lines].join("\n");
}

/** By what they send; "?" for those that look like nobody whom we know. */
const CLIENT_NAMES: Readonly<Record<NonNullable<IkeSaStatus["client"]>, string>> = {
  windows: "Windows",
  apple: "Apple",
  android: "Android",
  strongswan: "strongSwan",
  ikebana: "Ikebana",
  unknown: "?",
};

function outside({ address, port }: IkeSaStatus["remote"]): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** Of all of its child SAs. */
function carried({ children }: IkeSaStatus, direction: "inbound" | "outbound", { rates }: Look): string {
  const known = children.map(rates).filter((rate) => rate !== undefined);
  const sum = (amounts: readonly number[]) => amounts.reduce((total, amount) => total + amount, 0);
  if (known.length > 0) return formatBitRate(sum(known.map((rate) => rate[direction])));
  return formatOctets(sum(children.map((child) => child[direction].octets)));
}

function algorithms(client: IkeSaStatus, { paint }: Look): string {
  const both = [client, ...client.children];
  const text = both.map((sa) => `${sa.proposal}${weakText(sa, paint)}`).join(", ");
  const drops = dropText(dropsOf(client.children));
  return drops === "" ? text : `${text}${paint(`  drops: ${drops}`, YELLOW)}`;
}

function dropsOf(children: readonly ChildSaStatus[]): Readonly<Record<string, number>> {
  const all: Record<string, number> = {};
  for (const { inbound, outbound } of children) {
    for (const [cause, count] of [...Object.entries(inbound.drops), ...Object.entries(outbound.drops)]) {
      all[cause] = (all[cause] ?? 0) + count;
    }
  }
  return all;
}
