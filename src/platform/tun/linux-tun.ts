import { PlatformError } from "../../errors/index.ts";
import {
  AF_INET,
  IFF_NO_PI,
  IFF_TUN,
  O_CLOEXEC,
  O_NONBLOCK,
  O_RDWR,
  SIOCSIFMTU,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  TUNSETIFF,
} from "../system-calls/constants.ts";
import { isNothingYet, succeed, systemError } from "../system-calls/errno.ts";
import { IFNAMSIZ, IFREQ_SIZE } from "../system-calls/structures.ts";
import type { SystemCalls } from "../system-calls/system-calls.ts";
import type { Tun } from "./tun.ts";

/** What a TUN device is to the thread that did not open it: plain facts that survive postMessage. */
export interface OpenTun {
  readonly descriptor: number;
  readonly name: string;
  readonly mtu: number;
}

/**
 * Makes a TUN device that lives as long as its descriptor is open, in the caller's network namespace. `name` may end in
 * "%d" and the kernel fills in a number. The link is still down: Network.setLinkUp raises it.
 * Throws PlatformError when /dev/net/tun is missing or forbidden, or the name is taken.
 */
export function openTun(
  systemCalls: SystemCalls,
  { name, mtu }: { readonly name: string; readonly mtu: number },
): OpenTun {
  const descriptor = succeed(
    "open /dev/net/tun",
    systemCalls.open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC),
  );
  try {
    const request = interfaceRequest(name);
    // VNET_HDR is not asked for: packets come one at a time, without a virtio_net_hdr before them.
    new DataView(request.buffer).setUint16(IFNAMSIZ, IFF_TUN | IFF_NO_PI, true);
    succeed(`make TUN device ${name}`, systemCalls.ioctl(descriptor, TUNSETIFF, request));
    const given = nameIn(request);
    setMtu(systemCalls, given, mtu);
    return { descriptor, name: given, mtu };
  } catch (error) {
    systemCalls.close(descriptor);
    throw error;
  }
}

/** A TUN device of the kernel, for the thread that reads and writes it. */
export class LinuxTun implements Tun {
  readonly name: string;
  readonly mtu: number;
  readonly descriptor: number;
  readonly #systemCalls: SystemCalls;

  constructor(systemCalls: SystemCalls, { descriptor, name, mtu }: OpenTun) {
    this.#systemCalls = systemCalls;
    this.descriptor = descriptor;
    this.name = name;
    this.mtu = mtu;
  }

  read(address: number, capacity: number): number {
    const result = this.#systemCalls.read(this.descriptor, address, capacity);
    if (result >= 0) return result;
    if (isNothingYet(result)) return 0;
    throw systemError(`read from TUN device ${this.name}`, result);
  }

  write(address: number, length: number): boolean {
    return this.#systemCalls.write(this.descriptor, address, length) === length;
  }

  close(): void {
    this.#systemCalls.close(this.descriptor);
  }
}

function setMtu(systemCalls: SystemCalls, name: string, mtu: number): void {
  const what = `set the MTU of ${name} to ${mtu}`;
  const request = interfaceRequest(name);
  new DataView(request.buffer).setInt32(IFNAMSIZ, mtu, true);
  // Links are configured through any socket, made for the occasion.
  const socket = succeed(what, systemCalls.socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  try {
    succeed(what, systemCalls.ioctl(socket, SIOCSIFMTU, request));
  } finally {
    systemCalls.close(socket);
  }
}

/** A struct ifreq for the link. */
function interfaceRequest(name: string): Uint8Array {
  const octets = Buffer.from(name, "latin1");
  if (octets.length === 0 || octets.length >= IFNAMSIZ || /[\s/\0]/.test(name)) {
    throw new PlatformError(`"${name}" is no name for a link: 1 to 15 octets without spaces and slashes`, {
      code: "EINVAL",
    });
  }
  const request = new Uint8Array(IFREQ_SIZE);
  request.set(octets);
  return request;
}

function nameIn(request: Uint8Array): string {
  const end = request.indexOf(0);
  return Buffer.from(request.subarray(0, end)).toString("latin1");
}
