import {
  TRAILER_ROOM,
  TUN_SLAB_SIZE,
  WORKER_BASE,
  WORKER_SIZE,
  WORKER_TUN_SLAB_OFFSET,
} from "../../assembly/layout.ts";
import type { Tun } from "../platform/tun/tun.ts";
import type { HandoverReader } from "./handover.ts";

/** Packets that may wait: a power of two. */
export const INTAKE_CAPACITY = 2048;
/** At most as many are adopted at once. */
const RESERVE_COUNT = 64;
/** No IP packet is longer. */
const PACKET_LIMIT = 65_535;

/**
 * Packets that were read from the TUN device and have not left yet: the TUN slab as a ring. A packet is a number below INTAKE_CAPACITY;
 * numbers are given in order of arrival, and given back in any order. Room is free again from the oldest packet on.
 */
export class TunIntake {
  readonly #tun: Tun;
  readonly #handover: HandoverReader | undefined;
  readonly #start: number;
  readonly #end: number;
  /** What a read may need, with the room behind the packet that is the kernel's to write. */
  readonly #need: number;
  readonly #addresses = new Uint32Array(INTAKE_CAPACITY);
  readonly #lengths = new Uint32Array(INTAKE_CAPACITY);
  readonly #isHeld = new Uint8Array(INTAKE_CAPACITY);
  /** Where the next packet goes. */
  #cursor: number;
  /** The oldest packet that is still held, and how many there are from it on. */
  #oldest = 0;
  #count = 0;
  #skipped = 0;

  constructor({
    worker,
    tun,
    handover,
  }: {
    readonly worker: number;
    readonly tun: Tun;
    /** What another worker has read for SAs of this one: it comes before what the device has. */
    readonly handover?: HandoverReader | undefined;
  }) {
    this.#tun = tun;
    this.#handover = handover;
    this.#start = WORKER_BASE + worker * WORKER_SIZE + WORKER_TUN_SLAB_OFFSET;
    this.#end = this.#start + TUN_SLAB_SIZE;
    this.#need = PACKET_LIMIT + tun.offloads.headerLength + TRAILER_ROOM;
    this.#cursor = this.#start;
  }

  /** Whether one more packet, of whatever length, can be read. */
  get hasRoom(): boolean {
    return this.#place(this.#need) !== 0;
  }

  /** Reads one packet and gives its number, or -1 when none is waiting or there is no room. `readsTun`: the device may have some. */
  read(readsTun = true): number {
    const at = this.#place(this.#need);
    if (at === 0) return -1;
    this.#skipped = 0;
    if (this.#handover !== undefined) {
      const handed = this.#handover.take(at);
      if (handed > 0) {
        this.#skipped = this.#handover.note;
        return this.adopt(at, handed);
      }
    }
    if (!readsTun) return -1;
    const length = this.#tun.read(at, PACKET_LIMIT + this.#tun.offloads.headerLength);
    if (length <= this.#tun.offloads.headerLength) return -1;
    return this.adopt(at, length);
  }

  /** Octets of payload of the packet that was read last which need not leave any more, from the front of a super-packet. */
  get skipped(): number {
    return this.#skipped;
  }

  /** Where `octets` octets of packets from elsewhere may be written, or 0: `adopt` tells of each. */
  reserve(octets: number): number {
    return this.#place(octets);
  }

  /** Takes the `length` octets at `at`, header included, as if they had been read. Returns the packet's number; `cursor` is where the next may lie. */
  adopt(at: number, length: number): number {
    const packet = (this.#oldest + this.#count++) & (INTAKE_CAPACITY - 1);
    this.#addresses[packet] = at;
    this.#lengths[packet] = length;
    this.#isHeld[packet] = 1;
    this.#cursor = at + ((length + TRAILER_ROOM + 15) & ~15);
    return packet;
  }

  get cursor(): number {
    return this.#cursor;
  }

  /** Where a packet begins, with its header if there are headers. */
  addressOf(packet: number): number {
    return this.#addresses[packet]!;
  }

  /** Octets of the packet, with its header. */
  lengthOf(packet: number): number {
    return this.#lengths[packet]!;
  }

  /** Says that a packet is not needed any more. */
  release(packet: number): void {
    this.#isHeld[packet] = 0;
    while (this.#count > 0 && this.#isHeld[this.#oldest] === 0) {
      this.#oldest = (this.#oldest + 1) & (INTAKE_CAPACITY - 1);
      this.#count--;
    }
  }

  /** An address with `need` octets of room, or 0. */
  #place(need: number): number {
    if (this.#count === 0) return this.#start;
    if (this.#count > INTAKE_CAPACITY - RESERVE_COUNT) return 0;
    const oldest = this.#addresses[this.#oldest]!;
    if (this.#cursor <= oldest) return oldest - this.#cursor >= need ? this.#cursor : 0;
    if (this.#end - this.#cursor >= need) return this.#cursor;
    return oldest - this.#start >= need ? this.#start : 0;
  }
}
