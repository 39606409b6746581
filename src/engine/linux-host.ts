import { NodeCryptoProvider } from "../crypto/key-exchange/node-crypto-provider.ts";
import { createSharedMemory, type DataPlane, type PumpSocket, startDataPlane } from "../esp/index.ts";
import { createMonotonicClock } from "../platform/clock.ts";
import { LinuxNetwork } from "../platform/network/linux-network.ts";
import { systemRandom } from "../platform/random.ts";
import { createLinuxSystemCalls } from "../platform/system-calls/linux-system-calls.ts";
import type { SystemCalls } from "../platform/system-calls/system-calls.ts";
import { type OpenTun, openTun } from "../platform/tun/linux-tun.ts";
import { LinuxDatagramSender } from "../platform/udp/linux-datagram-sender.ts";
import type { OpenUdpSocket } from "../platform/udp/linux-udp-socket.ts";
import { openUdpSocket } from "../platform/udp/open-udp-socket.ts";
import type { EngineConfig } from "./engine-config.ts";
import type { Host, IkeListener, OpenHost } from "./host.ts";

/**
 * The default of 500 is 32 MB when each is a super-packet, which a ping behind several streams would wait for. Much shorter, and bursts of
 * small datagrams do not fit in while the worker is away.
 */
const SUPER_PACKET_QUEUE = 256;

/** The Linux machine and the network namespace that this process runs in. */
export function createLinuxHost(): Host {
  const crypto = new NodeCryptoProvider();
  return {
    clock: createMonotonicClock(),
    random: systemRandom,
    crypto,
    open: (config, listener) => openLinuxHost(config, listener),
    close: () => crypto.close(),
  };
}

async function openLinuxHost(config: EngineConfig, listener: IkeListener): Promise<OpenHost> {
  const memory = createSharedMemory();
  const systemCalls = createLinuxSystemCalls(memory);
  const network = new LinuxNetwork(systemCalls);
  const descriptors: number[] = [];
  const closeAll = (): void => {
    for (const descriptor of descriptors.splice(0)) systemCalls.close(descriptor);
    network.close();
  };
  try {
    const sockets = openSockets(systemCalls, config, descriptors);
    const tun: OpenTun = openTun(systemCalls, { ...config.tun, offloads: offloadsOf(config) });
    descriptors.push(tun.descriptor);
    // The kernel's own solicitations would match no policy and look like traffic that was dropped.
    network.withholdLinkLocal(tun.name);
    network.setLinkUp(tun.name, tun.offloads.tcp ? { queueLength: SUPER_PACKET_QUEUE } : {});
    const dataPlane: DataPlane = await startDataPlane({
      memory,
      systemCalls,
      random: systemRandom,
      tun,
      sockets,
      onIkeDatagram: listener.onIkeDatagram,
      onFailure: listener.onFailure,
      onRefusal: listener.onRefusal,
      onTrap: listener.onTrap,
    });
    return {
      dataPlane,
      network,
      sender: new LinuxDatagramSender(
        systemCalls,
        sockets.map(({ socket }) => socket),
      ),
      tunName: tun.name,
      listening: listeningOn(config),
      refusals: [tun, ...sockets.map(({ socket }) => socket)].flatMap(({ refusals }) => refusals),
      close: async () => {
        await dataPlane.stop();
        closeAll();
      },
    };
  } catch (error) {
    closeAll();
    throw error;
  }
}

function openSockets(
  systemCalls: SystemCalls,
  config: EngineConfig,
  descriptors: number[],
): PumpSocket<OpenUdpSocket>[] {
  const { listen } = config;
  return listen.addresses.flatMap((address) =>
    [listen.port, listen.natTraversalPort].map((port) => {
      const carriesEsp = port === listen.natTraversalPort;
      const offloads = carriesEsp ? offloadsOf(config) : "off";
      const socket = openUdpSocket(systemCalls, { address, port, offloads });
      descriptors.push(socket.descriptor);
      return { socket, carriesEsp };
    }),
  );
}

function offloadsOf({ offloads = "auto" }: EngineConfig): "auto" | "off" {
  return offloads;
}

/** "192.0.2.1:500", "[::]:4500". */
export function listeningOn({ listen }: EngineConfig): string[] {
  return listen.addresses.flatMap((address) =>
    [listen.port, listen.natTraversalPort].map((port) =>
      address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`,
    ),
  );
}
