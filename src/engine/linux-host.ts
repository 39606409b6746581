import { NodeCryptoProvider } from "../crypto/key-exchange/node-crypto-provider.ts";
import { createSharedMemory, type DataPlane, type PumpSocket, startDataPlane } from "../esp/index.ts";
import { createMonotonicClock, systemUptime } from "../platform/clock.ts";
import { NftFirewall } from "../platform/firewall/nft-firewall.ts";
import { SOCKET_BLOCK_COUNT } from "../platform/io-region.ts";
import { LinuxKernelSettings } from "../platform/kernel-settings/linux-kernel-settings.ts";
import { LinuxNetwork } from "../platform/network/linux-network.ts";
import { systemRandom } from "../platform/random.ts";
import { openRawEspSocket } from "../platform/raw-esp/open-raw-esp-socket.ts";
import { familyOf } from "../platform/socket-address.ts";
import { createLinuxSystemCalls } from "../platform/system-calls/linux-system-calls.ts";
import type { SystemCalls } from "../platform/system-calls/system-calls.ts";
import { type OpenTun, openTun } from "../platform/tun/linux-tun.ts";
import { LinuxDatagramSender } from "../platform/udp/linux-datagram-sender.ts";
import type { OpenUdpSocket } from "../platform/udp/linux-udp-socket.ts";
import { openUdpSocket } from "../platform/udp/open-udp-socket.ts";
import { SOCKET_MARK } from "./detours.ts";
import type { EngineConfig } from "./engine-config.ts";
import type { Host, IkeListener, OpenHost } from "./host.ts";

/**
 * The data worker empties the queue in every round, and what stands then stands with it, in fair shares and not for long (fair-queue.ts). So
 * the queue only has to hold what comes while the worker is off the processor: with 500, small datagrams are lost at 100,000 a second.
 */
const QUEUE_LENGTH = 2000;

/**
 * The Linux machine and the network namespace that this process runs in. `onThreadStart` is called behind the start of each
 * thread of ours.
 */
export function createLinuxHost({
  onThreadStart = () => {},
}: {
  readonly onThreadStart?: () => void;
} = {}): Host {
  const crypto = new NodeCryptoProvider({ onThreadStart });
  return {
    clock: createMonotonicClock(),
    uptime: systemUptime,
    random: systemRandom,
    crypto,
    open: async (config, listener) => {
      const open = await openLinuxHost(config, listener);
      onThreadStart();
      return open;
    },
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
    const udp = openSockets(systemCalls, config, descriptors);
    const raw = openRawSockets(systemCalls, config, { descriptors, room: SOCKET_BLOCK_COUNT - udp.length });
    const sockets = [...udp, ...raw.sockets];
    const tun: OpenTun = openTun(systemCalls, { ...config.tun, offloads: offloadsOf(config) });
    descriptors.push(tun.descriptor);
    // The kernel's own solicitations would match no policy and look like traffic that was dropped.
    network.withholdLinkLocal(tun.name);
    network.setLinkUp(tun.name, { queueLength: QUEUE_LENGTH });
    const dataPlane: DataPlane = await startDataPlane({
      mark: SOCKET_MARK,
      memory,
      workers: config.workers ?? 1,
      systemCalls,
      random: systemRandom,
      tun,
      sockets,
      onIkeDatagram: listener.onIkeDatagram,
      onFailure: listener.onFailure,
      onRefusal: listener.onRefusal,
      onTrap: listener.onTrap,
      onStray: listener.onStray,
    });
    return {
      dataPlane,
      network,
      firewall: new NftFirewall({ link: tun.name, stateDirectory: config.stateDirectory }),
      kernelSettings: new LinuxKernelSettings(),
      sender: new LinuxDatagramSender(
        systemCalls,
        udp.map(({ socket }) => socket),
      ),
      tunName: tun.name,
      listening: listeningOn(config),
      refusals: [tun, ...udp.map(({ socket }) => socket), raw].flatMap(({ refusals }) => refusals),
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
      const socket = openUdpSocket(systemCalls, {
        address,
        port,
        offloads,
        mark: SOCKET_MARK,
        setsDontFragment: carriesEsp,
      });
      descriptors.push(socket.descriptor);
      return { socket, carriesEsp };
    }),
  );
}

/** What ESP without UDP goes through, one for each family: a machine that refuses them still has ESP in UDP. */
function openRawSockets(
  systemCalls: SystemCalls,
  { connections, listen }: EngineConfig,
  { descriptors, room }: { readonly descriptors: number[]; readonly room: number },
): { readonly sockets: PumpSocket<OpenUdpSocket>[]; readonly refusals: string[] } {
  const sockets: PumpSocket<OpenUdpSocket>[] = [];
  const refusals: string[] = [];
  if (connections.every(({ encapsulation }) => encapsulation === "udp")) return { sockets, refusals };
  for (const family of new Set(listen.addresses.map(familyOf))) {
    try {
      if (sockets.length === room)
        throw new RangeError(`raw ESP over IPv${family}: too many listen addresses`);
      const socket = openRawEspSocket(systemCalls, { family, mark: SOCKET_MARK });
      descriptors.push(socket.descriptor);
      sockets.push({ socket, carriesEsp: false, isRaw: true });
    } catch (error) {
      refusals.push(error instanceof Error ? error.message : String(error));
    }
  }
  return { sockets, refusals };
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
