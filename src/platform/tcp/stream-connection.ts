import type { Socket } from "node:net";
import { encodeIkeFrame, FRAME_LENGTH_SIZE, STREAM_PREFIX } from "../../wire/tcp-encapsulation.ts";
import type { Path } from "../address.ts";
import { FrameReader } from "./frame-reader.ts";
import type { StreamLimits } from "./stream-limits.ts";

/** What a connection tells. */
interface StreamListener {
  onIke(message: Uint8Array): void;
  onEsp(connection: StreamConnection, frames: Uint8Array): void;
  /** It is closed, whoever has done it. */
  onClosed(connection: StreamConnection): void;
}

/** RFC 7296 section 3.1. */
const IKE_HEADER_LENGTH = 28;
const VERSION_OFFSET = 17;
const MAJOR_VERSION = 2;

/** One TCP connection with IKE and ESP in it (RFC 9329). */
export class StreamConnection {
  readonly stream: number;
  readonly path: Path;
  /** We have opened it. */
  readonly isOurs: boolean;
  readonly openedAt: number;
  /** An IKE SA with a peer that we know goes through it. */
  isTrusted: boolean;
  /** Since when no IKE SA uses it. */
  unusedSince: number | undefined;
  readonly #socket: Socket;
  readonly #limits: StreamLimits;
  readonly #listener: StreamListener;
  readonly #reader: FrameReader;
  #receivedLength = 0;
  #messageCount = 0;
  #messagesLately = 0;

  constructor(
    socket: Socket,
    facts: {
      readonly path: Path & { readonly stream: number };
      readonly isOurs: boolean;
      readonly now: number;
      readonly limits: StreamLimits;
      readonly listener: StreamListener;
    },
  ) {
    this.#socket = socket;
    this.path = facts.path;
    this.stream = facts.path.stream;
    this.isOurs = facts.isOurs;
    this.isTrusted = false;
    this.openedAt = facts.now;
    this.#limits = facts.limits;
    this.#listener = facts.listener;
    this.#reader = new FrameReader({
      awaitsPrefix: !facts.isOurs,
      sink: {
        onIke: (message) => this.#takeIke(message),
        onEsp: (frames) => {
          if (!this.isClosed) facts.listener.onEsp(this, frames);
        },
      },
    });
    // Without what a Buffer does in its own way.
    socket.on("data", ({ buffer, byteOffset, length }: Uint8Array) =>
      this.#take(new Uint8Array(buffer, byteOffset, length)),
    );
    socket.on("end", () => this.close());
    socket.on("error", () => {});
    socket.on("close", () => facts.listener.onClosed(this));
    if (facts.isOurs) socket.write(STREAM_PREFIX);
  }

  get isClosed(): boolean {
    return this.#socket.destroyed;
  }

  get awaitsPrefix(): boolean {
    return this.#reader.awaitsPrefix;
  }

  /** False when it is lost: too much waits already. */
  sendIke(message: Uint8Array): boolean {
    if (this.isClosed || this.#socket.writableLength > this.#limits.ikeQueueLength) return false;
    this.#socket.write(encodeIkeFrame(message));
    return true;
  }

  /** Whole frames, in pieces that must not change any more. False when they are lost. */
  sendFrames(pieces: readonly Uint8Array[]): boolean {
    if (this.isClosed || this.#socket.writableLength > this.#limits.sendQueueLength) return false;
    this.#socket.cork();
    for (const piece of pieces) this.#socket.write(piece);
    this.#socket.uncork();
    return true;
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Somebody has looked: the next messages count anew. */
  looked(): void {
    this.#messagesLately = 0;
  }

  #take(octets: Uint8Array): void {
    if (this.isClosed) return;
    this.#receivedLength += octets.length;
    const isTooMuch = !this.isOurs && !this.isTrusted && this.#receivedLength > this.#limits.strangerLength;
    if (isTooMuch || !this.#reader.push(octets)) this.close();
  }

  #takeIke(message: Uint8Array): void {
    if (this.isClosed) return;
    this.#messageCount++;
    this.#messagesLately++;
    const isStranger = !this.isOurs && !this.isTrusted;
    // RFC 9329 section 6.1 leaves it to us when a stream is beyond repair. Whom nobody knows gets no second chance.
    const isNonsense = message.length < IKE_HEADER_LENGTH || message[VERSION_OFFSET]! >>> 4 < MAJOR_VERSION;
    if (isStranger && (isNonsense || this.#messageCount > this.#limits.strangerMessageCount)) {
      this.close();
      return;
    }
    if (isNonsense || this.#messagesLately > this.#limits.messagesPerLook) return;
    this.#listener.onIke(message);
  }
}

/** How many frames these are. */
export function countFrames(frames: Uint8Array): number {
  let count = 0;
  for (let at = 0; at + FRAME_LENGTH_SIZE <= frames.length; count++) {
    at += (frames[at]! << 8) | frames[at + 1]!;
  }
  return count;
}
