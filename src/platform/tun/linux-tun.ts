import { VNET_HEADER_SIZE } from "../../../assembly/layout.ts";
import { PlatformError } from "../../errors/index.ts";
import { ioBlock, TUN_BLOCK } from "../io-region.ts";
import {
  AF_INET,
  IFF_MULTI_QUEUE,
  IFF_NO_PI,
  IFF_TUN,
  IFF_VNET_HDR,
  O_CLOEXEC,
  O_NONBLOCK,
  O_RDWR,
  SIOCSIFMTU,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  TUN_F_CSUM,
  TUN_F_TSO4,
  TUN_F_TSO6,
  TUN_F_USO4,
  TUN_F_USO6,
  TUNSETIFF,
  TUNSETOFFLOAD,
} from "../system-calls/constants.ts";
import { Errno, errnoName, isNothingYet, succeed, systemError } from "../system-calls/errno.ts";
import { PointerWriter } from "../system-calls/pointer.ts";
import { IFNAMSIZ, IFREQ_SIZE, IOV_LEN_OFFSET, IOVEC_SIZE } from "../system-calls/structures.ts";
import type { SystemCalls } from "../system-calls/system-calls.ts";
import { NO_OFFLOADS, PIECE_LIMIT, type Tun, type TunOffloads, type WriteResult } from "./tun.ts";

/** What a TUN device is to the thread that did not open it: plain facts that survive postMessage. */
export interface OpenTun {
  readonly descriptor: number;
  readonly name: string;
  readonly mtu: number;
  readonly offloads: TunOffloads;
  /** What was asked for and refused, as sentences. */
  readonly refusals: readonly string[];
}

const TCP_OFFLOADS = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
const ALL_OFFLOADS = TCP_OFFLOADS | TUN_F_USO4 | TUN_F_USO6;

/**
 * Makes a TUN device that lives as long as its descriptor is open, in the caller's network namespace. `name` may end in
 * "%d" and the kernel fills in a number. The link is still down: Network.setLinkUp raises it. Of `offloads` ("auto") it gets
 * what the kernel has. With `hasQueues`, `openTunQueue` adds others to this one.
 * Throws PlatformError when /dev/net/tun is missing or forbidden, or the name is taken.
 */
export function openTun(
  systemCalls: SystemCalls,
  {
    name,
    mtu,
    offloads = "off",
    hasQueues = false,
  }: {
    readonly name: string;
    readonly mtu: number;
    readonly offloads?: "auto" | "off";
    readonly hasQueues?: boolean;
  },
): OpenTun {
  const descriptor = succeed(
    "open /dev/net/tun",
    systemCalls.open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC),
  );
  try {
    const refusals: string[] = [];
    const made = makeDevice(systemCalls, {
      descriptor,
      name,
      hasHeaders: offloads === "auto",
      hasQueues,
      refusals,
    });
    const given = made.hasHeaders
      ? askForOffloads(systemCalls, { descriptor, name: made.name, refusals })
      : NO_OFFLOADS;
    setMtu(systemCalls, made.name, mtu);
    return { descriptor, name: made.name, mtu, offloads: given, refusals };
  } catch (error) {
    systemCalls.close(descriptor);
    throw error;
  }
}

function makeDevice(
  systemCalls: SystemCalls,
  facts: {
    readonly descriptor: number;
    readonly name: string;
    readonly hasHeaders: boolean;
    readonly hasQueues: boolean;
    readonly refusals: string[];
  },
): { readonly name: string; readonly hasHeaders: boolean } {
  const { descriptor, name, hasHeaders, refusals } = facts;
  const request = deviceRequest(name, facts);
  const result = systemCalls.ioctl(descriptor, TUNSETIFF, request);
  if (result === -Errno.EINVAL && hasHeaders) {
    refusals.push(`TUN device ${name}: the kernel has no packet headers, so no offloads (EINVAL)`);
    return makeDevice(systemCalls, { ...facts, hasHeaders: false });
  }
  succeed(`make TUN device ${name}`, result);
  return { name: nameIn(request), hasHeaders };
}

/**
 * One more queue of a device that was opened with `hasQueues`: the kernel gives each of them the packets of some flows, and of those whose
 * other direction was written to it. Throws PlatformError.
 */
export function openTunQueue(systemCalls: SystemCalls, tun: OpenTun): OpenTun {
  const descriptor = succeed(
    "open /dev/net/tun",
    systemCalls.open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC),
  );
  const request = deviceRequest(tun.name, { hasHeaders: tun.offloads.headerLength > 0, hasQueues: true });
  try {
    succeed(`add a queue to TUN device ${tun.name}`, systemCalls.ioctl(descriptor, TUNSETIFF, request));
  } catch (error) {
    systemCalls.close(descriptor);
    throw error;
  }
  return { ...tun, descriptor };
}

function deviceRequest(
  name: string,
  { hasHeaders, hasQueues }: { readonly hasHeaders: boolean; readonly hasQueues: boolean },
): Uint8Array {
  const request = interfaceRequest(name);
  const flags = IFF_TUN | IFF_NO_PI | (hasHeaders ? IFF_VNET_HDR : 0) | (hasQueues ? IFF_MULTI_QUEUE : 0);
  new DataView(request.buffer).setUint16(IFNAMSIZ, flags, true);
  return request;
}

/** Headers without offloads are allowed too: then the kernel cuts and sums by itself. */
function askForOffloads(
  systemCalls: SystemCalls,
  {
    descriptor,
    name,
    refusals,
  }: { readonly descriptor: number; readonly name: string; readonly refusals: string[] },
): TunOffloads {
  const headerLength = VNET_HEADER_SIZE;
  const all = systemCalls.ioctlNumber(descriptor, TUNSETOFFLOAD, ALL_OFFLOADS);
  if (all >= 0) return { headerLength, tcp: true, udp: true };
  const tcp = systemCalls.ioctlNumber(descriptor, TUNSETOFFLOAD, TCP_OFFLOADS);
  const what = tcp >= 0 ? "segmentation of UDP" : "segmentation of TCP and UDP";
  refusals.push(`TUN device ${name}: the kernel has no ${what} (${errnoName(tcp >= 0 ? all : tcp)})`);
  return { headerLength, tcp: tcp >= 0, udp: false };
}

/** A TUN device of the kernel, for the thread that reads and writes it. */
export class LinuxTun implements Tun {
  readonly name: string;
  readonly mtu: number;
  readonly descriptor: number;
  readonly offloads: TunOffloads;
  readonly #systemCalls: SystemCalls;
  readonly #words: Uint32Array;
  readonly #pointers: PointerWriter;
  readonly #vectors: number;

  /** `worker` says whose room for system calls is used. */
  constructor(systemCalls: SystemCalls, open: Omit<OpenTun, "refusals">, worker: number) {
    this.#systemCalls = systemCalls;
    this.#words = new Uint32Array(systemCalls.memory.buffer);
    this.#pointers = new PointerWriter(systemCalls);
    this.#vectors = ioBlock(worker, TUN_BLOCK);
    this.descriptor = open.descriptor;
    this.name = open.name;
    this.mtu = open.mtu;
    this.offloads = open.offloads;
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

  writePieces(pieces: number, count: number): WriteResult {
    if (count > PIECE_LIMIT) throw new RangeError(`a packet of ${count} pieces, ${PIECE_LIMIT} at most`);
    let total = 0;
    for (let i = 0; i < count; i++) {
      const piece = (pieces >>> 2) + 2 * i;
      const vector = (this.#vectors + i * IOVEC_SIZE) >>> 2;
      const length = this.#words[piece + 1]!;
      this.#pointers.write(vector, this.#words[piece]!);
      this.#words[vector + IOV_LEN_OFFSET / 4] = length;
      total += length;
    }
    const result = this.#systemCalls.writev(this.descriptor, this.#vectors, count);
    if (result === total) return "taken";
    return result === -Errno.EINVAL ? "unsupported" : "refused";
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
