import type { Path, SocketAddress } from "../platform/address.ts";
import type { ConnectionPolicy } from "../policy/connection.ts";
import type { Closing } from "./answer.ts";
import { formatEnd, tcpTried } from "./events.ts";
import { beginAlong } from "./exchanges/ike-sa-init.ts";
import { resumeAlong } from "./exchanges/ike-session-resume.ts";
import type { IkeSa } from "./ike-sa.ts";
import type { Machine } from "./machine.ts";

// IKE and ESP in TCP, RFC 9329. Whoever calls opens the connection, one for each IKE SA and those that it is rekeyed to, and opens another
// when it breaks (section 6.1). Whoever was called sends through the one that the newest authentic message has come by, and opens none.
// As long as a connection stands, nothing is sent twice (section 6.2).
//
// "auto" calls by UDP, and when nobody answers, by TCP as well, in an exchange of its own (section 5.1). The two are twins: whichever is
// answered first stays, and the other goes without a word. How an IKE SA that stands goes over from one to the other is in
// `mobility/transports.ts`.

/** Opens a connection; its path at once, whether it comes about or not. Undefined where that cannot be tried. */
export type OpenStream = (ends: {
  readonly localAddress: string | undefined;
  readonly remote: SocketAddress;
}) => Path | undefined;

/** A connection for a first request. */
export function openStreamTo(machine: Machine, connection: ConnectionPolicy): Path | undefined {
  const { tcp, local, remote } = connection;
  if (tcp === undefined || remote.address === undefined) return undefined;
  return machine.openStream?.({
    localAddress: local.address,
    remote: { address: remote.address, port: tcp.port },
  });
}

/** Nobody has answered so many transmissions by UDP yet: maybe somebody does by TCP. Where that was so of late, it is not waited for. */
export function tryTcp(ikeSa: IkeSa, transmissions: number, now: number): void {
  const { connection, machine, path, twin, state } = ikeSa;
  const isDue = connection?.tcp?.mode === "auto" && twin === undefined && path.stream === undefined;
  if (!isDue || (state.name !== "initiating" && state.name !== "resuming")) return;
  const dueAfter = isTcpRecalled(machine, connection, now) ? 1 : machine.limits.tcpAfterTransmissions;
  if (transmissions < dueAfter) return;
  const address = ikeSa.sentTo?.address ?? connection.remote.address;
  const stream = openStreamTo(machine, { ...connection, remote: { ...connection.remote, address } });
  if (stream === undefined) return;
  machine.report(tcpTried(ikeSa, stream.remote));
  const other =
    state.name === "resuming"
      ? resumeAlong(machine, { connection, own: state.own, path: stream, trigger: ikeSa.trigger }, now)
      : beginAlong(machine, connection, stream, now);
  other.trigger = ikeSa.trigger;
  other.renews = ikeSa.renews;
  other.sentTo = ikeSa.sentTo;
  other.twin = ikeSa;
  ikeSa.twin = other;
}

/** TCP was the way of late, and is tried at once. */
function isTcpRecalled(machine: Machine, connection: ConnectionPolicy, now: number): boolean {
  return (machine.tcpRecalledUntil.get(connection.name) ?? Number.NEGATIVE_INFINITY) > now;
}

/** The peer has answered this way. */
export function recallWay(
  machine: Machine,
  { connection, path }: { readonly connection: ConnectionPolicy; readonly path: Path },
  now: number,
): void {
  if (connection.tcp?.mode !== "auto") return;
  if (path.stream === undefined) machine.tcpRecalledUntil.delete(connection.name);
  else machine.tcpRecalledUntil.set(connection.name, now + machine.limits.tcpRecallMs);
}

/** The first request is answered. */
export function outrunTwin({ connection, machine, path, twin }: IkeSa, now: number): void {
  if (connection !== undefined) recallWay(machine, { connection, path }, now);
  twin?.close({ reason: "replaced", message: "the other way was faster" }, now);
}

/** A connection has ended, or never came about. */
export function streamClosed(machine: Machine, stream: number, now: number): void {
  for (const ikeSa of machine.ikeSas) {
    if (ikeSa.path.stream === stream) lose(ikeSa, now);
    else ikeSa.mobility.transports.closed(stream);
  }
}

function lose(ikeSa: IkeSa, now: number): void {
  switch (ikeSa.state.name) {
    case "initiating":
    case "resuming":
    case "responding":
    case "agreeing":
    case "authenticating":
      ikeSa.close(lost(ikeSa), now);
      return;
    case "established":
      if (!ikeSa.isCaller) return;
      // While it is not decided whether it takes over from another, that one speaks for both.
      if (ikeSa.predecessor === undefined) reopen(ikeSa, now);
      return;
    case "deleting":
      if (ikeSa.isCaller) ikeSa.close(lost(ikeSa), now);
      return;
    case "rekeyed":
    case "closed":
      return;
  }
}

function lost({ path }: IkeSa): Closing {
  const message = `the TCP connection to ${formatEnd(path.remote)} has ended, or has not come about`;
  return { reason: "timeout", message };
}

/** At once, then after growing pauses, for as long as a silent peer is asked. */
function reopen(ikeSa: IkeSa, now: number): void {
  const { machine, connection, timers } = ikeSa;
  const { streamRetryMs, streamRetryMaxMs, streamPatienceMs } = machine.limits;
  ikeSa.streamLostAt ??= now;
  if (now >= ikeSa.streamLostAt + (connection?.liveness?.timeoutMs ?? streamPatienceMs)) {
    ikeSa.close(lost(ikeSa), now);
    return;
  }
  const tries = ikeSa.streamTries++;
  const isOpen = tries === 0 && openAnew(ikeSa, now);
  ikeSa.mobility.transports.tryUdpSoon(now);
  if (isOpen) return;
  const pauseMs = Math.min(streamRetryMs * 2 ** tries, streamRetryMaxMs);
  timers.set("stream", now + pauseMs, (then) => {
    if (ikeSa.state.name === "established" && !openAnew(ikeSa, then)) reopen(ikeSa, then);
  });
}

/** Another connection to the same place. What the old one carried goes there; the first message says so to the peer. */
function openAnew(ikeSa: IkeSa, now: number): boolean {
  const { machine, path: before, connection } = ikeSa;
  const ends = { localAddress: connection?.local.address, remote: before.remote };
  const path = machine.openStream?.(ends);
  if (path === undefined) return false;
  ikeSa.mobility.reconnected(path, now);
  for (const other of machine.ikeSas) {
    if (other.path.stream !== before.stream || !other.isCaller) continue;
    other.path = path;
    other.outbox.hurry(now);
  }
  return true;
}

/** The peer is at the other end of the connection: should it break, the next one is opened at once. */
export function noteStream(ikeSa: IkeSa, { stream }: Path): void {
  if (stream === undefined || stream !== ikeSa.path.stream) return;
  ikeSa.streamLostAt = undefined;
  ikeSa.streamTries = 0;
}

/** Routes lead another way than the connection goes: it would stand there until the kernel gives it up. False where it may stay. */
export function reroute(ikeSa: IkeSa, now: number): boolean {
  const { machine, path, connection } = ikeSa;
  const source = machine.network?.sourceTo(path.remote.address);
  const pinned = connection?.local.address;
  const stays = source === undefined || source === path.local.address || pinned !== undefined;
  return !stays && openAnew(ikeSa, now);
}
