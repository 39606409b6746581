import { Socket } from "node:net";
import {
  AF_UNIX,
  SO_SNDBUF,
  SO_SNDBUFFORCE,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
} from "../system-calls/constants.ts";
import { succeed } from "../system-calls/errno.ts";
import type { SystemCalls } from "../system-calls/system-calls.ts";

// Between the main thread, which has the TCP connections, and a data worker, which has the keys, ESP takes a stream that does not leave the
// process:
//
//   to the worker      frames of RFC 9329, as they came
//   from the worker    Stream (4) | Length (4) | Count (4) | so many frames of that length in all, for one TCP connection
//
// The numbers are little-endian.

export const MESSAGE_HEADER_LENGTH = 12;

/** Either end may lag behind by this much. */
const BUFFER_LENGTH = 4 * 1024 * 1024;
/** What waits in this thread for a worker that does not read. */
const WAITING_LENGTH = 1024 * 1024;

/** Two descriptors of one local stream, alike. Throws PlatformError. */
export function openLocalStream(systemCalls: SystemCalls): readonly [number, number] {
  const what = "local stream";
  const pair = new Int32Array(2);
  const octets = new Uint8Array(pair.buffer);
  const type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
  succeed(what, systemCalls.socketpair(AF_UNIX, type, 0, octets));
  const size = new Uint8Array(Int32Array.of(BUFFER_LENGTH).buffer);
  for (const descriptor of pair) {
    if (systemCalls.setsockopt(descriptor, SOL_SOCKET, SO_SNDBUFFORCE, size) < 0)
      systemCalls.setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, size);
  }
  return [pair[0]!, pair[1]!];
}

/** Gets `count` whole frames for one TCP connection, in pieces that nobody else writes to. */
export type OnFrames = (stream: number, frames: readonly Uint8Array[], count: number) => void;

/** The main thread's end. */
export class LocalStream {
  readonly #socket: Socket;
  readonly #onFrames: OnFrames;
  /** What has come of a message that is not whole. */
  #pieces: Uint8Array[] = [];
  #header: Uint8Array = new Uint8Array(0);
  #stream = 0;
  #count = 0;
  #missing = 0;

  constructor(descriptor: number, onFrames: OnFrames) {
    this.#onFrames = onFrames;
    this.#socket = new Socket({ fd: descriptor, readable: true, writable: true });
    this.#socket.on("data", (octets: Uint8Array) => this.#take(octets));
    this.#socket.on("error", () => {});
  }

  /** Hands frames over to the worker. False when it has too much to do, and they are lost. They must not change any more. */
  write(frames: Uint8Array): boolean {
    if (this.#socket.destroyed || this.#socket.writableLength > WAITING_LENGTH) return false;
    this.#socket.write(frames);
    return true;
  }

  close(): Promise<void> {
    if (this.#socket.destroyed) return Promise.resolve();
    return new Promise((resolve) => {
      this.#socket.once("close", () => resolve());
      this.#socket.destroy();
    });
  }

  #take(octets: Uint8Array): void {
    let at = 0;
    while (at < octets.length) {
      if (this.#missing === 0) {
        at = this.#takeHeader(octets, at);
        continue;
      }
      const taken = Math.min(this.#missing, octets.length - at);
      this.#pieces.push(octets.subarray(at, at + taken));
      this.#missing -= taken;
      at += taken;
      if (this.#missing > 0) return;
      this.#onFrames(this.#stream, this.#pieces, this.#count);
      this.#pieces = [];
    }
  }

  #takeHeader(octets: Uint8Array, at: number): number {
    const taken = Math.min(MESSAGE_HEADER_LENGTH - this.#header.length, octets.length - at);
    this.#header = Buffer.concat([this.#header, octets.subarray(at, at + taken)]);
    if (this.#header.length < MESSAGE_HEADER_LENGTH) return at + taken;
    const view = new DataView(this.#header.buffer, this.#header.byteOffset, MESSAGE_HEADER_LENGTH);
    this.#stream = view.getUint32(0, true);
    this.#missing = view.getUint32(4, true);
    this.#count = view.getUint32(8, true);
    this.#header = new Uint8Array(0);
    return at + taken;
  }
}
