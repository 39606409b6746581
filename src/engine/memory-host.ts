import { NodeCryptoProvider } from "../crypto/key-exchange/node-crypto-provider.ts";
import { createSharedMemory, lanesOf, startMemoryDataPlane } from "../esp/index.ts";
import { createMonotonicClock, systemUptime } from "../platform/clock.ts";
import { MemoryFirewall } from "../platform/firewall/memory-firewall.ts";
import { MemoryKernelSettings } from "../platform/kernel-settings/memory-kernel-settings.ts";
import { MemoryNetwork } from "../platform/network/memory-network.ts";
import { systemRandom } from "../platform/random.ts";
import { RAW_ESP_PORT } from "../platform/raw-esp/open-raw-esp-socket.ts";
import { MemoryResolver } from "../platform/resolver/memory-resolver.ts";
import { MemoryTun } from "../platform/tun/memory-tun.ts";
import type { MemoryHost as WireHost } from "../platform/udp/memory-udp.ts";
import type { EngineConfig } from "./engine-config.ts";
import type { Host, IkeListener, OpenHost } from "./host.ts";
import { listeningOn } from "./linux-host.ts";

/** A machine in this process: it hangs on a wire in memory, and its TUN device takes and gives packets by hand. */
export interface MemoryMachine extends Host {
  readonly network: MemoryNetwork;
  readonly firewall: MemoryFirewall;
  readonly kernelSettings: MemoryKernelSettings;
  readonly resolver: MemoryResolver;
  /** The TUN device once the engine has opened it. Packets go in by `inject` and come out by `drain`. */
  readonly tun: MemoryTun | undefined;
}

/** `host` is the machine's place on the wire: `wire.host(["192.0.2.1"])`. */
export function createMemoryHost(host: WireHost): MemoryMachine {
  const crypto = new NodeCryptoProvider();
  const network = new MemoryNetwork();
  const firewall = new MemoryFirewall();
  const kernelSettings = new MemoryKernelSettings({
    "net/ipv4/ip_forward": "0",
    "net/ipv6/conf/all/forwarding": "0",
  });
  const resolver = new MemoryResolver();
  let tun: MemoryTun | undefined;

  const open = (config: EngineConfig, listener: IkeListener): Promise<OpenHost> => {
    const memory = createSharedMemory();
    const { workers = 1 } = config;
    const worker = lanesOf(workers)[0]!.receiver;
    const device = new MemoryTun(memory, config.tun);
    tun = device;
    network.addLink(config.tun.name, { mtu: config.tun.mtu });
    network.setLinkUp(config.tun.name);
    const sockets = socketsOf(config, host.addresses).map(({ family, port }) => ({
      socket: host.openUdpSocket(memory, { family, port, worker }),
      carriesEsp: port === config.listen.natTraversalPort,
      isRaw: port === RAW_ESP_PORT,
    }));
    const dataPlane = startMemoryDataPlane({
      memory,
      workers,
      nativeCiphers: config.nativeCiphers ?? "off",
      random: systemRandom,
      tun: device,
      sockets,
      onIkeDatagram: listener.onIkeDatagram,
      onRefusal: listener.onRefusal,
      onTrap: listener.onTrap,
      onStray: listener.onStray,
      onElsewhere: listener.onElsewhere,
    });
    return Promise.resolve({
      dataPlane,
      network,
      firewall,
      kernelSettings,
      resolver,
      sender: host,
      // Nobody is there to ask.
      openServiceSocket: () => Promise.resolve({ send: () => {}, close: () => Promise.resolve() }),
      tunName: device.name,
      listening: listeningOn(config),
      refusals: [],
      close: async () => {
        await dataPlane.stop();
        for (const { socket } of sockets) socket.close();
        device.close();
        network.deleteLink(config.tun.name);
      },
    });
  };

  return {
    clock: createMonotonicClock(),
    uptime: systemUptime,
    random: systemRandom,
    crypto,
    network,
    firewall,
    kernelSettings,
    resolver,
    get tun() {
      return tun;
    },
    open,
    close: () => crypto.close(),
  };
}

/** A socket in memory listens on every address of its family that the host has. */
function socketsOf(
  { listen }: EngineConfig,
  addresses: readonly string[],
): { readonly family: 4 | 6; readonly port: number }[] {
  const families = ([4, 6] as const).filter((family) =>
    addresses.some((address) => address.includes(":") === (family === 6)),
  );
  return families.flatMap((family) => [
    { family, port: listen.port },
    { family, port: listen.natTraversalPort },
    // On the wire in memory, a port of its own is what another IP protocol is elsewhere.
    { family, port: RAW_ESP_PORT },
  ]);
}
