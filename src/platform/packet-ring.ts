import { endianness } from "node:os";
import { PACKET_RX_RING, PACKET_VERSION, SOL_PACKET, TPACKET_V2 } from "./system-calls/constants.ts";
import { succeed } from "./system-calls/errno.ts";
import type { SystemCalls } from "./system-calls/system-calls.ts";

// tpacket2_hdr: tp_status (4) | tp_len (4) | tp_snaplen (4) | tp_mac (2) | tp_net (2) | time stamp, VLAN, padding
const STATUS_OFFSET = 0;
const LENGTH_OFFSET = 4;
const SNAP_LENGTH_OFFSET = 8;
const MAC_OFFSET = 12;
// sockaddr_ll follows: family (2) | protocol (2) | link (4) | hardware type (2) | packet type (1) ...
const PACKET_TYPE_OFFSET = 32 + 10;
/** The packet type of what leaves by the link. */
const PACKET_OUTGOING = 4;

/** The frame is ours to read; written back as 0, it is the kernel's to fill. */
const TP_STATUS_USER = 1;

/** Header and socket address lie before each frame. */
const HEADROOM = 80;

const BLOCK_LENGTH = 65_536;
const RING_LENGTH = 16 * 1024 * 1024;

/**
 * The ring that a packet socket shares with the kernel (PACKET_RX_RING): frames are read in place, without system calls,
 * and there is room for thousands of them whatever net.core.rmem_max says.
 */
export class PacketRing {
  readonly #systemCalls: SystemCalls;
  readonly #address: number;
  readonly #octets: Uint8Array;
  readonly #view: DataView;
  readonly #words: Int32Array;
  readonly #frameSize: number;
  #next = 0;
  #isOpen = true;

  /** For a packet socket that is not bound yet. `snapLength`: octets that must fit of each frame. Throws PlatformError when the kernel refuses. */
  constructor(
    systemCalls: SystemCalls,
    { descriptor, snapLength }: { readonly descriptor: number; readonly snapLength: number },
  ) {
    this.#systemCalls = systemCalls;
    this.#frameSize = 2 ** Math.ceil(Math.log2(snapLength + HEADROOM));
    const version = systemCalls.setsockopt(descriptor, SOL_PACKET, PACKET_VERSION, words(TPACKET_V2));
    succeed("choose the version of the packet ring", version);
    const request = words(
      BLOCK_LENGTH,
      RING_LENGTH / BLOCK_LENGTH,
      this.#frameSize,
      RING_LENGTH / this.#frameSize,
    );
    const made = systemCalls.setsockopt(descriptor, SOL_PACKET, PACKET_RX_RING, request);
    succeed("make a packet ring", made);
    this.#address = succeed("map the packet ring", systemCalls.mmap(descriptor, RING_LENGTH));
    const buffer = systemCalls.octetsAt(this.#address, RING_LENGTH);
    this.#octets = new Uint8Array(buffer);
    this.#view = new DataView(buffer);
    this.#words = new Int32Array(buffer);
  }

  /** Hands over every frame that waits, as a view that is valid during the call, with its length on the wire and whether it left. */
  take(onFrame: (octets: Uint8Array, length: number, isOutgoing: boolean) => void): void {
    while (this.#isOpen) {
      const frame = this.#next * this.#frameSize;
      const status = (frame + STATUS_OFFSET) >>> 2;
      // The kernel fills the frame first; an atomic load keeps us from reading it any earlier.
      if ((Atomics.load(this.#words, status) & TP_STATUS_USER) === 0) return;
      const start = frame + this.#view.getUint16(frame + MAC_OFFSET, IS_LITTLE_ENDIAN);
      const kept = this.#view.getUint32(frame + SNAP_LENGTH_OFFSET, IS_LITTLE_ENDIAN);
      const length = this.#view.getUint32(frame + LENGTH_OFFSET, IS_LITTLE_ENDIAN);
      const isOutgoing = this.#octets[frame + PACKET_TYPE_OFFSET] === PACKET_OUTGOING;
      onFrame(this.#octets.subarray(start, start + kept), length, isOutgoing);
      Atomics.store(this.#words, status, 0);
      this.#next = (this.#next + 1) % (RING_LENGTH / this.#frameSize);
    }
  }

  /** Gives the memory back. Nothing may touch a frame after this. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#systemCalls.munmap(this.#address, RING_LENGTH);
  }
}

const IS_LITTLE_ENDIAN = endianness() === "LE";

function words(...values: readonly number[]): Uint8Array {
  return new Uint8Array(new Uint32Array(values).buffer);
}
