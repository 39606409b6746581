import { concat } from "../../bytes/concat.ts";
import { FRAME_LENGTH_SIZE, STREAM_PREFIX } from "../../wire/tcp-encapsulation.ts";
import { classifyDatagram, NON_ESP_MARKER_LENGTH } from "../../wire/udp-encapsulation.ts";

/** What a stream holds, in its order. */
interface FrameSink {
  /** An IKE message, without the marker. A view, good during the call. */
  onIke(message: Uint8Array): void;
  /** Frames of ESP packets as they are, back to back. */
  onEsp(frames: Uint8Array): void;
}

/** Cuts a stream of RFC 9329 into frames, wherever its pieces end. Keeps less than one frame. */
export class FrameReader {
  readonly #sink: FrameSink;
  #awaitsPrefix: boolean;
  #held: Uint8Array = new Uint8Array(0);

  /** `awaitsPrefix`: the peer has opened the connection. */
  constructor({ awaitsPrefix, sink }: { readonly awaitsPrefix: boolean; readonly sink: FrameSink }) {
    this.#awaitsPrefix = awaitsPrefix;
    this.#sink = sink;
  }

  /** Whether the prefix has yet to come. */
  get awaitsPrefix(): boolean {
    return this.#awaitsPrefix;
  }

  /** Takes the next octets. False when this is no such stream, or one that has lost its thread: it has to be closed. */
  push(octets: Uint8Array): boolean {
    const all = this.#held.length === 0 ? octets : concat(this.#held, octets);
    let at = 0;
    if (this.#awaitsPrefix) {
      const seen = Math.min(all.length, STREAM_PREFIX.length);
      for (let i = 0; i < seen; i++) if (all[i] !== STREAM_PREFIX[i]) return false;
      if (seen < STREAM_PREFIX.length) {
        this.#held = all.slice();
        return true;
      }
      this.#awaitsPrefix = false;
      at = seen;
    }
    return this.#cut(all, at);
  }

  #cut(all: Uint8Array, begin: number): boolean {
    let at = begin;
    /** Where the ESP frames begin that have not been passed on. */
    let first = begin;
    const passOn = (end: number): void => {
      if (end > first) this.#sink.onEsp(all.subarray(first, end));
    };
    while (all.length - at >= FRAME_LENGTH_SIZE) {
      const length = (all[at]! << 8) | all[at + 1]!;
      // RFC 9329 section 3: nothing can be read behind such a length.
      if (length < FRAME_LENGTH_SIZE) return false;
      if (at + length > all.length) break;
      const body = all.subarray(at + FRAME_LENGTH_SIZE, at + length);
      const kind = classifyDatagram(body);
      if (kind !== "esp") {
        // Section 6.6: keepalives of UDP are no error here.
        passOn(at);
        first = at + length;
        if (kind === "ike") this.#sink.onIke(body.subarray(NON_ESP_MARKER_LENGTH));
      }
      at += length;
    }
    passOn(at);
    this.#held = all.slice(at);
    return true;
  }
}
