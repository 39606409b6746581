import type {
  ChildSaStatus,
  ConnectionStatus,
  EngineStatus,
  IkeSaStatus,
  TrafficStatus,
} from "../engine/status.ts";
import { printable } from "../log/redact.ts";
import { clientsBlock } from "./format-clients.ts";
import { BOLD, DIM, dropText, GREEN, type Look, type Paint, RED, RESET, weakText, YELLOW } from "./look.ts";
import { formatBitRate, formatCount, formatDuration, formatOctets } from "./quantities.ts";

const COLOUR_OF_STATE: Readonly<Record<ConnectionStatus["state"], string>> = {
  established: GREEN,
  connecting: YELLOW,
  waiting: YELLOW,
  trap: YELLOW,
  deleting: YELLOW,
  down: RED,
};

/**
 * The status for people:
 *
 *   ikebana 0.1.0, running for 2h 3m, ikebana0 with MTU 1400, listening on 0.0.0.0:500, 0.0.0.0:4500
 *
 *   office  established for 12m 4s as initiator
 *     peer   b.example.org at 192.0.2.2:4500, path MTU 1500
 *     local  a.example.org at 192.0.2.1:4500
 *     IKE    aes256gcm16-prfsha384-x25519, negotiated in 14ms, SPIs 7d24a0fc61be9033 and 02c1d57a9e880f41
 *     lan    10.1.0.0/16 <-> 10.2.0.0/16
 *            aes256gcm16, for 12m 4s, MTU 1400, SPIs in c0010001 out c8d20f3a
 *            in   1,204 packets    1.2 MB  drops: 3 replayed
 *            out  1,377 packets  301.0 kB
 *
 *   gateway  2 clients
 *     ...
 *
 *   pool 10.77.0.0/24: 2 of 253 addresses in use
 *
 *   packets of no SA: 12 noSa
 *   dropped IKE datagrams: 3 malformed
 */
export function formatStatus(
  status: EngineStatus,
  {
    colour,
    earlier,
  }: {
    readonly colour: boolean;
    /** A status from before: rates since then are shown, in each direction. */
    readonly earlier?: EngineStatus | undefined;
  },
): string {
  const paint: Paint = (text, style) => (colour ? `${style}${text}${RESET}` : text);
  const look = { paint, rates: ratesSince(earlier, status) };
  const blocks = [
    headline(status),
    ...status.connections.map((connection) => connectionBlock(connection, look)),
    ...poolsBlock(status),
    ...dropsBlock(status),
  ];
  return `${blocks.join("\n\n")}\n`;
}

/** A child SA is the same while its SPI is. */
function ratesSince(earlier: EngineStatus | undefined, now: EngineStatus): Look["rates"] {
  const elapsedSeconds = earlier === undefined ? 0 : (now.uptimeMs - earlier.uptimeMs) / 1000;
  if (earlier === undefined || elapsedSeconds <= 0) return () => undefined;
  const before = new Map(
    earlier.connections
      .flatMap(({ ikeSa, clients }) => clients ?? (ikeSa === undefined ? [] : [ikeSa]))
      .flatMap(({ children }) => children)
      .map((child) => [child.inboundSpi, child] as const),
  );
  return ({ inboundSpi, inbound, outbound }) => {
    const child = before.get(inboundSpi);
    if (child === undefined) return undefined;
    const rate = (octets: number, octetsBefore: number) => (8 * (octets - octetsBefore)) / elapsedSeconds;
    return {
      inbound: rate(inbound.octets, child.inbound.octets),
      outbound: rate(outbound.octets, child.outbound.octets),
    };
  };
}

function headline({ version, uptimeMs, tun, listen, dataPlane }: EngineStatus): string {
  const ports = listen.length === 0 ? "listening nowhere" : `listening on ${listen.join(", ")}`;
  const workers = dataPlane.workers === 1 ? "" : `, ${dataPlane.workers} data workers`;
  return `ikebana ${version}, running for ${formatDuration(uptimeMs)}, ${tun.name} with MTU ${tun.mtu}, ${ports}${workers}`;
}

function connectionBlock(connection: ConnectionStatus, look: Look): string {
  const { paint } = look;
  if (connection.clients !== undefined) return clientsBlock(connection.name, connection.clients, look);
  const { name, state, lastError, nextAttemptMs, ikeSa } = connection;
  const age = ikeSa === undefined ? "" : ` for ${formatDuration(ikeSa.establishedMs)} as ${ikeSa.role}`;
  const next =
    nextAttemptMs === undefined || ikeSa !== undefined
      ? ""
      : `, next attempt in ${formatDuration(nextAttemptMs)}`;
  const title = `${paint(printable(name), BOLD)}  ${paint(state, COLOUR_OF_STATE[state])}${age}${next}`;
  const rows = [
    ...(lastError === undefined ? [] : [{ label: "error", lines: [paint(printable(lastError), RED)] }]),
    ...(ikeSa === undefined ? [] : ikeSaRows(ikeSa, look)),
  ];
  const width = Math.max(5, ...rows.map(({ label }) => label.length));
  return [title, ...rows.flatMap((row) => indented(row, width))].join("\n");
}

interface Row {
  readonly label: string;
  readonly lines: readonly string[];
}

/** The label beside the first line, the others below it. */
function indented({ label, lines }: Row, width: number): readonly string[] {
  return lines.map((line, index) => `  ${(index === 0 ? label : "").padEnd(width)}  ${line}`);
}

function ikeSaRows(ikeSa: IkeSaStatus, look: Look): readonly Row[] {
  const { paint } = look;
  const { remote, local, pathMtu, proposal, negotiationMs, initiatorSpi, responderSpi, children } = ikeSa;
  const { ticketMs } = ikeSa;
  const ticket = ticketMs === undefined ? "" : `, ticket for ${formatDuration(ticketMs)}`;
  const path = `${ikeSa.tcp === true ? ", ESP in TCP" : ""}${pathMtu === undefined ? "" : `, path MTU ${pathMtu}`}`;
  const spis = paint(`SPIs ${initiatorSpi} and ${responderSpi}`, DIM);
  return [
    { label: "peer", lines: [`${endpoint(remote)}${path}`] },
    { label: "local", lines: [endpoint(local)] },
    {
      label: "IKE",
      lines: [
        `${proposal}${ikeSa.ppk ? " with PPK" : ""}${weakText(ikeSa, paint)}, ${ikeSa.resumed ? "resumed" : "negotiated"} in ${formatDuration(negotiationMs)}${ticket}, ${spis}`,
      ],
    },
    ...children.map((child) => ({ label: printable(child.name), lines: childLines(child, look) })),
  ];
}

function endpoint({ identity, address, port }: IkeSaStatus["remote"]): string {
  const socketAddress = address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
  return identity === address ? socketAddress : `${printable(identity)} at ${socketAddress}`;
}

function childLines(child: ChildSaStatus, { paint, rates }: Look): readonly string[] {
  const { local, remote, proposal, establishedMs, innerMtu, inboundSpi, outboundSpi } = child;
  const { inbound, outbound } = child;
  const packets = [inbound.packets, outbound.packets].map((count) => `${formatCount(count)} packets`);
  const octets = [inbound.octets, outbound.octets].map(formatOctets);
  const rate = rates(child);
  const speeds = rate === undefined ? [] : [rate.inbound, rate.outbound].map(formatBitRate);
  const columns = [packets, octets, ...(speeds.length === 0 ? [] : [speeds])].map((cells) => {
    const width = Math.max(...cells.map((cell) => cell.length));
    return cells.map((cell) => cell.padStart(width));
  });
  const traffic = [inbound, outbound].map((direction, index) => {
    const cells = columns.map((column) => column[index]).join("  ");
    return `${index === 0 ? "in " : "out"}  ${cells}${dropsOf(direction, paint)}`;
  });
  return [
    `${local.join(", ")} <-> ${remote.join(", ")}`,
    `${proposal}${weakText(child, paint)}, for ${formatDuration(establishedMs)}, MTU ${innerMtu}, ${paint(`SPIs in ${inboundSpi} out ${outboundSpi}`, DIM)}`,
    ...traffic,
  ];
}

function dropsOf({ drops }: TrafficStatus, paint: Paint): string {
  const text = dropText(drops);
  return text === "" ? "" : paint(`  drops: ${text}`, YELLOW);
}

function poolsBlock({ pools = [] }: EngineStatus): readonly string[] {
  const lines = pools.map(
    ({ prefix, inUse, limit }) =>
      `pool ${prefix}: ${formatCount(inUse)} of ${formatCount(limit)} addresses in use`,
  );
  return lines.length === 0 ? [] : [lines.join("\n")];
}

function dropsBlock({ dataPlane, ike }: EngineStatus): readonly string[] {
  const lines = [
    { what: "packets of no SA", text: dropText(dataPlane.drops) },
    { what: "dropped IKE datagrams", text: dropText(ike.drops) },
  ].filter(({ text }) => text !== "");
  return lines.length === 0 ? [] : [lines.map(({ what, text }) => `${what}: ${text}`).join("\n")];
}
