import { type LaneDevices, lanesOf, type PumpSocket } from "../esp/index.ts";
import { SOCKET_BLOCK_COUNT } from "../platform/io-region.ts";
import type { InheritedSockets } from "../platform/privileges/inherited-sockets.ts";
import { openRawEspSocket } from "../platform/raw-esp/open-raw-esp-socket.ts";
import { familyOf } from "../platform/socket-address.ts";
import type { SystemCalls } from "../platform/system-calls/system-calls.ts";
import { openLocalStream } from "../platform/tcp/local-stream.ts";
import { openTun, openTunQueue } from "../platform/tun/linux-tun.ts";
import type { OpenUdpSocket } from "../platform/udp/linux-udp-socket.ts";
import { openUdpSocket } from "../platform/udp/open-udp-socket.ts";
import { refuseAll, steerBySpi } from "../platform/udp/socket-filters.ts";
import { SOCKET_MARK } from "./detours.ts";
import type { EngineConfig } from "./engine-config.ts";

type Sockets = readonly PumpSocket<OpenUdpSocket>[];

interface Lanes {
  readonly first: LaneDevices;
  readonly further: readonly LaneDevices[];
  /** UDP sockets of the first lane: IKE leaves through them. */
  readonly udp: readonly OpenUdpSocket[];
  /** The host's ends of the local streams by which ESP of TCP connections comes and goes, one for each lane. */
  readonly localStreams: readonly number[];
  /** Not 0 once something comes by them. */
  readonly isStreamUsed: SharedArrayBuffer;
  /** Offloads, and raw sockets, that the kernel refused, as sentences. */
  readonly refusals: readonly string[];
}

/**
 * Opens the TUN device and the sockets. Each lane has sockets of its own, since whoever sends changes their settings; those for ESP
 * share a port, and the SPI says whose a datagram is. The port for IKE is not shared, so a second daemon is refused as ever. Each lane
 * that has a sender of its own has a queue of the device too. `descriptors` gets whatever is open, also when PlatformError is thrown. `inherited` sockets
 * are used before others are opened.
 */
export function openLanes(
  systemCalls: SystemCalls,
  config: EngineConfig,
  { descriptors, inherited }: { readonly descriptors: number[]; readonly inherited: InheritedSockets },
): Lanes {
  const lanes = lanesOf(config.workers ?? 1);
  const queueCount = new Set(lanes.map(({ sender }) => sender)).size;
  const sharesPort = lanes.length > 1;
  const udp = openUdp(systemCalls, config, { descriptors, sharesPort, inherited });
  const raw = openRaw(systemCalls, config, {
    descriptors,
    inherited,
    room: SOCKET_BLOCK_COUNT - udp.length,
  });
  const { offloads = "auto" } = config;
  const isStreamUsed = new SharedArrayBuffer(4);
  const streams = lanes.map((_, lane) =>
    openStreamSocket(systemCalls, { descriptors, isUsed: isStreamUsed, isForSendingOnly: lane > 0 }),
  );
  const tun = openTun(systemCalls, { ...config.tun, offloads, hasQueues: queueCount > 1 });
  descriptors.push(tun.descriptor);
  const further = lanes.slice(1).map(({ sender }, i): LaneDevices => {
    const sockets = [
      ...openUdp(systemCalls, config, { descriptors, sharesPort, inherited, first: udp }),
      ...openRawForSending(systemCalls, raw.sockets, { descriptors, inherited }),
      streams[i + 1]!.worker,
    ];
    if (sender === lanes[0]!.sender) return { tun, sockets };
    const queue = openTunQueue(systemCalls, tun);
    descriptors.push(queue.descriptor);
    return { tun: queue, sockets };
  });
  const receivers = lanes.map(({ receiver }) => receiver);
  for (const { socket, carriesEsp } of udp) {
    if (carriesEsp && sharesPort) steerBySpi(systemCalls, socket.descriptor, receivers);
  }
  return {
    first: { tun, sockets: [...udp, ...raw.sockets, streams[0]!.worker] },
    further,
    udp: udp.map(({ socket }) => socket),
    localStreams: streams.map(({ host }) => host),
    isStreamUsed,
    refusals: [tun, ...udp.map(({ socket }) => socket), raw].flatMap(({ refusals }) => refusals),
  };
}

/** `first`: the sockets of the first lane, which alone has those of the port for IKE. */
function openUdp(
  systemCalls: SystemCalls,
  { listen, offloads = "auto" }: EngineConfig,
  lane: {
    readonly descriptors: number[];
    readonly sharesPort: boolean;
    readonly inherited: InheritedSockets;
    readonly first?: Sockets;
  },
): Sockets {
  const places = listen.addresses.flatMap((address) =>
    [listen.port, listen.natTraversalPort].map((port) => ({ address, port })),
  );
  return places.map(({ address, port }, i) => {
    const carriesEsp = port === listen.natTraversalPort;
    if (!carriesEsp && lane.first !== undefined) return { ...lane.first[i]!, isForSendingOnly: true };
    const socket = openUdpSocket(systemCalls, {
      address,
      port,
      offloads: carriesEsp ? offloads : "off",
      mark: SOCKET_MARK,
      setsDontFragment: carriesEsp,
      sharesPort: carriesEsp && lane.sharesPort,
      bound: lane.inherited.udp({ address, port }),
    });
    lane.descriptors.push(socket.descriptor);
    return { socket, carriesEsp };
  });
}

/** What ESP without UDP goes through, one for each family: a machine that refuses them still has ESP in UDP. */
function openRaw(
  systemCalls: SystemCalls,
  { connections, listen }: EngineConfig,
  {
    descriptors,
    inherited,
    room,
  }: {
    readonly descriptors: number[];
    readonly inherited: InheritedSockets;
    readonly room: number;
  },
): { readonly sockets: Sockets; readonly refusals: string[] } {
  const sockets: PumpSocket<OpenUdpSocket>[] = [];
  const refusals: string[] = [];
  if (connections.every(({ encapsulation }) => encapsulation === "udp")) return { sockets, refusals };
  for (const family of new Set(listen.addresses.map(familyOf))) {
    try {
      if (sockets.length === room)
        throw new RangeError(`raw ESP over IPv${family}: too many listen addresses`);
      const socket = openRawEspSocket(systemCalls, {
        family,
        mark: SOCKET_MARK,
        opened: inherited.rawEsp(family),
      });
      descriptors.push(socket.descriptor);
      sockets.push({ socket, carriesEsp: false, isRaw: true });
    } catch (error) {
      refusals.push(error instanceof Error ? error.message : String(error));
    }
  }
  return { sockets, refusals };
}

/** What comes is for the first lane, which hands over what others have the keys of. */
function openStreamSocket(
  systemCalls: SystemCalls,
  {
    descriptors,
    isUsed,
    isForSendingOnly,
  }: {
    readonly descriptors: number[];
    readonly isUsed: SharedArrayBuffer;
    readonly isForSendingOnly: boolean;
  },
): { readonly host: number; readonly worker: PumpSocket<OpenUdpSocket> } {
  const [host, descriptor] = openLocalStream(systemCalls);
  descriptors.push(host, descriptor);
  const socket: OpenUdpSocket = {
    descriptor,
    family: 4,
    port: 0,
    canSegment: true,
    canCoalesce: false,
    setsDontFragment: false,
    isUsed,
    refusals: [],
  };
  return { host, worker: { socket, carriesEsp: false, isStream: true, isForSendingOnly } };
}

/** Every raw socket would get every packet: those of the first lane alone do, and hand over what is for others. */
function openRawForSending(
  systemCalls: SystemCalls,
  first: Sockets,
  { descriptors, inherited }: { readonly descriptors: number[]; readonly inherited: InheritedSockets },
): Sockets {
  return first.map(({ socket: { family }, ...use }) => {
    const socket = openRawEspSocket(systemCalls, {
      family,
      mark: SOCKET_MARK,
      opened: inherited.rawEsp(family),
    });
    descriptors.push(socket.descriptor);
    refuseAll(systemCalls, socket.descriptor);
    return { socket, ...use, isForSendingOnly: true };
  });
}
