/**
 * A TUN device: IP packets in and out of the host's own stack. Packets stay in the shared memory; only addresses cross.
 * Every call returns at once.
 */
export interface Tun {
  readonly name: string;
  readonly mtu: number;
  /** The descriptor to poll for reading, or undefined for a device in memory. */
  readonly descriptor: number | undefined;
  readonly offloads: TunOffloads;
  /** Reads one packet to `address`, behind its header if there are headers. Returns the length of both, or 0 when none is waiting. Throws PlatformError when the device is gone. */
  read(address: number, capacity: number): number;
  /** Writes one packet, with its header if there are headers. False when the device did not take it (queue full, interface down). */
  write(address: number, length: number): boolean;
  /** Writes one packet from `count` pieces, at most PIECE_LIMIT. `pieces`: address and length of each, u32. */
  writePieces(pieces: number, count: number): WriteResult;
  close(): void;
}

/** What a device does for us, or we for it. */
export interface TunOffloads {
  /** Octets of virtio_net_hdr before each packet, in both directions: VNET_HEADER_SIZE, or 0. */
  readonly headerLength: number;
  /** Whether TCP comes, and is taken, in super-packets. */
  readonly tcp: boolean;
  /** Likewise UDP. */
  readonly udp: boolean;
}

export const NO_OFFLOADS: TunOffloads = { headerLength: 0, tcp: false, udp: false };

/** "unsupported": the device does not take super-packets, and will not next time. */
export type WriteResult = "taken" | "refused" | "unsupported";

export const PIECE_LIMIT = 64;
