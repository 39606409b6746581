import { NodeCryptoProvider } from "../crypto/key-exchange/node-crypto-provider.ts";
import { createSharedMemory, type DataPlane, startDataPlane } from "../esp/index.ts";
import { createMonotonicClock, systemUptime } from "../platform/clock.ts";
import { NftFirewall } from "../platform/firewall/nft-firewall.ts";
import { LinuxKernelSettings } from "../platform/kernel-settings/linux-kernel-settings.ts";
import { openMontgomeryCurves } from "../platform/native-curves/montgomery-curves.ts";
import { LinuxNetwork } from "../platform/network/linux-network.ts";
import { InheritedSockets } from "../platform/privileges/inherited-sockets.ts";
import { systemRandom } from "../platform/random.ts";
import { LinuxResolver } from "../platform/resolver/linux-resolver.ts";
import { createLinuxSystemCalls } from "../platform/system-calls/linux-system-calls.ts";
import type { SharedMemory, SystemCalls } from "../platform/system-calls/system-calls.ts";
import { LinuxStreams } from "../platform/tcp/linux-streams.ts";
import { openTcpListener } from "../platform/tcp/tcp-socket.ts";
import { LinuxDatagramSender } from "../platform/udp/linux-datagram-sender.ts";
import { serviceSocketsOver } from "../platform/udp/service-socket.ts";
import { SOCKET_MARK } from "./detours.ts";
import type { EngineConfig } from "./engine-config.ts";
import type { Host, IkeListener, OpenHost } from "./host.ts";
import { openLanes } from "./linux-lanes.ts";
import { OpenThings } from "./open-things.ts";

/**
 * The data worker empties the queue in every round, and what stands then stands with it, in fair shares and not for long (fair-queue.ts). So
 * the queue only has to hold what comes while the worker is off the processor: with 500, small datagrams are lost at 100,000 a second.
 */
const QUEUE_LENGTH = 2000;

/** How the machine is asked: system calls over a memory. */
type SystemCallsOver = (memory: SharedMemory) => SystemCalls;

/**
 * The Linux machine and the network namespace that this process runs in. `onThreadStart` is called behind the start of each
 * thread of ours. `inherited`: sockets that are open already.
 */
export function createLinuxHost({
  onThreadStart = () => {},
  inherited = new InheritedSockets(),
  systemCallsOver = createLinuxSystemCalls,
}: {
  readonly onThreadStart?: () => void;
  readonly inherited?: InheritedSockets;
  readonly systemCallsOver?: SystemCallsOver;
} = {}): Host {
  const refusals: string[] = [];
  const groups = openMontgomeryCurves((what) => refusals.push(what));
  const crypto = new NodeCryptoProvider({ groups, onThreadStart });
  return {
    clock: createMonotonicClock(),
    uptime: systemUptime,
    random: systemRandom,
    crypto,
    open: async (config, listener) => {
      const open = await openLinuxHost(config, listener, { inherited, systemCallsOver });
      try {
        onThreadStart();
      } catch (error) {
        await open.close();
        throw error;
      }
      return { ...open, refusals: [...refusals, ...open.refusals] };
    },
    close: () => crypto.close(),
  };
}

async function openLinuxHost(
  config: EngineConfig,
  listener: IkeListener,
  {
    inherited,
    systemCallsOver,
  }: {
    readonly inherited: InheritedSockets;
    readonly systemCallsOver: SystemCallsOver;
  },
): Promise<OpenHost> {
  const open = new OpenThings();
  try {
    const memory = createSharedMemory();
    const systemCalls = systemCallsOver(memory);
    const network = new LinuxNetwork(systemCalls);
    open.add(() => network.close());
    const descriptors: number[] = [];
    open.add(() => {
      for (const descriptor of descriptors.splice(0)) systemCalls.close(descriptor);
    });
    const { first, further, udp, localStreams, isStreamUsed, refusals } = openLanes(systemCalls, config, {
      descriptors,
      inherited,
    });
    const listeners = openListeners(systemCalls, config, inherited);
    descriptors.push(...listeners);
    const { tun, sockets } = first;
    // The kernel's own solicitations would match no policy and look like traffic that was dropped.
    network.withholdLinkLocal(tun.name);
    network.setLinkUp(tun.name, { queueLength: QUEUE_LENGTH });
    const dataPlane: DataPlane = await startDataPlane({
      mark: SOCKET_MARK,
      memory,
      workers: config.workers ?? 1,
      nativeCiphers: config.nativeCiphers ?? "auto",
      spinMicroseconds: config.spinMicroseconds ?? 0,
      systemCalls,
      random: systemRandom,
      tun,
      sockets,
      furtherLanes: further,
      onIkeDatagram: listener.onIkeDatagram,
      onFailure: listener.onFailure,
      onRefusal: listener.onRefusal,
      onTrap: listener.onTrap,
      onStray: listener.onStray,
      onElsewhere: listener.onElsewhere,
    });
    open.add(() => dataPlane.stop());
    // They are the runtime's from now on, whether it takes them or not.
    for (const owned of [...localStreams, ...listeners]) descriptors.splice(descriptors.indexOf(owned), 1);
    const streams = new LinuxStreams({
      systemCalls,
      clock: createMonotonicClock(),
      mark: SOCKET_MARK,
      listeners,
      locals: localStreams,
      isUsed: isStreamUsed,
      listener: {
        onIkeMessage: (octets, path) => listener.onIkeDatagram({ octets, path }),
        onStreamClosed: listener.onStreamClosed,
      },
    });
    open.add(() => streams.close());
    return {
      dataPlane,
      network,
      streams,
      firewall: new NftFirewall({ link: tun.name, stateDirectory: config.stateDirectory }),
      kernelSettings: new LinuxKernelSettings(),
      resolver: new LinuxResolver({ stateDirectory: config.stateDirectory }),
      sender: new LinuxDatagramSender(systemCalls, udp),
      openServiceSocket: serviceSocketsOver((place) => inherited.service(place)),
      tunName: tun.name,
      listening: listeningOn(config),
      refusals,
      close: async () => {
        // The workers first: what they still have in hand may be for a stream.
        await dataPlane.stop();
        await open.close();
      },
    };
  } catch (error) {
    // Why it cannot be opened says more than what goes wrong after that.
    await open.close().catch(() => {});
    throw error;
  }
}

function openListeners(
  systemCalls: SystemCalls,
  { listen: { addresses, tcpPort: port } }: EngineConfig,
  inherited: InheritedSockets,
): readonly number[] {
  if (port === undefined) return [];
  const open: number[] = [];
  try {
    for (const address of addresses) {
      const bound = inherited.tcp({ address, port });
      open.push(openTcpListener(systemCalls, { address, port, mark: SOCKET_MARK, bound }));
    }
    return open;
  } catch (error) {
    for (const descriptor of open) systemCalls.close(descriptor);
    throw error;
  }
}

/** "192.0.2.1:500", "[::]:4500", "192.0.2.1:443/tcp". */
export function listeningOn({ listen }: EngineConfig): string[] {
  const { port, natTraversalPort, tcpPort } = listen;
  const ports = [port, natTraversalPort, ...(tcpPort === undefined ? [] : [`${tcpPort}/tcp`])];
  return listen.addresses.flatMap((address) =>
    ports.map((each) => (address.includes(":") ? `[${address}]:${each}` : `${address}:${each}`)),
  );
}
