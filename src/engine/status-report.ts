import type { DataPlane, SaTraffic } from "../esp/index.ts";
import { DROP_COUNTERS } from "../ike/counters.ts";
import type { IkeEndpoint } from "../ike/endpoint.ts";
import type { ChildSaView, IkeSaView } from "../ike/view.ts";
import { weakKeywords } from "../policy/weak-algorithms.ts";
import type { PoolUsage } from "../pool/address-pools.ts";
import type { ConnectionState } from "./connection-state.ts";
import type { EngineConfig } from "./engine-config.ts";
import type { OpenHost } from "./host.ts";
import type {
  ChildSaStatus,
  ConnectionStatus,
  DataPlaneStatus,
  EngineStatus,
  IkeSaStatus,
  IkeStatus,
  PoolStatus,
  TrafficStatus,
} from "./status.ts";
import { version } from "./version.ts";

interface EngineFacts {
  readonly uptimeMs: number;
  readonly now: number;
  readonly config: EngineConfig;
  readonly open: OpenHost;
  readonly endpoint: IkeEndpoint;
  readonly connections: readonly ConnectionState[];
  readonly pools: readonly PoolUsage[];
}

/** Puts together what the machine and the data plane know. */
export function describeEngine(facts: EngineFacts): EngineStatus {
  return {
    version: version(),
    uptimeMs: Math.round(facts.uptimeMs),
    tun: { name: facts.open.tunName, mtu: facts.config.tun.mtu },
    listen: facts.open.listening,
    connections: facts.connections.map((connection) => describeConnection(connection, facts)),
    ...(facts.pools.length > 0 && { pools: facts.pools.map(describePool) }),
    ike: describeIke(facts.endpoint),
    ...describeStreams(facts.open.streams),
    dataPlane: describeDataPlane(facts.open.dataPlane),
  };
}

function describePool({ prefix, inUse, capacity }: PoolUsage): PoolStatus {
  return { prefix, inUse, limit: capacity };
}

function describeDataPlane({
  workers,
  aes,
  chaCha20,
  drops,
  tallies,
  times,
  occupancy,
}: DataPlane): DataPlaneStatus {
  return { workers, aes, chaCha20, drops, systemCalls: tallies, times, memory: occupancy };
}

function describeIke({ counters, halfOpenCount }: IkeEndpoint): IkeStatus {
  const { received, transmitted } = counters;
  const causes = DROP_COUNTERS.map((cause) => [cause, counters[cause]] as const);
  const drops = Object.fromEntries(causes.filter(([, count]) => count > 0));
  return { received, transmitted, halfOpen: halfOpenCount, drops };
}

function describeStreams(streams: OpenHost["streams"]): Pick<EngineStatus, "streams"> {
  const counts = streams?.counts;
  const isOfInterest = counts !== undefined && Object.values(counts).some((count) => count > 0);
  return isOfInterest ? { streams: counts } : {};
}

function describeConnection(connection: ConnectionState, facts: EngineFacts): ConnectionStatus {
  const { name } = connection.policy;
  const ikeSas = facts.endpoint.ikeSasOf(name);
  const ikeSa = ikeSas.find(({ state }) => state === "established") ?? ikeSas[0];
  const attemptMs = connection.nextAttemptMs(facts.now);
  const nextAttemptMs = attemptMs === undefined ? undefined : Math.round(attemptMs);
  return {
    name,
    state: ikeSa === undefined ? restOf(connection, nextAttemptMs) : stateOf(ikeSa),
    nextAttemptMs,
    lastError: connection.lastError,
    ikeSa: describeEstablished(ikeSa, facts),
    ...(connection.policy.remote.identity === undefined && {
      clients: ikeSas
        .filter(({ state }) => state === "established")
        .flatMap((client) => describeEstablished(client, facts) ?? []),
    }),
  };
}

/** Of a connection without an IKE SA. */
function restOf(
  { isWanted, isTrapped, isHeld }: ConnectionState,
  nextAttemptMs: number | undefined,
): ConnectionStatus["state"] {
  if (isHeld) return "down";
  if (isTrapped) return "trap";
  return isWanted && nextAttemptMs !== undefined ? "waiting" : "down";
}

function stateOf(ikeSa: IkeSaView): ConnectionStatus["state"] {
  switch (ikeSa.state) {
    case "established":
      return "established";
    case "deleting":
      return "deleting";
    default:
      return "connecting";
  }
}

function describeEstablished(ikeSa: IkeSaView | undefined, facts: EngineFacts): IkeSaStatus | undefined {
  return ikeSa?.establishedAt === undefined ? undefined : describeIkeSa(ikeSa, ikeSa.establishedAt, facts);
}

function describeIkeSa(ikeSa: IkeSaView, establishedAt: number, facts: EngineFacts): IkeSaStatus {
  return {
    role: ikeSa.role,
    initiatorSpi: ikeSa.initiatorSpi,
    responderSpi: ikeSa.responderSpi,
    proposal: ikeSa.proposal ?? "",
    ...(ikeSa.hasPpk && { ppk: true as const }),
    ...(ikeSa.isResumed && { resumed: true as const }),
    ...(ikeSa.ticketUntil !== undefined && {
      ticketMs: Math.max(0, Math.round(ikeSa.ticketUntil - facts.now)),
    }),
    ...weakOf(ikeSa.proposal ?? "", ikeSa.signsWithSha1 ? ["sha1-signature"] : []),
    local: { identity: ikeSa.localIdentity ?? "", ...ikeSa.path.local },
    remote: { identity: ikeSa.remoteIdentity ?? "", ...ikeSa.path.remote },
    pathMtu: ikeSa.pathMtu,
    ...(ikeSa.path.stream !== undefined && { tcp: true as const }),
    mobike: ikeSa.isMobile,
    ...(ikeSa.user !== undefined && { user: ikeSa.user }),
    ...(ikeSa.client !== undefined && { client: ikeSa.client }),
    ...(ikeSa.internalAddresses.length > 0 && { internalAddresses: ikeSa.internalAddresses }),
    establishedMs: Math.round(facts.now - establishedAt),
    negotiationMs: ikeSa.negotiationMs ?? 0,
    children: ikeSa.childSas.map((childSa) => describeChildSa(childSa, facts)),
  };
}

function describeChildSa(childSa: ChildSaView, facts: EngineFacts): ChildSaStatus {
  const traffic = facts.open.dataPlane.traffic(childSa.inboundSpi);
  return {
    name: childSa.name,
    inboundSpi: hexSpi(childSa.inboundSpi),
    outboundSpi: hexSpi(childSa.outboundSpi),
    proposal: childSa.proposal,
    ...weakOf(childSa.proposal),
    local: childSa.local,
    remote: childSa.remote,
    establishedMs: Math.round(facts.now - childSa.establishedAt),
    innerMtu: traffic?.innerMtu ?? 0,
    inbound: describeTraffic(traffic?.inbound),
    outbound: describeTraffic(traffic?.outbound),
  };
}

function weakOf(proposal: string, more: readonly string[] = []): { readonly weak?: readonly string[] } {
  const weak = [...weakKeywords(proposal), ...more];
  return weak.length === 0 ? {} : { weak };
}

function describeTraffic(traffic: SaTraffic | undefined): TrafficStatus {
  const { packets = 0, octets = 0, dummies = 0, drops = {}, events = {} } = traffic ?? {};
  return { packets, octets, ...(dummies > 0 && { dummies }), drops, events };
}

function hexSpi(spi: number): string {
  return spi.toString(16).padStart(8, "0");
}
