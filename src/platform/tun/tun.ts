/**
 * A TUN device: IP packets in and out of the host's own stack. Packets stay in the shared memory; only addresses cross.
 * Every call returns at once.
 */
export interface Tun {
  readonly name: string;
  readonly mtu: number;
  /** The descriptor to poll for reading, or undefined for a device in memory. */
  readonly descriptor: number | undefined;
  /** Reads one packet to `address`. Returns its length, or 0 when none is waiting. Throws PlatformError when the device is gone. */
  read(address: number, capacity: number): number;
  /** Writes one packet. False when the device did not take it (queue full, interface down). */
  write(address: number, length: number): boolean;
  close(): void;
}
