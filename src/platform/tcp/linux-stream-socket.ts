import {
  RECEIVE_SLOT_COUNT,
  WORKER_BASE,
  WORKER_RECEIVE_OFFSET,
  WORKER_SIZE,
} from "../../../assembly/layout.ts";
import { FRAME_LENGTH_SIZE } from "../../wire/tcp-encapsulation.ts";
import type { SocketAddress } from "../address.ts";
import { streamBlock } from "../io-region.ts";
import { MSG_DONTWAIT, MSG_NOSIGNAL } from "../system-calls/constants.ts";
import { isNothingYet, systemError } from "../system-calls/errno.ts";
import { PointerWriter } from "../system-calls/pointer.ts";
import { IOV_LEN_OFFSET, IOVEC_SIZE } from "../system-calls/structures.ts";
import type { SystemCalls } from "../system-calls/system-calls.ts";
import {
  MAXIMUM_DATAGRAM_LENGTH,
  type QueuedMessage,
  SEGMENT_LIMIT,
  SEND_BATCH_COUNT,
  type UdpSocket,
} from "../udp/udp-socket.ts";
import { MESSAGE_HEADER_LENGTH } from "./local-stream.ts";

/** One read. With less than one frame before it, it fits into two receive slots. */
const READ_LENGTH = 65_536;
const LONGEST_FRAME = 65_535;

// The worker's stream block.
const VECTOR_LIMIT = 1024;
const VECTORS_OFFSET = 0;
const HEADERS_OFFSET = VECTORS_OFFSET + VECTOR_LIMIT * IOVEC_SIZE;
/** Stream (4) | Length (4) | Count (4) | length of a frame (2) | length of the last one (2) */
const HEADER_SIZE = 16;
const FRAME_LENGTH_OFFSET = MESSAGE_HEADER_LENGTH;
const LAST_LENGTH_OFFSET = FRAME_LENGTH_OFFSET + FRAME_LENGTH_SIZE;

const NOWHERE: SocketAddress = { address: "", port: 0 };

/**
 * ESP packets of all TCP connections, for one data worker: what it gives and takes are frames in a local stream (local-stream.ts), whose other
 * end sorts them. The `peer` of a message is the number of a stream, 4 octets.
 */
export class LinuxStreamSocket implements UdpSocket {
  readonly family = 4;
  readonly port = 0;
  readonly descriptor: number;
  readonly #systemCalls: SystemCalls;
  readonly #octets: Uint8Array;
  readonly #words: Uint32Array;
  readonly #pointers: PointerWriter;
  readonly #isUsed: Int32Array;
  readonly #slots: number;
  readonly #block: number;

  /** Frames of the last receive. */
  readonly #starts = new Uint32Array(RECEIVE_SLOT_COUNT);
  readonly #lengths = new Uint32Array(RECEIVE_SLOT_COUNT);
  /** What was read and not given. */
  readonly #held = new Uint8Array(READ_LENGTH + LONGEST_FRAME);
  #heldLength = 0;
  #holdsFrame = false;

  #messages = 0;
  #vectors = 0;
  /** By vector: where it points to. */
  readonly #addresses = new Uint32Array(VECTOR_LIMIT);
  /** By message: where its vectors begin, its octets with all headers, and its packets. */
  readonly #firstVectors = new Uint32Array(SEND_BATCH_COUNT);
  readonly #sizes = new Uint32Array(SEND_BATCH_COUNT);
  readonly #counts = new Uint32Array(SEND_BATCH_COUNT);
  /** The end of a message whose beginning has left. */
  readonly #rest = new Uint8Array(
    MESSAGE_HEADER_LENGTH + MAXIMUM_DATAGRAM_LENGTH + SEGMENT_LIMIT * FRAME_LENGTH_SIZE,
  );
  #restAt = 0;
  #restLength = 0;

  /** `worker` says whose receive slots are filled. */
  constructor(
    systemCalls: SystemCalls,
    {
      worker,
      descriptor,
      isUsed,
    }: {
      readonly worker: number;
      readonly descriptor: number;
      /** One number: 0 as long as nothing can have come. Left out, something may have. */
      readonly isUsed?: SharedArrayBuffer;
    },
  ) {
    this.descriptor = descriptor;
    this.#systemCalls = systemCalls;
    this.#octets = new Uint8Array(systemCalls.memory.buffer);
    this.#words = new Uint32Array(systemCalls.memory.buffer);
    this.#pointers = new PointerWriter(systemCalls);
    this.#isUsed = isUsed === undefined ? Int32Array.of(1) : new Int32Array(isUsed);
    this.#slots = WORKER_BASE + worker * WORKER_SIZE + WORKER_RECEIVE_OFFSET;
    this.#block = streamBlock(worker);
  }

  maySegment(): boolean {
    return true;
  }

  // ---- Receiving ------------------------------------------------------------------------------------------

  receive(limit: number): number {
    if (Atomics.load(this.#isUsed, 0) === 0) return 0;
    let end = this.#slots + this.#heldLength;
    // What waits comes first.
    if (!this.#holdsFrame) {
      const result = this.#systemCalls.read(this.descriptor, end, READ_LENGTH);
      if (result < 0 && !isNothingYet(result)) throw systemError("local stream: read", result);
      if (result <= 0) return 0;
      end += result;
    }
    if (this.#heldLength > 0) this.#octets.set(this.#held.subarray(0, this.#heldLength), this.#slots);
    return this.#cut(end, Math.min(limit, RECEIVE_SLOT_COUNT));
  }

  #cut(end: number, limit: number): number {
    let at = this.#slots;
    let count = 0;
    let next = this.#frameEnd(at, end);
    while (next > at && count < limit) {
      this.#starts[count] = at + FRAME_LENGTH_SIZE;
      this.#lengths[count] = next - at - FRAME_LENGTH_SIZE;
      count++;
      at = next;
      next = this.#frameEnd(at, end);
    }
    this.#holdsFrame = next > at;
    this.#heldLength = end - at;
    if (at < end) this.#held.set(this.#octets.subarray(at, end));
    return count;
  }

  /** Where the frame at `at` ends; `at` itself when it is not whole. */
  #frameEnd(at: number, end: number): number {
    if (end - at < FRAME_LENGTH_SIZE) return at;
    const next = at + ((this.#octets[at]! << 8) | this.#octets[at + 1]!);
    return next <= end ? next : at;
  }

  receivedAt(index: number): number {
    return this.#starts[index]!;
  }

  receivedLength(index: number): number {
    return this.#lengths[index]!;
  }

  receivedSegmentLength(): number {
    return 0;
  }

  /** RFC 9329 section 9.5: what the path marks are segments of TCP, not packets. */
  receivedTrafficClass(): number {
    return 0;
  }

  receivedPeer(): number {
    return 0;
  }

  receivedFrom(): SocketAddress {
    return NOWHERE;
  }

  receivedTo(): SocketAddress {
    return NOWHERE;
  }

  // ---- Transmitting ---------------------------------------------------------------------------------------

  queue({ address, length, segmentLength, peer }: QueuedMessage): boolean {
    const count = Math.ceil(length / segmentLength);
    if (this.#messages === SEND_BATCH_COUNT || this.#vectors + 1 + 2 * count > VECTOR_LIMIT) return false;
    const index = this.#messages++;
    const lastLength = length - (count - 1) * segmentLength;
    const framesLength = length + count * FRAME_LENGTH_SIZE;
    const header = this.#block + HEADERS_OFFSET + index * HEADER_SIZE;
    this.#words[header >>> 2] = this.#words[peer >>> 2]!;
    this.#words[(header >>> 2) + 1] = framesLength;
    this.#words[(header >>> 2) + 2] = count;
    this.#writeFrameLength(header + FRAME_LENGTH_OFFSET, segmentLength);
    this.#writeFrameLength(header + LAST_LENGTH_OFFSET, lastLength);
    this.#firstVectors[index] = this.#vectors;
    this.#sizes[index] = MESSAGE_HEADER_LENGTH + framesLength;
    this.#counts[index] = count;
    this.#addVector(header, MESSAGE_HEADER_LENGTH);
    for (let i = 0; i < count; i++) {
      const isLast = i === count - 1;
      this.#addVector(header + (isLast ? LAST_LENGTH_OFFSET : FRAME_LENGTH_OFFSET), FRAME_LENGTH_SIZE);
      this.#addVector(address + i * segmentLength, isLast ? lastLength : segmentLength);
    }
    return true;
  }

  #writeFrameLength(at: number, length: number): void {
    const whole = length + FRAME_LENGTH_SIZE;
    this.#octets[at] = whole >>> 8;
    this.#octets[at + 1] = whole;
  }

  #addVector(address: number, length: number): void {
    const word = (this.#block + VECTORS_OFFSET + this.#vectors * IOVEC_SIZE) >>> 2;
    this.#pointers.write(word, address);
    this.#words[word + IOV_LEN_OFFSET / 4] = length;
    this.#words[word + IOV_LEN_OFFSET / 4 + 1] = 0;
    this.#addresses[this.#vectors] = address;
    this.#vectors++;
  }

  transmit(): number {
    let taken = 0;
    if (this.#messages > 0 && !this.flush()) {
      const first = this.#block + VECTORS_OFFSET;
      const written = Math.max(0, this.#systemCalls.writev(this.descriptor, first, this.#vectors));
      taken = this.#account(written);
    }
    this.#messages = 0;
    this.#vectors = 0;
    return taken;
  }

  /** Packets of messages that have left, of one that has in part among them: its rest is kept. */
  #account(written: number): number {
    let left = written;
    let taken = 0;
    for (let index = 0; index < this.#messages && left > 0; index++) {
      taken += this.#counts[index]!;
      const size = this.#sizes[index]!;
      if (left < size) this.#keepRest(index, left);
      left -= Math.min(left, size);
    }
    return taken;
  }

  #keepRest(index: number, written: number): void {
    const end = index + 1 < this.#messages ? this.#firstVectors[index + 1]! : this.#vectors;
    let skipped = written;
    for (let vector = this.#firstVectors[index]!; vector < end; vector++) {
      const word = (this.#block + VECTORS_OFFSET + vector * IOVEC_SIZE + IOV_LEN_OFFSET) >>> 2;
      const length = this.#words[word]!;
      const skip = Math.min(skipped, length);
      skipped -= skip;
      const address = this.#addresses[vector]!;
      this.#rest.set(this.#octets.subarray(address + skip, address + length), this.#restLength);
      this.#restLength += length - skip;
    }
  }

  flush(): boolean {
    if (this.#restAt === this.#restLength) return false;
    const octets = this.#rest.subarray(this.#restAt, this.#restLength);
    const sent = this.#systemCalls.send(this.descriptor, octets, MSG_DONTWAIT | MSG_NOSIGNAL);
    this.#restAt += Math.max(0, sent);
    if (this.#restAt < this.#restLength) return true;
    this.#restAt = 0;
    this.#restLength = 0;
    return false;
  }

  takeTooLong(): number {
    return 0;
  }

  close(): void {
    this.#systemCalls.close(this.descriptor);
  }
}
