import type { CryptoProvider } from "../crypto/jobs.ts";
import type { DataPlane, IkeDatagram, SeenElsewhere, StrayEsp, TrapCall } from "../esp/index.ts";
import type { Clock, Uptime } from "../platform/clock.ts";
import type { Firewall } from "../platform/firewall/firewall.ts";
import type { KernelSettings } from "../platform/kernel-settings/kernel-settings.ts";
import type { Network } from "../platform/network/network.ts";
import type { Random } from "../platform/random.ts";
import type { Resolver } from "../platform/resolver/resolver.ts";
import type { Streams } from "../platform/tcp/streams.ts";
import type { OpenServiceSocket } from "../platform/udp/service-socket.ts";
import type { DatagramSender } from "../platform/udp/udp-socket.ts";
import type { EngineConfig } from "./engine-config.ts";
import type { Impairment } from "./impairment.ts";

/** The machine that an engine runs on: the real one, or one in memory. */
export interface Host {
  readonly clock: Clock;
  readonly uptime: Uptime;
  readonly random: Random;
  readonly crypto: CryptoProvider;
  /** Opens the TUN device and the sockets and starts the data plane. Throws PlatformError, naming what was refused, and leaves nothing behind then. */
  open(config: EngineConfig, listener: IkeListener): Promise<OpenHost>;
  /** What is wrong with it, on purpose. */
  readonly impairment?: Impairment;
  /** Ends what belongs to the host itself. Jobs under way fail. */
  close(): Promise<void>;
}

export interface IkeListener {
  /** An IKE datagram, without the non-ESP marker. */
  onIkeDatagram(datagram: IkeDatagram): void;
  /** A TCP connection has ended, or never came about. */
  onStreamClosed(stream: number): void;
  /** The data plane has ended by itself: no packet moves from now on, and nothing leaves in clear. */
  onFailure(error: Error): void;
  /** The kernel does not do an offload after all, as a sentence says. Packets go the plain way. */
  onRefusal(what: string): void;
  /** A packet wants an SA that is not there. */
  onTrap(call: TrapCall): void;
  /** ESP came for an SA that is not there. */
  onStray(stray: StrayEsp): void;
  /** Authentic ESP came from elsewhere than where its SA sends to. */
  onElsewhere(seen: SeenElsewhere): void;
}

/** Devices, sockets and the data plane between them. */
export interface OpenHost {
  readonly dataPlane: DataPlane;
  readonly network: Network;
  readonly firewall: Firewall;
  readonly kernelSettings: KernelSettings;
  readonly resolver: Resolver;
  readonly sender: DatagramSender;
  /** TCP connections (RFC 9329), where the machine has any. */
  readonly streams?: Streams;
  readonly openServiceSocket: OpenServiceSocket;
  readonly tunName: string;
  /** Open sockets, "address:port". */
  readonly listening: readonly string[];
  /** Offloads that the kernel refused at once, as sentences. */
  readonly refusals: readonly string[];
  /** Stops the data plane, zeroes its keys, closes sockets and the device. */
  close(): Promise<void>;
}
